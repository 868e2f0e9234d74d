"""The overflows of a run as records: the CSV files of a report beside its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import OverflowEvent
from accelsim.results.value_records import trial_records

#: Columns of events.csv.
EVENT_COLUMNS = (
    *("layer", "place", "coordinate", "pe_row", "pe_column", "step", "cycle"),
    *("exact", "kept", "direction", "sample"),
)

CHANNEL_COLUMNS = ("layer", "channel", "events")
FOLD_COLUMNS = ("layer", "fold", "events")


def event_rows(result: NetworkResult) -> list[dict[str, Any]]:
    """Every event that was kept whole, layer by layer in the order of execution.

    The coordinate is the output's in the model's own layout, its indices joined by ";". An accumulator at the edge of the
    grid has no row or column of a PE: the cell is empty. Step -1 is the bias.
    """
    return [_row(event) for layer in result.layers if layer.values is not None for event in layer.values.overflows.first]


def _row(event: OverflowEvent) -> dict[str, Any]:
    return {
        "layer": event.layer,
        "place": event.place,
        "coordinate": ";".join(map(str, event.coordinate)),
        "pe_row": event.row if event.row >= 0 else "",
        "pe_column": event.column if event.column >= 0 else "",
        "step": event.step,
        "cycle": event.cycle,
        "exact": event.exact,
        "kept": event.kept,
        "direction": event.direction,
        "sample": event.sample,
    }


def channel_rows(result: NetworkResult) -> list[dict[str, Any]]:
    """Events by layer and output channel, over all groups; those of row sums, which belong to none, as "row_sum"."""
    return [
        {"layer": layer.name, "channel": channel if channel >= 0 else "row_sum", "events": count}
        for layer in result.layers
        if layer.values is not None
        for channel, count in sorted(layer.values.overflows.by_channel.items())
    ]


def fold_rows(result: NetworkResult) -> list[dict[str, Any]]:
    """Events by layer and K-fold; those of the bias, which comes before the first one, as "bias"."""
    return [
        {"layer": layer.name, "fold": fold if fold >= 0 else "bias", "events": count}
        for layer in result.layers
        if layer.values is not None
        for fold, count in sorted(layer.values.overflows.by_fold.items())
    ]


def overflow_tables(result: NetworkResult) -> dict[str, tuple[Sequence[str], list[dict[str, Any]]]]:
    """(columns, rows) by file name, of a run that carried integers; no rows where nothing overflowed. A run beside which
    other widths were tried has those alone: its own accumulators cannot overflow."""
    if trials := trial_records((layer.name, layer.values) for layer in result.layers):
        return {"width_trials.csv": (tuple(trials[0]), trials)}
    return {
        "events.csv": (EVENT_COLUMNS, event_rows(result)),
        "overflow_by_channel.csv": (CHANNEL_COLUMNS, channel_rows(result)),
        "overflow_by_fold.csv": (FOLD_COLUMNS, fold_rows(result)),
    }
