"""The terminal's comparison of a run's integers with those of another runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table

from accelsim.report.fitted_table import Justify, Row, fitted_table
from accelsim.report.wording import exact_share_text
from accelsim.results.comparison import Difference

_ALONE: dict[str, Justify] = {"layer": "left", "outputs": "right", "differ": "right", "by at most": "right"}
_BOTH: dict[str, Justify] = {
    "layer": "left",
    "outputs": "right",
    "differ, chained": "right",
    "by at most": "right",
    "differ, fed": "right",
    "by at most, fed": "right",
}


def differences_table(
    differences: Mapping[str, Difference],
    fed: Mapping[str, Difference] | None,
    *,
    width: int,
    title: str = "Outputs that differ",
) -> Table:
    """A row per layer: how many outputs differ, and by how much at most.

    Parameters
    ----------
    differences : by layer, each fed with what the layers before it gave ("chained").
    fed : by layer, each fed with what the other runtime computed before it; None if that was not done.
    width : columns of the terminal; long names lose their beginning.
    title : what is compared with what.
    """
    rows: list[Row] = []
    for name, chained in differences.items():
        alone = None if fed is None else fed.get(name)
        is_equal = not chained.differing and not (alone is not None and alone.differing)
        rows.append((_cells(name, chained, alone), "" if is_equal else "bold"))
    together = None if fed is None else _total(fed.values())
    rows.append((_cells(_all(len(differences)), _total(differences.values()), together), "bold"))
    headings = _ALONE if fed is None else _BOTH
    return fitted_table(rows, headings=headings, title=title, width=width, first_to_go=("by at most, fed", "by at most"))


def differences_sentence(differences: Mapping[str, Difference], fed: Mapping[str, Difference] | None) -> str:
    """The whole comparison in a sentence.

    >>> differences_sentence({"conv": Difference("conv", outputs=1200)}, None)
    'All 1,200 outputs of 1 layer are equal.'
    """
    chained = _total(differences.values())
    others = _total(fed.values()) if fed is not None else Difference("")
    count = f"{len(differences)} layer" if len(differences) == 1 else f"{len(differences)} layers"
    if not chained.differing and not others.differing:
        ways = "" if fed is None else ", chained and fed layer by layer"
        return f"All {chained.outputs:,} outputs of {count} are equal{ways}."
    sentence = _differ(f"{_count(chained).capitalize()} of {chained.outputs:,} outputs of {count}", chained)
    return f"{sentence}." if fed is None else f"{sentence}; fed layer by layer, {_differ(_count(others), others)}."


def _count(difference: Difference) -> str:
    return f"{difference.differing:,}" if difference.differing else "none"


def _differ(subject: str, difference: Difference) -> str:
    if not difference.differing:
        return f"{subject} differs"
    return f"{subject} {'differs' if difference.differing == 1 else 'differ'}, by {difference.largest} LSB at most"


def _all(count: int) -> str:
    return "1 layer" if count == 1 else f"all {count} layers"


def _total(differences: Iterable[Difference]) -> Difference:
    """All layers together."""
    found = list(differences)
    return Difference(
        "",
        sum(difference.outputs for difference in found),
        sum(difference.differing for difference in found),
        max((difference.largest for difference in found), default=0),
    )


def _cells(name: str, chained: Difference, fed: Difference | None) -> dict[str, str]:
    """A row by heading, for both kinds of table."""
    count, largest = _texts(chained)
    alone, largest_alone = _texts(fed) if fed is not None else ("–", "–")
    return {
        "layer": name,
        "outputs": f"{chained.outputs:,}",
        "differ": count,
        "differ, chained": count,
        "by at most": largest,
        "differ, fed": alone,
        "by at most, fed": largest_alone,
    }


def _texts(difference: Difference) -> tuple[str, str]:
    """(how many differ, by how much)."""
    if not difference.differing:
        return "0", "–"
    share = exact_share_text(difference.differing, difference.outputs)
    return f"{difference.differing:,} ({share})", f"{difference.largest} LSB"
