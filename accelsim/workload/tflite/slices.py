"""The parts of a tensor that TFLite's slicing operators take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelsim.numerics.kernels.movement import SliceKernel
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.translation import Translation


def split_slices(operator: TfliteOperator, translation: Translation, shape: Shape) -> Sequence[SliceKernel | None]:
    """SPLIT in equal parts, SPLIT_V in given ones, UNPACK along an axis that it drops; one part an output.

    None where axis or sizes are computed.
    """
    count = len(operator.outputs)
    axis = _split_axis(operator, translation, shape)
    if axis is None:
        return [None] * count
    sizes: Sequence[int] | None = [shape[axis] // count] * count
    if operator.op == "SPLIT_V":
        sizes = _stated_sizes(operator, translation, shape[axis])
    if operator.op == "UNPACK":
        sizes = [1] * count
    if sizes is None:
        return [None] * count
    if sum(sizes) != shape[axis] or len(sizes) != count or min(sizes) < 1:
        raise translation.error(
            f"expected {count} parts of the {shape[axis]} elements of dimension {axis}, got {list(sizes)}", operator)
    parts, first = [], 0
    for output, size in enumerate(sizes):
        kept = () if operator.op == "UNPACK" else (size,)
        translation.require_output(operator, (*shape[:axis], *kept, *shape[axis + 1:]), output)
        parts.append(SliceKernel((first,), (first + size,), (1,), axes=(axis,)))
        first += size
    return parts


def _split_axis(operator: TfliteOperator, translation: Translation, shape: Shape) -> int | None:
    if operator.op == "UNPACK":
        found: tuple[int, ...] | None = (operator.options["axis"],)
    else:
        found = translation.operand(operator, 0 if operator.op == "SPLIT" else 2)
    if found is None:
        return None
    if len(found) != 1 or not -len(shape) <= found[0] < len(shape):
        raise translation.error(f"expected an axis of {len(shape)} dimensions, got {list(found)}", operator)
    return found[0] % len(shape)


def _stated_sizes(operator: TfliteOperator, translation: Translation, whole: int) -> Sequence[int] | None:
    """The sizes of SPLIT_V, of which one may be -1: what the others leave."""
    sizes = translation.operand(operator, 1)
    if sizes is None or sizes.count(-1) != 1:
        return sizes
    rest = whole - sum(size for size in sizes if size != -1)
    return [rest if size == -1 else size for size in sizes]


def strided_slice(operator: TfliteOperator, translation: Translation) -> SliceKernel | None:
    """STRIDED_SLICE with the dimensions of 1 that it drops; None for computed operands, new axes or an ellipsis.

    Bit i of a mask: begin and end leave the start or end of dimension i open, shrink takes one index and drops it.

    Source: google-ai-edge/LiteRT `tflite/kernels/internal/strided_slice_logic.h`.
    """
    options, shape = operator.options, translation.shape(operator.inputs[0])
    begin, end, steps = (translation.operand(operator, position) for position in (1, 2, 3))
    if begin is None or end is None or steps is None or options["ellipsis_mask"] or options["new_axis_mask"]:
        return None
    if not len(begin) == len(end) == len(steps) <= len(shape) or 0 in steps:
        raise translation.error(f"expected at most {len(shape)} starts, ends and steps other than 0, got {list(begin)}, "
                                f"{list(end)} and {list(steps)}", operator)
    ranges, kept = [], []
    for axis, size in enumerate(shape):
        if axis >= len(begin):
            ranges.append((0, size, 1))
            kept.append(size)
            continue
        bit = 1 << axis
        if options["shrink_axis_mask"] & bit:
            first = begin[axis] + size if begin[axis] < 0 else begin[axis]
            if not 0 <= first < size:
                raise translation.error(f"expected an index of 0..{size - 1} in dimension {axis}, got {begin[axis]}",
                                        operator)
            ranges.append((first, first + 1, 1))
            continue
        last = begin[axis] + end[axis] if options["offset"] else end[axis]
        bounds = slice(None if options["begin_mask"] & bit else begin[axis], None if options["end_mask"] & bit else last,
                       steps[axis]).indices(size)
        kept.append(len(range(*bounds)))
        # Backwards to the first element: an end before all elements, not the last one.
        ranges.append((bounds[0], bounds[1] if bounds[1] >= 0 else -size - 1, bounds[2]))
    translation.require_output(operator, kept)
    starts, ends, strides = (tuple(part) for part in zip(*ranges, strict=True)) if ranges else ((), (), ())
    return SliceKernel(starts, ends, strides)


def reversal(operator: TfliteOperator, translation: Translation) -> Callable[[], SliceKernel]:
    """REVERSE_V2 along constant axes."""
    shape = translation.shape(operator.inputs[0])
    translation.require_output(operator, shape)

    def kernel() -> SliceKernel:
        axes = translation.required(operator, 1)
        ends = tuple(-shape[axis] - 1 for axis in axes)
        return SliceKernel((-1,) * len(axes), ends, (-1,) * len(axes), axes=axes)

    return kernel
