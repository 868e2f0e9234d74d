"""What bit operations promise and what the hardware gives: layer by layer, and for every choice of bits."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from accelsim.lut.explanation import REASONS, Explanation, Reason
from accelsim.lut.table_header import TableHeader
from accelsim.report.canvas import new_axes, set_title
from accelsim.report.layer_bars import label_layers, mark_size, width_for
from accelsim.report.palette import BLUE, GREY, INK, MUTED, ORANGE, PURPLE, VERMILLION
from accelsim.report.wording import short_name

#: What holds a layer where it was; what becomes faster has the colour of work.
REASON_COLOURS: dict[Reason, str] = {
    "faster": BLUE, "memory bound": VERMILLION, "fixed precision": GREY, "grid under-filled": ORANGE,
    "fill, drain and waiting": PURPLE, "not known": MUTED}


def draw_bops_against_latency(explanation: Explanation, header: TableHeader) -> Figure:
    """A mark per layer and pair of bits: its time against its BOPs, both as multiples of those at the widest bits; a line
    through the median layer, and one where the time would fall as the BOPs do."""
    figure, axes = new_axes(width=9.2, height=6.4)
    points = [point for layer in explanation.layers for point in layer.points]
    columns: dict[float, list[float]] = defaultdict(list)
    for bops, cycles, _ in points:
        columns[bops].append(cycles)
    ends = [min(columns, default=1.0), 1.0]
    axes.plot(ends, ends, color=MUTED, linewidth=1.3, linestyle=(0, (5, 3)), label="as BOPs promise")
    for is_memory, colour, name in ((False, BLUE, "compute bound"), (True, VERMILLION, "memory bound")):
        some = [(bops, cycles) for bops, cycles, bound in points if bound == is_memory]
        if some:
            side = 1.018 if is_memory else 1 / 1.018  # side by side, so that none covers the other
            axes.plot([bops * side for bops, _ in some], [cycles for _, cycles in some], "o", markersize=3.6,
                      markeredgewidth=0, alpha=0.35, color=colour, label=name)
    middle = sorted((bops, median(cycles)) for bops, cycles in columns.items())
    axes.plot([bops for bops, _ in middle], [cycles for _, cycles in middle], color=INK, linewidth=1.6, marker="D",
              markersize=4.2, label="median layer")
    lowest = min([cycles for _, cycles, _ in points] + [ends[0]])
    _scale(axes, ends[0], lowest)
    axes.set_xlabel("bit operations, multiples of those at the widest bits")
    axes.set_ylabel("time of the layer, multiples of that at the widest bits")
    set_title(axes, f"BOPs and time: {_title(header)}", entry_width=1.7)
    return figure


def _scale(axes: Axes, lowest_bops: float, lowest_cycles: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.grid(visible=True, axis="x")
    for axis, lowest in ((axes.xaxis, lowest_bops), (axes.yaxis, lowest_cycles)):
        powers = []
        value = 1.0
        while value > lowest / 1.9:
            powers.append(value)
            value /= 2
        axis.set_major_locator(FixedLocator(powers))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: "1" if value >= 1 else f"1/{round(1 / value)}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(lowest_bops / 1.25, 1.25)
    axes.set_ylim(lowest_cycles / 1.25, 1.6)


def draw_gains(explanation: Explanation, header: TableHeader) -> Figure:
    """A bar per layer: how many times faster it becomes when its weights and inputs have half of the bits, in the colour of
    what holds it; smaller marks where weights or inputs alone are halved, and a line at what BOPs promise."""
    layers = [layer for layer in explanation.layers if layer.halving("both") is not None]
    is_pair = bool(layers)
    what = "both" if is_pair else next((halving.what for layer in explanation.layers for halving in layer.halvings), "both")
    layers = layers or [layer for layer in explanation.layers if layer.halving(what) is not None]
    figure, axes = new_axes(width=width_for(len(layers)), height=5.2)
    gains: list[float] = [1.0]
    halvings = [(place, halving) for place, layer in enumerate(layers) if (halving := layer.halving(what)) is not None]
    for reason in REASONS:
        own = [(place, halving.gain) for place, halving in halvings if halving.reason == reason]
        if own:
            axes.bar([place for place, _ in own], [gain for _, gain in own], width=0.8, color=REASON_COLOURS[reason],
                     label=reason)
            gains += [gain for _, gain in own]
    size = mark_size(len(layers), largest=6.0)
    for part, marker in (("weights", "^"), ("inputs", "v")) if is_pair else ():
        marks = [(place, halving.gain) for place, layer in enumerate(layers) if (halving := layer.halving(part)) is not None]
        axes.plot([place for place, _ in marks], [gain for _, gain in marks], marker, markersize=size, color=INK,
                  markerfacecolor="none", markeredgewidth=0.9, label=f"{part} alone")
        gains += [gain for _, gain in marks]
    promised = halvings[0][1].promised if halvings else 1.0
    axes.axhline(promised, color=MUTED, linewidth=1.3, linestyle=(0, (5, 3)), label=f"as BOPs promise: {promised:g}×")
    axes.set_ylim(0, 1.1 * max([*gains, promised]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    label_layers(axes, [layer.layer for layer in layers])
    bits = f", {halvings[0][1].wide} to {halvings[0][1].narrow}" if halvings else ""
    axes.set_ylabel(f"times as fast with half of the bits{bits}")
    set_title(axes, f"What half of the bits gives: {_title(header)}", entry_width=1.75)
    return figure


def _title(header: TableHeader) -> str:
    return f"{short_name(header.network, longest=34)} on {short_name(header.hardware, longest=34)}"
