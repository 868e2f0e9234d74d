"""Figures of a search: bits per layer, the Pareto front with the choice, predicted against simulated time, accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from accelsim.report.canvas import ImageFormat, new_axes, new_panels, note_beside, render, set_title
from accelsim.report.layer_bars import label_layers, width_for
from accelsim.report.palette import BLUE, GREEN, GREY, INK, MUTED, OPERANDS, ORANGE, SKY, VERMILLION
from accelsim.report.report_figure import ReportFigure
from accelsim.search.budget import cost_text
from accelsim.search.outcome import Outcome

# Of contenders.
_COLOURS = {"uniform 8": SKY, "uniform 4": GREY, "chosen": VERMILLION}


def draw_bits(outcome: Outcome) -> Figure:
    """Bars of the widths of weights and inputs, layer by layer; below them those of accumulators, where chosen."""
    layers = outcome.layers
    names = [layer.name for layer in layers]
    has_accumulators = any(layer.accumulator_bits is not None for layer in layers)
    if has_accumulators:
        figure, (axes, lower) = new_panels(width=width_for(len(names)), height=6.4, shares=(3, 2))
    else:
        figure, axes = new_axes(width=width_for(len(names)), height=4.2)
        lower = axes
    parts: dict[str, tuple[float, list[int]]] = {
        "weights": (-0.2, [layer.weight_bits or 0 for layer in layers]),
        "inputs": (0.2, [layer.input_bits for layer in layers])}
    for operand, (offset, bits) in parts.items():
        axes.bar([place + offset for place in range(len(names))], bits, width=0.36, color=OPERANDS[operand], label=operand)
    axes.set_ylabel("bits")
    axes.set_ylim(0, max(max(bits) for _, bits in parts.values()) * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if has_accumulators:
        _draw_accumulators(outcome, lower)
    label_layers(lower, names)
    set_title(axes, f"Bits per layer: {outcome.space.network.name} on {outcome.table.header.hardware}")
    return figure


def _draw_accumulators(outcome: Outcome, axes: object) -> None:
    """Chosen widths as bars, the bound of the quantized network as marks."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    places = [place for place, layer in enumerate(outcome.layers) if layer.accumulator_bits is not None]
    chosen = [outcome.layers[place].accumulator_bits or 0 for place in places]
    axes.bar(places, chosen, width=0.6, color=GREEN, label="accumulators")
    bounds = [(place, outcome.layers[place].safe_bits) for place in places]
    safe = [(place, bits) for place, bits in bounds if bits is not None]
    axes.plot([place for place, _ in safe], [bits for _, bits in safe], linestyle="none", marker="_", markersize=13,
              markeredgewidth=2.2, color=INK, label="cannot overflow from here")
    axes.set_ylabel("accumulator bits")
    axes.set_ylim(0, max([*chosen, *(bits for _, bits in safe)]) * 1.1)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(-0.008, 1.0), ncols=2)


def draw_front(outcome: Outcome) -> Figure:
    """The best sensitivity for each limit of the first budget's cost, and where the choice and its budget stand."""
    front = outcome.front
    assert front is not None
    cost, unit = front.cost, outcome.table.header.energy_unit
    figure, axes = new_axes(width=9.0, height=4.8)
    points = front.points
    axes.step([spent for spent, _ in points], [value for _, value in points], where="post", color=BLUE,
              linewidth=1.2, zorder=2)
    axes.plot([spent for spent, _ in points], [value for _, value in points], linestyle="none", marker="o", markersize=4,
              color=BLUE, label="Pareto front", zorder=3)
    budget = outcome.budgets[0]
    axes.axvline(budget.limit, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label=f"budget {budget.text}")
    chosen = (outcome.solution.costs[cost], outcome.solution.objective)
    axes.plot(*chosen, linestyle="none", marker="*", markersize=15, color=VERMILLION, label="chosen", zorder=4)
    values = [value for _, value in points if value > 0]
    if values and max(values) / min(values) > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(cost)
    axes.set_ylabel(f"sensitivity ({outcome.sensitivity})")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost_text(cost, value, energy_unit=unit)))
    axes.grid(visible=True, axis="both")
    set_title(axes, f"Sensitivity against {cost}: {outcome.space.network.name}", entry_width=1.8)
    return figure


def draw_prediction(outcome: Outcome) -> Figure:
    """Each layer's cycles by the table, and in the run of the whole network."""
    names = [layer.name for layer in outcome.layers]
    figure, axes = new_axes(width=width_for(len(names)), height=4.4)
    places = list(range(len(names)))
    axes.bar([place - 0.2 for place in places], [layer.predicted_cycles for layer in outcome.layers], width=0.36, color=SKY,
             label="predicted by the table")
    axes.bar([place + 0.2 for place in places], [layer.simulated_cycles for layer in outcome.layers], width=0.36, color=BLUE,
             label="simulated in the network")
    for place, layer in zip(places, outcome.layers, strict=True):
        error = layer.simulated_cycles - layer.predicted_cycles
        if error:
            note_beside(axes, f"{error:+,}", (place, max(layer.simulated_cycles, layer.predicted_cycles)), offset=(0, 4),
                        colour=VERMILLION)
    axes.set_ylabel("cycles")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    label_layers(axes, names)
    set_title(axes, "Predicted and simulated latency per layer", entry_width=2.4)
    return figure


def draw_contenders(outcome: Outcome) -> Figure:
    """Accuracy (or agreement with the float network) in integers against latency; the float network as a line."""
    has_labels = outcome.contenders[0].accuracy is not None
    figure, axes = new_axes(width=8.0, height=4.4)
    shown = [(each, each.accuracy if has_labels else each.agreement) for each in outcome.contenders]
    for each, share in shown:
        if share is None:
            continue
        if each.cycles is None:
            axes.axhline(100 * share, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label=each.name)
            continue
        axes.plot(each.cycles, 100 * share, linestyle="none", marker="*" if each.name == "chosen" else "o",
                  markersize=15 if each.name == "chosen" else 8, color=_COLOURS.get(each.name, ORANGE), label=each.name)
        note_beside(axes, f"{100 * share:.4g} %", (each.cycles, 100 * share), offset=(9, 0))
    cycles = [each.cycles for each, _ in shown if each.cycles is not None]
    spread = (max(cycles) - min(cycles)) or max(cycles)
    axes.set_xlim(min(cycles) - 0.1 * spread, max(cycles) + 0.2 * spread)
    axes.margins(y=0.15)
    axes.set_xlabel("cycles")
    axes.set_ylabel("accuracy, %" if has_labels else "agreement with float, %")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(visible=True, axis="both")
    set_title(axes, f"{'Accuracy' if has_labels else 'Agreement'} in integers against latency")
    return figure


#: File name without suffix -> figure, in the order of the page; the front only where it was asked for.
SEARCH_FIGURES: Mapping[str, tuple[Callable[[Outcome], Figure], str, str]] = {
    "bits": (draw_bits, "Bits per layer",
             "Widths of weights and inputs of every layer; a layer of the vector unit has no weights."),
    "front": (draw_front, "Pareto front", "The least sensitivity that each limit allows, proved by the integer program; "
              "the star is the choice, the broken line its budget."),
    "contenders": (draw_contenders, "Accuracy against latency", "Measured with every product and sum in the machine's "
                   "integers; the float network by onnxruntime."),
    "prediction": (draw_prediction, "Predicted and simulated", "What the table promised for each layer, and what the layer "
                   "took when the whole network ran."),
}


def render_search_figures(outcome: Outcome) -> dict[str, tuple[ReportFigure, dict[ImageFormat, bytes]]]:
    """Every figure that applies as PNG and SVG, by name."""
    found = {}
    for name, (draw, heading, caption) in SEARCH_FIGURES.items():
        if name == "front" and outcome.front is None:
            continue
        images = render(lambda draw=draw: draw(outcome), name=f"search_{name}")  # type: ignore[misc]
        found[name] = (ReportFigure(draw, heading, caption), images)  # type: ignore[arg-type]
    return found
