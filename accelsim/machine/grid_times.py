"""How long the PE grid and the requantizer take: asked anew for every step of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.fold import StreamTiming
from accelsim.mapping.program import Compute

#: Who knows: closed forms (tile), or registers that are moved in every clock cycle (stepped).
Engine = Literal["tile", "stepped"]


class GridTimes(ABC):
    """Cycles of the grid, the accumulators and the requantizer; memory is simulated around them."""

    engine: Engine

    @abstractmethod
    def timing(self, layer: str, step: Compute) -> StreamTiming:
        """Of a compute step of this layer by itself."""

    @abstractmethod
    def next_start_cycles(self, layer: str, before: Compute, step: Compute) -> int:
        """From the start of the last fold of a step to the earliest start of the first one of the step behind it."""

    @abstractmethod
    def requantize_cycles(self, outputs: int) -> int:
        """From the first accumulator's reading to the last output's writing."""


class TileTimes(GridTimes):
    """Closed forms: those of `accelsim.mapping.fold`, which the program's steps bring with them, and ``latency +
    ceil(outputs / lanes)`` of the requantizer."""

    engine: Engine = "tile"

    def __init__(self, accelerator: Accelerator) -> None:
        self._grid, self._requantizer = accelerator.pe_grid, accelerator.requantizer

    def timing(self, layer: str, step: Compute) -> StreamTiming:
        return step.timing

    def next_start_cycles(self, layer: str, before: Compute, step: Compute) -> int:
        return before.timing.next_start_cycles(self._grid, step.timing)

    def requantize_cycles(self, outputs: int) -> int:
        return self._requantizer.latency_cycles + -(-outputs // self._requantizer.lanes)
