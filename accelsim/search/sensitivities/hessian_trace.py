"""HAWQ-V2: the normalized trace of the Hessian, times the squared error of quantization.

``Omega = tr(H) / n * ||W - Q(W)||^2``, summed over layers (Dong et al. 2019, arXiv 1911.03852, equation 10 and theorem 1: of
equal traces the mean of the Hessian's eigenvalues is what a random error meets; activations, section 3.4, by the trace with
respect to them). The traces come from a file:

    layer,operand,trace
    conv1,weights,0.0686
    conv1_relu,activations,0.0021

`trace` is the mean of the Hessian's diagonal, as Hutchinson's estimate divided by the number of parameters gives it; operand
may be left out, and is then weights. Every operand with a choice needs a trace: one of none would be narrowed for nothing.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np

from accelsim.errors import SearchError
from accelsim.problem import quoted
from accelsim.quantization.float_session import FloatSession
from accelsim.search.operand import Operand, OperandKind
from accelsim.search.sensitivities.measurement import Measurement, WidthCosts
from accelsim.source_file import read_text


def hessian_sensitivity(measurement: Measurement, traces: Mapping[Operand, float]) -> WidthCosts:
    """``trace * ||x - x^||^2`` of each operand at each width.

    Parameters
    ----------
    traces : normalized, by operand; of activations by the group.

    Raises
    ------
    SearchError : weights or activations without a trace.
    """
    models = measurement.models
    found: WidthCosts = {}
    for operand, widths in measurement.asked.items():
        if operand not in traces:
            raise SearchError("expected the trace of its Hessian, got none", field=str(operand))
        if operand.kind == "weights":
            weights = models.model.layer(operand.name).weights.astype(np.float64)
            found[operand] = {bits: traces[operand] * float(np.sum(np.square(weights - models.weights(operand.name, bits))))
                              for bits in widths}
        else:
            found[operand] = {bits: traces[operand] * _squared_error(measurement, operand, bits) for bits in widths}
    return found


def _squared_error(measurement: Measurement, operand: Operand, bits: int) -> float:
    """||x - x^||^2 of one sample's activations, the mean over samples."""
    models = measurement.models
    owners = models.placement.groups[operand.name].owners
    session = FloatSession(models.model, owners)
    total = 0.0
    for batch in measurement.samples:
        values = session.run(dict(batch))
        for tensor in owners:
            real = values[tensor].astype(np.float64)
            total += float(np.sum(np.square(real - models.on_grid(operand.name, bits, values[tensor]))))
    return total / max(measurement.samples.count, 1)


def read_traces(path: str | Path, groups: Mapping[str, str]) -> dict[Operand, float]:
    """Traces from a CSV file.

    Parameters
    ----------
    groups : tensor or layer that writes it -> its group of activations.

    Raises
    ------
    SearchError : not such a file, numbers that are not finite or below 0: the line.
    """
    found: dict[Operand, float] = {}
    for line, row in read_rows(path, ("layer", "trace")):
        operand = operand_of(row, groups, str(path), line)
        found[operand] = number(row["trace"], "a trace", str(path), line, row["layer"])
    return found


def read_rows(path: str | Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV with its line numbers.

    Raises
    ------
    SearchError : it cannot be read, or lacks a column.
    """
    reader = csv.DictReader(io.StringIO(read_text(Path(path), raises=SearchError)))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise SearchError(f"expected the columns {', '.join(needed)}, got none called {missing[0]}", file=str(path), line=1)
    return [(reader.line_num, {str(name): (text or "").strip() for name, text in row.items() if name}) for row in reader]


def operand_of(row: Mapping[str, str], groups: Mapping[str, str], file: str, line: int) -> Operand:
    """What a row is about."""
    kind = row.get("operand") or "weights"
    if kind not in get_args(OperandKind)[:2]:
        raise SearchError(f"expected weights or activations, got {quoted(kind)}", file=file, line=line, field="operand")
    name = row["layer"]
    return Operand("weights", name) if kind == "weights" else Operand("activations", groups.get(name, name))


def number(text: str, what: str, file: str, line: int, field: str) -> float:
    """A number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        raise SearchError(f"expected {what}, got {quoted(text)}", file=file, line=line, field=field) from None
    if not math.isfinite(value) or value < 0:
        raise SearchError(f"expected {what} of at least 0, got {text}", file=file, line=line, field=field)
    return value
