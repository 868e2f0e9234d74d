"""Where partial sums left their registers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from accelsim.report.canvas import add_legend, new_panels, note_beside, set_title
from accelsim.report.layer_bars import label_layers, mark_size, width_for
from accelsim.report.observed_layers import ObservedLayer, observed_layers, overflows_of
from accelsim.report.palette import INK, MUTED, PLACES, VERMILLION
from accelsim.report.wording import exact_share_text, place_label, title_of
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled

#: Layers whose share stands beside its mark as a number.
MOST_NUMBERS = 16

_MARKERS = {"bias": "v", "accumulator": "o", "wires": "s", "row_sum": "^"}


def draw_overflow(result: NetworkResult) -> Figure:
    """Above, the share of each layer's outputs that an overflow hit, logarithmic with a line of its own for none; below, the
    number of events by what overflowed."""
    layers = observed_layers(result)
    figure, (above, below) = new_panels(width=width_for(len(layers)), height=6.4, shares=(3, 2))
    size = mark_size(len(layers), largest=7.0)
    _draw_shares(above, layers, size=size)
    _draw_events(below, layers, size=size)
    label_layers(below, [layer.name for layer in layers])
    below.set_xlabel(below.get_xlabel().replace("layer", "layer on the PE grid", 1))
    above.grid(visible=False, axis="x")
    above.tick_params(axis="x", length=0, labelbottom=False)
    set_title(above, title_of("Overflow", network=result.network, accelerator=result.accelerator), entry_width=2.2)
    add_legend(below, columns=len(PLACES))
    return figure


def _draw_shares(axes: Axes, layers: Sequence[ObservedLayer], *, size: float) -> None:
    shares = [layer.overflows.share for layer in layers]
    floor = 10.0 ** (math.floor(math.log10(min(share for share in [0.01, *shares] if share))) - 1)
    hit = [place for place, share in enumerate(shares) if share]
    spared = [place for place, share in enumerate(shares) if not share]
    _scale_shares(axes, floor)
    axes.vlines(hit, floor, [shares[place] for place in hit], color=VERMILLION, linewidth=size * 0.25, alpha=0.45)
    of_all = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    name = f"overflow, {len(hit)} of {of_all}"
    axes.plot(hit, [shares[place] for place in hit], "o", color=VERMILLION, markersize=size, label=name)
    if spared:
        name = f"no overflow, {len(spared)} of {of_all}"
        floors = [floor] * len(spared)
        axes.plot(spared, floors, "o", ms=size * 0.7, mfc="none", mec=MUTED, mew=size / 7, clip_on=False, label=name)
    if len(layers) > 1:
        total = overflows_of(layers)
        name = f"all layers together, {exact_share_text(total.outputs_hit, total.outputs)}"
        axes.axhline(total.share or floor, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1.5, label=name)
    for place in hit if len(layers) <= MOST_NUMBERS else []:
        text = exact_share_text(layers[place].overflows.outputs_hit, layers[place].overflows.outputs)
        note_beside(axes, text, (place, shares[place]), offset=(0, 8), colour=INK)


def _scale_shares(axes: Axes, floor: float) -> None:
    """Decades up to 100 %, and the line of those without any below the least of them."""
    decades = [10.0**power for power in range(round(math.log10(floor)) + 1, 1)]
    axes.set_yscale("log")
    axes.set_yticks([floor, *decades], ["0", *(f"{100 * decade:.10g} %" for decade in decades)])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(floor, 2.2)
    axes.set_ylabel("share of outputs hit")


def _draw_events(axes: Axes, layers: Sequence[ObservedLayer], *, size: float) -> None:
    axes.set_yscale("log")
    counts = [1]
    totals = overflows_of(layers).by_place
    shown = [place for place in PLACES if place in totals]
    for number, place in enumerate(shown):
        shift = 0.14 * (number - (len(shown) - 1) / 2)
        found = [layer.overflows.by_place.get(place, 0) for layer in layers]
        points = [(index, count) for index, count in enumerate(found) if count]
        counts += [count for _, count in points]
        axes.plot(
            [index + shift for index, _ in points],
            [count for _, count in points],
            _MARKERS[place],
            color=PLACES[place],
            markersize=size * 0.85,
            alpha=0.85,
            label=f"{place_label(place)}, {totals[place]:,}",
        )
    axes.set_ylim(0.6, max(counts) * 3)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_scaled(value, "").strip()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("overflow events")
