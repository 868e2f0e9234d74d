"""The output stationary grid: each PE adds its own sum; operands march to the right and downwards.

Row r's inputs enter r h_r clocks late and move right through h_c registers a PE; column c's weights enter c h_c clocks late
and move down through h_r. So the operands of a reduction step meet at every PE. With the first of them the PE's accumulator
starts from one of three:

* the bias of its channel, which rides down with the channel's first weight, and overflows there if it does not fit;
* its own sum, if the fold before was the K piece before of the same outputs;
* what the accumulators at the edge hold from an earlier step (`StartValues`). It is on chip before the operands are and
  comes in before them, so no step waits for it; the PE takes it as the fold starts.

With the last operands the PE hands its sum to a drain register. Results go down the columns, or along the rows, pass the
extra stages and are written to the accumulators at the edge (`Drain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.control import Control
from accelsim.machine.stepped.drain import Drain
from accelsim.machine.stepped.fold import Fold
from accelsim.machine.stepped.grid_registers import GridRegisters, StepWork, Waves, with_tokens
from accelsim.machine.stepped.keeper import Keeper, Left
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.lines import Lines
from accelsim.machine.stepped.start_values import StartValues
from accelsim.numerics.integer_array import Integers


class OwnSums(GridRegisters):
    """Registers of an output stationary grid."""

    def __init__(self, work: StepWork) -> None:
        super().__init__(work)
        grid, layout, kind = work.grid, work.layout, work.layout.kind
        rows, columns = grid.rows, grid.columns
        h_r, h_c = grid.registers_per_row_hop, grid.registers_per_column_hop
        self._drain, self._starts = Drain(grid, layout.sums, kind, work.folds), StartValues(grid, layout.sums, kind)
        loads = [self._drain.clocks(fold) if work.is_held and fold.piece == 0 else 0 for fold in work.folds]
        self.control = Control(grid, layout.cost, work.folds, loads=loads, hides_loads=True, may_follow=self._may_follow,
                               delays=work.delays)
        slots, channels = layout.slots, layout.cost.channels
        self._inputs = Lines(planes=grid.pixels * slots + 1, lanes=rows, skew=h_r, taps=columns, hop=h_c, dtype=kind)
        self._x, self._token = self._inputs.taps[:-1].reshape(grid.pixels, 1, slots, rows, columns), self._inputs.taps[-1]
        self._weights = Lines(planes=channels * (slots + 1), lanes=columns, skew=h_c, taps=rows, hop=h_r, dtype=kind)
        down = self._weights.taps.swapaxes(1, 2)
        self._w = down[:channels * slots].reshape(1, channels, slots, rows, columns)
        self._bias = down[channels * slots:].reshape(1, channels, rows, columns)
        self._products = np.zeros((grid.pixels, channels, slots, rows, columns), kind)
        by_sum = self._products.reshape(layout.sums, slots, rows, columns)
        self._by_slot = [by_sum[:, slot] for slot in range(slots)]
        self._sums = np.zeros((layout.sums, rows, columns), kind)
        self._by_part = self._sums.reshape(grid.pixels, channels, rows, columns)
        self._keeper = Keeper(work.accumulator, self._sums.shape, kind)
        self._mask = np.zeros((rows, columns), np.bool_)
        self._orders, self._firsts, self._lasts = (Waves(self._inputs.length - 1) for _ in range(3))
        self._order_only: NDArray[Any] = np.zeros((grid.pixels * slots + 1, rows), kind)
        self._streams: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._entries: dict[int, Numbers] = {}
        self._left = [0] * len(work.folds)
        self._start: NDArray[Any] = np.concatenate([np.zeros(1, kind), work.start.reshape(-1).astype(kind)])
        self._accumulators = self._start.copy()
        self._to_load: NDArray[Any] | None = None

    def _may_follow(self, before: Fold, started: int, fold: Fold, cycle: int) -> bool:
        """A fold keeps the grid for as long as its results take to leave and the next one's sums to come in, whether they
        come or not; and the next one's results will find the drain registers and the way out free."""
        grid, drained, own = self.work.grid, self._drain.clocks(before), self._drain.clocks(fold)
        hop = grid.registers_per_column_hop if grid.drain == "columns" else grid.registers_per_row_hop
        taken, next_taken = started + self.control.stream_clocks(before), cycle + self.control.stream_clocks(fold)
        is_free = next_taken >= taken + min(drained, own)
        is_out = next_taken + (own - 1) * hop >= taken + (drained - 1) * hop + drained
        return cycle - started >= max(drained, own) and is_free and is_out

    def begin(self, number: int, cycle: int) -> None:
        fold, layout, first = self.work.folds[number], self.work.layout, int(self.control.first_tokens[number])
        weights = layout.column_operands(fold)
        weights = weights.reshape(fold.streamed, -1, weights.shape[-1])
        biases = np.zeros((fold.streamed, layout.cost.channels, weights.shape[-1]), weights.dtype)
        entries = self._entries[number] = layout.entries(fold)
        if fold.piece == 0 and not self.work.is_held:
            biases[0] = self._start[entries[:layout.cost.channels, 0]]
        self._streams[number] = with_tokens(layout.streamed(fold), first), np.concatenate([weights, biases], axis=1)

    def clock(self, cycle: int) -> None:
        left = self._drain.leave(cycle)
        if left is not None:
            self._write(*left, cycle)
        self._feed(cycle)
        for token, number, _ in self._orders.at(cycle):
            if self._reaches(token, number):
                np.copyto(self._sums, self._starts.next, where=self._mask)
        for token, number, _ in self._firsts.at(cycle):
            if self._reaches(token, number):
                self._take_bias(number, cycle)
        np.multiply(self._x, self._w, out=self._products)
        for slot, products in enumerate(self._by_slot):
            self._sums += products
            overflow = self._keeper.keep(self._sums)
            if overflow is not None:
                self._report(overflow, slot, cycle)
        for token, number, _ in self._lasts.at(cycle):
            if self._reaches(token, number):
                self._drain.take(self._mask, self._sums, self._entries[number], number, cycle)
        self._load(cycle)

    def _feed(self, cycle: int) -> None:
        """Operands enter, and the order to start from what an earlier step held."""
        control = self.control
        number, step, begun = control.fold, control.step, control.starts
        is_ordered = begun >= 0 and self.work.is_held and not self.work.folds[begun].piece
        if is_ordered:
            token = int(control.first_tokens[begun]) if number == begun else -1 - begun
            self._orders.start(token=token, fold=begun, cycle=cycle)
            self._order_only[-1] = token
        if number < 0:
            self._inputs.clock(self._order_only if is_ordered else 0)
            self._weights.clock(0)
            return
        inputs, weights = self._streams[number]
        self._inputs.clock(inputs[step])
        self._weights.clock(weights[step])
        token = int(control.first_tokens[number]) + step
        if step == 0 and not self.work.is_held and not self.work.folds[number].piece:
            self._firsts.start(token=token, fold=number, cycle=cycle)
        if step == len(inputs) - 1:
            del self._streams[number]
            self._lasts.start(token=token, fold=number, cycle=cycle)

    def _reaches(self, token: int, number: int) -> bool:
        """Whether a fold's operand is at any of its PEs; `_mask` tells at which."""
        fold = self.work.folds[number]
        np.equal(self._token, token, out=self._mask)
        self._mask[fold.rows:], self._mask[:, fold.columns:] = False, False
        return bool(np.count_nonzero(self._mask))

    def _take_bias(self, number: int, cycle: int) -> None:
        """The PEs that a fold's first operand reaches start from the bias that rides with it."""
        np.copyto(self._by_part, self._bias, where=self._mask)
        left = self._keeper.keep(self._sums)
        if left is not None:
            self._log(left, self._entries[number][left.where], -1, number, cycle)

    def _load(self, cycle: int) -> None:
        """Sums of an earlier step come in."""
        control = self.control
        if control.load < 0:
            self._starts.clock(cycle, None, 0)
            return
        if control.load_row == 0:
            self._to_load = self._start[self.work.layout.entries(self.work.folds[control.load])]
        self._starts.clock(cycle, self._to_load, control.load_row)

    def _write(self, sums: NDArray[Any], labels: Numbers, cycle: int) -> None:
        """Results reach the accumulators at the edge."""
        chosen = labels[-1] != 0
        self._accumulators[labels[:-1, chosen]] = sums[:, chosen]
        for number in self._under_way[:]:
            fold = self.work.folds[number]
            self._left[number] += int(labels[-1, self._drain.lanes(fold) - 1] == number + 1)
            if self._left[number] == self._drain.clocks(fold):
                self.finish(number, cycle)
                del self._entries[number]

    def _report(self, left: Left, slot: int, cycle: int) -> None:
        """Accumulators that could not hold their sums."""
        _, row, column = left.where
        tokens = self._token[row, column].astype(np.int64)
        numbers = self.fold_of(tokens)
        for number in np.unique(numbers):
            chosen = numbers == number
            part = Left(tuple(index[chosen] for index in left.where), left.exact[chosen], left.kept[chosen])
            step = tokens[chosen] - self.control.first_tokens[number]
            k = self.work.folds[number].k[0] + self.work.layout.pair(step, slot)
            self._log(part, self._entries[number][part.where], k, int(number), cycle)

    def _log(self, left: Left, entries: Numbers, k: Numbers | int, number: int, cycle: int) -> None:
        """Events of PEs whose sums somebody wants."""
        wanted = entries > 0
        _, row, column = (index[wanted] for index in left.where)
        self.log.add(place=self.work.layout.place(entries[wanted]), k=k if isinstance(k, int) else k[wanted], on_wires=False,
                     exact=left.exact[wanted], kept=left.kept[wanted], row=row, column=column, cycle=cycle, fold=number)

    def registers(self) -> Mapping[str, NDArray[Any]]:
        return {"streamed": self._x, "streamed_down": self._w, "token": self._token, "shadow": self._starts.next,
                "loading": self._starts.passing, "loading_row": self._starts.row, "sum": self._sums,
                "draining": self._drain.at_pes, "accumulators": self._accumulators}

    def held(self) -> Integers:
        return self._accumulators[1:].reshape(self.work.layout.outputs)
