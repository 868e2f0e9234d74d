"""A small, slow executor of a `QuantizedNetwork`: int64 sums written out, no tiles, no machine.

What it computes is checked against the model's own runtime; the machine is checked against both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution
from accelsim.workload.quantized_network import QuantizedNetwork

Array = NDArray[Any]


def run_network(quantized: QuantizedNetwork, feeds: Mapping[str, Array], rule: Rule | None = None) -> dict[str, Array]:
    """The integers of every tensor, by the network's names, from what the model is fed."""
    values: dict[str, Array] = {}
    for model_input in quantized.inputs:
        given = feeds[model_input.name]
        values[model_input.tensor] = model_input.qparams.quantize(given) if model_input.is_float else given
    for layer in quantized.network.layers:
        values[layer.output.name] = run_layer(quantized, layer, values, rule)
    return values


def run_layer(quantized: QuantizedNetwork, layer: Layer, values: Mapping[str, Array], rule: Rule | None = None) -> Array:
    """What one layer writes, in the model's layout."""
    numbers = quantized.layers[layer.name]
    read = [values[tensor.name].reshape(shape) for tensor, shape in zip(layer.inputs, numbers.input_shapes, strict=True)]
    rule = rule or quantized.rule
    if not isinstance(numbers.kernel, GridKernel):
        written = numbers.kernel.run(read, rule)
        assert written.shape == numbers.output_shape, (layer.name, written.shape, numbers.output_shape)
    elif isinstance(layer.operation, Convolution):
        written = convolution(layer.operation, numbers.kernel, read[0], rule)
    else:
        written = product(numbers.kernel, read, rule)
    assert written.dtype == numbers.output.qtype.dtype, layer.name
    return written.reshape(numbers.output_shape)


def convolution(operation: Convolution, kernel: GridKernel, x: Array, rule: Rule) -> Array:
    """Every window gathered as it stands in the definition; what lies outside the image is the zero point."""
    groups, channels = operation.groups, operation.in_channels // operation.groups
    image = x.reshape(operation.batch, *operation.in_size, -1) if kernel.channels_last else np.moveaxis(
        x.reshape(operation.batch, operation.in_channels, *operation.in_size), 1, 3)
    image = image.astype(np.int64) - int(kernel.input.zero_point)
    strides = operation.stride
    top, left, bottom, right = operation.pads
    if operation.is_transposed:
        # Zeros between neighbours; the flipped kernel slides by 1.
        n, height, width, c = image.shape
        stretched = np.zeros((n, (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1, c), np.int64)
        stretched[:, ::strides[0], ::strides[1]] = image
        image, strides = stretched, (1, 1)
        reach = [dilation * (size - 1) for dilation, size in zip(operation.dilation, operation.kernel, strict=True)]
        extra = operation.output_padding
        top, bottom = reach[0] - top, reach[0] - bottom + extra[0]
        left, right = reach[1] - left, reach[1] - right + extra[1]
    image = crop_or_pad(image, ((top, bottom), (left, right)))
    weights = centred_weights(kernel).reshape(groups, -1, *operation.kernel, channels)
    rows, columns = operation.out_size
    total = np.zeros((run_count(kernel), operation.batch, rows, columns, groups, weights.shape[1]), np.int64)
    grouped = image.reshape(*image.shape[:3], groups, channels)
    for r in range(operation.kernel[0]):
        for s in range(operation.kernel[1]):
            first, second = r * operation.dilation[0], s * operation.dilation[1]
            seen = grouped[:, first:first + (rows - 1) * strides[0] + 1:strides[0],
                           second:second + (columns - 1) * strides[1] + 1:strides[1]]
            for run, part in runs_of(kernel, (r * operation.kernel[1] + s) * channels, channels):
                total[run] += np.einsum("nhwgc,goc->nhwgo", seen[..., part], weights[:, :, r, s, part])
    accumulators = rescaled(kernel, total.reshape(len(total), operation.batch, rows, columns, -1), rule)
    if kernel.bias is not None:
        accumulators = accumulators + kernel.bias.astype(np.int64)
    written = kernel.requantization(rule).requantize(accumulators)
    return written if kernel.channels_last else np.moveaxis(written, 3, 1)


def run_count(kernel: GridKernel) -> int:
    """Weight scales of a channel."""
    return 1 if kernel.weight.group_size is None else kernel.weight.scale.shape[1]


def runs_of(kernel: GridKernel, first: int, count: int) -> list[tuple[int, slice]]:
    """The runs of K with a scale of their own that some reduction steps fall into, and which of these steps."""
    length = kernel.weight.group_size or first + count
    numbers = np.arange(first, first + count) // length
    return [(int(run), slice(*np.searchsorted(numbers, [run, run + 1]))) for run in np.unique(numbers)]


def rescaled(kernel: GridKernel, sums: Array, rule: Rule) -> Array:
    """Sums of runs (runs, ..., channels), added in units of the channel's largest scale."""
    if kernel.weight.group_size is None:
        return sums[0]
    scale, total = kernel.weight.scale, np.zeros(sums.shape[1:], np.int64)
    for run, own in enumerate(sums):
        unit = rule.requantization(scale[:, run] / scale.max(axis=1), zero_point=0, qtype=QType(32, True))
        total += unit.requantize(own)
    return total


def crop_or_pad(image: Array, borders: tuple[tuple[int, int], tuple[int, int]]) -> Array:
    """Zeros around (N, H, W, C), or rows and columns cut off where a border is negative."""
    (top, bottom), (left, right) = borders
    height, width = image.shape[1:3]
    cut = image[:, max(0, -top):height - max(0, -bottom), max(0, -left):width - max(0, -right)]
    return np.pad(cut, ((0, 0), (max(0, top), max(0, bottom)), (max(0, left), max(0, right)), (0, 0)))


def centred_weights(kernel: GridKernel) -> Array:
    """Weights minus their zero points, (groups, N, K)."""
    assert kernel.weights is not None
    points = kernel.weight_zero_points
    shaped = points.reshape(*kernel.weights.shape[:2], 1) if points.ndim else points
    return kernel.weights.astype(np.int64) - shaped


def product(kernel: GridKernel, read: list[Array], rule: Rule) -> Array:
    """A batch of matrix products."""
    assert kernel.streamed is not None
    assert kernel.written is not None
    x = kernel.streamed.matrices(read[0]).astype(np.int64) - int(kernel.input.zero_point)
    if kernel.weights is None:
        assert kernel.stationary is not None
        w = kernel.stationary.matrices(read[1]).astype(np.int64) - int(kernel.weight.zero_point)
    else:
        w = centred_weights(kernel)
    sums = np.stack([np.einsum("bmk,bnk->mbn", x[..., part], w[..., part]) for _, part in runs_of(kernel, 0, x.shape[2])])
    _, m, batch, n = sums.shape
    flat = rescaled(kernel, sums.reshape(len(sums), m, batch * n), rule)
    if kernel.bias is not None:
        flat = flat + kernel.bias.astype(np.int64)
    written = kernel.requantization(rule).requantize(flat).reshape(m, batch, n)
    return kernel.written.restored(written.transpose(1, 0, 2))
