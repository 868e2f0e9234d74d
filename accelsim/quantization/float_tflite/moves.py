"""TFLite operators that move data without computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelsim.quantization.float_tflite.conversion import TO_IMAGE, Conversion
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.slices import split_slices, strided_slice
from accelsim.workload.tflite.translation import NotSimulated


def _reshape(operator: TfliteOperator, conversion: Conversion) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: to the shape that the file states."""
    sizes = conversion.constant(f"{operator.label}_sizes", conversion.shape(operator.outputs[0]))
    conversion.put_result(operator, "Reshape", (conversion.plain(operator.inputs[0]), sizes), is_image=False)


def _transpose(operator: TfliteOperator, conversion: Conversion) -> None:
    rank = len(conversion.shape(operator.inputs[0]))
    order = [axis % rank for axis in conversion.translation.required(operator, 1)]
    conversion.put_result(operator, "Transpose", (conversion.plain(operator.inputs[0]),), is_image=False, perm=order)


def _concatenation(operator: TfliteOperator, conversion: Conversion) -> None:
    """CONCATENATION; of images where all parts can be read as such."""
    shapes = [conversion.shape(number) for number in operator.inputs]
    axis = operator.options["axis"] % len(shapes[0])
    is_image = len(shapes[0]) == 4 and any(conversion.is_image(number) for number in operator.inputs)
    read = [conversion.image(number) if is_image else conversion.plain(number) for number in operator.inputs]
    conversion.put_result(operator, "Concat", read, is_image=is_image, fused=conversion.translation.fused(operator),
                          axis=TO_IMAGE.index(axis) if is_image else axis)


def _pack(operator: TfliteOperator, conversion: Conversion) -> None:
    """PACK along a new axis."""
    rank = len(conversion.shape(operator.inputs[0])) + 1
    axis = operator.options["axis"] % rank
    names = conversion.constant(f"{operator.label}_axis", (axis,))
    parts = [conversion.put("Unsqueeze", f"{operator.label}_part_{place}", (conversion.plain(number), names),
                            conversion.between(operator, f"part_{place}"))
             for place, number in enumerate(operator.inputs)]
    conversion.put_result(operator, "Concat", parts, is_image=False, axis=axis)


def _pad(operator: TfliteOperator, conversion: Conversion) -> None:
    """PAD with zeros, PADV2 with a constant, MIRROR_PAD."""
    source = operator.inputs[0]
    rank = len(conversion.shape(source))
    known = conversion.translation.required(operator, 1)
    order: Sequence[int] = range(rank)
    is_image = conversion.is_image(source)
    if is_image:
        order = TO_IMAGE
    borders = [known[2 * axis] for axis in order] + [known[2 * axis + 1] for axis in order]
    read = conversion.image(source) if is_image else conversion.plain(source)
    inputs, mode = [read, conversion.constant(f"{operator.label}_borders", borders)], "constant"
    if operator.op == "PADV2":
        inputs.append(conversion.constant(f"{operator.label}_filling", conversion.array(operator.inputs[2]).reshape(())))
    if operator.op == "MIRROR_PAD":
        if operator.options["mode"] != 0:
            raise NotSimulated("a symmetric MIRROR_PAD")
        mode = "reflect"
    conversion.put_result(operator, "Pad", inputs, is_image=is_image, mode=mode)


def _put_slice(operator: TfliteOperator, conversion: Conversion, starts: Sequence[int], ends: Sequence[int],
               steps: Sequence[int], axes: Sequence[int], *, source: int, output: int = 0) -> None:
    """A part of a tensor, in the shape that the file states."""
    bounds = [conversion.constant(f"{operator.label}_{word}", values)
              for word, values in (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps))]
    shape = conversion.shape(source)
    kept = list(shape)
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        kept[axis] = len(range(*slice(first, last, step).indices(shape[axis])))
    read = (conversion.plain(source), *bounds)
    if tuple(kept) == conversion.shape(operator.outputs[output]):
        conversion.put_result(operator, "Slice", read, is_image=False, output=output)
        return
    part = conversion.put("Slice", f"{operator.label}_part_{output}", read, conversion.between(operator, f"part_{output}"))
    sizes = conversion.constant(f"{operator.label}_sizes", conversion.shape(operator.outputs[output]))
    conversion.put_result(operator, "Reshape", (part, sizes), is_image=False, output=output)


def _slice(operator: TfliteOperator, conversion: Conversion) -> None:
    """SLICE: begin and size."""
    starts = conversion.translation.required(operator, 1)
    ends = [first + size for first, size in zip(starts, conversion.shape(operator.outputs[0]), strict=True)]
    _put_slice(operator, conversion, starts, ends, (1,) * len(ends), range(len(ends)), source=operator.inputs[0])


def _strided_slice(operator: TfliteOperator, conversion: Conversion) -> None:
    part = strided_slice(operator, conversion.translation)
    if part is None:
        raise NotSimulated("a STRIDED_SLICE with computed bounds, new axes or an ellipsis")
    _put_slice(operator, conversion, part.starts, part.ends, part.steps, range(len(part.starts)), source=operator.inputs[0])


def _split(operator: TfliteOperator, conversion: Conversion) -> None:
    """SPLIT, SPLIT_V, UNPACK: one Slice a part."""
    source = operator.inputs[1 if operator.op == "SPLIT" else 0]
    for output, part in enumerate(split_slices(operator, conversion.translation, conversion.shape(source))):
        if part is None:
            raise NotSimulated("a split at computed places")
        assert part.axes is not None
        _put_slice(operator, conversion, part.starts, part.ends, part.steps, part.axes, source=source, output=output)


def _gather(operator: TfliteOperator, conversion: Conversion) -> None:
    if operator.options["batch_dims"] != 0:
        raise NotSimulated("a GATHER with batch dimensions of the indices")
    read = [conversion.plain(number) for number in operator.inputs[:2]]
    conversion.put_result(operator, "Gather", read, is_image=False, axis=operator.options["axis"])


def _tile(operator: TfliteOperator, conversion: Conversion) -> None:
    counts = conversion.constant(f"{operator.label}_counts", conversion.translation.required(operator, 1))
    conversion.put_result(operator, "Tile", (conversion.plain(operator.inputs[0]), counts), is_image=False)


def _expand(operator: TfliteOperator, conversion: Conversion) -> None:
    sizes = conversion.constant(f"{operator.label}_sizes", conversion.shape(operator.outputs[0]))
    conversion.put_result(operator, "Expand", (conversion.plain(operator.inputs[0]), sizes), is_image=False)


CONVERTERS: dict[str, Callable[[TfliteOperator, Conversion], None]] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshape),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK"), _split),
    "TRANSPOSE": _transpose, "CONCATENATION": _concatenation, "PACK": _pack, "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice, "GATHER": _gather, "TILE": _tile, "BROADCAST_TO": _expand,
}
