"""The integers of a grid layer as the grid sees them: matrices of groups, positions, channels and reduction steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.footprint import Positions
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.program import Range
from accelsim.numerics.axis import Axis
from accelsim.numerics.exact_product import magnitude_sums
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.integer_array import Integers, product, total
from accelsim.numerics.qtype import QType
from accelsim.numerics.windows import box, group_windows, windows
from accelsim.workload.tensor import Shape


class GridOperands:
    """Operands, biases and outputs of one layer, in the zero-point mode of the grid.

    With weights w (zero point z_w), inputs x (z_x) and bias b, every output is ``b + sum (x - z_x)(w - z_w)``. The PEs add
    ``sum x' w``; what they do not add is folded into the bias before the run or taken off behind the accumulator:

    =================  ========  ==================================  ======================
    mode               x'        b'                                  behind the accumulator
    =================  ========  ==================================  ======================
    subtract           x - z_x   b                                   - z_w * sum x'
    fold_into_bias     x         b - z_x * sum w + K * z_x * z_w     - z_w * sum x'
    =================  ========  ==================================  ======================

    Runs of K with a scale of their own are folded run by run (`run_start`). A product of two activations has nothing to fold
    beforehand: both operands come with their zero points taken off.
    """

    def __init__(self, kernel: GridKernel, work: GemmWork, *, folds_zero_points: bool) -> None:
        self.kernel, self.work = kernel, work
        self._is_folded = folds_zero_points and kernel.weights is not None
        self._zero_point = int(kernel.input.zero_point)
        self._images: NDArray[Any] | None = None
        self._weights = kernel.weights
        self.bias = self._folded_bias()
        channels = (work.groups, 1, work.n)
        points = kernel.weight_zero_points if kernel.weights is not None else np.int64(0)
        self.weight_zero_points = np.broadcast_to(points, work.groups * work.n).reshape(channels)

    def _folded_bias(self) -> Integers:
        """b', (groups, 1, n)."""
        kernel, work = self.kernel, self.work
        channels = (work.groups, 1, work.n)
        own = kernel.bias if kernel.bias is not None else np.zeros(work.groups * work.n, np.int64)
        bias = own.astype(np.int64).reshape(channels)
        if not self._is_folded or not self._zero_point or kernel.scale_groups is not None:
            return bias
        assert kernel.weights is not None
        points = np.broadcast_to(kernel.weight_zero_points, work.groups * work.n).reshape(channels)
        sums = kernel.weights.astype(np.int64).sum(axis=2)[:, None]
        return total(bias, product(np.asarray(-self._zero_point), sums - work.k * points))

    def run_start(self, weights: NDArray[Any]) -> Integers:
        """What the accumulators of a run of K start from, (G, 1, N), given its weights (G, N, K)."""
        sums = weights.sum(axis=2, dtype=np.int64)[:, None]
        return product(np.asarray(-self._zero_point), sums) if self._is_folded else np.zeros_like(sums)

    def bring(self, activations: Sequence[NDArray[Any]]) -> None:
        """The activations that the layer reads, in the model's layout: the streamed one, then one that plays the weights."""
        kernel, work, streamed = self.kernel, self.work, activations[0]
        if work.has_channel_groups:
            images = self._channels_last(streamed)
        elif kernel.streamed is not None:
            images = kernel.streamed.matrices(streamed)
        else:
            images = streamed.reshape(work.groups, work.m, work.k)
        self._images = images if self._is_folded else _less(images, self._zero_point, kernel.input.qtype)
        if kernel.weights is None:
            stationary = activations[1]
            matrices = (kernel.stationary.matrices(stationary) if kernel.stationary is not None
                        else stationary.reshape(work.groups, work.n, work.k))
            self._weights = _less(matrices, int(kernel.weight.zero_point), kernel.weight.qtype)

    def _channels_last(self, images: NDArray[Any]) -> NDArray[Any]:
        """(N, H, W, C), a view; an image of one dimension has a height of 1."""
        work = self.work
        size, channels = (work.rows.in_size, work.columns.in_size), work.groups * work.channels
        if self.kernel.channels_last:
            return images.reshape(work.images, *size, channels)
        return images.reshape(work.images, channels, *size).transpose(0, 2, 3, 1)

    @property
    def fill(self) -> int:
        """What padding supplies."""
        return self._zero_point if self._is_folded else 0

    @property
    def largest_input(self) -> int:
        """max|x'| over all values of the input's type."""
        qtype, offset = self.kernel.input.qtype, 0 if self._is_folded else self._zero_point
        return max(abs(qtype.min - offset), abs(qtype.max - offset))

    @property
    def worst_sums(self) -> Integers:
        """``sum |w| * max|x'|``, (groups, n): no column sum is larger, whatever the inputs."""
        if self.kernel.weights is not None:
            return product(magnitude_sums(self.kernel.weights), np.asarray(self.largest_input))
        qtype, point = self.kernel.weight.qtype, int(self.kernel.weight.zero_point)
        largest = max(abs(qtype.min - point), abs(qtype.max - point))
        return np.full((self.work.groups, self.work.n), self.work.k * largest * self.largest_input, dtype=object)

    def inputs(self, groups: Range, m: Range | Positions, k: Range) -> NDArray[Any]:
        """x' of some positions, a range in the usual order or a rectangle, and steps, (G, M, K)."""
        work, images = self.work, self._images
        assert images is not None, "a layer reads its inputs before they are there"
        if not work.has_channel_groups:
            assert not isinstance(m, Positions), "positions of a matrix have one dimension"
            return images[slice(*groups), slice(*m), slice(*k)]
        rows, columns = work.rows, work.columns
        if isinstance(m, Positions):
            images, rows, columns = images[slice(*m.images)], _part(rows, m.rows), _part(columns, m.columns)
            m = (0, m.count)
        channels = work.channels
        own = images[..., groups[0] * channels:groups[1] * channels]
        if groups[1] - groups[0] == 1:
            return windows(own, rows, columns, m=m, k=k, fill=self.fill)[None]
        assert k == (0, work.k), "groups go side by side only with all of K"
        return group_windows(own, rows, columns, groups=groups[1] - groups[0], m=m, fill=self.fill)

    def weights(self, groups: Range, n: Range, k: Range) -> NDArray[Any]:
        """w of some channels and steps, (G, N, K)."""
        assert self._weights is not None, "a layer reads its second operand before it is there"
        return self._weights[slice(*groups), slice(*n), slice(*k)]

    def new_output(self) -> NDArray[Any]:
        """Room for the outputs: (images, rows, columns, channels), or (groups, m, n) of a matrix product."""
        work = self.work
        shape: Shape = (work.groups, work.m, work.n)
        if work.has_channel_groups:
            shape = (work.images, work.rows.out_size, work.columns.out_size, work.groups * work.n)
        return np.empty(shape, dtype=self.kernel.output.qtype.dtype)

    def part(self, output: NDArray[Any], groups: Range, m: Range | Positions, n: Range) -> NDArray[Any]:
        """The view of `new_output` that a block fills."""
        work = self.work
        if isinstance(m, Positions):
            images, rows, columns = m.images, m.rows, m.columns
        elif work.has_channel_groups:
            images, rows, columns = box(m, work.rows, work.columns)
        else:
            return output[slice(*groups), slice(*m), slice(*n)]
        first = groups[0] * work.n + n[0]
        last = (groups[1] - 1) * work.n + n[1]
        return output[slice(*images), slice(*rows), slice(*columns), first:last]

    def shaped(self, values: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
        """Outputs (G, M, N) in the shape of their part."""
        return (values.transpose(1, 0, 2) if self.work.has_channel_groups else values).reshape(like.shape)

    def restored(self, output: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """`new_output`, filled, in the model's layout."""
        if not self.work.has_channel_groups:
            return (self.kernel.written.restored(output) if self.kernel.written is not None else output).reshape(shape)
        return np.ascontiguousarray(output if self.kernel.channels_last else output.transpose(0, 3, 1, 2)).reshape(shape)

    def coordinates(self, groups: NDArray[np.int64], m: NDArray[np.int64], n: NDArray[np.int64],
                    shape: Shape) -> list[tuple[int, ...]]:
        """Where outputs lie in the model's layout."""
        work = self.work
        if work.has_channel_groups:
            image, rest = np.divmod(m, work.rows.out_size * work.columns.out_size)
            row, column = np.divmod(rest, work.columns.out_size)
            channel = groups * work.n + n
            place = (image, row, column, channel) if self.kernel.channels_last else (image, channel, row, column)
            full = (work.images, work.rows.out_size, work.columns.out_size, work.groups * work.n)
            sizes = full if self.kernel.channels_last else (full[0], full[3], full[1], full[2])
            flat = np.ravel_multi_index(place, sizes)
        else:
            order = np.arange(work.groups * work.m * work.n).reshape(work.groups, work.m, work.n)
            flat = np.argsort(self.restored(order, shape).ravel())[(groups * work.m + m) * work.n + n]
        return [tuple(int(i) for i in coordinate) for coordinate in zip(*np.unravel_index(flat, shape), strict=True)]


def _less(values: NDArray[Any], zero_point: int, qtype: QType) -> NDArray[Any]:
    """q - z, one bit wider than q."""
    if zero_point == 0:
        return values
    kind = np.int16 if qtype.bits < 16 else np.int32 if qtype.bits < 32 else np.int64
    return np.asarray(np.subtract(values, zero_point, dtype=kind))


def _part(axis: Axis, outputs: Range) -> Axis:
    """Some of the outputs of an axis, as an axis of their own."""
    first, last = outputs
    return replace(axis, out_size=last - first, pad=axis.pad - first * axis.stride)
