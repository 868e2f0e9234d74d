"""How an output block times a K range falls into folds of the PE grid.

A PE whose precision kind takes several pairs of operands in a step (`accelsim.hardware.step_cost.StepCost`) widens the grid:
successive reduction steps lie in one PE (step k of a fold in PE k // reduction), and channel n of a fold lies in PE n modulo
the PEs side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import LayerForm, StepCost
from accelsim.mapping.fold import ONE_CYCLE, FoldRun
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


def step_cost(grid: PeGrid, work: GemmWork) -> StepCost:
    """What a streamed step of this layer costs on this grid.

    Examples
    --------
    >>> from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(1, 1), channels=40, n=4, has_channel_groups=False,
    ...                 weight_bits=4, input_bits=4, output_bits=8)
    >>> grid = PeGrid(rows=4, columns=4, dataflow="weight_stationary", precision=BitFusionPrecision(kind="bit_fusion"))
    >>> reduction_lanes(grid, step_cost(grid, work))
    16
    """
    form: LayerForm = "window"
    if work.window == 1:
        form = "pointwise"
    elif work.has_channel_groups and work.channels == 1 and work.groups > 1:
        form = "depthwise"
    return grid.precision.step_cost(weight_bits=work.weight_bits, input_bits=work.input_bits, form=form)


def reduction_lanes(grid: PeGrid, cost: StepCost = ONE_CYCLE) -> int:
    """Reduction steps that one fold holds side by side: in rows (WS, IS) or columns (dot_product) of PEs, or in a PE (OS,
    where K is time)."""
    pes = {"weight_stationary": grid.rows, "input_stationary": grid.rows, "dot_product": grid.columns,
           "output_stationary": 1}[grid.dataflow]
    return max(1, int(pes * cost.reduction))


def channel_lanes(grid: PeGrid, cost: StepCost = ONE_CYCLE) -> int:
    """Output channels side by side: in columns (WS, OS) or rows (dot_product) of PEs, or in a PE (IS, where N is time)."""
    pes = {"weight_stationary": grid.columns, "output_stationary": grid.columns, "dot_product": grid.rows,
           "input_stationary": 1}[grid.dataflow]
    return pes * cost.channels


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
    cost = step_cost(grid, work)
    lanes = reduction_lanes(grid, cost)
    if grid.dataflow == "weight_stationary":
        return max(1, min(lanes // depth, channel_lanes(grid, cost) // (work.n + work.sum_channels)))
    if grid.dataflow == "input_stationary":
        return max(1, lanes // depth)
    return 1


def accumulator_entries(grid: PeGrid, work: GemmWork, *, groups: Sizes, positions: Sizes, n: Sizes) -> Sizes:
    """Entries per accumulator lane that an output block fills; for numbers or whole columns of candidates.

    `n` counts channels of ones too: every block of a layer with them keeps room for its positions' sums. Groups that fill
    only some of the lanes take turns with them: as many groups as have room beside one another share the depth of one.
    A lane is that of a PE, whatever number of channels the PE works on at once.

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
    depth = _ceil(per_fold * n, channel_lanes(grid)) * _ceil(positions, grid.pixels)
    return packs * depth  # type: ignore[no-any-return]


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
    segments, cost = reduction_segments(grid, work, block), step_cost(grid, work)
    if not grid.trims_partial_folds:
        yield from _untrimmed(grid, work, block, segments, cost)
        return
    per_fold = groups_per_fold(work, grid)
    reduction = [piece for length in _repeated(segments) for piece in _pieces(length, reduction_lanes(grid, cost))]
    for groups in _repeated(_pieces(block.groups, per_fold)):
        if grid.dataflow == "output_stationary":
            for positions in _repeated(_pieces(block.positions, position_lanes(grid))):
                for n in _repeated(_pieces(block.channels, channel_lanes(grid, cost))):
                    for length in _repeated(segments):
                        yield FoldRun(1, pe_depth(length, cost), -(-positions // grid.pixels), min(n, grid.columns))
        elif grid.dataflow == "input_stationary":
            streamed = groups * -(-block.channels // cost.channels)
            for positions in _repeated(_pieces(block.positions, position_lanes(grid))):
                for count, k in reduction:
                    yield FoldRun(count, streamed, pe_depth(groups * k, cost), -(-positions // grid.pixels))
        else:
            streamed = -(-block.positions // grid.pixels)
            for n in _repeated(_pieces(block.channels, channel_lanes(grid, cost))):
                for count, k in reduction:
                    depth, pes = pe_depth(groups * k, cost), min(groups * n, channel_lanes(grid))
                    rows, columns = (pes, depth) if grid.dataflow == "dot_product" else (depth, pes)
                    yield FoldRun(count, streamed, rows, columns)


def pe_depth(k: int, cost: StepCost) -> int:
    """PEs, or streamed steps of one PE, that so many reduction steps take.

    Examples
    --------
    >>> from fractions import Fraction
    >>> pe_depth(10, StepCost(reduction=Fraction(4))), pe_depth(10, StepCost(reduction=Fraction(1, 9)))
    (3, 90)
    """
    return -(-k * cost.reduction.denominator // cost.reduction.numerator)


def _untrimmed(
    grid: PeGrid, work: GemmWork, block: BlockShape, segments: list[tuple[int, int]], cost: StepCost
) -> Iterator[FoldRun]:
    """Folds that all occupy the whole grid, so that only their streamed lengths tell them apart."""
    rows, columns, lanes = grid.rows, grid.columns, reduction_lanes(grid, cost)
    position_folds = -(-block.positions // position_lanes(grid))
    channel_folds = -(-block.channels // channel_lanes(grid, cost))
    if grid.dataflow == "output_stationary":
        tiles = block.groups * position_folds * channel_folds
        if len(segments) == 1:
            yield FoldRun(tiles * segments[0][0], pe_depth(segments[0][1], cost), rows, columns)
            return
        for _ in range(tiles):
            for count, length in segments:
                yield FoldRun(count, pe_depth(length, cost), rows, columns)
        return
    reduction_folds = sum(count * -(-length // lanes) for count, length in segments)
    if grid.dataflow == "input_stationary":
        for count, groups in _pieces(block.groups, groups_per_fold(work, grid)):
            yield FoldRun(count * position_folds * reduction_folds, groups * channel_folds, rows, columns)
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
    channel_folds = -(-block.channels // channel_lanes(grid, step_cost(grid, work)))
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
    lanes = reduction_lanes(grid, step_cost(grid, work))
    return sums * sum(count * -(-length // lanes) for count, length in segments)
