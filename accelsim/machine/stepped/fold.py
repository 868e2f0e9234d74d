"""The folds of a compute step, in order: which products each holds, and where it puts them on the grid.

A fold is one filling of the grid. This is a list of work, without a cycle in it: when a fold starts is for the registers
to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.mapping.fold_plan import (
    BlockShape,
    channel_lanes,
    groups_per_fold,
    pe_depth,
    position_lanes,
    reduction_lanes,
    reduction_segments,
    step_cost,
)
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.program import Range
from accelsim.mapping.tiling import ranges


@dataclass(frozen=True, slots=True)
class Fold:
    """Ranges of a step's loops, counted from its first, and the registers that they fill.

    Parameters
    ----------
    groups, m, n, k : half-open ranges; n counts the channel of ones.
    piece : number of this K piece among those of its outputs, from 0.
    streamed : steps that are streamed through the grid.
    rows, columns : registers that take part: the whole grid, unless it trims partial folds.
    """

    groups: Range
    m: Range
    n: Range
    k: Range
    piece: int
    streamed: int
    rows: int
    columns: int

    @property
    def members(self) -> int:
        """Groups that share the fold."""
        return self.groups[1] - self.groups[0]

    @property
    def depth(self) -> int:
        """Reduction steps of each group."""
        return self.k[1] - self.k[0]

    @property
    def channels(self) -> int:
        """Output channels of each group."""
        return self.n[1] - self.n[0]

    @property
    def positions(self) -> int:
        return self.m[1] - self.m[0]


def folds(grid: PeGrid, work: GemmWork, block: BlockShape) -> list[Fold]:
    """The folds of a step in order of execution: per group pack, position fold and channel fold, ascending K.

    Examples
    --------
    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(1, 1), channels=6, n=4, has_channel_groups=False,
    ...                 weight_bits=8, input_bits=8, output_bits=8)
    >>> grid = PeGrid(rows=4, columns=4, dataflow="weight_stationary")
    >>> [(fold.k, fold.streamed) for fold in folds(grid, work, BlockShape(groups=1, positions=8, n=4, k_first=0, k=6))]
    [((0, 4), 8), ((4, 6), 8)]
    """
    cost = step_cost(grid, work)
    pieces = list(_pieces(grid, work, block, cost))
    return [_fold(grid, cost, groups, m, n, k, piece)
            for groups in ranges(block.groups, groups_per_fold(work, grid))
            for m in _position_folds(grid, block)
            for n in _channel_folds(grid, block, cost)
            for piece, k in enumerate(pieces)]


def _pieces(grid: PeGrid, work: GemmWork, block: BlockShape, cost: StepCost) -> Iterator[Range]:
    """The K range, cut at the grid's depth; where K is time, only at the kernel positions."""
    first = 0
    for count, length in reduction_segments(grid, work, block):
        lanes = length if grid.dataflow == "output_stationary" else reduction_lanes(grid, cost)
        for _ in range(count):
            yield from ((first + start, first + end) for start, end in ranges(length, lanes))
            first += length


def _position_folds(grid: PeGrid, block: BlockShape) -> Iterator[Range]:
    is_streamed = grid.dataflow in ("weight_stationary", "dot_product")
    return ranges(block.positions, block.positions if is_streamed else position_lanes(grid))


def _channel_folds(grid: PeGrid, block: BlockShape, cost: StepCost) -> Iterator[Range]:
    is_streamed = grid.dataflow == "input_stationary"
    return ranges(block.channels, block.channels if is_streamed else channel_lanes(grid, cost))


def _fold(grid: PeGrid, cost: StepCost, groups: Range, m: Range, n: Range, k: Range, piece: int) -> Fold:
    members, channels = groups[1] - groups[0], n[1] - n[0]
    lanes, depth = -(-(m[1] - m[0]) // grid.pixels), pe_depth(members * (k[1] - k[0]), cost)
    pes = min(members * channels, channel_lanes(grid))
    streamed, rows, columns = {
        "weight_stationary": (lanes, depth, pes),
        "input_stationary": (members * -(-channels // cost.channels), depth, lanes),
        "output_stationary": (depth, lanes, pes),
        "dot_product": (lanes, pes, depth)}[grid.dataflow]
    if not grid.trims_partial_folds:
        rows, columns = grid.rows, grid.columns
    return Fold(groups, m, n, k, piece, streamed, min(rows, grid.rows), min(columns, grid.columns))
