"""An image at another size: nearest neighbour and linear interpolation of integers.

==================  ====================================================================================================
model, mode         integers
==================  ====================================================================================================
nearest             a copy; onnxruntime's and LiteRT's choice of the element
tflite, linear      LiteRT's reference RESIZE_BILINEAR under every rule: int8 and int16 in 10-bit weights, rounded half
                    away; uint8 in float32, rounded half up
ONNX, linear        float32 rules: onnxruntime's (`form`); other rules: the weights in 10 bits, rounded half away, as TFLite
==================  ====================================================================================================

If the output has another scale or zero point, the result is rescaled by the rule afterwards (`grid_change`).
Differences measured: none of 474,000 (LiteRT, uint8 linear) and of 1,500,000 outputs (onnxruntime, integers, linear), and
none in the tests' cases of all other rows. Left out: cubic, antialiasing, tf_crop_and_resize.

Sources: microsoft/onnxruntime `onnxruntime/core/providers/cpu/tensor/{upsample.h,upsample.cc}`; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/reference/resize_bilinear.h`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers, as_integers
from accelsim.numerics.kernels.grid_change import changed
from accelsim.numerics.kernels.operands import axes_of, only, require_one_scale, scalars
from accelsim.numerics.kernels.resizing_grid import (
    WEIGHT_BITS,
    Axis,
    Neighbours,
    in_integers,
    onnx_nearest,
    onnx_neighbours,
    tflite_float_neighbours,
    tflite_nearest,
    tflite_neighbours,
)
from accelsim.numerics.kernels.resizing_grid import Coordinates as Coordinates
from accelsim.numerics.kernels.resizing_grid import NearestMode as NearestMode
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

ResizingMode = Literal["nearest", "linear"]

#: What a float32 rule's linear ONNX Resize stands on: real numbers between DequantizeLinear and QuantizeLinear (which
#: onnxruntime does not fuse), or the integers themselves, truncated toward zero.
ResizingForm = Literal["dequantize", "integer"]


@dataclass(frozen=True, eq=False)
class ResizingKernel:
    """An image at another size.

    Parameters
    ----------
    mode : "nearest" or "linear".
    axes : the dimensions that are resized, each once; TFLite: (1, 2). Linear under ONNX: onnxruntime takes the last two of 2
        or 4 dimensions, the last three of 3 or 5, or (1, 2) of 4.
    sizes : their sizes in the output, at least 1, one an axis.
    coordinates : ONNX's coordinate_transformation_mode, or "tflite" with the flags half_pixel_centers and align_corners.
    input, output : per tensor.
    nearest_mode : ONNX's; the tflite coordinates have their own rule and ignore it.
    scales : ONNX's scales if the model gives scales, one an axis, above 0; None if it gives sizes (or for tflite).
    form : of linear under ONNX and float32 rules; others ignore it.

    Raises
    ------
    NumericsError : an unknown mode, convention or form; lists of other lengths than the axes; a size below 1; axes that x
        lacks, or that onnxruntime does not interpolate.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> real = QParams(scale=0.1, zero_point=0, qtype=QType(8, True))
    >>> row = np.array([[0, 10]], np.int8)
    >>> for mode in ("nearest", "linear"):
    ...     ResizingKernel(mode, (1,), (4,), "half_pixel", real, real).run([row], Rule("float32_nearest_even")).tolist()
    [[0, 0, 10, 10]]
    [[0, 2, 8, 10]]
    """

    mode: ResizingMode
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    coordinates: Coordinates
    input: QParams
    output: QParams
    nearest_mode: NearestMode = "round_prefer_floor"
    scales: tuple[float, ...] | None = None
    form: ResizingForm = "dequantize"

    def __post_init__(self) -> None:
        require_one_scale(self.input, "input")
        require_one_scale(self.output, "output")
        for what, value, kind in (("mode", self.mode, ResizingMode), ("coordinates", self.coordinates, Coordinates),
                                  ("nearest_mode", self.nearest_mode, NearestMode), ("form", self.form, ResizingForm)):
            if value not in get_args(kind):
                raise NumericsError(f'expected one of {", ".join(get_args(kind))}, got "{value}"', field=what)
        for name, values in (("sizes", self.sizes), ("scales", self.scales)):
            if values is not None and len(values) != len(self.axes):
                raise NumericsError(f"expected one an axis of {self.axes}, got {len(values)}", field=name)
        if any(size < 1 for size in self.sizes):
            raise NumericsError(f"expected at least 1, got {min(self.sizes)}", field="sizes")
        if self.scales is not None and not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise NumericsError(f"expected finite numbers above 0, got {self.scales}", field="scales")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        axes = self._axes(x)
        if not self._is_tflite and all(axis.in_size == axis.out_size for axis in axes):
            # onnxruntime copies whole tensors of equal shape, whatever their scales.
            return self._rescaled(x, rule)
        if self.mode == "nearest":
            return self._rescaled(self._nearest(x, axes), rule)
        if not self._is_tflite and rule.family == "float32" and self.form == "dequantize":
            return self._dequantized(x, axes)
        return self._rescaled(self._linear(as_integers(x), axes, rule).astype(x.dtype), rule)

    @property
    def _is_tflite(self) -> bool:
        return self.coordinates.startswith("tflite")

    def _axes(self, x: NDArray[Any]) -> list[Axis]:
        """Every dimension of x; those that are not resized with scale 1."""
        places = axes_of(x, self.axes)
        axes = [Axis(size, size, np.float32(1)) for size in x.shape]
        for position, place in enumerate(places):
            before, after = x.shape[place], self.sizes[position]
            if before == 0:
                raise NumericsError(f"expected at least 1 element along {place}, got shape {x.shape}", field="inputs")
            scale = np.float32(after) / np.float32(before) if self.scales is None else np.float32(self.scales[position])
            axes[place] = Axis(before, after, np.float32(scale))
        return axes

    def _rescaled(self, moved: NDArray[Any], rule: Rule) -> NDArray[Any]:
        return moved if self.input == self.output else changed(moved, self.input, self.output, rule)

    def _nearest(self, x: NDArray[Any], axes: list[Axis]) -> NDArray[Any]:
        changing = axes_of(x, self.axes)
        for place, axis in enumerate(axes):
            if place in changing:
                index = (tflite_nearest(axis, self.coordinates) if self._is_tflite
                         else onnx_nearest(axis, self.coordinates, self.nearest_mode))
                x = np.take(x, index, axis=place)
        return np.ascontiguousarray(x)

    def _dequantized(self, x: NDArray[Any], axes: list[Axis]) -> NDArray[Any]:
        scale, zero_point = scalars(self.input)
        real = (x.astype(np.int64) - zero_point).astype(np.float32) * scale
        neighbours = {place: onnx_neighbours(axes[place], self.coordinates) for place in _interpolated(axes)}
        return self.output.quantize(_weighted(real, neighbours))

    def _linear(self, x: Integers, axes: list[Axis], rule: Rule) -> Integers:
        """Interpolated integers on the input's grid."""
        if self._is_tflite:
            places = [1, 2]
            if x.ndim != 4 or any(axis % x.ndim not in places for axis in self.axes):
                raise NumericsError(f"expected axes 1 and 2 of 4 dimensions, got {self.axes} of {x.ndim}", field="axes")
            if self.input.qtype.is_signed:
                return _rounded(x, {place: tflite_neighbours(axes[place], self.coordinates) for place in places})
            floats = {place: tflite_float_neighbours(axes[place], self.coordinates) for place in places}
            # LiteRT rounds, as measured; the source above truncates.
            return np.floor(_element_first(x.astype(np.float32), floats).astype(np.float64) + 0.5).astype(np.int64)
        places = _interpolated(axes)
        neighbours = {place: onnx_neighbours(axes[place], self.coordinates) for place in places}
        if rule.family != "float32":
            return _rounded(x, {place: in_integers(pair) for place, pair in neighbours.items()})
        if x.ndim == 4 and tuple(places) == (1, 2):
            sums = _weighted(x, {place: in_integers(pair) for place, pair in neighbours.items()})
            return np.asarray(np.sign(sums) * (np.abs(sums) >> 2 * WEIGHT_BITS))
        return _weighted(x.astype(np.float32), neighbours).astype(np.int64)


def _interpolated(axes: list[Axis]) -> list[int]:
    """The dimensions that onnxruntime interpolates over: the last two or three, or height and width of (N, H, W, C).

    Source: upsample.cc, Upsample::BaseCompute.
    """
    rank = len(axes)
    is_channels_last = rank == 4 and axes[1].scale != 1
    places = [1, 2] if is_channels_last else list(range(max(0, rank - (2 if rank in (2, 4) else 3)), rank))
    others = [place for place in range(rank) if place not in places and axes[place].scale != 1]
    if rank not in (2, 3, 4, 5) or others:
        raise NumericsError("expected linear resizing of the last dimensions (two of 2 or 4, three of 3 or 5), or of (1, 2) "
                            f"of 4, got dimensions {others or places} of {rank}", field="axes")
    return places


def _corners(x: NDArray[Any], neighbours: dict[int, Neighbours]) -> list[tuple[NDArray[Any], list[NDArray[Any]]]]:
    """(elements, weights last dimension first) of each corner, the last dimension's upper neighbour varying fastest."""
    corners = []
    for is_high in itertools.product((False, True), repeat=len(neighbours)):
        elements = x
        weights: list[NDArray[Any]] = []
        for (place, pair), high in zip(neighbours.items(), is_high, strict=True):
            elements = np.take(elements, pair.high if high else pair.low, axis=place)
            shape = [-1 if dimension == place else 1 for dimension in range(x.ndim)]
            weights.insert(0, (pair.high_weight if high else pair.low_weight).reshape(shape))
        corners.append((elements, weights))
    return corners


def _weighted(x: NDArray[Any], neighbours: dict[int, Neighbours]) -> NDArray[Any]:
    """``sum of (w_x w_y ...) * element`` in x's own arithmetic, in onnxruntime's order of operations."""
    total: NDArray[Any] | None = None
    for elements, weights in _corners(x, neighbours):
        factor = weights[0]
        for weight in weights[1:]:
            factor = factor * weight
        total = factor * elements if total is None else total + factor * elements
    assert total is not None
    return np.asarray(total)


def _element_first(x: NDArray[np.float32], neighbours: dict[int, Neighbours]) -> NDArray[np.float32]:
    """``sum of element * w_y * w_x``, the left and then the right column: TFLite's order in float32."""
    (top_left, top_right, bottom_left, bottom_right) = (
        elements * weights[1] * weights[0] for elements, weights in _corners(x, neighbours))
    return np.asarray(top_left + bottom_left + top_right + bottom_right)


def _rounded(x: Integers, neighbours: dict[int, Neighbours]) -> Integers:
    """The sum over 10-bit weights, shifted back half away from zero. Source: resize_bilinear.h, of int8."""
    sums = _weighted(x, neighbours)
    bits = WEIGHT_BITS * len(neighbours)
    return np.asarray(np.where(sums > 0, 1, -1) * ((np.abs(sums) + (1 << (bits - 1))) >> bits))
