"""Random integers for random grid layers, and what they give by the definition, product by product."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.network import Network
from accelsim.workload.operation import Convolution
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork


@st.composite
def quantized_networks(draw, layer, *, asymmetric_weights=False):
    """A network of one grid layer with integers; scales are powers of two, one per channel where weights are constant."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    operation = layer.operation
    is_image = isinstance(operation, Convolution)
    groups = operation.groups if is_image else operation.batch
    n = operation.out_channels // groups if is_image else operation.n
    k = operation.reduction_length if is_image else operation.k

    def qtype(bits):
        return QType(bits, draw(st.booleans()))

    def point(kind):
        return draw(st.integers(kind.min, kind.max))

    x, w, y = qtype(layer.streamed.bits), qtype(layer.stationary.bits), qtype(layer.output.bits)
    channels_last = draw(st.booleans())
    constant = layer.weights is not None
    per_channel = constant and draw(st.booleans())
    weight_scale = 2.0 ** -rng.integers(0, 4, groups * n) if per_channel else 0.5
    points = 0
    if not constant or asymmetric_weights:
        points = rng.integers(w.min, w.max, groups * n, endpoint=True) if per_channel else point(w)
    has_bias = layer.bias is not None or draw(st.booleans())
    kernel = GridKernel(
        weights=rng.integers(w.min, w.max, (groups, n, k), endpoint=True) if constant else None,
        bias=rng.integers(-300, 300, groups * n) if constant and has_bias else None,
        input=QParams(scale=0.5, zero_point=point(x), qtype=x),
        weight=QParams(scale=weight_scale, zero_point=points, qtype=w, axis=0 if per_channel else None),
        output=QParams(scale=2.0 ** draw(st.integers(-1, 4)), zero_point=point(y), qtype=y),
        clamp_min=y.min, clamp_max=y.max, channels_last=channels_last)

    def shape_of(tensor):
        order = (0, 2, 3, 1) if is_image and channels_last else range(len(tensor.shape))
        return tuple(tensor.shape[axis] for axis in order)

    shapes = tuple(shape_of(tensor) for tensor in layer.inputs)
    quantized = QuantizedLayer(kernel, shapes, shape_of(layer.output), kernel.output)
    kinds = (kernel.input, kernel.weight)
    inputs = tuple(ModelInput(tensor.name, tensor.name, shape, kind)
                   for tensor, shape, kind in zip(layer.inputs, shapes, kinds[:len(shapes)], strict=True))
    network = QuantizedNetwork(Network(layer.name, (layer,), outputs=(layer.output.name,)), {layer.name: quantized}, inputs,
                               (ModelOutput("y", layer.output.name, shape_of(layer.output), kernel.output),),
                               rule=Rule("power_of_two"))
    arrays = {item.name: rng.integers(item.qparams.qtype.min, item.qparams.qtype.max, item.shape, endpoint=True,
                                      dtype=np.int64).astype(item.qparams.qtype.dtype) for item in inputs}
    return network, arrays


class Definition:
    """The layer by its loops, in Python's integers."""

    def __init__(self, layer, kernel, arrays):
        self.layer, self.kernel, self.operation = layer, kernel, layer.operation
        self.x = arrays[layer.inputs[0].name].astype(int)
        if kernel.weights is None:
            self.w = arrays[layer.inputs[1].name].astype(int)
        if isinstance(self.operation, Convolution) and kernel.channels_last:
            self.x = self.x.transpose(0, 3, 1, 2)

    def outputs(self):
        """(group, m, n, coordinate) of every output."""
        operation = self.operation
        if isinstance(operation, Convolution):
            rows, columns = operation.out_size
            n = operation.out_channels // operation.groups
            for image, o, p, q in np.ndindex(operation.batch, operation.out_channels, rows, columns):
                place = (image, p, q, o) if self.kernel.channels_last else (image, o, p, q)
                yield o // n, (image * rows + p) * columns + q, o % n, place
        else:
            for place in np.ndindex(operation.batch, operation.m, operation.n):
                yield *place, place

    def pairs(self, group, m, n):
        """(x, w) of every product, in K order; None stands for padding."""
        operation = self.operation
        if not isinstance(operation, Convolution):
            w = self.kernel.weights if self.kernel.weights is not None else self.w.reshape(operation.batch, operation.n, -1)
            for k in range(operation.k):
                yield int(self.x[group, m, k]), int(w[group, n, k])
            return
        rows, columns = operation.out_size
        image, rest = divmod(m, rows * columns)
        p, q = divmod(rest, columns)
        channels, k = operation.in_channels // operation.groups, 0
        for r in range(operation.kernel[0]):
            for s in range(operation.kernel[1]):
                for c in range(channels):
                    yield self._pixel(image, group * channels + c, p, q, r, s), int(self.kernel.weights[group, n, k])
                    k += 1

    def _pixel(self, image, channel, p, q, r, s):
        operation, place = self.operation, []
        for axis, (out, tap) in enumerate(((p, r), (q, s))):
            stride, pad, dilation = operation.stride[axis], operation.pads[axis], operation.dilation[axis]
            if operation.is_transposed:
                at = out + tap * dilation - (dilation * (operation.kernel[axis] - 1) - pad)
                if at % stride:
                    return None
                at //= stride
            else:
                at = out * stride + tap * dilation - pad
            if not 0 <= at < operation.in_size[axis]:
                return None
            place.append(at)
        return int(self.x[image, channel, place[0], place[1]])

    def channel(self, group, n):
        """(bias, zero point of the weights, shift of the requantization) of an output channel."""
        kernel = self.kernel
        channels = kernel.weights.shape[1] if kernel.weights is not None else 0
        index = group * channels + n
        bias = int(kernel.bias[index]) if kernel.bias is not None else 0
        point = int(kernel.weight.zero_point[index] if kernel.weight.zero_point.ndim else kernel.weight.zero_point)
        scale = float(kernel.weight.scale[index] if kernel.weight.scale.ndim else kernel.weight.scale)
        return bias, point, round(-math.log2(float(kernel.input.scale) * scale / float(kernel.output.scale)))

    def exact(self, group, m, n):
        """``b + sum (x - z_x)(w - z_w)``."""
        bias, point, _ = self.channel(group, n)
        zero = int(self.kernel.input.zero_point)
        return bias + sum((x - zero) * (w - point) for x, w in self.pairs(group, m, n) if x is not None)

    def requantized(self, value, shift):
        """Half up, zero point, clamp."""
        scaled = (value + (1 << shift >> 1)) >> shift if shift >= 0 else value << -shift
        return min(max(scaled + int(self.kernel.output.zero_point), self.kernel.clamp_min), self.kernel.clamp_max)
