"""The dot_product grid: inputs broadcast down the columns, an adder tree for each row.

In each clock every PE multiplies the input of its column with the weight that it holds, and the tree of each row adds the
products exactly. The sum passes D tree stages and the extra stages and enters the row's accumulator; the entry's address
rides through as many registers. (The stages lie somewhere inside the tree; where, no register behind it can tell.)

The next fold's weights are written into shadow registers, one row a clock; all swap as the first input of a fold arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.control import Control
from accelsim.machine.stepped.edge import EdgeAccumulators, Where
from accelsim.machine.stepped.grid_registers import GridRegisters, StepWork, with_tokens
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.lines import Delay
from accelsim.numerics.integer_array import Integers


class TreeSums(GridRegisters):
    """Registers of a dot_product grid."""

    def __init__(self, work: StepWork) -> None:
        super().__init__(work)
        grid, layout, kind = work.grid, work.layout, work.layout.kind
        rows, columns = grid.rows, grid.columns
        self._load_clocks = grid.preload_cycles
        loads = [fold.rows if self._load_clocks is None else self._load_clocks for fold in work.folds]
        self.control = Control(grid, layout.cost, work.folds, loads=loads, hides_loads=False,
                               may_follow=lambda before, started, fold, cycle: True, delays=work.delays)
        stages = grid.adder_tree_stages + grid.extra_stages
        self._x, self._token = np.zeros(layout.streamed_shape, kind), np.zeros((1, 1), np.int64)
        self._weights, self._shadow = np.zeros(layout.held_shape, kind), np.zeros(layout.held_shape, kind)
        self._loading, self._row = np.zeros(layout.held_shape, kind), np.zeros((rows, columns), np.int64)
        self._sums = np.zeros((layout.sums, rows), kind)
        self._tree = Delay(stages, self._sums.shape, kind)
        self._addresses = Delay(stages, (layout.sums + 1, rows))
        self._entries, self._tokens = self._addresses.out[:-1], self._addresses.out[-1]
        self._edge = EdgeAccumulators(layout, work.start, work.accumulator, (layout.sums, rows), kind, self.log)
        self._streams: dict[int, tuple[NDArray[Any], Numbers]] = {}
        self._to_load: NDArray[Any] = self._weights

    def begin(self, number: int, cycle: int) -> None:
        fold, layout = self.work.folds[number], self.work.layout
        entries = with_tokens(layout.entries(fold), int(self.control.first_tokens[number]))
        self._streams[number] = layout.streamed(fold), entries
        self._weights[...] = self._shadow if self._load_clocks != 0 else layout.stationary(fold)

    def clock(self, cycle: int) -> None:
        control = self.control
        if np.count_nonzero(self._tokens):
            self._edge.add(self._entries, self._tree.out, cycle=cycle, where=self._where)
            number = self._under_way[0]
            if self._tokens[0] == control.first_tokens[number + 1] - 1:
                self.finish(number, cycle)
                del self._streams[number]
        if control.fold < 0:
            self._x[...], self._token[...] = 0, 0
            addresses: Numbers | int = 0
        else:
            values, entries = self._streams[control.fold]
            self._x[...], addresses = values[control.step], entries[control.step]
            self._token[...] = control.first_tokens[control.fold] + control.step
        self._sums[...] = self._added()
        self._tree.clock(self._sums)
        self._addresses.clock(addresses)
        self._load()

    def _added(self) -> NDArray[Any]:
        """What the trees give: over columns and slots, (sums, R)."""
        inputs = self._x.reshape(self._x.shape[0], -1)
        weights = self._weights[0].swapaxes(1, 2).reshape(-1, inputs.shape[1])  # (channels * R, slots * C)
        added: NDArray[Any] = np.matmul(inputs, weights.T)
        return added.reshape(self._sums.shape)

    def _load(self) -> None:
        """A row of weights is written at the end of the clock; several, or none, where the grid has its own number of
        clocks."""
        control = self.control
        self._row[...] = 0
        if control.load < 0:
            return
        fold = self.work.folds[control.load]
        if control.load_row == 0:
            self._to_load = self.work.layout.stationary(fold)
        first = last = control.load_row
        if self._load_clocks is not None:
            first, last = (-(-index * fold.rows // self._load_clocks) for index in (first, last + 1))
        else:
            last += 1
        self._loading[:, :, :, first:last] = self._shadow[:, :, :, first:last] = self._to_load[:, :, :, first:last]
        self._row[first:last] = np.arange(first + 1, last + 1)[:, None]

    def _where(self, lanes: Numbers) -> Where:
        fold = self.fold_of(self._tokens[lanes])
        return self.work.last_k[fold], fold, lanes, -1

    def registers(self) -> Mapping[str, NDArray[Any]]:
        return {"streamed": self._x, "token": self._token, "stationary": self._weights, "shadow": self._shadow,
                "loading": self._loading, "loading_row": self._row, "sum": self._sums, "accumulators": self._edge.values}

    def held(self) -> Integers:
        return self._edge.held()
