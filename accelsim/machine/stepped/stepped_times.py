"""Times of a run's steps, each measured on the registers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.grid_times import Engine, GridTimes
from accelsim.machine.stepped.requantizer_lanes import clock_requantizer
from accelsim.machine.stepped.step_run import StepRun, clock_folds
from accelsim.machine.values.grid_layer import block_shape
from accelsim.mapping.fold import ONE_CYCLE, FoldRun, StreamTiming
from accelsim.mapping.fold_plan import fold_runs, step_cost
from accelsim.mapping.lowering import GemmWork, lower
from accelsim.mapping.program import Compute, Program, Requantize
from accelsim.workload.layer import Layer

#: Folds in order, and what a step of them costs: all that a step's times depend on.
_Key = tuple[tuple[FoldRun, ...], StepCost]

#: How long the speed of this computer is measured.
_MEASURED_SECONDS = 0.05


def measured(grid: PeGrid, runs: Sequence[FoldRun], cost: StepCost, run: StepRun) -> StreamTiming:
    """What a run of a step's folds tells the machine. Without overlap the whole step is one stream that nothing hides."""
    folds = run.folds
    ideal = sum(fold.last_operand + 1 - fold.first_operand for fold in folds)
    if grid.overlap == "none":
        return StreamTiming(0, run.total_cycles, run.total_cycles, 0, ideal, runs[0], runs[-1], cost)
    stream = folds[-1].last_operand + 1
    return StreamTiming(
        preload_cycles=folds[0].start - folds[0].load, last_start_cycles=folds[-1].start, stream_cycles=stream,
        tail_cycles=1 + max(fold.last_result for fold in folds) - stream, ideal_cycles=ideal, first=runs[0], last=runs[-1],
        cost=cost)


class SteppedTimes(GridTimes):
    """Clocks the grid through every step that differs from those before; steps of the same folds take the same cycles.

    Parameters
    ----------
    layers : of the network, as they are executed.
    """

    engine: Engine = "stepped"

    def __init__(self, accelerator: Accelerator, layers: Iterable[Layer]) -> None:
        self._grid, self._requantizer = accelerator.pe_grid, accelerator.requantizer
        self._works = {layer.name: lower(layer, has_row_sum_unit=self._grid.row_sum_unit)
                       for layer in layers if layer.is_on_grid}
        self._timings: dict[_Key, StreamTiming] = {}
        self._intervals: dict[tuple[FoldRun, FoldRun, StepCost], int] = {}
        self._requantized: dict[int, int] = {}

    def work(self, layer: str) -> GemmWork:
        """The matrix products of a layer."""
        return self._works[layer]

    def _key(self, layer: str, step: Compute) -> _Key:
        work = self._works[layer]
        return tuple(fold_runs(self._grid, work, block_shape(step))), step_cost(self._grid, work)

    def timing(self, layer: str, step: Compute) -> StreamTiming:
        key = self._key(layer, step)
        if key not in self._timings:
            self._timings[key] = measured(self._grid, *key, clock_folds(self._grid, *key))
        return self._timings[key]

    def next_start_cycles(self, layer: str, before: Compute, step: Compute) -> int:
        """Measured with the last fold of one step and the first of the other alone on the grid: what older folds still
        occupy, they leave before the last one does."""
        if self._grid.overlap == "none":
            return 0  # the whole step is one stream
        (earlier, cost), (later, _) = self._key(layer, before), self._key(layer, step)
        key = (FoldRun(1, earlier[-1].streamed, earlier[-1].rows, earlier[-1].columns),
               FoldRun(1, later[0].streamed, later[0].rows, later[0].columns), cost)
        if key not in self._intervals:
            first, second = clock_folds(self._grid, key[:2], cost).folds
            self._intervals[key] = second.start - first.start
        return self._intervals[key]

    def requantize_cycles(self, outputs: int) -> int:
        if outputs not in self._requantized:
            self._requantized[outputs] = clock_requantizer(self._requantizer, np.zeros(outputs, np.int8)).cycles
        return self._requantized[outputs]

    def estimate(self, program: Program, *, samples: int) -> Estimate:
        """How long a run of this program will take here; with integers of so many samples, 0 for none.

        From the closed forms of the program's steps, and the speed at which this computer clocks the grid. Integers that
        overflow take longer: each is looked at by itself.
        """
        clocks, largest = 0, (0, ONE_CYCLE)
        seen: set[_Key | int] = set()
        for layer in program.layers:
            for step in layer.steps:
                key: _Key | int
                if isinstance(step, Requantize):
                    once, key = self._requantizer.latency_cycles + -(-step.outputs // self._requantizer.lanes), step.outputs
                elif isinstance(step, Compute):
                    once, key = step.timing.total_cycles, self._key(layer.layer, step)
                    largest = max(largest, (once, key[1]), key=lambda pair: pair[0])
                else:
                    continue
                clocks += once * (samples + (key not in seen))
                seen.add(key)
        return Estimate(clocks, clocks_per_second(self._grid, largest[1]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stepped run will take: clock cycles to be moved through, and how many this computer does in a second."""

    clocks: int
    clocks_per_second: float

    @property
    def seconds(self) -> float:
        return self.clocks / self.clocks_per_second


def clocks_per_second(grid: PeGrid, cost: StepCost = ONE_CYCLE) -> float:
    """How many clock cycles of this grid a second of this computer's time moves."""
    clocks, folds, started = 0, [FoldRun(4, 64, grid.rows, grid.columns)], time.perf_counter()
    while True:
        clocks += clock_folds(grid, folds, cost).clocks
        elapsed = time.perf_counter() - started
        if elapsed >= _MEASURED_SECONDS:
            return clocks / elapsed
