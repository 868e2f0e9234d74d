"""The drain registers of the output stationary grid: results on their way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.machine.stepped.fold import Fold
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.lines import Delay


class Drain:
    """A line of registers down each column, or along each row: the registers of the hop and one at each PE.

    A PE hands its sum to its register at the end of the clock of its last product. Operands need h clocks for a hop and
    drained values h + 1, so the sums of one fold follow one another out of the line without a gap, the last PE's first.

    Parameters
    ----------
    sums : of each PE. folds : of the step; a grid that trims partial folds takes their results from the last PE in use.
    """

    def __init__(self, grid: PeGrid, sums: int, kind: np.dtype[Any], folds: Sequence[Fold]) -> None:
        self._is_along_rows = grid.drain == "columns"
        self._hop = 1 + (grid.registers_per_column_hop if self._is_along_rows else grid.registers_per_row_hop)
        lanes, along = (grid.rows, grid.columns) if self._is_along_rows else (grid.columns, grid.rows)
        self._length = (along - 1) * self._hop + 1
        #: Sums, and with each the entry that it goes to and the number of its fold, from 1 on.
        self._values: NDArray[Any] = np.zeros((sums, self._length, lanes), kind)
        self._labels = np.zeros((sums + 1, self._length, lanes), np.int64)
        self._moves = [(registers, flat[lanes:], flat[:-lanes]) for registers in (self._values, self._labels)
                       for flat in (registers.reshape(-1),)]
        self._exits = np.array([0, *(self.clocks(fold) for fold in folds)])
        self._leaving, self._leaving_labels = np.zeros((sums, lanes), kind), np.zeros((sums + 1, lanes), np.int64)
        stages = grid.extra_stages
        leaving = (self._leaving, self._leaving_labels)
        self._delays = [Delay(stages, registers.shape, registers.dtype) for registers in leaving] if stages else []
        self._busy_until, self._busy_clocks = -1, self._length + stages

    def clocks(self, fold: Fold) -> int:
        """For how long a lane is needed for a fold's results."""
        return fold.columns if self._is_along_rows else fold.rows

    def lanes(self, fold: Fold) -> int:
        """Lanes that a fold's results leave on."""
        return fold.rows if self._is_along_rows else fold.columns

    @property
    def at_pes(self) -> NDArray[Any]:
        """The PEs' drain registers, (sums, R, C): a view."""
        at_pes = self._values[:, ::self._hop]
        return at_pes.swapaxes(1, 2) if self._is_along_rows else at_pes

    def take(self, chosen: NDArray[np.bool_], sums: NDArray[Any], entries: Numbers, fold: int, cycle: int) -> None:
        """At the end of this clock, the chosen PEs (R, C) hand over their sums, (sums, R, C), with the entries of the same
        shape that they belong to."""
        if self._is_along_rows:
            chosen, sums, entries = chosen.T, sums.swapaxes(1, 2), entries.swapaxes(1, 2)
        values, labels = self._values[:, ::self._hop], self._labels[:, ::self._hop]
        assert not labels[-1][chosen].any(), "a drain register is taken while it holds another result"
        np.copyto(values, sums, where=chosen)
        np.copyto(labels[:-1], entries, where=chosen)
        np.copyto(labels[-1], fold + 1, where=chosen)
        self._busy_until = cycle + self._busy_clocks

    def leave(self, cycle: int) -> tuple[NDArray[Any], Numbers] | None:
        """What is written to the accumulators in this clock, then one move on: sums (sums, lanes) and their labels, None if
        there are none; a lane whose last label is 0 brings nothing."""
        if cycle > self._busy_until:
            return None
        self._leaving_labels[...] = 0
        for clocks in np.unique(self._exits[1:]):
            position = (clocks - 1) * self._hop
            out = self._exits[self._labels[-1, position]] == clocks
            if out.any():
                np.copyto(self._leaving, self._values[:, position], where=out)
                np.copyto(self._leaving_labels, self._labels[:, position], where=out)
                self._labels[:, position, out] = 0
        sums, labels = self._leaving, self._leaving_labels
        if self._delays:
            sums, labels = self._delays[0].out.copy(), self._delays[1].out.copy()
            self._delays[0].clock(self._leaving)
            self._delays[1].clock(self._leaving_labels)
        for registers, later, earlier in self._moves:
            later[...] = earlier
            registers[:, 0] = 0
        return (sums, labels) if np.count_nonzero(labels[-1]) else None
