"""Where figures are drawn: matplotlib's object-oriented interface, no pyplot, and bytes that are the same on
every run.

Settings that matplotlib only reads from its global dictionary (the salt of the SVG's ids, text as text) are
set for the time of one drawing and put back.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from accelsim.report.palette import GROUND, INK, MUTED, RULE

ImageFormat = Literal["png", "svg"]

#: Dots per inch of the PNG: sharp on paper and on screens.
PNG_DPI = 160

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.facecolor": GROUND,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": GROUND,
    "hatch.linewidth": 0.6,
    "axes.unicode_minus": True,
}


@contextmanager
def _style(name: str) -> Iterator[None]:
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": f"accelsim {name}"}):
        yield


def new_axes(*, width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size (inches) with one set of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def new_panels(*, width: float, height: float, shares: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure of this size (inches) with axes below each other over one x axis, of these shares of the height."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(len(shares), 1, sharex=True, height_ratios=list(shares)))


def set_title(axes: Axes, title: str, *, entry_width: float = 1.5) -> None:
    """The title at the upper left, and between it and the axes, where it covers no data, the legend of what
    is drawn.

    `entry_width` : inches that the longest entry of the legend takes.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    rows = add_legend(axes, columns=max(1, int((figure.get_figwidth() - 1) / entry_width)))
    axes.set_title(title, pad=10 + 15 * rows)


def add_legend(axes: Axes, *, columns: int) -> int:
    """The legend of what is drawn, above the axes; returns its rows, 0 where nothing has a name."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(-0.008, 1.0),
            ncols=min(columns, len(labels)),
            handlelength=1.1,
            columnspacing=1.4,
            handletextpad=0.5,
            borderaxespad=0.3,
        )
    return -(-len(labels) // columns)


def note_beside(
    axes: Axes, text: str, point: tuple[float, float], *, offset: tuple[float, float], colour: str = MUTED
) -> None:
    """A number some points beside (or above) its mark, which no line crosses."""
    axes.annotate(
        text,
        point,
        xytext=offset,
        textcoords="offset points",
        ha="left" if offset[0] else "center",
        va="center" if offset[0] else "baseline",
        fontsize=8,
        color=colour,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": GROUND, "edgecolor": "none"},
    )


def scaled_axis(axes: Axes, *, factor: float) -> SecondaryAxis:
    """A second scale at the right: the left one times this factor."""
    return axes.secondary_yaxis(
        "right", functions=(lambda left: np.asarray(left) * factor, lambda right: np.asarray(right) / factor)
    )


def render(draw: Callable[[], Figure], *, name: str) -> dict[ImageFormat, bytes]:
    """PNG and SVG of the figure that `draw` makes; no date, no random ids. `name` keeps the ids of figures
    apart."""
    with _style(name):
        figure = draw()
        return {"png": _saved(figure, "png"), "svg": _saved(figure, "svg")}


def _saved(figure: Figure, image_format: ImageFormat) -> bytes:
    target = io.BytesIO()
    metadata = {"Software": None} if image_format == "png" else {"Date": None, "Creator": None}
    figure.savefig(target, format=image_format, dpi=PNG_DPI, metadata=metadata)
    return target.getvalue()
