"""The strip below a picture of the grid: when each fold is loaded, is streamed, and gives its results."""

from __future__ import annotations

from accelsim.report.grid_film import GridFilm
from accelsim.report.grid_paints import GridPaints
from accelsim.report.palette import INK, MUTED, RULE
from accelsim.report.scene import Align, Cursor, Paint, SceneBuilder, Slot

#: Heights of the strip's bars, and of the whole.
_BAR, _STEP, HEIGHT = 10, 14, 66

#: Folds whose bars are drawn one by one; beyond that they are narrower than a pixel.
_MOST_FOLDS = 500


def add_timeline(builder: SceneBuilder, paints: GridPaints, film: GridFilm, *, x: float, y: float, width: float, clocks: int,
                 shown: tuple[int, int]) -> Cursor:
    """Bars of all folds, and a mark under the clocks that are shown."""
    cursor = Cursor(x + 62, y - 4, width - 62, 3 * _STEP + 12, clocks)
    scale = cursor.width / clocks

    def bar(row: int, first: int, last: int, paint: int) -> None:
        slot = Slot(cursor.x + first * scale, y + row * _STEP, max(0.7, (last - first) * scale - 0.4), _BAR, radius=1)
        builder.fix(slot, builder.paints[paint])

    if shown != (0, clocks):
        builder.fix(Slot(cursor.x + shown[0] * scale, y - 4, (shown[1] - shown[0]) * scale, 3 * _STEP + 4, radius=2),
                    builder.paints[paints.shown])
    for row, word in enumerate(("load", "stream", "results")):
        builder.fix(Slot(x, y + row * _STEP - 1, 56, 12, size=10, align="right"), Paint("", "", MUTED), word)
        builder.fix(Slot(cursor.x, y + row * _STEP + _BAR, cursor.width, 1, radius=0), Paint(RULE))
    run, origin = film.run, film.run.origin
    folds = run.folds if len(run.folds) <= _MOST_FOLDS else run.folds[:_MOST_FOLDS]
    for first, last, number in _loads(film):
        bar(0, first, last, paints.tail(number))
    for number, fold in enumerate(folds):
        bar(1, origin + fold.start, origin + fold.last_operand + 1, paints.bar(number))
        bar(2, origin + _first_result(film, fold.first_operand), origin + fold.last_result + 1, paints.tail(number))
    if clocks > run.clocks:
        builder.fix(Slot(cursor.x + run.clocks * scale, y + 2 * _STEP, (clocks - run.clocks) * scale, _BAR, radius=1),
                    builder.paints[paints.reading], "requantize" if (clocks - run.clocks) * scale > 60 else "")
    for clock in dict.fromkeys((0, clocks // 2, clocks)):
        align: Align = "left" if clock == 0 else "right" if clock == clocks else "centre"
        place = cursor.x + clock * scale - (0 if clock == 0 else 60 if clock == clocks else 30)
        builder.fix(Slot(place, y + 3 * _STEP + 2, 60, 12, size=10, align=align), Paint("", "", INK), f"{clock:,}")
    return cursor


def _loads(film: GridFilm) -> list[tuple[int, int, int]]:
    """(first clock, clock behind the last, fold) of each load."""
    found: list[tuple[int, int, int]] = []
    for clock, activity in enumerate(film.activities):
        if activity.loads < 0 or len(found) > _MOST_FOLDS:
            continue
        if found and found[-1][2] == activity.loads and found[-1][1] == clock:
            found[-1] = (found[-1][0], clock + 1, activity.loads)
        else:
            found.append((clock, clock + 1, activity.loads))
    return found


def _first_result(film: GridFilm, first_operand: int) -> int:
    """The clock, as folds count, in which a fold's first sum may reach the accumulators."""
    grid = film.grid
    if grid.dataflow == "dot_product":
        return first_operand + grid.adder_tree_stages + grid.extra_stages
    if grid.dataflow == "output_stationary":
        return first_operand
    return first_operand + (grid.rows - 1) * grid.registers_per_row_hop
