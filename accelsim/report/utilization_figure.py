"""How much of the grid works, in space and in time."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from accelsim.report.canvas import new_axes, set_title
from accelsim.report.layer_bars import draw_stack, label_layers, width_for
from accelsim.report.palette import BLUE, INK, ORANGE, VERMILLION
from accelsim.report.wording import share_text, title_of
from accelsim.results.network_result import NetworkResult


def draw_utilization(result: NetworkResult) -> Figure:
    """Bars: utilization of the grid in every layer that runs on it; marks: its two factors, in space and in
    time."""
    title = title_of("Utilization of the PE grid", network=result.network, accelerator=result.accelerator)
    layers = [layer for layer in result.layers if layer.macs]
    figure, axes = new_axes(width=width_for(len(layers)), height=4.6)
    if layers:
        draw_stack(
            axes,
            {"product": [layer.utilization for layer in layers]},
            {"product": BLUE},
            {"product": "utilization = spatial × temporal"},
        )
        places, size = range(len(layers)), 5.5 if len(layers) <= 80 else 3.0
        axes.plot(
            places,
            [layer.spatial_utilization for layer in layers],
            linestyle="none",
            marker="_",
            color=ORANGE,
            markersize=size * 1.7,
            markeredgewidth=2.2,
            label="spatial: share of the grid that has work",
        )
        axes.plot(
            places,
            [layer.temporal_utilization for layer in layers],
            linestyle="none",
            marker="o",
            color=VERMILLION,
            markersize=size * 0.72,
            label="temporal: share of the time that takes in work",
        )
    axes.axhline(
        result.utilization,
        color=INK,
        linewidth=1.0,
        linestyle=(0, (5, 3)),
        label=f"whole network, {share_text(result.utilization, 1)}",
    )
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_ylabel("share of the peak")
    label_layers(axes, [layer.name for layer in layers])
    axes.set_xlabel(axes.get_xlabel().replace("layer", "layer on the PE grid", 1))
    set_title(axes, title, entry_width=3.1)
    return figure
