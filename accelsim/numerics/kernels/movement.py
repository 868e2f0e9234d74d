"""Kernels that move integers and change none: transpose, reshape, pad, slice, gather, tile, expand, depth to space.

They take any integers of any width; scale and zero point of the output are the input's (TensorFlow Lite
`tensorflow/lite/g3doc/performance/quantization_spec.md`; ONNX moves the integers of any type), and the rule decides nothing.
A model whose output has another scale gets a rescaling after the move.

==================  =============================================================  ===================================
kernel              formula                                                        operators
==================  =============================================================  ===================================
TransposeKernel     y's dimension i is x's dimension order[i]                      Transpose; TRANSPOSE
ReshapeKernel       the same integers in C order, another shape                    Reshape, Flatten, Squeeze, ...
PadKernel           a border of a constant, or of x itself; negative pads crop     Pad; PAD, PADV2, MIRROR_PAD
SliceKernel         start:end:step along some axes                                 Slice, Split; STRIDED_SLICE, SPLIT
GatherKernel        x at constant indices along an axis                            Gather; GATHER, REVERSE_V2
TileKernel          x repeated whole along each axis                               Tile; TILE
ExpandKernel        x broadcast to a shape                                         Expand; BROADCAST_TO
DepthToSpaceKernel  channels to blocks of pixels                                   DepthToSpace; DEPTH_TO_SPACE
SpaceToDepthKernel  blocks of pixels to channels                                   SpaceToDepth; SPACE_TO_DEPTH
==================  =============================================================  ===================================

Sources of the formulas: onnx/onnx@f7546912 `onnx/defs/tensor/defs.cc`; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/reference/{depth_to_space,space_to_depth,pad}.h`, `mirror_pad.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.operands import axes_of, axis_of, only, require_rank
from accelsim.numerics.kernels.padding import PadKernel as PadKernel
from accelsim.numerics.kernels.pixel_block import DepthToSpaceKernel as DepthToSpaceKernel
from accelsim.numerics.kernels.pixel_block import SpaceToDepthKernel as SpaceToDepthKernel
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class TransposeKernel:
    """``y.shape[i] = x.shape[order[i]]``.

    Parameters
    ----------
    order : a permutation of 0..rank-1.

    Raises
    ------
    NumericsError : an order that is no permutation, or of another rank than the input.

    Examples
    --------
    >>> TransposeKernel((1, 0)).run([np.array([[1, 2, 3]], np.int8)], Rule("tflite_double")).tolist()
    [[1], [2], [3]]
    """

    order: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise NumericsError(f"expected each of 0..{len(self.order) - 1} once, got {self.order}", field="order")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        require_rank(x, len(self.order), "order")
        return np.ascontiguousarray(x.transpose(self.order))


@dataclass(frozen=True, eq=False)
class ReshapeKernel:
    """The same integers, in C order, under another shape.

    Parameters
    ----------
    shape : sizes >= 0, all known (no -1): importers resolve them.

    Raises
    ------
    NumericsError : a shape with another number of elements.

    Examples
    --------
    >>> ReshapeKernel((3,)).run([np.zeros((2, 2), np.int8)], Rule("tflite_double"))
    Traceback (most recent call last):
    accelsim.errors.NumericsError: shape: expected 4 elements as in (2, 2), got (3,)
    """

    shape: tuple[int, ...]

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        if any(size < 0 for size in self.shape) or int(np.prod(self.shape, dtype=np.int64)) != x.size:
            raise NumericsError(f"expected {x.size} elements as in {x.shape}, got {self.shape}", field="shape")
        return x.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class SliceKernel:
    """``x[start:end:step]`` along each axis, with ONNX's meaning.

    Negative starts and ends count from the last element; both are then clamped to the tensor. A negative step walks
    backwards; to reach element 0 its end is ``-(size + 1)`` or lower. Python and TFLite mean the same, but for a start below
    ``-size`` with a negative step, which they leave empty and ONNX clamps to element 0.

    Parameters
    ----------
    starts, ends, steps : one integer an axis; steps not 0.
    axes : the axes, each once; None is the first ``len(starts)``. Negative counts from the last.

    Raises
    ------
    NumericsError : lists of several lengths, a step of 0, an axis that x lacks or that stands twice.

    Examples
    --------
    >>> SliceKernel((-1,), (-9,), (-2,), axes=(1,)).run([np.array([[1, 2, 3, 4, 5]], np.int8)], Rule("dyadic")).tolist()
    [[5, 3, 1]]
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    steps: tuple[int, ...]
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        lists = [self.starts, self.ends, self.steps, *([] if self.axes is None else [self.axes])]
        if len({len(numbers) for numbers in lists}) > 1:
            found = ", ".join(str(len(numbers)) for numbers in lists)
            raise NumericsError(f"expected one start, end and step an axis, got lists of {found}", field="starts")
        if 0 in self.steps:
            raise NumericsError("expected steps other than 0, got 0", field="steps")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        axes = range(len(self.starts)) if self.axes is None else self.axes
        places = axes_of(x, axes)
        cut = [slice(None)] * x.ndim
        for place, start, end, step in zip(places, self.starts, self.ends, self.steps, strict=True):
            cut[place] = _bounds(start, end, step, x.shape[place])
        return np.ascontiguousarray(x[tuple(cut)])


@dataclass(frozen=True, eq=False)
class GatherKernel:
    """``y = x[..., indices, ...]`` along an axis; the indices' shape takes the axis' place.

    Parameters
    ----------
    axis : negative counts from the last.
    indices : integers of any shape, within -size..size-1; negative counts from the last.

    Raises
    ------
    NumericsError : an index outside the axis, an axis that x lacks.

    Examples
    --------
    >>> GatherKernel(1, np.array([[2, 0]])).run([np.array([[5, 6, 7]], np.int8)], Rule("dyadic")).tolist()
    [[[7, 5]]]
    """

    axis: int
    indices: NDArray[Any]

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        place = axis_of(x, self.axis)
        size = x.shape[place]
        indices = np.asarray(self.indices)
        if indices.dtype.kind not in "iu":
            raise NumericsError(f"expected integers, got {indices.dtype.name}", field="indices")
        wrong = indices[(indices < -size) | (indices >= size)]
        if wrong.size:
            raise NumericsError(f"expected {-size}..{size - 1}, got {wrong.flat[0]}", field="indices")
        return np.asarray(np.take(x, indices.astype(np.int64) % max(size, 1), axis=place))


@dataclass(frozen=True, eq=False)
class TileKernel:
    """x, repeated whole along each axis.

    Parameters
    ----------
    repeats : how often, >= 0, one an axis.

    Raises
    ------
    NumericsError : another number of axes, a negative number.

    Examples
    --------
    >>> TileKernel((2,)).run([np.array([1, 2], np.int8)], Rule("dyadic")).tolist()
    [1, 2, 1, 2]
    """

    repeats: tuple[int, ...]

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        require_rank(x, len(self.repeats), "repeats")
        if any(count < 0 for count in self.repeats):
            raise NumericsError(f"expected at least 0, got {min(self.repeats)}", field="repeats")
        return np.tile(x, self.repeats)


@dataclass(frozen=True, eq=False)
class ExpandKernel:
    """x broadcast against a shape, in both directions: sizes of 1 on either side take the other's.

    Parameters
    ----------
    shape : sizes >= 0; aligned with x at the last dimension.

    Raises
    ------
    NumericsError : shapes that do not broadcast.

    Examples
    --------
    >>> ExpandKernel((2, 1)).run([np.array([[1, 2]], np.int8)], Rule("dyadic")).tolist()
    [[1, 2], [1, 2]]
    """

    shape: tuple[int, ...]

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        try:
            return np.broadcast_to(x, np.broadcast_shapes(x.shape, self.shape)).copy()
        except ValueError:
            raise NumericsError(f"expected a shape that broadcasts with {x.shape}, got {self.shape}",
                                field="shape") from None


def _bounds(start: int, end: int, step: int, size: int) -> slice:
    """The elements that ONNX walks, as a Python slice.

    Source: onnx/onnx@f7546912 `onnx/defs/tensor/defs.cc`, Slice: the clamps of starts and ends by the step's sign.
    """
    is_backward = step < 0
    start, end = (place + size if place < 0 else place for place in (start, end))
    first = min(max(start, 0), size - is_backward)
    last = min(max(end, -is_backward), size - is_backward)
    if (last - first) * step <= 0:
        return slice(0)
    return slice(first, last if last >= 0 else None, step)
