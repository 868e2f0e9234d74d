"""Overflows as the registers saw them: one by one, with PE and clock."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import Integers

Numbers = NDArray[np.int64]


class StepEvents(NamedTuple):
    """The overflows of one compute step as columns, in the order in which they happened.

    Parameters
    ----------
    group, m, n : of the output, counted from the step's first.
    k : reduction step, likewise; of a sum that enters the accumulators the last of its fold, of a bias -1.
    on_wires : whether the wires between PEs overflowed, else the accumulator.
    exact : the value that did not fit. kept : what the register holds instead.
    row, column : of the PE; -1 for the accumulators at the edge of the grid.
    cycle : counted as in `StepRun`.
    fold : number of the fold in the step.
    """

    group: Numbers
    m: Numbers
    n: Numbers
    k: Numbers
    on_wires: NDArray[np.bool_]
    exact: Integers
    kept: Integers
    row: Numbers
    column: Numbers
    cycle: Numbers
    fold: Numbers


class EventLog:
    """Collects the events of one run."""

    def __init__(self) -> None:
        self._parts: list[StepEvents] = []

    def add(self, *, place: tuple[Numbers, Numbers, Numbers], k: Numbers | int, on_wires: bool, exact: Integers,
            kept: Integers, row: Numbers | int, column: Numbers | int, cycle: int, fold: Numbers | int) -> None:
        """Events of one clock; a single number holds for all of them."""
        def column_of(values: Numbers | int) -> Numbers:
            return np.broadcast_to(np.asarray(values, np.int64), exact.shape)

        group, m, n = place
        self._parts.append(StepEvents(group, m, n, column_of(k), np.full(exact.shape, on_wires), exact, kept, column_of(row),
                                      column_of(column), column_of(cycle), column_of(fold)))

    def result(self, *, origin: int) -> StepEvents:
        """All of them; cycles counted from `origin`."""
        if not self._parts:
            none = np.zeros(0, np.int64)
            return StepEvents(none, none, none, none, np.zeros(0, np.bool_), none, none, none, none, none, none)
        columns = StepEvents(*(np.concatenate(parts) for parts in zip(*self._parts, strict=True)))
        return columns._replace(cycle=columns.cycle - origin)
