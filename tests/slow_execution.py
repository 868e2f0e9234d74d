"""The integers of a quantized network layer by layer, the plain way: a window at a time, whole accumulators, no machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.rule import Rule
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution
from accelsim.workload.quantized_network import QuantizedNetwork

Integers = NDArray[Any]


def execute(network: QuantizedNetwork, inputs: Mapping[str, Integers]) -> dict[str, Integers]:
    """Every tensor of the network by its name, in the model's layout.

    Parameters
    ----------
    inputs : integers of the tensors that come from outside, by the network's names.
    """
    tensors = dict(inputs)
    for layer in network.network.layers:
        tensors[layer.output.name] = execute_layer(network, layer, [tensors[tensor.name] for tensor in layer.inputs])
    return tensors


def execute_layer(network: QuantizedNetwork, layer: Layer, inputs: Sequence[Integers]) -> Integers:
    """What one layer writes, of inputs in any shape of the same elements."""
    quantized = network.layers[layer.name]
    seen = [array.reshape(shape) for array, shape in zip(inputs, quantized.input_shapes, strict=True)]
    kernel = quantized.kernel
    if not isinstance(kernel, GridKernel):
        found = kernel.run(seen, network.rule)
    elif isinstance(layer.operation, Convolution):
        found = _convolution(layer.operation, kernel, seen[0], network.rule)
    else:
        found = _product(kernel, seen, network.rule)
    assert found.shape == quantized.output_shape, f"{layer.name}: {found.shape} is not {quantized.output_shape}"
    assert found.dtype == quantized.output.qtype.dtype, f"{layer.name}: {found.dtype}"
    return found


def _convolution(operation: Convolution, kernel: GridKernel, x: Integers, rule: Rule) -> Integers:
    assert kernel.weights is not None
    assert kernel.channels_last, "only TFLite's layout is written here"
    groups, n, _ = kernel.weights.shape
    centred = x.astype(np.int64) - int(kernel.input.zero_point)
    points = np.broadcast_to(kernel.weight_zero_points, (groups * n,)).reshape(groups, n, 1)
    weights = kernel.weights.astype(np.int64) - points
    (rows, columns), (height, width) = operation.out_size, operation.kernel
    if operation.is_transposed:
        centred = _stretched(centred, operation)
        stride = (1, 1)
        pads = tuple(reach - 1 - pad for reach, pad in zip(operation.kernel, operation.pads[:2], strict=True))
    else:
        stride, pads = operation.stride, operation.pads[:2]
    reach = [(count - 1) * step + (size - 1) * spread + 1 for count, step, size, spread in
             zip((rows, columns), stride, operation.kernel, operation.dilation, strict=True)]
    after = [max(0, needed - size - pad) for needed, size, pad in zip(reach, centred.shape[1:3], pads, strict=True)]
    bordered = np.pad(centred, ((0, 0), (pads[0], after[0]), (pads[1], after[1]), (0, 0)))
    accumulators = np.zeros((x.shape[0], rows, columns, groups, n))
    per_group = weights.reshape(groups, n, height, width, -1)
    for r in range(height):
        for s in range(width):
            top, left = r * operation.dilation[0], s * operation.dilation[1]
            tap = bordered[:, top:top + (rows - 1) * stride[0] + 1:stride[0],
                           left:left + (columns - 1) * stride[1] + 1:stride[1]]
            split = tap.reshape(*tap.shape[:3], groups, -1)
            # Exact in float64: sums stay far below 2^53.
            accumulators += np.einsum("bpqgc,gnc->bpqgn", split.astype(float), per_group[:, :, r, s].astype(float),
                                      optimize=True)
    return _requantized(accumulators.astype(np.int64).reshape(x.shape[0], rows, columns, groups * n), kernel, rule)


def _stretched(x: Integers, operation: Convolution) -> Integers:
    """Zeros between the pixels of a transposed convolution's input."""
    (height, width), (down, right) = operation.in_size, operation.stride
    stretched = np.zeros((x.shape[0], (height - 1) * down + 1, (width - 1) * right + 1, x.shape[3]), np.int64)
    stretched[:, ::down, ::right] = x
    return stretched


def _product(kernel: GridKernel, inputs: Sequence[Integers], rule: Rule) -> Integers:
    assert kernel.streamed is not None
    assert kernel.written is not None
    x = kernel.streamed.matrices(inputs[0]).astype(np.int64) - int(kernel.input.zero_point)
    if kernel.weights is None:
        assert kernel.stationary is not None
        weights = kernel.stationary.matrices(inputs[1])
    else:
        weights = kernel.weights
    points = kernel.weight_zero_points.reshape(1, -1, 1)
    centred = weights.astype(np.int64) - points
    accumulators = np.einsum("bmk,bnk->bmn", x, np.broadcast_to(centred, weights.shape))
    if kernel.bias is not None and kernel.written.batch_rank:
        raise AssertionError("a batch of products has no biases")
    return kernel.written.restored(_requantized(accumulators, kernel, rule))


def _requantized(accumulators: Integers, kernel: GridKernel, rule: Rule) -> Integers:
    if kernel.bias is not None:
        accumulators = accumulators + kernel.bias.astype(np.int64)
    return kernel.requantization(rule).requantize(accumulators)
