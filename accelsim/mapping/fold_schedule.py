"""Where and when a compute step adds a given product: which fold, which PE, which cycle.

Cycles count from the start of the step's first stream. A fold f starts at ``starts[f]``; inside it, with t the place of the
operand in the stream and c the cycles that a step keeps the PEs busy (1, but for some precision kinds), so that
``u = t * c + c - 1``,

=================  ==============================================  ===============================================
dataflow           product on PE (row, column)                     column (row) sum into the accumulator
=================  ==============================================  ===============================================
systolic           starts[f] + u + row * h_r + column * h_c        starts[f] + u + (R - 1) * h_r + column * h_c + e
output stationary  the same                                        the PE's own: the same
dot_product        starts[f] + u                                   starts[f] + u + D + e
=================  ==============================================  ===============================================

h_r, h_c are registers per hop, e extra stages, D stages of the adder tree; all agree with `accelsim.mapping.fold`: the last
of these cycles is the last before the step's end. Groups that share a fold have their reduction steps one behind the other;
channels of a fold beyond the PEs side by side begin again with the first of them. A bias passes the accumulator's register
in the cycle of the first addition to it. A stream that the buffers' ports slow down is stretched evenly over its folds. The
tests hold all of this against the registers of `accelsim.machine.stepped`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.mapping.fold import fold_starts
from accelsim.mapping.fold_plan import (
    BlockShape,
    channel_lanes,
    fold_runs,
    groups_per_fold,
    position_lanes,
    reduction_lanes,
    reduction_segments,
    step_cost,
)
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.addition_order import AdditionKind, AdditionOrder

Numbers = NDArray[np.int64]

_KINDS: dict[str, AdditionKind] = {"weight_stationary": "column_sums", "input_stationary": "column_sums",
                                   "output_stationary": "products", "dot_product": "fold_sums"}


def addition_order(grid: PeGrid, work: GemmWork, block: BlockShape) -> AdditionOrder:
    """The order in which a step's products are added.

    Examples
    --------
    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(1, 1), channels=40, n=4, has_channel_groups=False,
    ...                 weight_bits=8, input_bits=8, output_bits=8)
    >>> grid = PeGrid(rows=16, columns=16, dataflow="weight_stationary")
    >>> addition_order(grid, work, BlockShape(groups=1, positions=8, n=4, k_first=0, k=40))
    AdditionOrder(kind='column_sums', pieces=(16, 16, 8))
    """
    segments = [length for count, length in reduction_segments(grid, work, block) for _ in range(count)]
    kind = _KINDS[grid.dataflow]
    if kind == "products":
        return AdditionOrder(kind, tuple(segments))
    lanes = reduction_lanes(grid, step_cost(grid, work))
    return AdditionOrder(kind, tuple(min(lanes, length - first) for length in segments for first in range(0, length, lanes)))


class Places(NamedTuple):
    """PE or accumulator lane, and cycle from the start of the step's stream, of some additions.

    `rows` and `columns` are those of a PE; an accumulator at the edge of the grid has a row of -1 (dot_product: a column).
    """

    rows: Numbers
    columns: Numbers
    cycles: Numbers

    def chosen(self, which: NDArray[np.bool_]) -> Places:
        """Those of some of the additions."""
        return Places(self.rows[which], self.columns[which], self.cycles[which])


@dataclass(frozen=True)
class FoldSchedule:
    """The folds of one compute step.

    Parameters
    ----------
    lag_cycles : by which the buffers' ports make the stream longer.
    """

    grid: PeGrid
    work: GemmWork
    block: BlockShape
    lag_cycles: int = 0

    @cached_property
    def _order(self) -> AdditionOrder:
        return addition_order(self.grid, self.work, self.block)

    @cached_property
    def _cost(self) -> StepCost:
        return step_cost(self.grid, self.work)

    @cached_property
    def _starts(self) -> Numbers:
        runs = fold_runs(self.grid, self.work, self.block)
        starts = np.asarray(fold_starts(self.grid, runs, self._cost), dtype=np.int64)
        return starts + self.lag_cycles * np.arange(starts.size) // max(1, starts.size - 1)

    @cached_property
    def _rows(self) -> Numbers:
        """Rows that each fold occupies."""
        runs = fold_runs(self.grid, self.work, self.block)
        return np.repeat([run.rows for run in runs], [run.count for run in runs])

    def places(self, groups: Numbers, m: Numbers, n: Numbers, k: Numbers, on_wires: NDArray[np.bool_]) -> Places:
        """Of additions to outputs (group, m, n) at step k; all count from the block's first, k = -1 is the bias."""
        grid, work, cost, lanes = self.grid, self.work, self._cost, position_lanes(self.grid)
        side, pes = channel_lanes(grid, cost), channel_lanes(grid)
        k = np.maximum(k, 0)
        pieces = np.searchsorted(self._order.starts, k, side="right") - 1
        depth, steps = k - self._order.starts[pieces], np.asarray(self._order.pieces, dtype=np.int64)[pieces]
        pack, member = np.divmod(groups, groups_per_fold(work, grid))
        channel_folds, position_folds = -(-self.block.channels // side), -(-self.block.positions // lanes)
        along = (member * steps + depth) * cost.reduction.denominator // cost.reduction.numerator
        count = len(self._order.pieces)
        if grid.dataflow == "output_stationary":
            fold = ((groups * position_folds + m // lanes) * channel_folds + n // side) * count + pieces
            rows, columns, t = m % lanes // grid.pixels, n % side % pes, along
        elif grid.dataflow == "input_stationary":
            fold = (pack * position_folds + m // lanes) * count + pieces
            rows, columns = along, m % lanes // grid.pixels
            t = member * -(-self.block.channels // cost.channels) + n // cost.channels
        else:
            fold = (pack * channel_folds + n // side) * count + pieces
            t = m // grid.pixels
            rows, columns = along, (member * (work.n + work.sum_channels) + n % side) % pes
            if grid.dataflow == "dot_product":
                rows, columns = columns, along
        return self._timed(fold, t * cost.cycles + cost.cycles - 1, rows, columns, on_wires)

    def _timed(self, fold: Numbers, t: Numbers, rows: Numbers, columns: Numbers, on_wires: NDArray[np.bool_]) -> Places:
        grid, start = self.grid, self._starts[fold]
        if grid.dataflow == "dot_product":
            cycles, columns = start + t + grid.adder_tree_stages + grid.extra_stages, np.full_like(columns, -1)
        else:
            skew = columns * grid.registers_per_column_hop
            on_pe = start + t + rows * grid.registers_per_row_hop + skew
            if grid.dataflow == "output_stationary":
                cycles = on_pe
            else:
                at_edge = start + t + (self._rows[fold] - 1) * grid.registers_per_row_hop + skew + grid.extra_stages
                cycles, rows = np.where(on_wires, on_pe, at_edge), np.where(on_wires, rows, -1)
        return Places(rows, columns, cycles)
