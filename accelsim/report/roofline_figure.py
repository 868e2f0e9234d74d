"""The roofline: what bounds each layer, and how near it comes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, NullFormatter

from accelsim.report.canvas import new_axes, scaled_axis, set_title
from accelsim.report.label_placement import place_labels
from accelsim.report.palette import INK, KINDS, MUTED
from accelsim.report.wording import rate_text, short_name, title_of
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled

_MARKERS = {"conv": "o", "depthwise": "s", "matmul": "D", "conv_transpose": "^", "other": "P"}

#: Groups of layers that carry a number and a name.
MOST_LABELS = 7

#: Pairs of operand widths that a roof names.
MOST_WIDTHS = 3

# Points in one cell of a twentieth of a factor of e look like one; they share a label.
_GROUPS_PER_E = 20


def draw_roofline(result: NetworkResult) -> Figure:
    """Log-log: MACs per DRAM byte against MACs per cycle, the roof of bandwidth and peak, a point per grid
    layer whose area grows with its time.

    Layers without DRAM traffic have no finite intensity and are counted in the axis label instead of drawn.
    """
    figure, axes = new_axes(width=10.4, height=7.0)
    layers = [layer for layer in result.layers if layer.macs]
    shown = [layer for layer in layers if layer.macs_per_dram_byte]
    axes.set_xscale("log")
    axes.set_yscale("log")
    texts = _draw_roofs(axes, result, shown)
    points = _draw_points(axes, shown)
    _finish_axes(axes, result, hidden=len(layers) - len(shown))
    title = title_of("Roofline", network=result.network, accelerator=result.accelerator)
    set_title(axes, title)
    groups = _heaviest_groups(shown)
    _name_groups(figure, groups)
    place_labels(
        figure,
        axes,
        points=points + _roof_points(axes, result),
        texts=texts,
        labels=[(str(number), group[0].macs_per_dram_byte, _rate(group[0])) for number, group in enumerate(groups, start=1)],
    )
    return figure


def _rate(layer: LayerResult) -> float:
    return layer.macs / layer.total_cycles


def _heaviest_groups(shown: Sequence[LayerResult]) -> list[list[LayerResult]]:
    """The groups of neighbouring points that take the longest together, each from its longest layer on."""
    groups: dict[tuple[int, int], list[LayerResult]] = {}
    for layer in sorted(shown, key=lambda layer: -layer.total_cycles):
        cell = (
            round(math.log(layer.macs_per_dram_byte) * _GROUPS_PER_E),
            round(math.log(_rate(layer)) * _GROUPS_PER_E),
        )
        groups.setdefault(cell, []).append(layer)
    return sorted(groups.values(), key=lambda group: -sum(layer.total_cycles for layer in group))[:MOST_LABELS]


def _name_groups(figure: Figure, groups: Sequence[Sequence[LayerResult]]) -> None:
    """The key of the numbers, below the axes where it covers nothing."""
    if not groups:
        return
    names = [
        f"{number}   {short_name(group[0].name, longest=36)}"
        + (f" and {len(group) - 1} more like it" if len(group) > 1 else "")
        for number, group in enumerate(groups, start=1)
    ]
    figure.legend(
        [Line2D([], [], linestyle="none") for _ in names],
        names,
        loc="outside lower left",
        ncols=2,
        fontsize=8,
        handlelength=0,
        handletextpad=0,
        columnspacing=3,
        borderaxespad=0.8,
        title="the groups of layers that take the longest",
        title_fontsize=8.5,
        alignment="left",
    )


def _draw_roofs(axes: Axes, result: NetworkResult, shown: Sequence[LayerResult]) -> list[Annotation]:
    """A roof for every peak that occurs (narrow operands may have a higher one), that of the grid's own widths among
    them; returns the texts along them."""
    bandwidth = result.accelerator.dram_bytes_per_cycle
    clock_hz = result.accelerator.clock_hz
    widths = _widths_by_peak(result, shown)
    peaks = sorted(widths)
    intensities = [layer.macs_per_dram_byte for layer in shown]
    left = min([*intensities, peaks[0] / bandwidth]) / 4
    right = max([*intensities, peaks[-1] / bandwidth]) * 6
    texts = []
    for peak in peaks:
        ridge = peak / bandwidth
        axes.plot(
            [left, ridge, right],
            [left * bandwidth, peak, peak],
            color=INK,
            linewidth=1.6,
            zorder=2,
            solid_joinstyle="miter",
            linestyle="-" if peak == peaks[-1] else (0, (4, 2)),
        )
        rate = format_scaled(peak * clock_hz, "MAC/s")
        texts += [
            _note(axes, f"peak {rate_text(peak)} MACs/cycle at {widths[peak]} = {rate}", (right, peak), (-4, 16)),
            _note(axes, f"ridge at {_plain(ridge)} MACs/B", (ridge, peak), (-4, 4)),
        ]
    middle = math.sqrt(left * peaks[0] / bandwidth)
    slope = f"DRAM {format_scaled(result.accelerator.dram.bandwidth_bytes_per_second, 'B/s')}"
    texts.append(_note(axes, slope, (middle, middle * bandwidth), (-6, 6)))
    axes.set_xlim(left, right)
    axes.set_ylim(min([*(_rate(layer) for layer in shown), left * bandwidth]) / 1.6, peaks[-1] * 2.0)
    return texts


def _widths_by_peak(result: NetworkResult, shown: Sequence[LayerResult]) -> dict[float, str]:
    """The widths of weights and inputs that run at each peak, in words."""
    weight_bits, input_bits = result.accelerator.pe_grid.precision.native_bits
    own: dict[float, list[str]] = {result.accelerator.peak_macs_per_cycle: []}
    for layer in shown:
        widths = own.setdefault(layer.peak_macs_per_cycle, [])
        if (text := f"{layer.weight_bits}/{layer.input_bits}") not in widths:
            widths.append(text)
    return {peak: f"{', '.join(widths[:MOST_WIDTHS] or [f'{weight_bits}/{input_bits}'])} bits"
            + (" and others" if widths[MOST_WIDTHS:] else "") for peak, widths in own.items()}


def _roof_points(axes: Axes, result: NetworkResult) -> list[tuple[float, float, float]]:
    """Points along the roof, which labels keep clear of."""
    low, high = (math.log(limit) for limit in axes.get_xlim())
    bandwidth = result.accelerator.dram_bytes_per_cycle
    peak = max([result.accelerator.peak_macs_per_cycle, *(layer.peak_macs_per_cycle for layer in result.layers)])
    places = [math.exp(low + (high - low) * step / 200) for step in range(201)]
    return [(place, min(peak, place * bandwidth), 2.5) for place in places]


def _note(axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float]) -> Annotation:
    return axes.annotate(text, point, xytext=offset, textcoords="offset points", ha="right", va="bottom", color=MUTED)


def _draw_points(axes: Axes, shown: Sequence[LayerResult]) -> list[tuple[float, float, float]]:
    """Points by kind; returns (x, y, radius in points) of each."""
    longest = max((layer.total_cycles for layer in shown), default=1)
    points: list[tuple[float, float, float]] = []
    for kind, colour in KINDS.items():
        layers = [layer for layer in shown if (layer.kind if layer.kind in KINDS else "other") == kind]
        if not layers:
            continue
        x, y = [layer.macs_per_dram_byte for layer in layers], [_rate(layer) for layer in layers]
        areas = [12 + 240 * layer.total_cycles / longest for layer in layers]
        axes.scatter(
            x,
            y,
            s=areas,
            color=colour,
            marker=_MARKERS[kind],
            alpha=0.72,
            edgecolor=INK,
            linewidth=0.5,
            zorder=3,
        )
        axes.plot(
            [],
            [],
            linestyle="none",
            color=colour,
            marker=_MARKERS[kind],
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=f"{kind.replace('_', ' ')} ({len(layers)})",
        )
        radii = [math.sqrt(area / math.pi) for area in areas]
        points += list(zip(x, y, radii, strict=True))
    return points


def _finish_axes(axes: Axes, result: NetworkResult, *, hidden: int) -> None:
    note = f" ({hidden} layers without DRAM traffic are not shown)" if hidden else ""
    axes.set_xlabel(f"operational intensity, MACs per DRAM byte{note}")
    axes.set_ylabel("MACs per cycle")
    axes.grid(visible=True, axis="both", which="major")
    clock_hz = result.accelerator.clock_hz
    rates = scaled_axis(axes, factor=clock_hz)
    rates.set_ylabel(f"MACs per second at {format_scaled(clock_hz, 'Hz')}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    rates.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_scaled(value, "MAC/s")))
    for axis in (axes.xaxis, axes.yaxis, rates.yaxis):
        axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
