"""The weight and the input stationary grid: sums travel down the columns.

In each clock a PE multiplies the operand that passes it with the one that it holds, adds the sum from the PE above, and
hands both on: the operand to the right through h_c registers, the sum downwards through h_r. Row r's operands enter r h_r
clocks late, so that they meet the sums. What leaves the last row goes through the extra stages into the accumulator of the
column; the entry's address rides beside the columns through as many registers. Without registers a hop is a wire, and a
column adds up within one clock.

The next fold's stationary operands are loaded into shadow registers meanwhile (`Loads`). As a fold starts, an order to swap
shadow and stationary register runs ahead of its first operand or with it.

A PE that takes several pairs of operands in a step adds their products one after the other, through registers as wide as the
wires; that a composed multiplier adds them exactly is left out. A grid that trims partial folds takes a fold's sums from the
last row in use; otherwise they run through all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.machine.stepped.column_adders import ColumnAdders, WireOverflow
from accelsim.machine.stepped.control import Control
from accelsim.machine.stepped.edge import EdgeAccumulators, Where
from accelsim.machine.stepped.fold import Fold
from accelsim.machine.stepped.grid_registers import GridRegisters, StepWork, Waves, with_tokens
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.lines import Delay, Lines
from accelsim.machine.stepped.loads import loads_of
from accelsim.numerics.integer_array import Integers


class ColumnSums(GridRegisters):
    """Registers of a weight or input stationary grid."""

    def __init__(self, work: StepWork) -> None:
        super().__init__(work)
        grid, layout, kind = work.grid, work.layout, work.layout.kind
        loads = [fold.rows if grid.preload_cycles is None else grid.preload_cycles for fold in work.folds]
        self.control = Control(grid, layout.cost, work.folds, loads=loads, hides_loads=False, may_follow=self._may_follow,
                               delays=work.delays)
        *planes, rows = layout.streamed_shape
        self._operands = Lines(planes=int(np.prod(planes)) + 1, lanes=rows, skew=grid.registers_per_row_hop,
                               taps=grid.columns, hop=grid.registers_per_column_hop, dtype=kind)
        self._x = self._operands.taps[:-1].reshape(*planes, rows, grid.columns)
        self._token = self._operands.taps[-1]
        self._stationary = np.zeros(layout.held_shape, kind)
        self._loads = loads_of(work)
        self._adders = ColumnAdders(grid, layout, work.wires)
        self._edge = EdgeAccumulators(layout, work.start, work.accumulator, (layout.sums, grid.columns), kind, self.log)
        self._taps = {row: _Tap(grid, row, self._adders.sums) for row in sorted({fold.rows for fold in work.folds})}
        self._mask = np.zeros((rows, grid.columns), np.bool_)
        self._swaps = Waves(self._operands.length - 1)
        self._streams: dict[int, tuple[NDArray[Any], Numbers]] = {}
        self._swap_only: NDArray[Any] = np.zeros((int(np.prod(planes)) + 1, rows), kind)

    def _may_follow(self, before: Fold, started: int, fold: Fold, cycle: int) -> bool:
        """A column has one adder behind it, so a fold's first sum leaves after the last one of the fold before."""
        hop, first = self.work.grid.registers_per_row_hop, self.work.layout.cost.stream_cycles(1)
        left = started + self.control.stream_clocks(before) + (before.rows - 1) * hop
        return cycle + first + (fold.rows - 1) * hop > left

    def begin(self, number: int, cycle: int) -> None:
        fold, layout, first = self.work.folds[number], self.work.layout, int(self.control.first_tokens[number])
        addresses = with_tokens(layout.entries(fold), first)
        addresses[:, -1, fold.columns:] = 0
        self._streams[number] = with_tokens(layout.streamed(fold), first), addresses
        order = first if self.control.fold == number else -1 - number
        self._swap_only[-1] = order
        self._swaps.start(token=order, fold=number, cycle=cycle)

    def clock(self, cycle: int) -> None:
        control = self.control
        addresses: Numbers | int = 0
        tap_row = 0
        if control.fold >= 0:
            operands, entries = self._streams[control.fold]
            self._operands.clock(operands[control.step])
            addresses, tap_row = entries[control.step], self.work.folds[control.fold].rows
        else:
            self._operands.clock(self._swap_only if control.starts >= 0 else 0)
        for token, number, _ in self._swaps.at(cycle):
            np.equal(self._token, token, out=self._mask)
            self._loads.swap(self._stationary, self._mask, number)
        for overflow in self._adders.add(self._x, self._stationary):
            self._report(overflow, cycle)
        for row, tap in self._taps.items():
            self._leave(tap, addresses if row == tap_row else 0, cycle)
        self._adders.clock()
        self._loads.clock(cycle, control.load, control.load_row)

    def _leave(self, tap: _Tap, addresses: Numbers | int, cycle: int) -> None:
        """Sums that leave the last row in use enter the accumulators, extra stages later."""
        tap.addresses.clock(addresses)
        if np.count_nonzero(tap.tokens):
            self._edge.add(tap.entries, tap.arriving, cycle=cycle, where=lambda lanes: self._where(tap, lanes))
            for number in self._under_way[:]:
                fold = self.work.folds[number]
                if fold.rows == tap.rows and tap.tokens[fold.columns - 1] == self.control.first_tokens[number + 1] - 1:
                    self.finish(number, cycle)
                    self._loads.forget(number)
                    del self._streams[number]
        if tap.delay is not None:
            tap.delay.clock(tap.leaving)

    def _where(self, tap: _Tap, lanes: Numbers) -> Where:
        fold = self.fold_of(tap.tokens[lanes])
        return self.work.last_k[fold], fold, -1, lanes

    def _report(self, overflow: WireOverflow, cycle: int) -> None:
        """Wires that could not hold their sums."""
        left, slot = overflow
        plane, row, column = left.where
        tokens = self._token[row, column].astype(np.int64)
        numbers, pairs = self.fold_of(tokens), self.work.layout.pair(row, slot)
        for number in np.unique(numbers):
            chosen, fold = numbers == number, self.work.folds[number]
            step = tokens[chosen] - self.control.first_tokens[number]
            entries = self._streams[number][1][step, plane[chosen], column[chosen]]
            self.log.add(place=self.work.layout.place(entries), k=fold.k[0] + pairs[chosen] % fold.depth, on_wires=True,
                         exact=left.exact[chosen], kept=left.kept[chosen], row=row[chosen], column=column[chosen],
                         cycle=cycle, fold=int(number))

    def registers(self) -> Mapping[str, NDArray[Any]]:
        return {"streamed": self._x, "token": self._token, "stationary": self._stationary, "shadow": self._loads.shadow,
                "loading": self._loads.passing, "loading_row": self._loads.row, "sum": self._adders.sums,
                "accumulators": self._edge.values}

    def held(self) -> Integers:
        return self._edge.held()


class _Tap:
    """Where the sums (sums, R, C) of folds with `rows` rows leave the columns."""

    def __init__(self, grid: PeGrid, rows: int, sums: NDArray[Any]) -> None:
        stages, self.rows = grid.extra_stages, rows
        self.addresses = Lines(planes=sums.shape[0] + 1, lanes=grid.columns, skew=grid.registers_per_column_hop, taps=1,
                               hop=1, lead=(rows - 1) * grid.registers_per_row_hop + stages)
        self.entries, self.tokens = self.addresses.taps[:-1, :, 0], self.addresses.taps[-1, :, 0]
        self.leaving = sums[:, rows - 1]
        self.delay = Delay(stages, self.leaving.shape, sums.dtype) if stages else None
        self.arriving = self.delay.out if self.delay is not None else self.leaving
