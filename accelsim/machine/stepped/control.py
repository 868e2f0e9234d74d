"""What enters the grid in each clock: loads of stationary registers, and streams of operands, in the order of the folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.fold import Fold

#: Whether a fold may start to stream in this clock behind the one before, which started at the first of the two clocks:
#: (fold before, its start, fold, this clock). What the registers on the way out demand.
MayFollow = Callable[[Fold, int, Fold, int], bool]


class Control:
    """Two sequencers that decide anew in every clock.

    The loader fills the shadow registers of a fold, one row (or column) a clock, as soon as the fold before has taken what
    is in them. The streamer sends a fold's operands, one step a clock, as soon as the fold is loaded, the stream before is
    over, the swap spacing has passed and the way out is free. Without overlap both wait for the last result of the fold
    before.

    Where a step keeps the PEs busy for several clocks, its operands count as entering in the last of them, in which their
    products are added; fixed clocks of a fold come before its first step.

    Parameters
    ----------
    cost : of a step.
    loads : clocks of loading that each fold needs.
    hides_loads : whether a load may go on while the fold before drains, even without overlap.
    may_follow : what the way out demands.
    delays : by how many clocks the buffers' ports hold the start of each fold back, over all folds so far.
    """

    def __init__(self, grid: PeGrid, cost: StepCost, folds: Sequence[Fold], *, loads: Sequence[int], hides_loads: bool,
                 may_follow: MayFollow, delays: Sequence[int] = ()) -> None:
        self._folds, self._loads, self._may_follow = folds, loads, may_follow
        self._busy_clocks, self._fixed_clocks = cost.cycles, cost.fixed_cycles
        self._is_serial = grid.overlap == "none"
        self._loader_is_serial = self._is_serial and not hides_loads
        self._spacing = 0 if self._is_serial else grid.swap_spacing
        self._held_back = [later - earlier for earlier, later in pairwise([0, *(delays or [0] * len(folds))])]
        self._ready_since = -1
        #: Clocks of each fold's first load, start of the stream and last result; -1 until then.
        self.loaded_from: list[int] = [-1] * len(folds)
        self.started_at: list[int] = [-1] * len(folds)
        self.finished_at: list[int] = [-1] * len(folds)
        self._finished = 0
        self._loading, self._loaded_rows, self._is_loading = 0, 0, False
        self._streaming, self._clock, self._is_streaming = 0, 0, False
        #: What happens in this clock; -1 where nothing does: the fold that is loaded and its row, the fold whose stream
        #: starts, the fold whose operands enter and the step that they belong to.
        self.load, self.load_row = -1, 0
        self.starts, self.fold, self.step = -1, -1, 0
        #: Tokens of the operands: fold f's are first_tokens[f] and those behind it; 0 is no operand.
        self.first_tokens: NDArray[np.int64] = 1 + np.cumsum([0, *(fold.streamed for fold in folds)], dtype=np.int64)

    @property
    def is_over(self) -> bool:
        """Whether every fold's last result is in."""
        return self._finished == len(self._folds)

    def finish(self, fold: int, cycle: int) -> None:
        """The last result of a fold is written in this clock."""
        self.finished_at[fold] = cycle
        self._finished += 1

    def stream_clocks(self, fold: Fold) -> int:
        """Clocks of a fold's stream."""
        return self._fixed_clocks + fold.streamed * self._busy_clocks

    def advance(self, cycle: int) -> None:
        """Decide what enters in this clock."""
        self._stream(cycle)
        self._fill(cycle)

    def _stream(self, cycle: int) -> None:
        self.starts, self.fold = -1, -1
        if not self._is_streaming:
            if not self._may_start(cycle):
                return
            self.starts, self.started_at[self._streaming] = self._streaming, cycle
            self._is_streaming, self._clock = True, -self._fixed_clocks
        self._clock += 1
        if self._clock <= 0 or self._clock % self._busy_clocks:
            return
        self.fold, self.step = self._streaming, self._clock // self._busy_clocks - 1
        if self.step == self._folds[self._streaming].streamed - 1:
            self._is_streaming = False
            self._streaming += 1

    def _may_start(self, cycle: int) -> bool:
        number = self._streaming
        if number == len(self._folds):
            return False
        if self._ready_since < 0 and self._is_ready(number, cycle):
            self._ready_since = cycle
        if self._ready_since < 0 or cycle - self._ready_since < self._held_back[number]:
            return False
        self._ready_since = -1
        return True

    def _is_ready(self, number: int, cycle: int) -> bool:
        """Whether the registers would take the fold's first operand in this clock."""
        if self._loads[number] and self._loading <= number:
            return False
        if number == 0:
            return True
        if self._is_serial and self._finished < number:
            return False
        before = self.started_at[number - 1]
        return (cycle - before >= self._spacing
                and self._may_follow(self._folds[number - 1], before, self._folds[number], cycle))

    def _fill(self, cycle: int) -> None:
        """The shadow registers are free once the fold before has started, in this clock or earlier."""
        self.load = -1
        while not self._is_loading and self._loading < len(self._folds):
            taken = self._finished if self._loader_is_serial else self._streaming + int(self._is_streaming)
            if taken < self._loading:
                return
            if self._loads[self._loading]:
                self._is_loading, self._loaded_rows = True, 0
                self.loaded_from[self._loading] = cycle
            else:
                self._loading += 1
        if self._is_loading:
            self.load, self.load_row = self._loading, self._loaded_rows
            self._loaded_rows += 1
            if self._loaded_rows == self._loads[self._loading]:
                self._is_loading = False
                self._loading += 1
