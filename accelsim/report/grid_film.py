"""The registers of a step in some of its clocks, kept for pictures; of a large grid a corner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.layout import Numbers
from accelsim.machine.stepped.step_run import StepRun
from accelsim.machine.stepped.step_watch import Activity, SeenClock, StepWatch

#: Rows and columns of which a picture still shows every PE; of a larger grid, so many of the first ones.
MOST_PES = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One clock: copies of the registers' first planes at the PEs that are shown, (R, C), or at rows or columns.

    Parameters
    ----------
    values, holds : by register, as `machine.stepped.recorder` and `SeenClock` have them; "accumulators" are not among them.
    begun : fold whose operands each PE works on or did last, -1 before the first. loaded : fold that is loaded in it.
    lanes : of each accumulator lane the entry that a sum reaches in this clock (0: none).
    latest : of each lane the entry that was reached last, and its value then.
    writers : numbers of the operands that these sums are of.
    events : places among the step's overflows.
    """

    cycle: int
    values: Mapping[str, NDArray[Any]]
    holds: Mapping[str, NDArray[np.bool_]]
    activity: Activity
    begun: Numbers
    loaded: Numbers
    lanes: Numbers
    latest: tuple[Numbers, NDArray[Any]]
    writers: Numbers
    events: Numbers


class GridFilm:
    """Watches a step from its first clock on and keeps frames from `first` up to `end`, as far as there are any.

    Parameters
    ----------
    rows, columns : that are shown. activities : of the controller, in all clocks seen so far.
    added : sums that each lane's accumulators have got, by frame.
    begun, latest : as a frame has them, after the last clock.
    """

    def __init__(self, step: LayerStep, run: StepRun, *, first: int, end: int) -> None:
        grid = self.grid = step.accelerator.pe_grid
        self.step, self.run, self.first, self._end = step, run, first, end
        self.rows, self.columns = min(grid.rows, MOST_PES), min(grid.columns, MOST_PES)
        self.is_tree = grid.dataflow == "dot_product"
        self.has_lanes_at_right = self.is_tree or grid.drain == "columns"
        self.lanes = self.rows if self.has_lanes_at_right else self.columns
        self.frames: list[Frame] = []
        self.activities: list[Activity] = []
        self.added: list[Numbers] = []
        self.begun = np.full((grid.rows, grid.columns), -1, np.int64)
        self._loaded = self.begun.copy()
        self.latest: tuple[Numbers, NDArray[Any]] = np.zeros(self.lanes, np.int64), np.zeros(self.lanes, object)
        self._added = np.zeros(grid.rows if self.has_lanes_at_right else grid.columns, np.int64)
        self._own = np.arange(1, grid.rows + 1)[:, None]
        if grid.dataflow == "output_stationary" and grid.drain == "columns":
            self._own = np.arange(1, grid.columns + 1)[None, :]
        self.watch = StepWatch(step, run, self._tell)

    @classmethod
    def of(cls, step: LayerStep, *, first: int, end: int) -> GridFilm:
        """The film of a step."""
        film = cls(step, step.run(), first=first, end=end)
        step.run(film.watch)
        return film

    def frame(self, cycle: int) -> Frame | None:
        """The frame of a clock, if it was kept."""
        place = cycle - self.first
        return self.frames[place] if 0 <= place < len(self.frames) else None

    def hue(self, token: int) -> tuple[int, int]:
        """(fold, step in the fold) of an operand."""
        fold = int(self.watch.fold_of(np.array([token]))[0])
        return fold, token - int(self.watch.first_tokens[fold])

    def loading_fold(self, cycle: int, row: int, column: int) -> int:
        """The fold that passes a PE on its way to the shadow registers, -1 for none."""
        grid = self.grid
        late = 0 if self.is_tree else row * grid.registers_per_row_hop + column * grid.registers_per_column_hop
        return self.activities[cycle - late].loads if cycle >= late else -1

    def _tell(self, clock: SeenClock) -> None:
        self.activities.append(clock.activity)
        self._follow(clock)
        if not self.first <= clock.cycle < self._end:
            return
        values, holds = {}, {}
        for name, array in clock.registers.items():
            if name == "accumulators":
                continue
            values[name] = self._shown(name, array).copy()
            holds[name] = self._shown(name, np.broadcast_to(clock.holds[name], array.shape)).copy()
        entries = clock.written[0, :self.lanes].copy()
        begun, loaded = (folds[:self.rows, :self.columns].copy() for folds in (self.begun, self._loaded))
        latest = self.latest[0].copy(), self.latest[1].copy()
        self.frames.append(Frame(clock.cycle, values, holds, clock.activity, begun, loaded, entries, latest,
                                 clock.writers[:self.lanes].copy(), clock.events.copy()))
        self.added.append(self._added[:self.lanes].copy())

    def _shown(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """The first plane of a register at the PEs that are shown."""
        if self.is_tree and name in ("streamed", "sum"):
            count = self.columns if name == "streamed" else self.rows
            of_lanes: NDArray[Any] = array.reshape(-1, array.shape[-1])[0, :count]
            return of_lanes
        at_pes: NDArray[Any] = array.reshape(-1, *array.shape[-2:])[0, :self.rows, :self.columns]
        return at_pes

    def _follow(self, clock: SeenClock) -> None:
        """Which folds the PEs are at."""
        token, activity = clock.registers["token"].astype(np.int64), clock.activity
        if self.is_tree:
            if activity.streams >= 0:
                self.begun[...] = activity.streams
        else:
            there = token > 0
            self.begun[there] = self.watch.fold_of(token[there])
            self.begun[token < 0] = -1 - token[token < 0]
        taken = np.argwhere(clock.registers["loading_row"] == self._own)
        for row, column in taken:
            self._loaded[row, column] = self.loading_fold(clock.cycle, int(row), int(column))
        self._added += np.count_nonzero(clock.written, axis=0)
        reached = np.nonzero(clock.written[0, :self.lanes])[0]
        entries = clock.written[0, reached]
        self.latest[0][reached], self.latest[1][reached] = entries, clock.registers["accumulators"][entries]
