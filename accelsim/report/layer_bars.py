"""Stacked bars along the layers of a network, readable with three layers and with hundreds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from accelsim.report.wording import short_name

#: Names that fit side by side on a figure of full width.
MOST_NAMES = 75

#: Bars of a small network stay slim: the axis is at least this many layers long.
FEWEST_SLOTS = 6

FULL_WIDTH = 13.0


def width_for(layers: int) -> float:
    """Inches: a small network gets a narrow figure.

    >>> width_for(3), width_for(300)
    (7.5, 13.0)
    """
    return min(FULL_WIDTH, max(7.5, 4.0 + 0.25 * layers))


def mark_size(layers: int, *, largest: float) -> float:
    """Points across a mark: as large as that, or as small as neighbouring layers need to keep apart, but never a speck.

    >>> mark_size(10, largest=8.0), round(mark_size(60, largest=8.0), 1), mark_size(300, largest=8.0)
    (8.0, 5.8, 2.4)
    """
    slot = 72 * (width_for(layers) - 1) / max(layers, FEWEST_SLOTS)
    return min(largest, max(2.4, 0.4 * slot))


def draw_stack(
    axes: Axes, series: Mapping[str, Sequence[float]], colours: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    """One bar per layer, its parts stacked in the order of `series`; parts that are zero everywhere are left
    out.

    A part is one outline over all layers rather than a rectangle per layer, so hundreds of layers stay a
    small file.
    """
    count = len(next(iter(series.values()), ()))
    floor = [0.0] * count
    for part, heights in series.items():
        if not any(heights):
            continue
        top = [low + height for low, height in zip(floor, heights, strict=True)]
        axes.stairs(
            *_outline(top),
            baseline=_outline(floor)[0],
            fill=True,
            color=colours[part],
            label=labels[part],
            linewidth=0,
        )
        floor = top
    axes.set_ylim(0, max([*floor, 0.0]) * 1.04 or 1.0)


def _outline(heights: Sequence[float]) -> tuple[list[float], list[float]]:
    """Step values and edges of bars around 0, 1, 2, ... with gaps of no height between them."""
    half = 0.5 if len(heights) > 3 * MOST_NAMES else 0.4
    values: list[float] = []
    edges: list[float] = [-half]
    for index, height in enumerate(heights):
        values += [height, math.nan]
        edges += [index + half, index + 1 - half + (1e-9 if half == 0.5 else 0.0)]
    return values[:-1], edges[:-1]


def label_layers(axes: Axes, names: Sequence[str]) -> None:
    """The layers' names along the x axis: level where there is room, upright otherwise, every k-th of very
    many."""
    stride = max(1, -(-len(names) // MOST_NAMES))
    places = list(range(0, len(names), stride))
    is_level = len(names) <= 6 and max(map(len, names), default=0) <= 18
    axes.set_xticks(
        places,
        [short_name(names[place]) for place in places],
        rotation=0 if is_level else 90,
        fontsize=8.0 if len(places) <= 40 else 6.5,
    )
    slack = max(0.0, (FEWEST_SLOTS - len(names)) / 2)
    axes.set_xlim(-0.7 - slack, len(names) - 0.3 + slack)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(f"layer (one in {stride} of {len(names)} is named)" if stride > 1 else "layer")
