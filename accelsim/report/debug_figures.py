"""Figures of debugging: the ratio along the network, and the ranges of channels in the worst layers."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from accelsim.quantization.debugging.debug_result import DebuggedLayer, DebuggedTensor, DebugResult
from accelsim.report.canvas import new_axes, set_title
from accelsim.report.debug_wording import ratio_text
from accelsim.report.layer_bars import label_layers, mark_size, width_for
from accelsim.report.palette import BLUE, INK, ORANGE, SKY, VERMILLION
from accelsim.report.wording import short_name

#: Layers whose channels are drawn.
DRAWN_LAYERS = 6

_COLUMNS = 2


def draw_ratios(result: DebugResult) -> Figure:
    """Marks per layer: the outputs' ratio with that quantizer alone; a line: the ratio inside, with all quantizers."""
    layers = result.layers
    figure, axes = new_axes(width=width_for(len(layers)), height=4.6)
    size = mark_size(len(layers), largest=8.0)
    inside = [math.nan if layer.inside_db is None or math.isinf(layer.inside_db) else layer.inside_db for layer in layers]
    axes.plot(range(len(layers)), inside, color=SKY, linewidth=1.8, zorder=2, label="its own output, all quantizers on")
    series = (("weights_db", "o", BLUE, "network's outputs, only its weights quantized"),
              ("output_db", "D", ORANGE, "network's outputs, only its output quantized"))
    for name, mark, colour, label in series:
        points = [(place, ratio) for place, layer in enumerate(layers)
                  if (ratio := getattr(layer, name)) is not None and math.isfinite(ratio)]
        if points:
            axes.plot(*zip(*points, strict=True), mark, color=colour, ms=size, mec=INK, mew=size / 16, zorder=3, label=label)
    axes.set_ylabel("SQNR, dB (higher is better)")
    label_layers(axes, [layer.name for layer in layers])
    set_title(axes, f"What each quantizer costs: {short_name(result.network, longest=40)}, {result.policy}", entry_width=3.4)
    return figure


def draw_channels(result: DebugResult) -> Figure:
    """Panels: the range of each channel of the worst tensors, and the range that their grid reaches."""
    panels = _worst_tensors(result)
    rows = max(1, -(-len(panels) // _COLUMNS))
    figure = Figure(figsize=(12.0, 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, tensor) in enumerate(panels):
        _draw_panel(figure.add_subplot(rows, _COLUMNS, place + 1), title, tensor, has_legend=place == 0)
    figure.suptitle(f"Ranges of channels, worst quantizers first: {short_name(result.network, longest=40)}, {result.policy}",
                    fontsize=11, fontweight="bold", x=0.008, ha="left")
    return figure


def _worst_tensors(result: DebugResult) -> list[tuple[str, DebuggedTensor]]:
    """(title, channels) of the quantizers that cost most."""
    found: list[tuple[float, str, DebuggedTensor]] = []
    for layer in result.layers:
        found += _tensors_of(layer)
    return [(f"{short_name(name, longest=34)}, {ratio_text(ratio)} dB", tensor)
            for ratio, name, tensor in sorted(found, key=lambda each: each[0])[:DRAWN_LAYERS]]


def _tensors_of(layer: DebuggedLayer) -> list[tuple[float, str, DebuggedTensor]]:
    pairs = (("weights of", layer.weights_db, layer.weights), ("output of", layer.output_db, layer.output))
    return [(ratio, f"{what} {layer.name}", tensor) for what, ratio, tensor in pairs
            if ratio is not None and tensor is not None and math.isfinite(ratio)]


def _draw_panel(axes: Axes, title: str, tensor: DebuggedTensor, *, has_legend: bool) -> None:
    places = np.arange(len(tensor.ranges.low))
    axes.bar(places, tensor.ranges.high - tensor.ranges.low, bottom=tensor.ranges.low, width=0.85, color=SKY,
             label="smallest to largest value of a channel")
    for end, label in ((tensor.low, "ends of the grid (of the widest channel's)"), (tensor.high, None)):
        axes.axhline(end, color=VERMILLION, linewidth=1.3, label=label)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(-0.7, len(places) - 0.3)
    axes.set_xlabel("channel")
    axes.set_title(title, fontsize=9.5, pad=22 if has_legend else 8)
    if has_legend:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, borderaxespad=0.2)
