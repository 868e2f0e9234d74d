"""One compute step on the stepped grid: every register moved in every clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.column_sums import ColumnSums
from accelsim.machine.stepped.events import StepEvents
from accelsim.machine.stepped.fold import Fold, folds
from accelsim.machine.stepped.grid_registers import GridRegisters, StepWork
from accelsim.machine.stepped.keeper import kind_of
from accelsim.machine.stepped.layout import Layout
from accelsim.machine.stepped.own_sums import OwnSums
from accelsim.machine.stepped.recorder import ClockRecorder
from accelsim.machine.stepped.tree_sums import TreeSums
from accelsim.mapping.fold import ONE_CYCLE, FoldRun
from accelsim.mapping.fold_plan import BlockShape, step_cost
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.integer_array import Integers, magnitude
from accelsim.numerics.register import Register

_GRIDS: dict[str, type[GridRegisters]] = {"weight_stationary": ColumnSums, "input_stationary": ColumnSums,
                                          "output_stationary": OwnSums, "dot_product": TreeSums}

#: Registers of a run that looks at cycles alone.
_ANY = Register(32, "wrap")


class FoldTimes(NamedTuple):
    """Clocks of one fold.

    Parameters
    ----------
    load : the first in which its stationary operands are loaded, or `start`, if none are.
    start : of its stream. first_operand : behind the fixed clocks of a fold. last_operand, last_result : as they say.
    """

    load: int
    start: int
    first_operand: int
    last_operand: int
    last_result: int


@dataclass(frozen=True, eq=False)
class StepRun:
    """What a step did.

    Cycles count from `origin`: the clock of the first operand, or, without overlap, of the first load.

    Parameters
    ----------
    folds : times of each fold, counted from `origin`.
    origin : as a recorder counts the clocks. clocks : of the whole run.
    held : what the accumulators hold in the end, int64 (G, M, N); zeros in a run of cycles alone.
    events : overflows, one by one.
    """

    folds: tuple[FoldTimes, ...]
    origin: int
    clocks: int
    held: Integers
    events: StepEvents

    @property
    def total_cycles(self) -> int:
        """From the first load to the last result. Sums of earlier steps that an output stationary grid takes in before its
        first operand do not count: no step waits for them."""
        return 1 + max(fold.last_result for fold in self.folds) - self.folds[0].load


def run_step(grid: PeGrid, work: GemmWork, block: BlockShape, *, inputs: NDArray[Any], weights: NDArray[Any],
             start: Integers, is_held: bool, accumulator: Register, wires: Register, delays: Sequence[int] = (),
             recorder: ClockRecorder | None = None) -> StepRun:
    """Clock the grid through one compute step.

    Parameters
    ----------
    inputs, weights : integers (G, M, K) and (G, N, K), a channel of ones behind the others if the block has one.
    start : what the accumulators start from, (G, 1 or M, N): exact biases, or what they hold from an earlier step.
    is_held : whether it is the latter.
    accumulator, wires : the registers; "error" goes on as "wrap" does. `wires` matter where sums travel between PEs.
    delays : by how many clocks the buffers' ports hold back the start of each fold, over all folds so far.
    recorder : called in every clock.

    Examples
    --------
    One PE, three products; the wires hold 8 bits and wrap:

    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(1, 1), columns=Axis(1, 1), channels=3, n=1, has_channel_groups=False,
    ...                 weight_bits=8, input_bits=8, output_bits=8)
    >>> grid = PeGrid(rows=3, columns=1, dataflow="weight_stationary")
    >>> run = run_step(grid, work, BlockShape(groups=1, positions=1, n=1, k_first=0, k=3),
    ...                inputs=np.array([[[100, 100, -100]]]), weights=np.array([[[1, 1, 1]]]), start=np.array([[[5]]]),
    ...                is_held=False, accumulator=Register(16, "wrap"), wires=Register(8, "wrap"))
    >>> run.folds, run.held.tolist()
    ((FoldTimes(load=-3, start=0, first_operand=0, last_operand=0, last_result=2),), [[[105]]])
    >>> [(int(k), int(row), int(cycle)) for k, row, cycle in zip(run.events.k, run.events.row, run.events.cycle)]
    [(1, 1, 1), (2, 2, 2)]
    """
    product = magnitude(inputs) * magnitude(weights) * (grid.columns if grid.dataflow == "dot_product" else 1)
    kind = kind_of((accumulator, wires), largest_product=product, largest_start=magnitude(start))
    outputs = block.groups, block.positions, block.channels
    layout = Layout(grid, step_cost(grid, work), outputs, inputs.astype(kind), weights.astype(kind))
    start = np.broadcast_to(start, outputs)
    return _run(StepWork(grid, folds(grid, work, block), layout, start, is_held, accumulator, wires, delays), recorder)


def clock_folds(grid: PeGrid, runs: Iterable[FoldRun], cost: StepCost = ONE_CYCLE, *, delays: Sequence[int] = (),
                recorder: ClockRecorder | None = None) -> StepRun:
    """Clock the grid through folds without integers: every register holds 0, and only the cycles are of interest.

    Examples
    --------
    Three folds of 100 steps on a 4 x 4 grid: 4 clocks of loading, 300 of operands, 6 until the last sum is in.

    >>> grid = PeGrid(rows=4, columns=4, dataflow="weight_stationary")
    >>> clock_folds(grid, [FoldRun(3, 100, 4, 4)]).total_cycles
    310
    """
    none = (0, 1)
    of_step = [Fold(none, none, none, none, 0, run.streamed, run.rows, run.columns)
               for run in runs for _ in range(run.count)]
    layout = Layout(grid, cost, (1, 1, 1), None, None)
    return _run(StepWork(grid, of_step, layout, np.zeros((1, 1, 1), np.int64), False, _ANY, _ANY, delays), recorder)


def _run(work: StepWork, recorder: ClockRecorder | None) -> StepRun:
    registers = _GRIDS[work.grid.dataflow](work)
    clocks = registers.run(recorder)
    control, fixed = registers.control, work.layout.cost.fixed_cycles
    has_loads = work.grid.dataflow != "output_stationary"
    loads = [load if load >= 0 and has_loads else start
             for load, start in zip(control.loaded_from, control.started_at, strict=True)]
    origin = (loads if work.grid.overlap == "none" else control.started_at)[0]
    times = tuple(
        FoldTimes(load - origin, start - origin, start + fixed - origin, start + control.stream_clocks(fold) - 1 - origin,
                  last - origin)
        for load, start, last, fold in zip(loads, control.started_at, control.finished_at, work.folds, strict=True))
    return StepRun(times, origin, clocks, registers.held().astype(np.int64), registers.log.result(origin=origin))
