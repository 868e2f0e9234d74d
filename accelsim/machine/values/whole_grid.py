"""A grid layer that provably cannot overflow: its integers are computed at once, when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.machine.values.carrier import Carrier
from accelsim.machine.values.grid_layer import GridLayer, with_channel_of_ones
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.program import Range
from accelsim.numerics.block_products import BlockProducts, BlockWeights
from accelsim.numerics.integer_array import Integers, total
from accelsim.numerics.reached_width import ReachedWidth, reached_width
from accelsim.results.layer_values import LayerValues
from accelsim.results.overflow import AccumulatorWidths, Overflows
from accelsim.workload.tensor import Shape

#: Outputs, and gathered inputs, of a piece: what fits into a core's cache several times over.
_PIECE_OUTPUTS, _PIECE_INPUTS = 2**16, 2**19


class WholeGrid(Carrier):
    """Every order of additions gives the same sums, so they are made piece by piece as is quickest."""

    follows_steps = False

    def __init__(self, layer: GridLayer, shape: Shape) -> None:
        self._layer, self._shape = layer, shape
        self._reached = ReachedWidth()
        self._last_weights: tuple[Range, BlockWeights] | None = None

    def begin(self, inputs: Sequence[NDArray[Any]]) -> None:
        self._layer.operands.bring(inputs)

    def finish(self) -> NDArray[Any]:
        operands = self._layer.operands
        output = operands.new_output()
        for groups, m in pieces(operands.work):
            part = operands.part(output, groups, m, (0, operands.work.n))
            part[...] = operands.shaped(self._piece(groups, m), part)
        return operands.restored(output, self._shape)

    def _piece(self, groups: Range, m: Range) -> NDArray[Any]:
        """The outputs of some groups and positions, (G, M, N)."""
        layer, operands, n = self._layer, self._layer.operands, (0, self._layer.operands.work.n)
        inputs = operands.inputs(groups, m, (0, operands.work.k))
        block = BlockProducts(inputs, self._weights(groups))
        held = layer.start(groups, n, with_ones=layer.has_ones)
        self._reached = reached_width(block, held, order=layer.order, known=self._reached)
        row_sums = layer.row_sums(inputs)
        # What provably fits into an accumulator fits into int64 on the way, too.
        sums = block.integers + held if layer.is_safe else total(block.integers, held)
        outputs = self._outputs(sums, row_sums, groups)
        self._examine(block, row_sums, groups, outputs)
        return outputs

    def _weights(self, groups: Range) -> BlockWeights:
        """All weights of some groups; successive pieces share them."""
        if self._last_weights is None or self._last_weights[0] != groups:
            operands = self._layer.operands
            weights = operands.weights(groups, (0, operands.work.n), (0, operands.work.k))
            self._last_weights = groups, BlockWeights(with_channel_of_ones(weights) if self._layer.has_ones else weights)
        return self._last_weights[1]

    def _outputs(self, held: Integers, row_sums: Integers | None, groups: Range) -> NDArray[Any]:
        """Output integers of accumulators and, behind them, those of the channel of ones, if there is one."""
        n = self._layer.operands.work.n
        return self._layer.outputs(held[..., :n], held[..., n:] if self._layer.has_ones else row_sums, groups, (0, n))

    def _examine(self, block: BlockProducts, row_sums: Integers | None, groups: Range, outputs: NDArray[Any]) -> None:
        """For those who want to know more of a piece than its outputs."""

    def observed(self) -> LayerValues:
        work = self._layer.operands.work
        widths = AccumulatorWidths(self._layer.worst_case_bits, self._reached.running_bits, self._reached.final_bits)
        return LayerValues(widths, Overflows(outputs=work.groups * work.m * work.n), is_proven=True)


def pieces(work: GemmWork) -> Iterator[tuple[Range, Range]]:
    """Groups and positions, in pieces of bounded size: whole rows of images, or rows of matrices."""
    most = max(1, min(_PIECE_OUTPUTS // (work.groups * work.n), _PIECE_INPUTS // (work.groups * work.k)))
    if not work.has_channel_groups:
        most = max(1, min(_PIECE_OUTPUTS // work.n, _PIECE_INPUTS // work.k))
        for group in range(work.groups):
            for first in range(0, work.m, most):
                yield (group, group + 1), (first, min(first + most, work.m))
        return
    width, size = work.columns.out_size, work.rows.out_size * work.columns.out_size
    if most >= size:
        for image in range(0, work.images, most // size):
            yield (0, work.groups), (image * size, min(image + most // size, work.images) * size)
        return
    rows = max(1, most // width) * width
    for image in range(work.images):
        for first in range(0, size, rows):
            yield (0, work.groups), (image * size + first, image * size + min(first + rows, size))
