"""Translators of the TFLite operators that move data without computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.concatenation import ConcatenationKernel
from accelsim.numerics.kernels.movement import (
    DepthToSpaceKernel,
    ExpandKernel,
    GatherKernel,
    PadKernel,
    SliceKernel,
    SpaceToDepthKernel,
    TileKernel,
    TransposeKernel,
)
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule
from accelsim.workload.operation import Move
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.slices import reversal, split_slices, strided_slice
from accelsim.workload.tflite.translation import KernelMaker, Translation
from accelsim.workload.tflite.vector_operators import same_type, without_integers

#: TFLite operator -> kind of `Move`.
MOVES = {
    "CONCATENATION": "concat", "PACK": "concat", "TRANSPOSE": "transpose", "SLICE": "slice", "STRIDED_SLICE": "slice",
    "SPLIT": "split", "SPLIT_V": "split", "UNPACK": "split", "PAD": "pad", "PADV2": "pad", "MIRROR_PAD": "pad",
    "GATHER": "gather", "GATHER_ND": "gather", "EMBEDDING_LOOKUP": "gather", "TILE": "tile", "BROADCAST_TO": "expand",
    "SPACE_TO_DEPTH": "space_to_depth", "DEPTH_TO_SPACE": "depth_to_space", "SPACE_TO_BATCH_ND": "space_to_depth",
    "BATCH_TO_SPACE_ND": "depth_to_space", "REVERSE_V2": "copy", "SELECT": "copy", "SELECT_V2": "copy",
    "SCATTER_ND": "scatter",
}

# Operators whose further inputs are data like the first; the others have indices, sizes or fillings there.
_DATA_INPUTS = frozenset({"CONCATENATION", "PACK", "SELECT", "SELECT_V2", "SCATTER_ND"})

# Where the data is, if not first.
_DATA_POSITION = {"SPLIT": 1, "EMBEDDING_LOOKUP": 1}

# What MIRROR_PAD's option `mode` numbers.
_MIRRORS = ("reflect", "symmetric")


@dataclass(frozen=True, eq=False)
class ShapedKernel:
    """A kernel whose output loses or gains dimensions of 1: the same integers in another shape."""

    kernel: Kernel
    shape: Shape

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        return self.kernel.run(inputs, rule).reshape(self.shape)


def move(operator: TfliteOperator, translation: Translation) -> None:
    """One layer that reads what is computed and writes the output; a split has one layer an output."""
    data = operator.inputs if operator.op in _DATA_INPUTS else (operator.inputs[_DATA_POSITION.get(operator.op, 0)],)
    makers, shapes = _KERNELS.get(operator.op, _without_integers)(operator, translation)
    read = [number for number in operator.given() if not translation.is_constant(number)]
    constants = [number for number in data if translation.is_constant(number)]
    largest = max(constants, key=lambda number: prod(translation.shape(number)), default=-1)
    weights = translation.constant(largest) if largest >= 0 else None
    if MOVES[operator.op] == "gather" and weights is not None:
        # An embedding reads as many elements of its table as it writes.
        weights = translation.constant(largest, shape=translation.shape(operator.outputs[0]))
    for output, number in enumerate(operator.outputs):
        operation = Move(MOVES[operator.op], translation.network_shape(number))
        translation.emit(operator, operation, read, makers[output % len(makers)], output=output, weights=weights,
                         input_shapes=shapes)


#: Makers of the kernels, one an output, and the shapes that the inputs are seen in (None: their own).
_Made = tuple[Sequence[KernelMaker], tuple[Shape, ...] | None]
_Maker = Callable[[TfliteOperator, Translation], _Made]


def _without_integers(operator: TfliteOperator, translation: Translation) -> _Made:
    def kernel() -> Kernel:
        raise without_integers(operator)

    return [kernel], None


def _of_one_input(make: Callable[[TfliteOperator, Translation], Callable[[], Kernel]]) -> _Maker:
    """For operators that move one activation under constant operands; others have no integers here."""

    def made(operator: TfliteOperator, translation: Translation) -> _Made:
        maker = make(operator, translation)

        def kernel() -> Kernel:
            others = [number for number in operator.inputs[1:] if not translation.is_constant(number)]
            if translation.is_constant(operator.inputs[0]) or others:
                raise WorkloadError("expected a computed first input and constants behind it, got others")
            same_type(translation, operator.inputs[0], operator.outputs[0])
            return maker()

        return [kernel], None

    return made


def _concatenation(operator: TfliteOperator, translation: Translation) -> _Made:
    """CONCATENATION along an axis; PACK along a new one."""
    is_pack = operator.op == "PACK"
    written = operator.outputs[0]
    shapes = [translation.shape(number) for number in operator.inputs]
    rank = len(shapes[0]) + is_pack
    axis = operator.options["axis"]
    if not -rank <= axis < rank:
        raise translation.error(f"expected an axis of {rank} dimensions, got {axis}", operator)
    axis %= rank
    seen = [(*shape[:axis], 1, *shape[axis:]) if is_pack else shape for shape in shapes]
    others = {(*shape[:axis], *shape[axis + 1:]) for shape in seen}
    if len(others) > 1:
        raise translation.error(f"expected inputs that differ along axis {axis} alone, got "
                                f"{' and '.join(str(list(shape)) for shape in shapes[:4])}", operator)
    joined = (*seen[0][:axis], sum(shape[axis] for shape in seen), *seen[0][axis + 1:])
    translation.require_output(operator, joined)

    def kernel() -> Kernel:
        if not is_pack and translation.fused(operator):
            raise WorkloadError("expected no fused activation, got one")
        constants = {place: translation.integers(number).reshape(seen[place])
                     for place, number in enumerate(operator.inputs) if translation.is_constant(number)}
        output = translation.parameters(written)
        return ConcatenationKernel(_joined_grids(operator, translation, output), output, axis, constants)

    read = tuple(shape for number, shape in zip(operator.inputs, seen, strict=True) if not translation.is_constant(number))
    return [kernel], read


def _joined_grids(operator: TfliteOperator, translation: Translation, output: QParams) -> tuple[QParams, ...]:
    """The operands' grids. CONCATENATION rescales uint8 and takes int16 as it is; otherwise other grids are refused.

    Source: google-ai-edge/LiteRT `tflite/kernels/concatenation.cc`, `pack.cc`; measured.
    """
    grids = tuple(translation.parameters(number) for number in operator.inputs)
    if any(grid.qtype != output.qtype for grid in grids):
        raise WorkloadError(f"expected operands of the output's type {output.qtype.name}, got "
                            f"{' and '.join(dict.fromkeys(grid.qtype.name for grid in grids))}")
    if operator.op == "CONCATENATION" and output.qtype.name == "int16":
        return (output,) * len(grids)
    if (operator.op == "PACK" or output.qtype.is_signed) and any(grid != output for grid in grids):
        raise WorkloadError("expected operands of the output's scale and zero point, got others")
    return grids


def _transposition(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    order, shape = translation.operand(operator, 1), translation.shape(operator.inputs[0])
    rank = len(shape)
    if order is not None:
        if sorted(axis + rank if axis < 0 else axis for axis in order) != list(range(rank)):
            raise translation.error(f"expected each of 0..{rank - 1} once, got {list(order)}", operator)
        translation.require_output(operator, [shape[axis] for axis in order])
    return lambda: TransposeKernel(tuple(axis % rank for axis in translation.required(operator, 1)))


def _padding(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    """PAD with the zero point, PADV2 with a constant of the input's scale, MIRROR_PAD."""
    shape, borders = translation.shape(operator.inputs[0]), translation.operand(operator, 1)
    if borders is not None:
        if len(borders) != 2 * len(shape) or min(borders, default=0) < 0:
            raise translation.error(f"expected 2 x {len(shape)} paddings of at least 0, got {list(borders)}", operator)
        translation.require_output(operator, [size + borders[2 * axis] + borders[2 * axis + 1]
                                              for axis, size in enumerate(shape)])

    def kernel() -> Kernel:
        known = translation.required(operator, 1)
        pairs = tuple((known[2 * axis], known[2 * axis + 1]) for axis in range(len(shape)))
        if operator.op == "MIRROR_PAD":
            mode = operator.options["mode"]
            if not 0 <= mode < len(_MIRRORS):
                raise WorkloadError(f"expected the mode 0 or 1, got {mode}")
            return PadKernel(pairs, mode="reflect" if mode == 0 else "symmetric")
        value = int(translation.parameters(operator.outputs[0]).zero_point)
        if operator.op == "PADV2":
            filling = translation.required(operator, 2)
            if len(filling) != 1:
                raise WorkloadError(f"expected one filling, got {len(filling)}")
            value = filling[0]
        return PadKernel(pairs, value=value)

    return kernel


def _gathering(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    shape, axis = translation.shape(operator.inputs[0]), operator.options["axis"]
    if not -len(shape) <= axis < len(shape):
        raise translation.error(f"expected an axis of {len(shape)} dimensions, got {axis}", operator)
    place = axis % len(shape)
    if operator.options["batch_dims"] == 0:
        expected = (*shape[:place], *translation.shape(operator.inputs[1]), *shape[place + 1:])
        translation.require_output(operator, expected)

    def kernel() -> Kernel:
        indices = np.array(translation.required(operator, 1)).reshape(translation.shape(operator.inputs[1]))
        if operator.options["batch_dims"] != 0:
            raise WorkloadError(f"expected no batch dimensions of the indices, got {operator.options['batch_dims']}")
        if indices.size and not 0 <= indices.min() <= indices.max() < shape[place]:
            raise WorkloadError(f"expected indices of 0..{shape[place] - 1}, got {indices.min()}..{indices.max()}")
        return GatherKernel(place, indices)

    return kernel


def _tiling(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    shape, repeats = translation.shape(operator.inputs[0]), translation.operand(operator, 1)
    if repeats is not None:
        if len(repeats) != len(shape):
            raise translation.error(f"expected {len(shape)} multiples, got {list(repeats)}", operator)
        translation.require_output(operator, [size * count for size, count in zip(shape, repeats, strict=True)])
    return lambda: TileKernel(translation.required(operator, 1))


def _expansion(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    return lambda: ExpandKernel(translation.shape(operator.outputs[0]))


def _blocks(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH of (N, H, W, C)."""
    shape, block = translation.shape(operator.inputs[0]), operator.options["block_size"]
    if len(shape) != 4 or block < 1:
        raise translation.error(f"expected 4 dimensions and a block of at least 1, got {list(shape)} and {block}", operator)
    n, height, width, channels = shape
    if operator.op == "DEPTH_TO_SPACE":
        translation.require_output(operator, (n, height * block, width * block, channels // block**2))
        return lambda: DepthToSpaceKernel(block, channels_last=True)
    translation.require_output(operator, (n, height // block, width // block, channels * block**2))
    return lambda: SpaceToDepthKernel(block, channels_last=True)


def _slice(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    """SLICE: begin and size, -1 for all that is left."""
    shape = translation.shape(operator.inputs[0])
    begin, size = translation.operand(operator, 1), translation.operand(operator, 2)
    if begin is not None and size is not None:
        if len(begin) != len(shape) or len(size) != len(shape) or min(begin, default=0) < 0:
            raise translation.error(f"expected {len(shape)} starts of at least 0 and sizes, got {list(begin)} and "
                                    f"{list(size)}", operator)
        taken = [whole - first if count == -1 else count for whole, first, count in zip(shape, begin, size, strict=True)]
        if any(first + count > whole for whole, first, count in zip(shape, begin, taken, strict=True)):
            raise translation.error(f"expected a part of {list(shape)}, got {list(size)} from {list(begin)} on", operator)
        translation.require_output(operator, taken)

    def kernel() -> Kernel:
        starts, sizes = translation.required(operator, 1), translation.shape(operator.outputs[0])
        ends = tuple(first + count for first, count in zip(starts, sizes, strict=True))
        return SliceKernel(starts, ends, (1,) * len(starts))

    return kernel


def _split(operator: TfliteOperator, translation: Translation) -> _Made:
    number = operator.inputs[_DATA_POSITION.get(operator.op, 0)]
    slices = split_slices(operator, translation, translation.shape(number))

    def maker(part: SliceKernel | None, output: int) -> KernelMaker:
        def kernel() -> Kernel:
            if part is None or translation.is_constant(number):
                raise WorkloadError("expected constant sizes and axis of a computed tensor, got others")
            same_type(translation, number, operator.outputs[output])
            return ShapedKernel(part, translation.shape(operator.outputs[output]))

        return kernel

    return [maker(part, output) for output, part in enumerate(slices)], None


def _strided(operator: TfliteOperator, translation: Translation) -> Callable[[], Kernel]:
    part = strided_slice(operator, translation)

    def kernel() -> Kernel:
        if part is None:
            raise WorkloadError("expected constant starts, ends and steps without new axes or an ellipsis, got others")
        return ShapedKernel(part, translation.shape(operator.outputs[0]))

    return kernel


_KERNELS: dict[str, _Maker] = {
    "CONCATENATION": _concatenation,
    "PACK": _concatenation,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _split,
    "TRANSPOSE": _of_one_input(_transposition),
    "PAD": _of_one_input(_padding),
    "PADV2": _of_one_input(_padding),
    "MIRROR_PAD": _of_one_input(_padding),
    "GATHER": _of_one_input(_gathering),
    "TILE": _of_one_input(_tiling),
    "BROADCAST_TO": _of_one_input(_expansion),
    "DEPTH_TO_SPACE": _of_one_input(_blocks),
    "SPACE_TO_DEPTH": _of_one_input(_blocks),
    "SLICE": _of_one_input(_slice),
    "STRIDED_SLICE": _of_one_input(_strided),
    "REVERSE_V2": _of_one_input(reversal),
}
