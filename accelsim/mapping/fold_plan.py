"""How an output block times a K range falls into folds of the PE grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from accelsim.hardware.pe_grid import PeGrid
from accelsim.mapping.fold import FoldRun
from accelsim.mapping.lowering import GemmWork

#: One size, or a column of sizes of many candidates.
Sizes = TypeVar("Sizes", int, npt.NDArray[np.int64])


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Sizes of one compute step: `groups` x (`positions` x `k`) by (`k` x `n`); the K range begins at `k_first`.

    `sum_channels` is 1 where the step computes a channel of ones for each group, behind its n.
    """

    groups: int
    positions: int
    n: int
    k_first: int
    k: int
    sum_channels: int = 0

    @property
    def channels(self) -> int:
        """Channels of one group that the grid computes."""
        return self.n + self.sum_channels

    @property
    def macs(self) -> int:
        return self.groups * self.positions * self.channels * self.k

    @property
    def outputs(self) -> int:
        return self.groups * self.positions * self.n


def reduction_lanes(grid: PeGrid) -> int:
    """Reduction steps that one fold holds side by side: rows (WS, IS), columns (dot_product), 1 (OS: K is time)."""
    return {"weight_stationary": grid.rows, "input_stationary": grid.rows, "dot_product": grid.columns,
            "output_stationary": 1}[grid.dataflow]


def channel_lanes(grid: PeGrid) -> int:
    """Output channels side by side: columns (WS, OS), rows (dot_product), 1 (IS: N is time)."""
    return {"weight_stationary": grid.columns, "output_stationary": grid.columns, "dot_product": grid.rows,
            "input_stationary": 1}[grid.dataflow]


def position_lanes(grid: PeGrid) -> int:
    """Output positions side by side: rows (OS), columns (IS), 1 elsewhere; times the grid's pixels."""
    lanes = {"output_stationary": grid.rows, "input_stationary": grid.columns}.get(grid.dataflow, 1)
    return lanes * grid.pixels


def groups_per_fold(work: GemmWork, grid: PeGrid) -> int:
    """Groups (of a depthwise or grouped convolution) that share a fold.

    Weight stationary places them block-diagonally: rows and columns both split. Input stationary lets them share the rows,
    their weight streams following one another. The other dataflows have one group a fold. Cells off the diagonal do no MACs.
    """
    depth = work.channels if grid.reduction == "channels" and work.window > 1 else work.k
    if grid.dataflow == "weight_stationary":
        return max(1, min(grid.rows // depth, grid.columns // (work.n + work.sum_channels)))
    if grid.dataflow == "input_stationary":
        return max(1, grid.rows // depth)
    return 1


def accumulator_entries(grid: PeGrid, work: GemmWork, *, groups: Sizes, positions: Sizes, n: Sizes) -> Sizes:
    """Entries per accumulator lane that an output block fills; for numbers or whole columns of candidates.

    `n` counts channels of ones too: every block of a layer with them keeps room for its positions' sums. Groups that fill
    only some of the lanes take turns with them: as many groups as have room beside one another share the depth of one.

    Examples
    --------
    >>> from accelsim.numerics.axis import Axis
    >>> depthwise = GemmWork(groups=64, images=1, rows=Axis(6, 4, kernel=3), columns=Axis(3, 1, kernel=3), channels=1, n=1,
    ...                      has_channel_groups=True, weight_bits=8, input_bits=8, output_bits=8)
    >>> grid = PeGrid(rows=16, columns=16, dataflow="weight_stationary")
    >>> accumulator_entries(grid, depthwise, groups=64, positions=4, n=1)
    16
    """
    if grid.dataflow == "input_stationary":
        return groups * n * _ceil(positions, position_lanes(grid))
    per_fold = groups_per_fold(work, grid)
    side_by_side = channel_lanes(grid) // (per_fold * n)
    side_by_side = side_by_side + (side_by_side == 0)
    packs = _ceil(_ceil(groups, per_fold), side_by_side)
    return packs * _ceil(n, channel_lanes(grid)) * _ceil(positions, grid.pixels)  # type: ignore[no-any-return]


def _ceil(size: Sizes, unit: Sizes | int) -> Sizes:
    return -(-size // unit)


def reduction_segments(grid: PeGrid, work: GemmWork, block: BlockShape) -> list[tuple[int, int]]:
    """(count, length) of the pieces of the K range that a fold must not cross, in order.

    With reduction `window_channels` the whole range is one piece; with `channels` each kernel position is one.
    """
    if grid.reduction == "window_channels":
        return [(1, block.k)]
    channels, first, last = work.channels, block.k_first, block.k_first + block.k
    head = min(last, -(-first // channels) * channels) - first
    whole = (last - first - head) // channels
    tail = last - first - head - whole * channels
    return [(count, length) for count, length in ((1, head), (whole, channels), (1, tail)) if count and length]


def fold_runs(grid: PeGrid, work: GemmWork, block: BlockShape) -> list[FoldRun]:
    """The folds of a step in order of execution: per group pack, per channel (or position) fold, ascending K."""
    runs: list[FoldRun] = []
    for run in _folds(grid, work, block):
        if runs and (runs[-1].streamed, runs[-1].rows, runs[-1].columns) == (run.streamed, run.rows, run.columns):
            runs[-1] = FoldRun(runs[-1].count + run.count, run.streamed, run.rows, run.columns)
        else:
            runs.append(run)
    return runs


def _pieces(length: int, lanes: int) -> list[tuple[int, int]]:
    """`length` cut into full pieces of `lanes` and a rest: (count, piece)."""
    full, rest = divmod(length, lanes)
    return [(count, piece) for count, piece in ((full, lanes), (1, rest)) if count and piece]


def _repeated(pieces: list[tuple[int, int]]) -> Iterator[int]:
    for count, piece in pieces:
        for _ in range(count):
            yield piece


def _folds(grid: PeGrid, work: GemmWork, block: BlockShape) -> Iterator[FoldRun]:
    segments = reduction_segments(grid, work, block)
    if not grid.trims_partial_folds:
        yield from _untrimmed(grid, work, block, segments)
        return
    per_fold = groups_per_fold(work, grid)
    reduction = [piece for length in _repeated(segments) for piece in _pieces(length, reduction_lanes(grid))]
    for groups in _repeated(_pieces(block.groups, per_fold)):
        if grid.dataflow == "output_stationary":
            for positions in _repeated(_pieces(block.positions, position_lanes(grid))):
                for n in _repeated(_pieces(block.channels, grid.columns)):
                    for length in _repeated(segments):
                        yield FoldRun(1, length, -(-positions // grid.pixels), n)
        elif grid.dataflow == "input_stationary":
            for positions in _repeated(_pieces(block.positions, position_lanes(grid))):
                for count, k in reduction:
                    yield FoldRun(count, groups * block.channels, groups * k, -(-positions // grid.pixels))
        else:
            streamed = -(-block.positions // grid.pixels)
            for n in _repeated(_pieces(block.channels, channel_lanes(grid))):
                for count, k in reduction:
                    rows, columns = (n, k) if grid.dataflow == "dot_product" else (groups * k, groups * n)
                    yield FoldRun(count, streamed, rows, columns)


def _untrimmed(
    grid: PeGrid, work: GemmWork, block: BlockShape, segments: list[tuple[int, int]]
) -> Iterator[FoldRun]:
    """Folds that all occupy the whole grid, so that only their streamed lengths tell them apart."""
    rows, columns, lanes = grid.rows, grid.columns, reduction_lanes(grid)
    position_folds = -(-block.positions // position_lanes(grid))
    channel_folds = -(-block.channels // channel_lanes(grid))
    if grid.dataflow == "output_stationary":
        tiles = block.groups * position_folds * channel_folds
        if len(segments) == 1:
            yield FoldRun(tiles * segments[0][0], segments[0][1], rows, columns)
            return
        for _ in range(tiles):
            for count, length in segments:
                yield FoldRun(count, length, rows, columns)
        return
    reduction_folds = sum(count * -(-length // lanes) for count, length in segments)
    if grid.dataflow == "input_stationary":
        for count, groups in _pieces(block.groups, groups_per_fold(work, grid)):
            yield FoldRun(count * position_folds * reduction_folds, groups * block.channels, rows, columns)
        return
    packs = -(-block.groups // groups_per_fold(work, grid))
    yield FoldRun(packs * channel_folds * reduction_folds, -(-block.positions // grid.pixels), rows, columns)


def operand_reads(grid: PeGrid, work: GemmWork, block: BlockShape) -> tuple[int, int]:
    """(weight elements, input elements) that the grid reads from the on-chip buffers in this step.

    The stationary operand is read once; the streamed ones once for every fold of the dimension that they do not have.
    Weights of ones are wired, not read.
    """
    weights = block.groups * block.n * block.k
    inputs = block.groups * block.positions * block.k
    position_folds = -(-block.positions // position_lanes(grid))
    channel_folds = -(-block.channels // channel_lanes(grid))
    if grid.dataflow == "output_stationary":
        return weights * position_folds, inputs * channel_folds
    if grid.dataflow == "input_stationary":
        return weights * position_folds, inputs
    return weights, inputs * channel_folds


def accumulator_updates(grid: PeGrid, work: GemmWork, block: BlockShape) -> int:
    """Additions into the accumulator memory: one per output and K-fold; output stationary drains an output once a piece of
    the K range (the whole range, or a kernel position)."""
    segments = reduction_segments(grid, work, block)
    sums = block.groups * block.positions * block.channels
    if grid.dataflow == "output_stationary":
        return sums * sum(count for count, _ in segments)
    lanes = reduction_lanes(grid)
    return sums * sum(count * -(-length // lanes) for count, length in segments)
