"""What the registers of a step mean, clock by clock: which of them hold something, and what the controller does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.drain import Drain
from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.step_run import StepRun

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Activity:
    """What the controller does in a clock; -1 where it does nothing of the kind.

    Parameters
    ----------
    loads, row : fold whose stationary operands (output stationary: whose sums of an earlier step) enter, and their row or
        column, from 0; of a grid with its own number of preload cycles the clock of the load.
    streams : fold whose stream is on.
    step : of that stream, whose operands the PEs are at. enters : whether they enter in this clock.
    """

    loads: int = -1
    row: int = -1
    streams: int = -1
    step: int = -1
    enters: bool = False


@dataclass(slots=True)
class SeenClock:
    """A clock of a step, looked at. The arrays are the grid's own and change with the next clock.

    Parameters
    ----------
    cycle : from 0 on, as recorders count.
    registers : as `machine.stepped.recorder` lists them.
    holds : by register, whether it holds something that belongs to an operand or an output; broadcasts to the register. A
        stationary, shadow or accumulator register holds something from its first writing on, one that passes things on only
        while it does.
    activity : of the controller.
    written : entries of the accumulators that a sum reaches in this clock, (sums, lanes), 0 for none.
    writers : number of the operand (token) that this sum is of, (lanes,), 0 for none; of an output stationary grid the last
        one of the fold.
    events : places of this clock's overflows among the step's events.
    """

    cycle: int
    registers: Mapping[str, NDArray[Any]]
    holds: Mapping[str, Mask]
    activity: Activity
    written: Numbers
    writers: Numbers
    events: Numbers


    def at_rest(self) -> SeenClock:
        """A copy of it as the clocks behind a step's last one are: what passed is gone, memories keep what they hold."""
        memories = {"stationary", "shadow", "accumulators"} | ({"sum"} if "streamed_down" in self.registers else set())
        registers = {name: array.copy() for name, array in self.registers.items()}
        holds = {name: mask.copy() if name in memories else np.zeros_like(mask) for name, mask in self.holds.items()}
        return SeenClock(self.cycle, registers, holds, Activity(), np.zeros_like(self.written), np.zeros_like(self.writers),
                         self.events[:0])


class StepWatch:
    """A recorder that looks at a step's registers and tells of each clock.

    Parameters
    ----------
    run : of the same step, for the times of its folds and its overflows; no cycle depends on who watches.
    told : called in every clock.
    """

    def __init__(self, step: LayerStep, run: StepRun, told: Callable[[SeenClock], None]) -> None:
        grid, self._step, self._run, self._told = step.accelerator.pe_grid, step, run, told
        self._grid, self._kind = grid, grid.dataflow
        counts = [fold.streamed for fold in step.folds]
        #: Tokens of fold f: from first_tokens[f] up to the next fold's.
        self.first_tokens: Numbers = 1 + np.cumsum([0, *counts], dtype=np.int64)
        self._controller = _Controller(step, run)
        shape = (grid.rows, grid.columns)
        self._is_begun, self._is_loaded = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self._own_row = np.arange(1, grid.rows + 1)[:, None]
        if self._kind == "output_stationary" and grid.drain == "columns":
            self._own_row = np.arange(1, grid.columns + 1)[None, :]
        lanes = grid.rows if self._kind == "dot_product" or grid.drain == "columns" else grid.columns
        self._none = np.zeros((step.layout.sums, lanes), np.int64), np.zeros(lanes, np.int64)
        stages = grid.extra_stages + (grid.adder_tree_stages if self._kind == "dot_product" else 0)
        self._on_the_way = deque([self._none] * stages)
        self._drain = Drain(grid, step.layout.sums, np.dtype(np.int64), step.folds)
        outputs = int(np.prod(step.layout.outputs))
        self._is_filled = np.full(1 + outputs, self._kind != "output_stationary" or step.is_held)
        self._is_filled[0] = False
        order = np.argsort(run.events.cycle, kind="stable")
        self._event_order, self._event_cycles = order, run.events.cycle[order] + run.origin
        self._entries = lru_cache(maxsize=16)(lambda number: step.layout.entries(step.folds[number]))

    def fold_of(self, tokens: Numbers) -> Numbers:
        """Numbers of the folds that operands belong to."""
        return np.searchsorted(self.first_tokens, tokens, side="right") - 1

    def clock(self, cycle: int, registers: Mapping[str, NDArray[Any]]) -> None:
        token = registers["token"].astype(np.int64)
        activity = self._controller.at(cycle, registers["loading_row"])
        written, writers = self._arrivals(token, cycle)
        self._is_filled[written[written > 0]] = True
        first, last = np.searchsorted(self._event_cycles, [cycle, cycle + 1])
        self._told(SeenClock(cycle, registers, self._holds(token, cycle, registers), activity, written, writers,
                             self._event_order[first:last]))

    def _holds(self, token: Numbers, cycle: int, registers: Mapping[str, NDArray[Any]]) -> Mapping[str, Mask]:
        loading = registers["loading_row"] > 0
        self._is_loaded |= registers["loading_row"] == self._own_row
        is_there = token > 0
        if self._kind == "dot_product":
            self._is_begun |= cycle >= self._run.origin + self._run.folds[0].start
            is_there = is_there[0]
        else:  # a fold's first operand, or the order to begin that runs ahead of it
            self._is_begun |= token != 0
        own = {"output_stationary": {"streamed_down": is_there, "sum": self._is_begun, "draining": self._drain.at_pes != 0}}
        return {"streamed": is_there, "token": token > 0, "stationary": self._is_begun, "shadow": self._is_loaded,
                "loading": loading, "loading_row": loading, "sum": is_there, "accumulators": self._is_filled,
                **own.get(self._kind, {})}

    def _arrivals(self, token: Numbers, cycle: int) -> tuple[Numbers, Numbers]:
        """(entries, operands) of the sums that reach the accumulators in this clock."""
        if self._kind == "output_stationary":
            return self._drained(token, cycle)
        self._on_the_way.append(self._sums(token))
        return self._on_the_way.popleft()

    def _sums(self, token: Numbers) -> tuple[Numbers, Numbers]:
        """Of the sums that leave the grid's adders for the accumulators."""
        entries, writers = (array.copy() for array in self._none)
        if self._kind == "dot_product":
            number = int(token[0, 0])
            if number > 0:
                fold = int(self.fold_of(token[0])[0])
                entries[...] = self._entries(fold)[number - self.first_tokens[fold]]
                writers[:] = number
            return entries, writers
        folds = self._step.folds
        for rows in {fold.rows for fold in folds}:
            leaving = token[rows - 1]
            numbers = self.fold_of(leaving)
            for number in np.unique(numbers[leaving > 0]):
                fold = folds[number]
                lanes = np.nonzero(numbers[:fold.columns] == number)[0] if fold.rows == rows else np.zeros(0, np.int64)
                steps = leaving[lanes] - self.first_tokens[number]
                entries[:, lanes] = self._entries(int(number))[steps, :, lanes].T
                writers[lanes] = leaving[lanes]
        return entries, writers

    def _drained(self, token: Numbers, cycle: int) -> tuple[Numbers, Numbers]:
        """The same of an output stationary grid, whose results leave through drain registers: marks go the same way."""
        entries, writers = (array.copy() for array in self._none)
        left = self._drain.leave(cycle)
        if left is not None:
            labels = left[1]
            chosen = labels[-1] != 0
            entries[:, chosen] = labels[:-1, chosen]
            writers[chosen] = self.first_tokens[labels[-1, chosen]] - 1
        lasts = self.first_tokens[1:] - 1
        for number in np.unique(self.fold_of(token[np.isin(token, lasts)])):
            fold, mask = self._step.folds[number], token == lasts[number]
            mask[fold.rows:], mask[:, fold.columns:] = False, False
            at_pes = self._entries(int(number))
            self._drain.take(mask, np.ones_like(at_pes), at_pes, int(number), cycle)
        return entries, writers


class _Controller:
    """What the sequencers do, from the times of the folds and the rows that enter."""

    def __init__(self, step: LayerStep, run: StepRun) -> None:
        grid, self._cost, self._origin, self._folds = step.accelerator.pe_grid, step.cost, run.origin, run.folds
        self._streaming, self._loading = 0, -1
        self._has_own_sums = grid.dataflow == "output_stationary"
        self._held = [number for number, fold in enumerate(step.folds) if step.is_held and not fold.piece]
        self._loads = [fold.rows if grid.preload_cycles is None else grid.preload_cycles for fold in step.folds]

    def at(self, cycle: int, loading_row: NDArray[Any]) -> Activity:
        now = cycle - self._origin
        loads, row = self._held_sums(int(loading_row[0, 0])) if self._has_own_sums else self._load(now)
        while self._streaming < len(self._folds) and now > self._folds[self._streaming].last_operand:
            self._streaming += 1
        if self._streaming == len(self._folds) or now < self._folds[self._streaming].start:
            return Activity(loads, row)
        number, clocks = self._streaming, now - self._folds[self._streaming].first_operand
        busy = self._cost.cycles
        return Activity(loads, row, number, clocks // busy if clocks >= 0 else -1, clocks >= 0 and (clocks + 1) % busy == 0)

    def _load(self, now: int) -> tuple[int, int]:
        """Loads take successive clocks, in the order of the folds."""
        while self._loading + 1 < len(self._folds) and self._folds[self._loading + 1].load <= now and (
                self._loading < 0 or now >= self._folds[self._loading].load + self._loads[self._loading]):
            self._loading += 1
        if self._loading < 0 or now >= self._folds[self._loading].load + self._loads[self._loading]:
            return -1, -1
        return self._loading, now - self._folds[self._loading].load

    def _held_sums(self, row: int) -> tuple[int, int]:
        """Output stationary: the row (or column) of sums that enters, from 1 on; every load begins with the first."""
        if row == 0:
            return -1, -1
        self._loading += int(row == 1)
        return self._held[self._loading], row - 1
