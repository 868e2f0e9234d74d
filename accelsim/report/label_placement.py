"""Labels of points that cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from accelsim.report.palette import INK, MUTED

#: Where a label may stand: (dx, dy) in points from its point, horizontal and vertical alignment; the nearest
#: first.
_PLACES = tuple(
    (
        dx * reach,
        dy * reach,
        "left" if dx > 0 else "right" if dx < 0 else "center",
        "bottom" if dy > 0 else "top",
    )
    for reach in (9, 15, 22, 30, 40, 52, 66, 82)
    for dx, dy in ((1, -0.6), (-1, -0.6), (0.3, -1), (-0.3, -1), (1, 0.6), (-1, 0.6))
)


def place_labels(
    figure: Figure,
    axes: Axes,
    *,
    labels: Sequence[tuple[str, float, float]],
    points: Sequence[tuple[float, float, float]],
    texts: Sequence[Annotation],
) -> None:
    """Write each (text, x, y) beside its point; a label that finds no free place is left out.

    `points` are (x, y, radius in points) of all marks, in data units; these and `texts` are kept clear. The
    axes' limits must be final.
    """
    figure.draw_without_rendering()
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    taken = [_box_around(axes, x, y, radius * figure.dpi / 72) for x, y, radius in points]
    taken += [_text_box(text, renderer) for text in texts]
    frame = axes.get_window_extent(renderer)
    for text, x, y in labels:
        box = _place(axes, text, (x, y), taken, frame, renderer)
        if box is not None:
            taken.append(box)


def _place(
    axes: Axes,
    text: str,
    point: tuple[float, float],
    taken: Sequence[Bbox],
    frame: Bbox,
    renderer: RendererBase,
) -> Bbox | None:
    for dx, dy, horizontal, vertical in _PLACES:
        note = axes.annotate(
            text,
            point,
            xytext=(dx, dy),
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            color=INK,
            fontsize=8.5,
            fontweight="bold",
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2},
        )
        note.set_in_layout(False)
        box = _text_box(note, renderer)
        if _is_within(box, frame) and not any(box.overlaps(other) for other in taken):
            return box
        note.remove()
    return None


def _text_box(note: Annotation, renderer: RendererBase) -> Bbox:
    """The text alone, without the line to its point."""
    note.update_positions(renderer)
    return Text.get_window_extent(note, renderer).padded(2.0)


def _box_around(axes: Axes, x: float, y: float, radius: float) -> Bbox:
    centre_x, centre_y = axes.transData.transform((x, y))
    return Bbox.from_extents(centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)


def _is_within(box: Bbox, frame: Bbox) -> bool:
    return bool(box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1)
