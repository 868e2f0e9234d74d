"""What the stepped grids of all dataflows share: the work, the clock, and what is known of the folds under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.machine.stepped.control import Control
from accelsim.machine.stepped.events import EventLog
from accelsim.machine.stepped.fold import Fold
from accelsim.machine.stepped.layout import Layout, Numbers
from accelsim.machine.stepped.recorder import ClockRecorder
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register


@dataclass(frozen=True, eq=False)
class StepWork:
    """One compute step as the registers get it.

    Parameters
    ----------
    folds : in order of execution. layout : their operands.
    start : what the accumulators start from, (G, M, N): biases, which may not fit, or what they hold.
    is_held : whether it is the latter.
    accumulator, wires : the registers of the accumulators, and of the wires between PEs where sums travel on them.
    delays : see `Control`.
    """

    grid: PeGrid
    folds: Sequence[Fold]
    layout: Layout
    start: Integers
    is_held: bool
    accumulator: Register
    wires: Register
    delays: Sequence[int] = ()

    @cached_property
    def last_k(self) -> Numbers:
        """Last reduction step of each fold."""
        return np.array([fold.k[1] - 1 for fold in self.folds], dtype=np.int64)


class GridRegisters:
    """The registers of one grid, born and dying with a step."""

    control: Control

    def __init__(self, work: StepWork) -> None:
        self.work, self.log = work, EventLog()
        #: Folds whose streams have started and whose last result is not in yet.
        self._under_way: list[int] = []

    def run(self, recorder: ClockRecorder | None = None) -> int:
        """Clock until the last result is in; returns the number of clocks."""
        cycle, control = 0, self.control
        registers = self.registers() if recorder is not None else {}
        while not control.is_over:
            control.advance(cycle)
            if control.starts >= 0:
                self._under_way.append(control.starts)
                self.begin(control.starts, cycle)
            self.clock(cycle)
            if recorder is not None:
                recorder.clock(cycle, registers)
            cycle += 1
        return cycle

    def finish(self, number: int, cycle: int) -> None:
        """The last result of a fold is written in this clock."""
        self._under_way.remove(number)
        self.control.finish(number, cycle)

    def begin(self, number: int, cycle: int) -> None:
        """The stream of a fold starts in this clock."""
        raise NotImplementedError

    def clock(self, cycle: int) -> None:
        """Move everything by one clock."""
        raise NotImplementedError

    def registers(self) -> Mapping[str, NDArray[Any]]:
        """What a recorder sees: live arrays by name."""
        raise NotImplementedError

    def held(self) -> Integers:
        """The accumulators of all outputs, (G, M, N)."""
        raise NotImplementedError

    def fold_of(self, tokens: Numbers) -> Numbers:
        """Numbers of the folds that operands belong to."""
        return np.searchsorted(self.control.first_tokens, tokens, side="right") - 1


def with_tokens(values: NDArray[Any], first: int) -> NDArray[Any]:
    """A stream (T, ..., lanes) as lines of planes, with the operands' tokens from `first` on in the last plane."""
    steps, lanes = values.shape[0], values.shape[-1]
    tokens = np.broadcast_to(np.arange(first, first + steps)[:, None, None], (steps, 1, lanes))
    return np.concatenate([values.reshape(steps, -1, lanes), tokens.astype(values.dtype)], axis=1)


class Waves:
    """Operands on which something happens at every PE that they reach: the first or the last of a fold.

    Parameters
    ----------
    clocks : after which an operand has left the last PE.
    """

    def __init__(self, clocks: int) -> None:
        self._clocks = clocks
        self._moving: list[tuple[int, int, int]] = []

    def start(self, *, token: int, fold: int, cycle: int) -> None:
        """The operand enters in this clock."""
        self._moving.append((token, fold, cycle + self._clocks))

    def at(self, cycle: int) -> list[tuple[int, int, int]]:
        """(token, fold, last clock) of those that are on the grid."""
        if self._moving and self._moving[0][2] < cycle:
            del self._moving[0]
        return self._moving
