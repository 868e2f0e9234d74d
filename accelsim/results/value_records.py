"""What the integers of a run did, as plain data: the columns and totals that runs without integers lack."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from accelsim.results.layer_values import LayerValues
from accelsim.results.overflow import Overflows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = ("worst_case_bits", "running_bits", "final_bits", "overflow_events", "outputs_hit", "outputs", "proven")


def value_columns(values: LayerValues | None) -> dict[str, Any]:
    """Columns of a layer's row; all of them None for a layer off the PE grid, which has no accumulators, and those on
    overflow where other widths were tried, beside accumulators as wide as it takes.

    >>> value_columns(None)["overflow_events"] is None
    True
    """
    if values is None or values.widths is None:
        return dict.fromkeys(_COLUMNS)
    widths, overflows = values.widths, values.overflows
    own = (None, None) if values.trials else (overflows.count, overflows.outputs_hit)
    found = (widths.worst_case_bits, widths.running_bits, widths.final_bits, *own, overflows.outputs,
             None if values.trials else values.is_proven)
    return dict(zip(_COLUMNS, found, strict=True))


def overflow_totals(overflows: Iterable[Overflows]) -> dict[str, Any]:
    """Events of all layers, the outputs that they hit, all outputs of these layers, and events by what overflowed.

    >>> overflow_totals([Overflows(count=3, outputs_hit=1, outputs=8, by_place={"wires": 3}), Overflows(outputs=2)])
    {'overflow_events': 3, 'outputs_hit': 1, 'outputs': 10, 'overflow_events_by_place': {'wires': 3}}
    """
    found = list(overflows)
    by_place: Counter[str] = Counter()
    for overflow in found:
        by_place.update(overflow.by_place)
    return {"overflow_events": sum(overflow.count for overflow in found),
            "outputs_hit": sum(overflow.outputs_hit for overflow in found),
            "outputs": sum(overflow.outputs for overflow in found),
            "overflow_events_by_place": dict(sorted(by_place.items()))}


def output_records(outputs: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """By the model's output names: shape (samples in front), type, and SHA-256 of the integers in C order, little endian.

    >>> import numpy as np
    >>> output_records({"y": np.array([[1, -1]], np.int8)})["y"]["shape"]
    [1, 2]
    """
    return {name: {"shape": list(array.shape), "dtype": array.dtype.name,
                   "sha256": hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()}
            for name, array in outputs.items()}


def trial_records(layers: Iterable[tuple[str, LayerValues | None]]) -> list[dict[str, Any]]:
    """One flat record per layer and tried width, the widest first.

    >>> from accelsim.results.width_trial import WidthTrial
    >>> trial_records([("conv", LayerValues(trials=(WidthTrial(12, outputs=9, wrong_outputs=2),)))])[0]["wrong_outputs"]
    2
    """
    return [{"layer": name, "bits": trial.bits, "outputs": trial.outputs, "events": trial.events,
             "outputs_hit": trial.outputs_hit, "wrong_outputs": trial.wrong_outputs, "largest_error": trial.largest_error}
            for name, values in layers if values is not None for trial in values.trials]
