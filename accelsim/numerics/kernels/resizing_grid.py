"""Which input elements an element of a resized axis is made of, and with what weights: ONNX's and TFLite's conventions.

Coordinates are float32, as in the sources; i is the output's index, n the input's size, N the output's, s the scale.

==================================  ==========================================================================
coordinates                         place in the input
==================================  ==========================================================================
half_pixel                          ``(i + 0.5) / s - 0.5``
half_pixel_symmetric                ``n / 2 (1 - N / (s n)) + (i + 0.5) / s - 0.5``
pytorch_half_pixel                  as half_pixel; 0 if N is 1
tf_half_pixel_for_nn                ``(i + 0.5) / s``
asymmetric                          ``i / s``
align_corners                       ``i (n - 1) / (N - 1)``; 0 if N is 1
tflite, tflite_half_pixel           ``(i + offset) n / N``; offset 0.5 with half pixel centers (linear: less 0.5)
tflite_align_corners(_half_pixel)   ``(i + offset) (n - 1) / (N - 1)``; as above if N is 1
==================================  ==========================================================================

ONNX axes whose scale is 1 are left alone. In onnxruntime, as measured (release 1.31), the two rounding modes treat
everything within 1e-6 of a half as a tie, which the sources below do not.

Sources: microsoft/onnxruntime `onnxruntime/core/providers/cpu/tensor/{upsamplebase.h,upsample.cc}`; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/reference/{resize_nearest_neighbor.h,resize_bilinear.h}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import Integers

#: ONNX's coordinate_transformation_mode, and TFLite's flags of RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR.
Coordinates = Literal["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric",
                      "align_corners", "tflite", "tflite_half_pixel", "tflite_align_corners",
                      "tflite_align_corners_half_pixel"]

#: ONNX's nearest_mode; "simple" is Resize before opset 11: ceil when it shrinks, else floor.
NearestMode = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"]

#: How near to a half a coordinate is a tie. Measured on onnxruntime 1.31.1: 9.5e-7 is one, 1.19e-6 is none.
_TIE = np.float32(1e-6)

#: Fraction bits of an integer weight. Source: resize_bilinear.h; upsample.cc (d*_scale_10).
WEIGHT_BITS = 10


@dataclass(frozen=True, slots=True)
class Axis:
    """One resized axis: sizes before and after, and the float32 factor between them."""

    in_size: int
    out_size: int
    scale: np.float32


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each output element the two inputs that it lies between, and their weights (float32, or integers of 10 bits)."""

    low: Integers
    high: Integers
    low_weight: NDArray[Any]
    high_weight: NDArray[Any]


def onnx_coordinates(axis: Axis, coordinates: Coordinates) -> NDArray[np.float32]:
    """The places of the output's elements in the input, by ONNX's formulas in float32.

    >>> onnx_coordinates(Axis(2, 4, np.float32(2)), "half_pixel").tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    i, half = np.arange(axis.out_size, dtype=np.float32), np.float32(0.5)
    if axis.scale == 1:
        return i
    if axis.out_size == 1 and coordinates in ("align_corners", "pytorch_half_pixel"):
        return np.zeros(1, dtype=np.float32)
    if coordinates == "align_corners":
        return i * np.float32(axis.in_size - 1) / np.float32(axis.out_size - 1)
    if coordinates == "asymmetric":
        return i / axis.scale
    if coordinates == "tf_half_pixel_for_nn":
        return (i + half) / axis.scale
    if coordinates == "half_pixel_symmetric":
        # The offset is float32, the rest float64. Source: upsamplebase.h.
        adjustment = np.float32(axis.out_size) / (axis.scale * np.float32(axis.in_size))
        offset = np.float32(axis.in_size) / np.float32(2) * (np.float32(1) - adjustment)
        return (float(offset) + (i.astype(np.float64) + 0.5) / float(axis.scale) - 0.5).astype(np.float32)
    return (i + half) / axis.scale - half


def onnx_nearest(axis: Axis, coordinates: Coordinates, mode: NearestMode) -> Integers:
    """The input element that each output element copies.

    >>> onnx_nearest(Axis(4, 2, np.float32(0.5)), "half_pixel", "round_prefer_ceil").tolist()  # 0.5 and 2.5
    [1, 3]
    """
    place = onnx_coordinates(axis, coordinates)
    below = np.floor(place)
    if mode == "simple":
        mode = "ceil" if axis.scale < 1 else "floor"
    if mode in ("floor", "ceil"):
        index = below if mode == "floor" else np.ceil(place)
    else:
        fraction = place - below
        is_tie = np.abs(fraction - np.float32(0.5)) < _TIE
        is_up = np.where(is_tie, mode == "round_prefer_ceil", fraction > np.float32(0.5))
        index = below + is_up
    return np.clip(index.astype(np.int64), 0, axis.in_size - 1)


def onnx_neighbours(axis: Axis, coordinates: Coordinates) -> Neighbours:
    """The neighbours of the clamped coordinate and their float32 weights; a single neighbour counts half twice."""
    place = np.clip(onnx_coordinates(axis, coordinates), np.float32(0), np.float32(axis.in_size - 1))
    low = place.astype(np.int64)
    high = np.minimum(low + 1, axis.in_size - 1)
    is_single = low == high
    to_low, to_high = (np.abs(place - index.astype(np.float32)) for index in (low, high))
    return Neighbours(low, high, np.where(is_single, np.float32(0.5), to_high), np.where(is_single, np.float32(0.5), to_low))


def in_integers(neighbours: Neighbours) -> Neighbours:
    """The same with weights of 10 bits: the upper one floored, the lower one ``1024 - upper``."""
    upper = (neighbours.high_weight * np.float32(1 << WEIGHT_BITS)).astype(np.int64)
    return Neighbours(neighbours.low, neighbours.high, (1 << WEIGHT_BITS) - upper, upper)


def tflite_nearest(axis: Axis, coordinates: Coordinates) -> Integers:
    """RESIZE_NEAREST_NEIGHBOR: floor of the coordinate, or half away from zero with align_corners; float32.

    >>> tflite_nearest(Axis(4, 2, np.float32(0.5)), "tflite_align_corners").tolist()
    [0, 3]
    """
    is_aligned, is_centered = _flags(coordinates)
    step = _tflite_step(axis, is_aligned)
    place = (np.arange(axis.out_size, dtype=np.float32) + np.float32(0.5 if is_centered else 0)) * step
    index = np.floor(place.astype(np.float64) + 0.5) if is_aligned else np.floor(place)
    return np.clip(index.astype(np.int64), 0, axis.in_size - 1)


def tflite_neighbours(axis: Axis, coordinates: Coordinates) -> Neighbours:
    """RESIZE_BILINEAR of int8 and int16: coordinates and weights in integers of 10 fraction bits.

    Before the first element the upper weight is negative and both neighbours are element 0, as in the source.
    """
    is_aligned, is_centered = _flags(coordinates)
    n, out, one = axis.in_size, axis.out_size, 1 << WEIGHT_BITS
    span, steps = (n - 1, out - 1) if is_aligned and out > 1 else (n, out)
    step = (one * span + steps // 2) // steps
    place = np.arange(out, dtype=np.int64) * step + (step // 2 - one // 2 if is_centered else 0)
    low = np.maximum(_truncated(place), 0)
    high = np.minimum(_truncated(place + one - 1), n - 1)
    return Neighbours(low, high, one - (place - one * low), place - one * low)


def tflite_float_neighbours(axis: Axis, coordinates: Coordinates) -> Neighbours:
    """RESIZE_BILINEAR of uint8: coordinates and weights in float32; before the first element as `tflite_neighbours`."""
    is_aligned, is_centered = _flags(coordinates)
    step, i = _tflite_step(axis, is_aligned), np.arange(axis.out_size, dtype=np.float32)
    place = (i + np.float32(0.5)) * step - np.float32(0.5) if is_centered else i * step
    low = np.maximum(np.floor(place).astype(np.int64), 0)
    high = np.minimum(np.ceil(place).astype(np.int64), axis.in_size - 1)
    upper = place - low.astype(np.float32)
    return Neighbours(low, high, np.float32(1) - upper, upper)


def _flags(coordinates: Coordinates) -> tuple[bool, bool]:
    """(align_corners, half_pixel_centers)."""
    return "align_corners" in coordinates, "half_pixel" in coordinates


def _tflite_step(axis: Axis, is_aligned: bool) -> np.float32:
    if is_aligned and axis.out_size > 1:
        return np.float32(np.float32(axis.in_size - 1) / np.float32(axis.out_size - 1))
    return np.float32(np.float32(axis.in_size) / np.float32(axis.out_size))


def _truncated(place: Integers) -> Integers:
    """``place / 1024`` as C divides: toward zero."""
    return np.asarray(np.where(place < 0, -(-place >> WEIGHT_BITS), place >> WEIGHT_BITS))
