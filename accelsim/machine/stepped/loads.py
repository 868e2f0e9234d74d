"""How the stationary operands of the next fold get into the PEs' shadow registers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.grid_registers import StepWork, Waves
from accelsim.machine.stepped.lines import Lines


def loads_of(work: StepWork) -> Loads:
    """The way in which this grid loads."""
    return RowLoads(work) if work.grid.preload_cycles is None else BankLoads(work)


class Loads(ABC):
    """Shadow registers of a systolic grid, `Layout.held_shape`.

    Parameters
    ----------
    passing, row : what passes each PE, and the row that it is meant for, from 1 on; 0 for none.
    """

    passing: NDArray[Any]
    row: NDArray[Any]

    def __init__(self, work: StepWork) -> None:
        self._work = work
        self.shadow: NDArray[Any] = np.zeros(work.layout.held_shape, work.layout.kind)

    @abstractmethod
    def clock(self, cycle: int, number: int, index: int) -> None:
        """Fold `number` is loaded (-1: none), in the clock `index` of its load; PEs take what is theirs at the end of it."""

    def forget(self, number: int) -> None:  # noqa: B027 - only banks have something to forget
        """Fold `number` is over."""

    def swap(self, stationary: NDArray[Any], chosen: NDArray[np.bool_], number: int) -> None:
        """Fold `number` begins at the chosen PEs (R, C)."""
        np.copyto(stationary, self.shadow, where=chosen)


class RowLoads(Loads):
    """One row a clock comes down the columns, through as many registers a hop as the sums do and as late as its column's
    operands, and each PE takes what is meant for its row."""

    def __init__(self, work: StepWork) -> None:
        super().__init__(work)
        grid, kind = work.grid, work.layout.kind
        planes = self.shadow[..., 0, 0].size
        self._lines = Lines(planes=planes + 1, lanes=grid.columns, skew=grid.registers_per_column_hop, taps=grid.rows,
                            hop=grid.registers_per_row_hop, dtype=kind)
        taps = self._lines.taps.swapaxes(1, 2)
        self.passing, self.row = taps[:-1].reshape(self.shadow.shape), taps[-1]
        self._own = np.arange(1, grid.rows + 1)[:, None]
        self._mask = np.zeros((grid.rows, grid.columns), np.bool_)
        self._moving_until = -1
        self._rows: NDArray[Any] = self.shadow

    def clock(self, cycle: int, number: int, index: int) -> None:
        if number >= 0:
            if index == 0:
                held = self._work.layout.stationary(self._work.folds[number])
                rows = np.moveaxis(held.reshape(-1, *held.shape[-2:]), 1, 0)
                own = np.broadcast_to(self._own[:, None], (rows.shape[0], 1, rows.shape[2]))
                self._rows = np.concatenate([rows, own.astype(rows.dtype)], axis=1)
            self._lines.clock(self._rows[index])
            self._moving_until = cycle + self._lines.length
        elif cycle <= self._moving_until:
            self._lines.clock(0)
        else:
            return
        np.equal(self.row, self._own, out=self._mask)
        np.copyto(self.shadow, self.passing, where=self._mask)


class BankLoads(Loads):
    """Each PE takes its operand from a bank of its own, in as many clocks as the grid says: the rows are spread over them.
    The order to do so reaches the PEs as late as their operands. In no clocks at all, the bank is the shadow register."""

    def __init__(self, work: StepWork) -> None:
        super().__init__(work)
        grid = work.grid
        self._lines = Lines(planes=1, lanes=grid.rows, skew=grid.registers_per_row_hop, taps=grid.columns,
                            hop=grid.registers_per_column_hop)
        self._orders, self._waves = self._lines.taps[0], Waves(self._lines.length - 1)
        self.passing, self.row = np.zeros_like(self.shadow), np.zeros((grid.rows, grid.columns), np.int64)
        self._mask = np.zeros((grid.rows, grid.columns), np.bool_)
        self._clocks = grid.preload_cycles or 0
        self._banks: dict[int, NDArray[Any]] = {}

    def clock(self, cycle: int, number: int, index: int) -> None:
        self.row[...] = 0
        waves = self._waves.at(cycle)
        if number < 0 and not waves:
            return
        order = 1 + number * self._clocks + index if number >= 0 else 0
        self._lines.clock(order)
        if number >= 0:
            self._waves.start(token=order, fold=number, cycle=cycle)
        for token, fold, _ in waves:
            np.equal(self._orders, token, out=self._mask)
            self._mask[self._chunk(fold) != (token - 1) % self._clocks] = False
            np.copyto(self.shadow, self._bank(fold), where=self._mask)
            np.copyto(self.passing, self._bank(fold), where=self._mask)
            self.row[self._mask] = np.nonzero(self._mask)[0] + 1

    def _chunk(self, number: int) -> NDArray[np.int64]:
        """In which clock of a fold's load each row is taken; unused rows in none."""
        rows, used = np.arange(self._work.grid.rows), self._work.folds[number].rows
        return np.where(rows < used, rows * self._clocks // used, -1)

    def _bank(self, number: int) -> NDArray[Any]:
        if number not in self._banks:
            self._banks[number] = self._work.layout.stationary(self._work.folds[number])
        return self._banks[number]

    def forget(self, number: int) -> None:
        self._banks.pop(number, None)

    def swap(self, stationary: NDArray[Any], chosen: NDArray[np.bool_], number: int) -> None:
        np.copyto(stationary, self.shadow if self._clocks else self._bank(number), where=chosen)
