"""Translators of TFLite's convolutions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from numpy.typing import NDArray

from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.scheme import Operator
from accelsim.workload.operation import Convolution
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.grid_kernels import bias_of, constant_kernel
from accelsim.workload.tflite.translation import NotSimulated, Translation
from accelsim.workload.tflite.windows import out_size, positive_options, window_pads

_Pair = tuple[int, int]


def convolution(operator: TfliteOperator, translation: Translation) -> None:
    """CONV_2D: weights (O, kh, kw, C); input channels that are a multiple of C make groups."""
    source, number = operator.inputs[0], operator.inputs[1]
    batch, height, width, channels = _image(source, operator, translation)
    filters, kernel_height, kernel_width, depth = _kernel(number, operator, translation)
    if channels % depth or filters % (channels // depth):
        raise translation.error(f"expected channels in groups of {depth} that divide {filters} filters, got {channels}",
                                operator)
    groups = channels // depth
    kernel = (kernel_height, kernel_width)
    stride, dilation = _stride(operator, translation), _dilation(operator, translation)
    operation = Convolution(
        batch=batch, in_channels=channels, out_channels=filters, in_size=(height, width), kernel=kernel, stride=stride,
        pads=window_pads(operator, translation, (height, width), kernel, stride, dilation), dilation=dilation, groups=groups)
    _emit(operator, translation, operation, source, number, operator.input(2),
          lambda weights: weights.reshape(groups, filters // groups, -1), "conv", dimension=0)


def depthwise_convolution(operator: TfliteOperator, translation: Translation) -> None:
    """DEPTHWISE_CONV_2D: weights (1, kh, kw, C * multiplier); every input channel is a group of its own."""
    source, number = operator.inputs[0], operator.inputs[1]
    batch, height, width, channels = _image(source, operator, translation)
    ones, kernel_height, kernel_width, filters = _kernel(number, operator, translation)
    if ones != 1 or filters % channels:
        raise translation.error(f"expected weights of shape [1, kernel, kernel, {channels} times a multiplier], got "
                                f"{list(translation.shape(number))}", operator)
    kernel = (kernel_height, kernel_width)
    stride, dilation = _stride(operator, translation), _dilation(operator, translation)
    operation = Convolution(
        batch=batch, in_channels=channels, out_channels=filters, in_size=(height, width), kernel=kernel, stride=stride,
        pads=window_pads(operator, translation, (height, width), kernel, stride, dilation), dilation=dilation,
        groups=channels)
    _emit(operator, translation, operation, source, number, operator.input(2),
          lambda weights: weights.reshape(prod(kernel), channels, -1).transpose(1, 2, 0), "depthwise", dimension=3)


def transposed_convolution(operator: TfliteOperator, translation: Translation) -> None:
    """TRANSPOSE_CONV: the output's size is an operand; pads are those of the convolution that it is the gradient of."""
    number, source = operator.inputs[1], operator.inputs[2]
    batch, height, width, channels = _image(source, operator, translation)
    filters, kernel_height, kernel_width, depth = _kernel(number, operator, translation)
    if depth != channels:
        raise translation.error(f"expected {depth} input channels, got {channels}", operator)
    kernel, stride = (kernel_height, kernel_width), _stride(operator, translation)
    target = translation.shape(operator.outputs[0])
    if len(target) != 4:
        raise translation.error(f"expected an output of 4 dimensions, got {list(target)}", operator)
    if (height, width) != out_size(operator, (target[1], target[2]), kernel, stride, (1, 1)):
        raise translation.error(f"expected an input of the size that a convolution makes of {list(target)}, got "
                                f"{list(translation.shape(source))}", operator)
    before = window_pads(operator, translation, (target[1], target[2]), kernel, stride, (1, 1))
    # What the stretched input and the kernel reach beyond the pads and the output: cut off, or padded where it falls short.
    rest = [(size - 1) * step + reach - pad - wanted for size, step, reach, pad, wanted in
            zip((height, width), stride, kernel, before[:2], target[1:3], strict=True)]
    operation = Convolution(
        batch=batch, in_channels=channels, out_channels=filters, in_size=(height, width), kernel=kernel, stride=stride,
        pads=(before[0], before[1], max(rest[0], 0), max(rest[1], 0)), is_transposed=True,
        output_padding=(max(-rest[0], 0), max(-rest[1], 0)))
    _emit(operator, translation, operation, source, number, operator.input(3),
          lambda weights: weights[:, ::-1, ::-1, :].reshape(1, filters, -1), "conv", dimension=0)


def _image(number: int, operator: TfliteOperator, translation: Translation) -> tuple[int, int, int, int]:
    shape = translation.shape(number)
    if len(shape) != 4:
        raise translation.error(f"expected an input of 4 dimensions, got {list(shape)}", operator)
    return shape[0], shape[1], shape[2], shape[3]


def _kernel(number: int, operator: TfliteOperator, translation: Translation) -> tuple[int, int, int, int]:
    if not translation.is_constant(number):
        raise NotSimulated("a convolution whose weights are computed")
    shape = translation.shape(number)
    if len(shape) != 4 or min(shape) < 1:
        raise translation.error(f"expected weights of 4 dimensions, got {list(shape)}", operator)
    return shape[0], shape[1], shape[2], shape[3]


def _stride(operator: TfliteOperator, translation: Translation) -> _Pair:
    return positive_options(operator, translation, "stride_h", "stride_w")


def _dilation(operator: TfliteOperator, translation: Translation) -> _Pair:
    return positive_options(operator, translation, "dilation_h", "dilation_w")


def _emit(operator: TfliteOperator, translation: Translation, operation: Convolution, source: int, number: int, addend: int,
          arranged: Callable[[NDArray[Any]], NDArray[Any]], kind: Operator, *, dimension: int) -> None:
    """Adds the layer of a convolution; `arranged` puts the model's weights as (groups, N, K)."""
    rows, columns = operation.out_size
    translation.require_output(operator, (operation.batch, rows, columns, operation.out_channels))
    fused = translation.fused(operator)

    def kernel() -> GridKernel:
        return constant_kernel(operator, translation, source, number, addend, arranged, kind=kind, fused=fused,
                               dimension=dimension, channels_last=True)

    shape = (operation.out_channels, operation.in_channels // operation.groups, *operation.kernel)
    translation.emit(operator, operation, (source,), kernel, weights=translation.constant(number, shape=shape),
                     bias=bias_of(operator, translation, addend, operation.out_channels), fused=fused, stationary=number)
