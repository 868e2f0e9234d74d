"""The page's section on the integers that a run carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.report.cell import Cell
from accelsim.report.observed_layers import ObservedLayer, is_trial, observed_layers, overflows_of, widths_of
from accelsim.report.overflow_records import event_rows
from accelsim.report.palette import PLACES
from accelsim.report.value_findings import carried_sentence, value_findings
from accelsim.report.wording import exact_share_text, place_label, short_name
from accelsim.results.network_result import NetworkResult

#: Overflow events that the page shows whole.
SHOWN_EVENTS = 10

#: Columns of the table of layers, and whether they are numbers.
WIDTH_COLUMNS = {"Layer": False, "Worst case": True, "Running sums": True, "Last sums": True}

#: Further ones, unless other widths were tried beside the run: its own accumulators then cannot overflow.
OVERFLOW_COLUMNS = {
    "Proven safe": False,
    "Overflow events": True,
    "Outputs hit": True,
    "Share hit": True,
    "In": False,
}

#: Column of the table of events -> key in `event_rows`.
EVENT_COLUMNS = {
    "Layer": "layer",
    "In": "place",
    "Sample": "sample",
    "Output": "coordinate",
    "PE row": "pe_row",
    "PE column": "pe_column",
    "Step": "step",
    "Cycle": "cycle",
    "Exact sum": "exact",
    "Kept": "kept",
}


@dataclass(frozen=True, slots=True)
class IntegersSection:
    """What the template shows.

    Parameters
    ----------
    carried : the rule and the number of samples. findings : sentences on overflows and widths.
    outputs : of the model, (name, shape and type).
    columns : of the table of layers on the PE grid, and whether they are numbers.
    rows : its rows, (whole name, cells). totals : its last row.
    events : the first overflow events, as texts. event_count : how many there are in all, and in events.csv.
    """

    carried: str
    findings: list[str]
    outputs: list[tuple[str, str]]
    columns: dict[str, bool]
    rows: list[tuple[str, list[Cell]]]
    totals: list[Cell]
    events: list[list[str]]
    event_count: tuple[int, int]

    @classmethod
    def of(cls, result: NetworkResult) -> IntegersSection:
        layers, events = observed_layers(result), event_rows(result)
        shapes = {name: "×".join(map(str, array.shape[1:])) or "1" for name, array in result.outputs.items()}
        return cls(
            carried=carried_sentence(result),
            findings=value_findings(result),
            outputs=[(name, f"{shapes[name]} {array.dtype.name}") for name, array in result.outputs.items()],
            columns=WIDTH_COLUMNS if is_trial(layers) else WIDTH_COLUMNS | OVERFLOW_COLUMNS,
            rows=[(layer.name, _cells([layer], short_name(layer.name, longest=40))) for layer in layers],
            totals=_cells(layers, "1 layer" if len(layers) == 1 else f"all {len(layers)} layers") if layers else [],
            events=[[_text(event[key]) for key in EVENT_COLUMNS.values()] for event in events[:SHOWN_EVENTS]],
            event_count=(result.overflows, len(events)),
        )

    @property
    def is_trial(self) -> bool:
        return self.columns == WIDTH_COLUMNS

    @property
    def event_columns(self) -> list[str]:
        return list(EVENT_COLUMNS)


def _cells(layers: Sequence[ObservedLayer], name: str) -> list[Cell]:
    """A row for one layer or for all of them."""
    widths = widths_of(layers)
    cells = [
        Cell(name, layers[0].name, False),
        Cell(f"{widths.worst_case_bits} bits", widths.worst_case_bits),
        Cell(f"{widths.running_bits} bits", widths.running_bits),
        Cell(f"{widths.final_bits} bits", widths.final_bits),
    ]
    return cells if is_trial(layers) else [*cells, *_overflow_cells(layers)]


def _overflow_cells(layers: Sequence[ObservedLayer]) -> list[Cell]:
    overflows = overflows_of(layers)
    proven = sum(layer.is_proven for layer in layers)
    proof = ("yes" if proven else "no") if len(layers) == 1 else f"{proven} of {len(layers)}"
    places = ", ".join(place_label(place) for place in PLACES if place in overflows.by_place)
    return [
        Cell(proof, proof, False),
        Cell(f"{overflows.count:,}" if overflows.count else "–", overflows.count),
        Cell(f"{overflows.outputs_hit:,}" if overflows.count else "–", overflows.outputs_hit),
        Cell(exact_share_text(overflows.outputs_hit, overflows.outputs) if overflows.count else "–", overflows.share),
        Cell(places, places, False),
    ]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else place_label(str(value)) if value else "–"
