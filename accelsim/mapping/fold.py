"""Cycles of folds on the PE grid: closed forms, one small function per dataflow.

A fold is one filling of the R x C grid. T steps are streamed through it. With h_r and h_c registers per row and column hop
and e extra stages, from the first operand to the last result:

=================  =======================  =======================================================
dataflow           preload                  tail (after the last streamed step has entered)
=================  =======================  =======================================================
weight stationary  R (a row a cycle)        (R - 1) h_r + (C - 1) h_c + e
input stationary   R                        the same
output stationary  0                        the same, then the drain: R (along the columns) or C
dot_product        R (a weight row each)    D + e (adder-tree stages)
=================  =======================  =======================================================

A stream of T steps lasts T cycles, or ``f + T * c`` where the PEs' precision kind needs c cycles for a step and f fixed
cycles before a fold's first operand (`accelsim.hardware.step_cost.StepCost`): below, T stands for that.

One after the other (overlap none), a fold costs preload + T + tail: ``2R + C + T - 2`` in all three systolic dataflows with
one register a hop, which is the form that SCALE-Sim publishes (Samajdar et al. 2020, ISPASS, section III).

Back to back (overlap full), successive folds start ``max(T, R, swap spacing)`` apart: the next weights shift in behind
the stream (WS, IS, dot_product), or the last results shift out behind it (OS). Only the first preload and the last tail
show. A grid with its own `preload_cycles` takes those instead of R.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost

#: One pair of operands a PE and cycle: the grid's own timing.
ONE_CYCLE = StepCost()


@dataclass(frozen=True, slots=True)
class FoldRun:
    """`count` equal folds in a row: T streamed steps on `rows` x `columns` registers."""

    count: int
    streamed: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """Cycles of the folds of one compute step.

    Parameters
    ----------
    preload_cycles : before the first stream; may hide behind the step before.
    last_start_cycles : from the first stream's start to the last fold's start, when the shadow registers are free again.
    stream_cycles : from the first stream's start until the last operand has entered.
    next_start_cycles : from the last fold's start to the earliest start of the next step's first.
    tail_cycles : from the last operand's entry to the last result.
    ideal_cycles : cycles in which operands entered, or were worked on bit by bit or in passes.
    """

    preload_cycles: int
    last_start_cycles: int
    stream_cycles: int
    next_start_cycles: int
    tail_cycles: int
    ideal_cycles: int

    @property
    def total_cycles(self) -> int:
        """The step alone on an idle grid."""
        return self.preload_cycles + self.stream_cycles + self.tail_cycles


def preload_cycles(grid: PeGrid, *, rows: int) -> int:
    """Cycles to fill the stationary registers: one row a cycle, or the grid's own number."""
    if grid.dataflow == "output_stationary":
        return 0
    return rows if grid.preload_cycles is None else grid.preload_cycles


def drain_cycles(grid: PeGrid, *, rows: int, columns: int) -> int:
    """Cycles to shift the results out of the PEs (output stationary only)."""
    if grid.dataflow != "output_stationary":
        return 0
    return rows if grid.drain == "rows" else columns


def tail_cycles(grid: PeGrid, *, rows: int, columns: int) -> int:
    """Cycles from the last operand's entry to the last result.

    Examples
    --------
    >>> tail_cycles(PeGrid(rows=4, columns=8, dataflow="weight_stationary"), rows=4, columns=8)
    10
    """
    if grid.dataflow == "dot_product":
        return grid.adder_tree_stages + grid.extra_stages
    skew = (rows - 1) * grid.registers_per_row_hop + (columns - 1) * grid.registers_per_column_hop
    return skew + grid.extra_stages + drain_cycles(grid, rows=rows, columns=columns)


def serial_fold_cycles(grid: PeGrid, fold: FoldRun, cost: StepCost = ONE_CYCLE) -> int:
    """One fold by itself.

    Examples
    --------
    >>> grid = PeGrid(rows=4, columns=8, dataflow="output_stationary")
    >>> serial_fold_cycles(grid, FoldRun(count=1, streamed=100, rows=4, columns=8))  # 2R + C + T - 2
    114
    """
    preload = preload_cycles(grid, rows=fold.rows)
    return preload + cost.stream_cycles(fold.streamed) + tail_cycles(grid, rows=fold.rows, columns=fold.columns)


def stream_timing(grid: PeGrid, folds: Iterable[FoldRun], cost: StepCost = ONE_CYCLE) -> StreamTiming:
    """Timing of the folds of one step, in order of execution.

    Without overlap the whole step is one stream that nothing hides: its preloads and tails count into `stream_cycles`.

    Examples
    --------
    Three folds of 100 steps back to back on a 4 x 4 grid, R + 2 * max(100, R) + 100 + R + C - 2:

    >>> grid = PeGrid(rows=4, columns=4, dataflow="weight_stationary")
    >>> stream_timing(grid, [FoldRun(3, 100, 4, 4)]).total_cycles
    310

    With two cycles a step, R + 2 * max(200, R) + 200 + R + C - 2:

    >>> stream_timing(grid, [FoldRun(3, 100, 4, 4)], StepCost(cycles=2)).total_cycles
    610
    """
    runs = list(folds)
    ideal = sum(run.count * run.streamed for run in runs) * cost.cycles
    if grid.overlap == "none":
        serial = sum(run.count * serial_fold_cycles(grid, run, cost) for run in runs)
        return StreamTiming(0, serial, serial, 0, 0, ideal)
    last_start = 0
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        last_start += (run.count - 1) * _start_interval(grid, run, run, cost)
        if following is not None:
            last_start += _start_interval(grid, run, following, cost)
    last, stream = runs[-1], cost.stream_cycles(runs[-1].streamed)
    drain = drain_cycles(grid, rows=last.rows, columns=last.columns)
    return StreamTiming(
        preload_cycles=preload_cycles(grid, rows=runs[0].rows), last_start_cycles=last_start,
        stream_cycles=last_start + stream, next_start_cycles=max(stream, drain, grid.swap_spacing),
        tail_cycles=tail_cycles(grid, rows=last.rows, columns=last.columns), ideal_cycles=ideal)


def fold_starts(grid: PeGrid, folds: Iterable[FoldRun], cost: StepCost = ONE_CYCLE) -> list[int]:
    """Cycle at which each fold's first operand enters, from the start of the step's stream.

    Examples
    --------
    >>> grid = PeGrid(rows=4, columns=4, dataflow="weight_stationary")
    >>> fold_starts(grid, [FoldRun(2, 100, 4, 4), FoldRun(1, 2, 4, 4)])
    [0, 100, 200]
    """
    runs = [run for run in folds for _ in range(run.count)]
    starts, now = [], 0
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        if grid.overlap == "none":
            starts.append(now + preload_cycles(grid, rows=run.rows) + cost.fixed_cycles)
            now += serial_fold_cycles(grid, run, cost)
        else:
            starts.append(now + cost.fixed_cycles)
            now += _start_interval(grid, run, following, cost) if following is not None else 0
    return starts


def _start_interval(grid: PeGrid, run: FoldRun, following: FoldRun, cost: StepCost) -> int:
    """From one fold's start to the next one's: its stream, the next preload, its own drain or the swap spacing."""
    hidden = max(preload_cycles(grid, rows=following.rows), drain_cycles(grid, rows=run.rows, columns=run.columns))
    return max(cost.stream_cycles(run.streamed), hidden, grid.swap_spacing)
