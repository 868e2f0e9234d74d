"""The PE grid as the block diagram draws it: cells, what moves between them, and from where operands
enter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from accelsim.hardware.pe_grid import PeGrid
from accelsim.report.palette import GREEN, INK, MUTED, OPERANDS
from accelsim.report.svg import LETTER, Drawing
from accelsim.report.wording import counted

#: Rows or columns that are drawn one by one; of more, the first ones, dots, and the last.
MOST_CELLS = 6


@dataclass(frozen=True, slots=True)
class Flow:
    """How a dataflow looks: what enters at the left and at the top, what the rows and columns stand for."""

    left: str
    left_verb: str
    top: str
    top_verb: str
    rows: str
    columns: str
    across: str
    down: str
    has_lanes_at_right: bool = False


#: The table of `accelsim.hardware.pe_grid.PeGrid`, as a picture.
FLOWS: Mapping[str, Flow] = {
    "weight_stationary": Flow(
        "inputs",
        "stream in",
        "weights",
        "preload",
        "K, reduction",
        "N, output channels",
        OPERANDS["inputs"],
        GREEN,
    ),
    "output_stationary": Flow(
        "inputs",
        "stream in",
        "weights",
        "stream in",
        "M, positions",
        "N, output channels",
        OPERANDS["inputs"],
        OPERANDS["weights"],
    ),
    "input_stationary": Flow(
        "weights",
        "stream in",
        "inputs",
        "preload",
        "K, reduction",
        "M, positions",
        OPERANDS["weights"],
        GREEN,
    ),
    "dot_product": Flow(
        "weights",
        "preload",
        "inputs",
        "are broadcast",
        "N, output channels",
        "K, reduction",
        GREEN,
        OPERANDS["inputs"],
        has_lanes_at_right=True,
    ),
}


def flow_of(grid: PeGrid) -> Flow:
    return FLOWS[grid.dataflow]


def has_lanes_at_right(grid: PeGrid) -> bool:
    """Whether results leave along the rows."""
    return flow_of(grid).has_lanes_at_right or grid.drain == "columns"


def _drawn(count: int) -> list[int | None]:
    """Indices from 1 on that are drawn; None stands for dots."""
    return list(range(1, count + 1)) if count <= MOST_CELLS else [*range(1, MOST_CELLS - 1), None, count]


def draw_pe_grid(drawing: Drawing, grid: PeGrid, *, x: float, y: float, width: float, height: float) -> None:
    """Cells C[row, column] in this frame, small arrows for what the PEs hand on, and the meaning of rows and
    columns."""
    flow, rows, columns = flow_of(grid), _drawn(grid.rows), _drawn(grid.columns)
    if grid.pixels > 1:
        for shift in (12, 6):
            drawing.rectangle(x + shift, y - shift, width, height, stroke=MUTED)
    drawing.rectangle(x, y, width, height, stroke=INK)
    margin = 26.0
    step_x, step_y = (width - 2 * margin) / len(columns), (height - 2 * margin) / len(rows)
    side_x, side_y = min(step_x * 0.74, 46), min(step_y * 0.74, 46)
    centres_x = [x + margin + step_x * (place + 0.5) for place in range(len(columns))]
    centres_y = [y + margin + step_y * (place + 0.5) for place in range(len(rows))]
    for row, centre_y in zip(rows, centres_y, strict=True):
        for column, centre_x in zip(columns, centres_x, strict=True):
            _draw_cell(drawing, row, column, (centre_x, centre_y), (side_x, side_y))
    for centre_y, row in zip(centres_y, rows, strict=True):
        if row is not None:
            _draw_hops(drawing, [(place, centre_y) for place in centres_x], (side_x / 2, 0.0), flow.across)
    for centre_x, column in zip(centres_x, columns, strict=True):
        if column is not None:
            _draw_hops(drawing, [(centre_x, place) for place in centres_y], (0.0, side_y / 2), flow.down)
    drawing.text(x + width / 2, y + height - 8, f"{counted(grid.columns, 'column')}: {flow.columns}", size=11, colour=MUTED)
    drawing.text(x + 15, y + height / 2, f"{counted(grid.rows, 'row')}: {flow.rows}", size=11, colour=MUTED, turn=-90)


def _draw_cell(
    drawing: Drawing,
    row: int | None,
    column: int | None,
    centre: tuple[float, float],
    side: tuple[float, float],
) -> None:
    x, y = centre
    if row is None or column is None:
        dots = "⋱" if row is None and column is None else "⋮" if row is None else "⋯"
        drawing.text(x, y + 5, dots, size=15, colour=MUTED)
        return
    drawing.rectangle(
        x - side[0] / 2,
        y - side[1] / 2,
        side[0],
        side[1],
        fill=OPERANDS["inputs"],
        opacity=0.12,
        stroke=OPERANDS["inputs"],
        radius=4,
        thickness=1.1,
    )
    label = f"C{row},{column}"
    size = min(12.0, (side[0] - 4) / (len(label) * LETTER))
    if size >= 5.8 and side[1] >= size + 2:
        drawing.text(x, y + size * 0.35, label, size=round(size, 1))


def _draw_hops(drawing: Drawing, centres: list[tuple[float, float]], half: tuple[float, float], colour: str) -> None:
    """Arrows from each cell's edge to the next one's."""
    for (from_x, from_y), (to_x, to_y) in pairwise(centres):
        drawing.path(
            [(from_x + half[0], from_y + half[1]), (to_x - half[0], to_y - half[1])],
            colour=colour,
            thickness=1.0,
        )
