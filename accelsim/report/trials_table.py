"""The terminal's table of what narrower accumulators would cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.table import Table

from accelsim.report.fitted_table import NAME_WIDTH, Justify, Row, fitted_table
from accelsim.report.observed_layers import ObservedLayer, observed_layers, trials_of, tried_widths, widths_of
from accelsim.report.value_findings import value_findings
from accelsim.report.wording import exact_share_text
from accelsim.results.network_result import NetworkResult
from accelsim.results.width_trial import WidthTrial

_CAPTION = "–: no partial sum overflows; 0: some do, and no output is wrong"

#: Tried widths that a narrow terminal shows rather than the worst case and the final sums.
FEWEST_TRIALS = 4

_WIDTHS: dict[str, Justify] = {"layer": "left", "worst case": "right", "running": "right", "final": "right"}


def trials_table(result: NetworkResult, *, width: int) -> Table:
    """The three widths of each layer, then the share (and number) of its outputs that each tried width makes wrong.

    Parameters
    ----------
    width : columns of the terminal; a narrow one leaves out the numbers, then widths that tell little: those beyond the
        narrowest one at which nothing overflows, and the narrowest.
    """
    layers = observed_layers(result)
    tried = tried_widths(layers)
    counted = _rows(layers, tried, counts=True)
    rows = counted if _fits(counted, width) else _rows(layers, tried, counts=False)
    headings: dict[str, Justify] = _WIDTHS | dict.fromkeys(map(_heading, tried), "right")
    title = f"{result.network} on {result.accelerator.name}: wrong outputs by accumulator width"
    to_go = _first_to_go(layers, tried)
    return fitted_table(rows, headings=headings, title=title, width=width, first_to_go=to_go, caption=_CAPTION)


def narrowest_safe(result: NetworkResult) -> str:
    """How wide accumulators must be if those of all layers are as wide, and what the tried widths gave, in sentences."""
    return "\n".join(value_findings(result))


def _heading(bits: int) -> str:
    return f"{bits}-bit"


def _first_to_go(layers: Sequence[ObservedLayer], tried: Sequence[int]) -> list[str]:
    """The widest ones that are as safe as the one below, then the narrowest; the layers' own widths before the last few."""
    running = widths_of(layers).running_bits if layers else 0
    safe = [bits for bits, narrower in pairwise(tried) if narrower >= running]
    others = [bits for bits in reversed(tried) if bits not in safe]
    spare = max(0, len(others) - FEWEST_TRIALS)
    return [*map(_heading, [*safe, *others[:spare]]), "worst case", "final", *map(_heading, others[spare:])]


def _rows(layers: Sequence[ObservedLayer], tried: Sequence[int], *, counts: bool) -> list[Row]:
    """A row per layer, then one for all of them."""
    rows: list[Row] = []
    for layer in layers:
        rows.append((_cells([layer], layer.name, tried, counts=counts), ""))
    name = "1 layer" if len(layers) == 1 else f"all {len(layers)} layers" if layers else "no layers"
    return [*rows, (_cells(layers, f"{name} on the grid", tried, counts=counts), "bold")]


def _cells(layers: Sequence[ObservedLayer], name: str, tried: Sequence[int], *, counts: bool) -> dict[str, str]:
    """A row for one layer or for all of them, by heading."""
    widths = widths_of(layers) if layers else None
    cells = {
        "layer": name,
        "worst case": str(widths.worst_case_bits) if widths else "–",
        "running": str(widths.running_bits) if widths else "–",
        "final": str(widths.final_bits) if widths else "–",
    }
    return cells | {_heading(bits): _wrong(trials_of(layers, bits), counts) for bits in tried}


def _wrong(trial: WidthTrial | None, counts: bool) -> str:
    """Outputs that a width makes wrong; "?" where it is unknown."""
    if trial is None:
        return "?"
    if not trial.wrong_outputs:
        return "0" if trial.events else "–"
    share = exact_share_text(trial.wrong_outputs, trial.outputs)
    return f"{share} ({trial.wrong_outputs:,})" if counts else share


def _fits(rows: Sequence[Row], width: int) -> bool:
    """Whether the table takes no more room than that, names of the usual length included."""
    widths = {heading: max(len(heading), *(len(cells[heading]) for cells, _ in rows)) for heading in rows[0][0]}
    names = min(widths.pop("layer"), NAME_WIDTH)
    return names + 3 + sum(columns + 2 for columns in widths.values()) <= width
