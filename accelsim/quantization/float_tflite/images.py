"""TFLite operators on images: convolutions, pooling, resizing, blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from accelsim.quantization.float_tflite.conversion import Conversion
from accelsim.workload.tflite.graph import ABSENT, TfliteOperator
from accelsim.workload.tflite.translation import NotSimulated
from accelsim.workload.tflite.windows import out_size, positive_options, window_pads

_Pair = tuple[int, int]


def _size(number: int, conversion: Conversion) -> _Pair:
    """(H, W) of an image."""
    _, height, width, _ = conversion.shape(number)
    return height, width


def _bias(number: int, conversion: Conversion) -> tuple[str, ...]:
    return () if number == ABSENT else (conversion.plain(number),)


def _convolution(operator: TfliteOperator, conversion: Conversion, *, is_depthwise: bool) -> None:
    """CONV_2D: weights (O, kh, kw, C / groups); DEPTHWISE_CONV_2D: (1, kh, kw, C * multiplier)."""
    translation, (source, number) = conversion.translation, operator.inputs[:2]
    weights = conversion.array(number)
    channels = conversion.shape(source)[3]
    filters = weights.transpose((3, 0, 1, 2) if is_depthwise else (0, 3, 1, 2))
    kernel = (filters.shape[2], filters.shape[3])
    stride = positive_options(operator, translation, "stride_h", "stride_w")
    dilation = positive_options(operator, translation, "dilation_h", "dilation_w")
    pads = window_pads(operator, translation, _size(source, conversion), kernel, stride, dilation)
    name = conversion.constant(f"{translation.name(number)}_filters", filters)
    conversion.put_result(
        operator, "Conv", (conversion.image(source), name, *_bias(operator.input(2), conversion)), is_image=True,
        fused=translation.fused(operator), kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads,
        group=channels // filters.shape[1])


def _transposed_convolution(operator: TfliteOperator, conversion: Conversion) -> None:
    """TRANSPOSE_CONV: weights (O, kh, kw, C); the output's size tells the pads, as of the convolution that it undoes."""
    translation, number, source = conversion.translation, operator.inputs[1], operator.inputs[2]
    weights = conversion.array(number).transpose(3, 0, 1, 2)
    kernel, stride = (weights.shape[2], weights.shape[3]), positive_options(operator, translation, "stride_h", "stride_w")
    size, target = _size(source, conversion), _size(operator.outputs[0], conversion)
    if size != out_size(operator, target, kernel, stride, (1, 1)):
        raise translation.error(f"expected an input of the size that a convolution makes of {list(target)}, "
                                f"got {list(size)}", operator)
    before = window_pads(operator, translation, target, kernel, stride, (1, 1))[:2]
    rest = [(length - 1) * step + reach - pad - wanted
            for length, step, reach, pad, wanted in zip(size, stride, kernel, before, target, strict=True)]
    name = conversion.constant(f"{translation.name(number)}_filters", weights)
    conversion.put_result(
        operator, "ConvTranspose", (conversion.image(source), name, *_bias(operator.input(3), conversion)), is_image=True,
        fused=translation.fused(operator), kernel_shape=kernel, strides=stride,
        pads=(*before, max(rest[0], 0), max(rest[1], 0)), output_padding=(max(-rest[0], 0), max(-rest[1], 0)))


def _pooling(operator: TfliteOperator, conversion: Conversion, *, op: str) -> None:
    """AVERAGE_POOL_2D (over positions inside the image) and MAX_POOL_2D."""
    translation, source = conversion.translation, operator.inputs[0]
    window = positive_options(operator, translation, "filter_h", "filter_w")
    stride = positive_options(operator, translation, "stride_h", "stride_w")
    pads = window_pads(operator, translation, _size(source, conversion), window, stride, (1, 1))
    conversion.put_result(operator, op, (conversion.image(source),), is_image=True, fused=translation.fused(operator),
                          kernel_shape=window, strides=stride, pads=pads)


def _resize(operator: TfliteOperator, conversion: Conversion, *, mode: str) -> None:
    """RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR.

    Source: google-ai-edge/LiteRT `tflite/kernels/internal/reference/reference_ops.h`, `resize_nearest_neighbor.h`.
    """
    is_aligned, is_half = (bool(operator.options[name]) for name in ("align_corners", "half_pixel_centers"))
    if is_aligned and is_half:
        raise NotSimulated("a resize with aligned corners and half-pixel centers")
    coordinates = "align_corners" if is_aligned else "half_pixel" if is_half else "asymmetric"
    nearest = "floor" if coordinates == "asymmetric" else "round_prefer_ceil"
    n, height, width, channels = conversion.shape(operator.outputs[0])
    sizes = conversion.constant(f"{operator.label}_sizes", (n, channels, height, width))
    conversion.put_result(operator, "Resize", (conversion.image(operator.inputs[0]), "", "", sizes), is_image=True,
                          mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=nearest)


def _blocks(operator: TfliteOperator, conversion: Conversion, *, op: str) -> None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH; TFLite's order of the depth is ONNX's DCR."""
    block = operator.options["block_size"]
    if block < 1:
        raise conversion.translation.error(f"expected a block of at least 1, got {block}", operator)
    extra: dict[str, Any] = {"mode": "DCR"} if op == "DepthToSpace" else {}
    conversion.put_result(operator, op, (conversion.image(operator.inputs[0]),), is_image=True, blocksize=block, **extra)


CONVERTERS: dict[str, Callable[[TfliteOperator, Conversion], None]] = {
    "CONV_2D": partial(_convolution, is_depthwise=False),
    "DEPTHWISE_CONV_2D": partial(_convolution, is_depthwise=True),
    "TRANSPOSE_CONV": _transposed_convolution,
    "AVERAGE_POOL_2D": partial(_pooling, op="AveragePool"),
    "MAX_POOL_2D": partial(_pooling, op="MaxPool"),
    "RESIZE_BILINEAR": partial(_resize, mode="linear"),
    "RESIZE_NEAREST_NEIGHBOR": partial(_resize, mode="nearest"),
    "DEPTH_TO_SPACE": partial(_blocks, op="DepthToSpace"),
    "SPACE_TO_DEPTH": partial(_blocks, op="SpaceToDepth"),
}
