"""How wide the accumulators of each layer would have to be."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from accelsim.report.canvas import new_axes, note_beside, set_title
from accelsim.report.layer_bars import label_layers, mark_size, width_for
from accelsim.report.observed_layers import ObservedLayer, observed_layers
from accelsim.report.palette import INK, MUTED, VERMILLION, WIDTHS
from accelsim.report.wording import title_of
from accelsim.results.network_result import NetworkResult

#: Layers whose widths stand beside their marks as numbers.
MOST_NUMBERS = 16


def draw_accumulator_widths(result: NetworkResult) -> Figure:
    """Three marks per layer: bits for any inputs, for the running sums of these inputs, for their last sums; lines: the
    accelerator's own widths."""
    layers = observed_layers(result)
    figure, axes = new_axes(width=width_for(len(layers)), height=5.2)
    _draw_layers(axes, layers, size=mark_size(len(layers), largest=8.0))
    accelerator = result.accelerator
    bits, wires = accelerator.accumulators.bits, accelerator.partial_sum_bits
    axes.axhline(bits, color=VERMILLION, linewidth=1.4, zorder=1, label=f"the accelerator's accumulators, {bits} bits")
    if wires != bits:
        name = f"its wires between PEs, {wires} bits"
        axes.axhline(wires, color=VERMILLION, linewidth=1.4, linestyle=(0, (4, 2)), zorder=1, label=name)
    if len(layers) <= MOST_NUMBERS:
        _number_marks(axes, layers)
    low = min([bits, wires, *(layer.widths.final_bits for layer in layers)])
    high = max([bits, wires, *(layer.widths.worst_case_bits for layer in layers)])
    axes.set_ylim(low - 1.6, high + 1.3)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=14, integer=True))
    axes.set_ylabel("bits, two's complement")
    label_layers(axes, [layer.name for layer in layers])
    axes.set_xlabel(axes.get_xlabel().replace("layer", "layer on the PE grid", 1))
    set_title(axes, title_of("Accumulator widths", network=result.network, accelerator=accelerator), entry_width=3.0)
    return figure


def _draw_layers(axes: Axes, layers: Sequence[ObservedLayer], *, size: float) -> None:
    """From the last sums up to the running sums a strong stem, from there to the worst case a thin one."""
    places = range(len(layers))
    worst = [layer.widths.worst_case_bits for layer in layers]
    running = [layer.widths.running_bits for layer in layers]
    final = [layer.widths.final_bits for layer in layers]
    axes.vlines(places, running, worst, color=MUTED, linewidth=min(1.0, size / 5), zorder=2)
    axes.vlines(places, final, running, color=WIDTHS["running"], linewidth=size * 0.45, zorder=2)
    names = (
        "worst case: enough for any inputs",
        "running sums of these inputs",
        "their last sums: enough where accumulators wrap",
    )
    dash, rim = max(1.0, size / 4), size / 16
    axes.plot(places, worst, "_", color=WIDTHS["worst_case"], ms=2 * size, mew=dash, zorder=3, label=names[0])
    axes.plot(places, running, "D", color=WIDTHS["running"], ms=size, mec=INK, mew=rim, zorder=3, label=names[1])
    axes.plot(places, final, "o", color=WIDTHS["final"], ms=0.6 * size, zorder=3, label=names[2])


def _number_marks(axes: Axes, layers: Sequence[ObservedLayer]) -> None:
    """The widths as numbers at the right of their marks; equal ones are told once."""
    for place, layer in enumerate(layers):
        widths = layer.widths
        for bits in sorted({widths.worst_case_bits, widths.running_bits, widths.final_bits}):
            note_beside(axes, str(bits), (place, bits), offset=(11, 0))
