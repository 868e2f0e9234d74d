"""Maximum and average over windows of an image.

Padding never wins a maximum. An average over n positions (those inside the image, or the whole window if padding counts) of
integers with the sum ``S = sum (x - z_x)``:

===========  =======================================================================================================
family       average
===========  =======================================================================================================
fixed_point  one grid: ``(sum x) / n``, half away from zero; padding that counts is z_x. Two grids, which TFLite does not
             have: its MEAN, ``RDBPOT(SRDHM(S, M)) + z_y`` (`reduction`)
float32      8 bits: ``rint(float32(A / n) / s_y + z_y)``, A the float32 sum of ``s_x * (x - z_x)`` from the window's first
             position to its last; other widths add z_y after the rounding
shift        one requantization by the rule of S by ``s_x / (s_y n)``
===========  =======================================================================================================

Exactness, as the tests show it. fixed_point: 0 outputs of AVERAGE_POOL_2D and MAX_POOL_2D (int8, uint8, int16) differ from
LiteRT's reference kernels. float32: 0 outputs of QLinearAveragePool, of the DequantizeLinear-AveragePool-QuantizeLinear that
onnxruntime makes of it, and of MaxPool (int8, uint8), differ, nor of int16 AveragePool between its roundings.

Sources: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/reference/integer_ops/pooling.h`; onnxruntime
`onnxruntime/contrib_ops/cpu/quantization/qlinear_pool.cc`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.broadcast import BLOCK_ELEMENTS, check_clamp, check_operands
from accelsim.numerics.kernels.grid_change import changed, dequantized, quantized, single
from accelsim.numerics.kernels.operands import only, require_rank
from accelsim.numerics.kernels.reduction import mean_of_sums
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

#: What becomes of a window.
PoolingKind = Literal["max", "average"]


class _Tap(NamedTuple):
    """One position of the window over a block of outputs: which outputs see a pixel there, and which pixels they see."""

    outputs: tuple[slice, slice]
    pixels: tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class PoolingKernel:
    """A window slides over an image.

    Parameters
    ----------
    kind : "max" or "average".
    window, stride, dilation : (rows, columns), each at least 1.
    pads : (top, left, bottom, right), each at least 0 and below the window's extent.
    channels_last : whether images lie as (N, H, W, C), else (N, C, H, W).
    counts_padding : whether an average divides by the whole window also where it sees padding.
    input, output : grids, per tensor.
    clamp_min, clamp_max : the output's range, within its type.
    is_unfused : the runtime averages real numbers between DequantizeLinear and QuantizeLinear although the types would allow
        its fused kernel, as onnxruntime does where a Relu stands between. Matters for float32 alone.

    Raises
    ------
    NumericsError : an unknown kind, sizes outside the above, a list of scales, a clamp outside the output's type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=0, qtype=QType(8, True))
    >>> image = np.array([[-3, 2], [1, 2]], np.int8).reshape(1, 2, 2, 1)
    >>> for kind, counts_padding in (("max", False), ("average", False), ("average", True)):
    ...     kernel = PoolingKernel(kind, (2, 2), (1, 1), (0, 0, 0, 1), (1, 1), True, counts_padding, grid, grid, -128, 127)
    ...     kernel.run([image], Rule("tflite_double")).reshape(-1).tolist()
    [2, 2]
    [1, 2]
    [1, 1]
    """

    kind: PoolingKind
    window: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int]
    channels_last: bool
    counts_padding: bool
    input: QParams
    output: QParams
    clamp_min: int
    clamp_max: int
    is_unfused: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(PoolingKind):
            raise NumericsError(f'expected max or average, got "{self.kind}"', field="kind")
        for what in ("window", "stride", "dilation"):
            if min(getattr(self, what)) < 1:
                raise NumericsError(f"expected at least 1, got {getattr(self, what)}", field=what)
        if any(not 0 <= pad < extent for pad, extent in zip(self.pads, self._extents * 2, strict=True)):
            raise NumericsError(f"expected 0 or more and less than the window's {self._extents}, got {self.pads}",
                                field="pads")
        check_operands((self.input,), self.output, {})
        check_clamp(self.clamp_min, self.clamp_max, self.output.qtype)

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The image of maxima or averages.

        Parameters
        ----------
        inputs : one tensor of 4 dimensions.

        Returns
        -------
        Array in the same layout, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of tensors or dimensions, an image smaller than the window, scales beyond the rule.
        """
        image = only(inputs)
        require_rank(image, 4, "window")
        first = self._spatial
        sizes = (image.shape[first], image.shape[first + 1])
        rows, columns = self._output_sizes(sizes)
        shape = (*image.shape[:first], rows, columns, *image.shape[first + 2:])
        result = np.empty(shape, dtype=self.output.qtype.dtype)
        for batch, block in self._blocks(shape):
            taps = list(self._taps(sizes, block, columns))
            found = self._maxima(image[batch], taps, block, columns, rule) if self.kind == "max" else (
                self._averages(image[batch], taps, block, columns, rule))
            place = (batch, *(slice(None),) * (first - 1), block)
            result[place] = np.clip(found, self.clamp_min, self.clamp_max)
        return result

    @property
    def _extents(self) -> tuple[int, int]:
        """Pixels from a window's first position to its last."""
        return ((self.window[0] - 1) * self.dilation[0] + 1, (self.window[1] - 1) * self.dilation[1] + 1)

    @property
    def _spatial(self) -> int:
        """The dimension of the image's rows."""
        return 1 if self.channels_last else 2

    def _output_sizes(self, sizes: tuple[int, int]) -> tuple[int, int]:
        padded = [size + self.pads[axis] + self.pads[axis + 2] for axis, size in enumerate(sizes)]
        if any(size < extent for size, extent in zip(padded, self._extents, strict=True)):
            raise NumericsError(f"expected an image of at least {self._extents} with its padding, got {tuple(padded)}",
                                field="inputs")
        rows, columns = ((size - extent) // stride + 1
                         for size, extent, stride in zip(padded, self._extents, self.stride, strict=True))
        return rows, columns

    def _blocks(self, shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
        """(images, output rows) that are computed at once, so that sums stay small beside a large image."""
        row = max(1, int(np.prod(shape[1:])) // shape[self._spatial])
        rows = max(1, BLOCK_ELEMENTS // row)
        images = max(1, rows // shape[self._spatial])
        for image in range(0, shape[0], images):
            for first in range(0, shape[self._spatial], rows):
                yield slice(image, min(image + images, shape[0])), slice(first, min(first + rows, shape[self._spatial]))

    def _taps(self, sizes: tuple[int, int], block: slice, columns: int) -> Iterator[_Tap]:
        """The window's positions that see a pixel from some output of the block, rows before columns."""
        for r in range(self.window[0]):
            for s in range(self.window[1]):
                rows, pixel_rows = self._seen(0, r, sizes[0], block.start, block.stop)
                cols, pixel_columns = self._seen(1, s, sizes[1], 0, columns)
                if rows.start < rows.stop and cols.start < cols.stop:
                    yield _Tap((rows, cols), (pixel_rows, pixel_columns))

    def _seen(self, axis: int, position: int, size: int, start: int, stop: int) -> tuple[slice, slice]:
        """Along one axis: the outputs of start..stop, counted from start, that see a pixel at this position; the pixels."""
        stride, offset = self.stride[axis], position * self.dilation[axis] - self.pads[axis]
        first = max(start, -(offset // stride))
        last = min(stop, (size - 1 - offset) // stride + 1)
        begin = first * stride + offset
        return slice(first - start, max(last, first) - start), slice(begin, begin + (last - first - 1) * stride + 1, stride)

    def _at(self, array: NDArray[Any], place: tuple[slice, slice]) -> NDArray[Any]:
        return array[(*(slice(None),) * self._spatial, *place)]

    def _empty(self, image: NDArray[Any], block: slice, columns: int, dtype: Any, value: int = 0) -> NDArray[Any]:
        first = self._spatial
        shape = (*image.shape[:first], block.stop - block.start, columns, *image.shape[first + 2:])
        return np.full(shape, value, dtype=dtype)

    def _maxima(self, image: NDArray[Any], taps: list[_Tap], block: slice, columns: int, rule: Rule) -> NDArray[Any]:
        largest = self._empty(image, block, columns, image.dtype, self.input.qtype.min)
        for tap in taps:
            seen = self._at(largest, tap.outputs)
            np.maximum(seen, self._at(image, tap.pixels), out=seen)
        return largest if self.input == self.output else changed(largest, self.input, self.output, rule)

    def _averages(self, image: NDArray[Any], taps: list[_Tap], block: slice, columns: int, rule: Rule) -> Integers:
        counts = np.zeros((block.stop - block.start, columns), dtype=np.int64)
        for tap in taps:
            counts[tap.outputs] += 1
        area = self.window[0] * self.window[1]
        divisors = np.full_like(counts, area) if self.counts_padding else counts
        if rule.family == "float32":
            return self._averages_of_reals(image, taps, block, columns, self._aligned(divisors))
        sums = self._empty(image, block, columns, np.int64)
        for tap in taps:
            self._at(sums, tap.outputs)[...] += self._at(image, tap.pixels)
        zero = int(self.input.zero_point)
        if rule.family == "fixed_point" and self.input == self.output:
            return _divided_half_away(sums + zero * self._aligned(divisors - counts), self._aligned(divisors))
        sums -= zero * self._aligned(counts)
        result = np.empty_like(sums)
        for count in np.unique(divisors):
            mine = self._aligned(divisors == count)
            result = np.where(mine, mean_of_sums(sums, int(count), self.input, self.output, rule), result)
        return result + int(self.output.zero_point)

    def _averages_of_reals(self, image: NDArray[Any], taps: list[_Tap], block: slice, columns: int,
                           divisors: NDArray[Any]) -> Integers:
        total = self._empty(image, block, columns, np.float32)
        for tap in taps:
            self._at(total, tap.outputs)[...] += dequantized(self._at(image, tap.pixels), self.input)
        means = np.asarray(total / divisors.astype(np.float32), dtype=np.float32)
        if self.is_unfused or self.input.qtype != self.output.qtype or self.output.qtype.bits != 8:
            return quantized(means, self.output)
        # Source: qlinear_pool.cc quantize_value: the zero point is added before the rounding.
        shifted = means / single(self.output.scale) + np.float32(int(self.output.zero_point))
        return np.asarray(np.rint(np.clip(shifted, np.float32(-2.0**30), np.float32(2.0**30)))).astype(np.int64)

    def _aligned(self, positions: NDArray[Any]) -> NDArray[Any]:
        """An array (rows, columns) that broadcasts against images."""
        return positions[..., np.newaxis] if self.channels_last else positions


def _divided_half_away(sums: Integers, counts: Integers) -> Integers:
    """``sum / count``, half away from zero. Source: pooling.h AveragePool: half the count is added before the division."""
    return np.asarray(np.sign(sums) * ((np.abs(sums) + counts // 2) // counts))
