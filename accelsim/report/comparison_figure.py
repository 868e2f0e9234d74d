"""Designs side by side: time by cause, energy by component, and every layer against the first design."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from accelsim.report.canvas import new_axes, set_title
from accelsim.report.comparison import Comparison
from accelsim.report.layer_bars import label_layers, width_for
from accelsim.report.palette import CYCLES, DESIGNS, INK, MUTED, component_colours
from accelsim.report.wording import component_label, cycles_label, energy_text, short_name
from accelsim.units import cycles_to_us, format_time


def draw_design_latency(comparison: Comparison) -> Figure:
    """A level bar per design: time of the run, stacked by what the cycles went to."""
    parts: dict[str, dict[str, float]] = {}
    for label, result in comparison.results.items():
        cycles = {"compute": sum(layer.compute_cycles for layer in result.layers), **result.stall_cycles}
        parts[label] = {cause: cycles_to_us(count, clock_hz=result.accelerator.clock_hz) for cause, count in cycles.items()}
    figure, axes = _draw_bars(parts, dict(CYCLES), cycles_label, format_time)
    axes.set_xlabel("time of one run")
    set_title(axes, f"Latency by design: {short_name(comparison.baseline.network, longest=40)}")
    return figure


def draw_design_energy(comparison: Comparison) -> Figure:
    """A level bar per design: energy of the run, stacked by component."""
    unit = comparison.baseline.accelerator.energy.unit
    parts = {label: result.energy_pj for label, result in comparison.results.items()}
    colours = component_colours(dict.fromkeys(part for energy in parts.values() for part in energy))
    figure, axes = _draw_bars(parts, colours, component_label, lambda value: energy_text(value, unit=unit))
    axes.set_xlabel("energy of one run")
    set_title(axes, f"Energy by design: {short_name(comparison.baseline.network, longest=40)}", entry_width=1.6)
    return figure


def _draw_bars(
    parts: Mapping[str, Mapping[str, float]],
    colours: Mapping[str, str],
    name: Callable[[str], str],
    text: Callable[[float], str],
) -> tuple[Figure, Axes]:
    figure, axes = new_axes(width=11.0, height=2.2 + 0.42 * len(parts))
    places = list(range(len(parts)))
    lefts = [0.0] * len(parts)
    for part, colour in colours.items():
        lengths = [values.get(part, 0.0) for values in parts.values()]
        if any(lengths):
            axes.barh(places, lengths, left=lefts, color=colour, height=0.62, label=name(part))
            lefts = [left + length for left, length in zip(lefts, lengths, strict=True)]
    for place, total in zip(places, lefts, strict=True):
        axes.annotate(text(total), (total, place), xytext=(5, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(places, [short_name(label, longest=34) for label in parts], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(lefts) * 1.12 or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    return figure, axes


def draw_layer_ratios(comparison: Comparison) -> Figure:
    """A mark per layer and design: its time as a multiple of the first design's; layers that take no time are
    left out."""
    base = comparison.baseline
    names = [layer.name for layer in base.layers]
    figure, axes = new_axes(width=width_for(len(names)), height=5.0)
    axes.axhline(1.0, color=MUTED, linewidth=1.2, label=f"{short_name(comparison.labels[0], longest=34)} = 1")
    size = 6.0 if len(names) <= 80 else 3.5
    ratios: list[float] = [1.0]
    for place, (label, result) in enumerate(list(comparison.results.items())[1:], start=1):
        scale = base.accelerator.clock_hz / result.accelerator.clock_hz
        points = [
            (index, layer.total_cycles * scale / first.total_cycles)
            for index, (layer, first) in enumerate(zip(result.layers, base.layers, strict=True))
            if layer.total_cycles and first.total_cycles
        ]
        ratios += [ratio for _, ratio in points]
        axes.plot(
            [index for index, _ in points],
            [ratio for _, ratio in points],
            linestyle="none",
            marker="os^Dv"[place % 5],
            markersize=size,
            color=DESIGNS[place % len(DESIGNS)],
            alpha=0.85,
            label=short_name(label, longest=34),
        )
    axes.set_yscale("log", base=2)
    axes.set_ylim(min(ratios) / 1.3, max(ratios) * 1.3)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}×"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(f"time, multiples of {short_name(comparison.labels[0], longest=24)}\n(below 1 is faster)")
    label_layers(axes, names)
    set_title(axes, f"Time per layer by design: {short_name(base.network, longest=40)}", entry_width=2.8)
    return figure
