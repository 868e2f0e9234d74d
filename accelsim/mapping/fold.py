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

A short fold behind a longer one waits until its results will find the way out free (`start_interval`): the drain lines of
an output stationary grid, or the wires down a column where partial folds are trimmed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

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
    tail_cycles : from the last operand's entry to the last result.
    ideal_cycles : cycles in which operands entered, or were worked on bit by bit or in passes.
    first, last : the folds at its ends, which the steps before and behind have to agree with.
    cost : of a streamed step.
    """

    preload_cycles: int
    last_start_cycles: int
    stream_cycles: int
    tail_cycles: int
    ideal_cycles: int
    first: FoldRun
    last: FoldRun
    cost: StepCost

    @property
    def total_cycles(self) -> int:
        """The step alone on an idle grid."""
        return self.preload_cycles + self.stream_cycles + self.tail_cycles

    def next_start_cycles(self, grid: PeGrid, following: StreamTiming) -> int:
        """From the last fold's start to the earliest start of the first fold of the step behind this one."""
        return 0 if grid.overlap == "none" else start_interval(grid, self.last, following.first, self.cost)


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
        return StreamTiming(0, serial, serial, 0, ideal, runs[0], runs[-1], cost)
    start = end = 0
    for before, run in pairwise([None, *runs]):
        assert run is not None
        if before is not None:
            start += start_interval(grid, before, run, cost)
        if run.count > 1:
            start += (run.count - 1) * start_interval(grid, run, run, cost)
        # A trimmed fold leaves the grid sooner, perhaps before a larger one in front of it.
        end = max(end, start + cost.stream_cycles(run.streamed) + tail_cycles(grid, rows=run.rows, columns=run.columns))
    stream = start + cost.stream_cycles(runs[-1].streamed)
    return StreamTiming(
        preload_cycles=preload_cycles(grid, rows=runs[0].rows), last_start_cycles=start, stream_cycles=stream,
        tail_cycles=end - stream, ideal_cycles=ideal, first=runs[0], last=runs[-1], cost=cost)


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
            now += start_interval(grid, run, following, cost) if following is not None else 0
    return starts


def start_interval(grid: PeGrid, run: FoldRun, following: FoldRun, cost: StepCost = ONE_CYCLE) -> int:
    """From a fold's start to the next one's, back to back: its stream, the next preload, the swap spacing, the way out.

    The way out of T and T' streamed cycles, D and D' drain cycles of this fold and the next:

    * Output stationary, the drain lines are busy with one fold for D cycles, on the way out and on the way in alike, so
      ``max(D, D')``. The next fold's first results follow this one's last: ``T - T' + D``, the last PE's way included. Its
      results need the drain registers to be free by then.
    * Down a column of sums, the next fold's first sum follows this one's last; a trimmed fold has a shorter way down.

    Examples
    --------
    20 steps, then 1, on 8 rows: results of both would leave at once.

    >>> grid = PeGrid(rows=8, columns=2, dataflow="output_stationary")
    >>> start_interval(grid, FoldRun(1, 20, 8, 2), FoldRun(1, 1, 8, 2))
    27
    """
    stream = cost.stream_cycles(run.streamed)
    interval = max(stream, preload_cycles(grid, rows=following.rows), grid.swap_spacing)
    if grid.dataflow == "output_stationary":
        own, ahead = (drain_cycles(grid, rows=fold.rows, columns=fold.columns) for fold in (run, following))
        hop = grid.registers_per_column_hop if grid.drain == "columns" else grid.registers_per_row_hop
        shorter = stream - cost.stream_cycles(following.streamed)
        return max(interval, own, ahead, shorter + min(own, ahead), shorter + own + (own - ahead) * hop)
    if grid.has_column_sums and following.rows < run.rows:
        first_sum = cost.fixed_cycles + cost.cycles
        return max(interval, stream + (run.rows - following.rows) * grid.registers_per_row_hop + 1 - first_sum)
    return interval
