"""A table for the terminal that fits: it leaves out columns rather than cut a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from accelsim.report.wording import short_name

Justify = Literal["left", "right"]

#: A row: its cells by heading, and its style.
Row = tuple[Mapping[str, str], str]

#: Letters of a name that columns make room for.
NAME_WIDTH = 28


def fitted_table(
    rows: Sequence[Row],
    *,
    headings: Mapping[str, Justify],
    title: str,
    width: int,
    first_to_go: Sequence[str] = (),
    caption: str = "",
    has_total: bool = True,
) -> Table:
    """One row per layer, then the totals, set off as the last row.

    Parameters
    ----------
    headings : of the columns; the first one's cells are names, which lose their beginning where they are long.
    width : columns of the terminal.
    first_to_go : headings that a narrow terminal leaves out, one after the other.
    caption : a line below the table; "" for none.
    has_total : whether the last row has the totals.
    """
    first = next(iter(headings))
    shown, room = _fitting([cells for cells, _ in rows], list(headings), width, first_to_go)
    heading = Text(title, style="bold")
    table = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", padding=(0, 1, 0, 0), pad_edge=False)
    table.caption, table.caption_justify = Text(caption, style="dim") if caption else None, "left"
    for name in shown:
        table.add_column(name, justify=headings[name], no_wrap=True)
    for place, (cells, style) in enumerate(rows):
        texts = {**cells, first: short_name(cells[first], longest=room)}
        if has_total and place == len(rows) - 1:
            table.add_section()
        table.add_row(*(Text(texts[name]) for name in shown), style=style)
    return table


def _fitting(
    rows: Sequence[Mapping[str, str]], headings: Sequence[str], width: int, first_to_go: Sequence[str]
) -> tuple[list[str], int]:
    """The columns that leave enough room for the names, and that room."""
    shown = list(headings)
    widths = {heading: max(len(heading), *(len(cells[heading]) for cells in rows)) for heading in shown}
    for heading in (*first_to_go, ""):
        room = width - 3 - sum(widths[other] + 2 for other in shown[1:])
        if room >= min(widths[shown[0]], NAME_WIDTH) or not heading:
            break
        shown.remove(heading)
    return shown, max(room, len("999 other layers"))
