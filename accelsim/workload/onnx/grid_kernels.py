"""Kernels of the layers on the PE grid: convolutions and matrix products of an ONNX model.

What the model does in floating point between the product and the rounding folds into the kernel: a factor into the scale of
the weights, a sum into the bias, a clamp into the output's range. onnxruntime computes the same integers where it fuses the
DequantizeLinear and QuantizeLinear into QLinearConv, QGemm or QLinearMatMul (8 bits, a bias in the accumulator's scale).
Where it computes in float32, an output that is a tie but for float32's rounding may differ by 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.scale_groups import unit_scale
from accelsim.workload.layer import Layer
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.clamps import CLAMPS, clamp_range
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.parameters import QuantizedConstant
from accelsim.workload.onnx.products import product_of
from accelsim.workload.operation import Convolution, MatMul

# A scale in the accumulator's unit, rounded to float32 once more or less.
_SAME_SCALE = 1e-5
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class _Weights:
    """Integers (groups, N, K) of a constant operand, or None, and their meaning by output channel."""

    values: NDArray[Any] | None
    qparams: QParams


def grid_kernel(layer: Layer, origin: Origin, model: Activations) -> tuple[GridKernel, Written]:
    """What a layer on the PE grid computes.

    Raises
    ------
    NotQuantized : operands or an output in floating point, or int32 accumulators as output.
    WorkloadError, NumericsError : wrong scales, zero points or weights.
    """
    node = origin.node
    if node.written is None and model.holds_integers(node.outputs[0]):
        raise NotQuantized("expected an output with scale and zero point, got int32 accumulators")
    streamed: Arrangement | None = None
    stationary: Arrangement | None = None
    output_as: Arrangement | None = None
    if isinstance(layer.operation, Convolution):
        x = model.read(origin.operands[0], node.encoding(0))
        weights = _filters(layer.operation, node, model)
    else:
        product = product_of(node, model.translation)
        x = model.read(origin.operands[0], node.encoding(product.streamed))
        streamed, output_as = product.streamed_as, product.written_as
        if len(layer.inputs) > 1:
            stationary = product.stationary_as
            weights = _Weights(None, model.read(origin.operands[1], node.encoding(product.stationary)))
        else:
            weights = _matrices(node, product.stationary, product.stationary_as, product.channel_axis, model)
    written = model.written(origin)
    x, weights, bias = _folded(layer, origin, x, weights, model)
    low, high = clamp_range([each for each in origin.nodes[1:] if each.op in CLAMPS], written.qparams, model)
    return GridKernel(
        weights=weights.values, bias=bias, input=x, weight=weights.qparams, output=written.qparams, clamp_min=low,
        clamp_max=high, operator=_operator(layer), streamed=streamed, stationary=stationary, written=output_as), written


def _operator(layer: Layer) -> Any:
    if isinstance(layer.operation, Convolution):
        return "depthwise" if layer.operation.is_depthwise else "conv"
    return "fully_connected"


def _filters(operation: Convolution, node: Node, model: Activations) -> _Weights:
    """Weights (N, C/g, r, s) as (g, N/g, (r, s, c)); transposed ones (C, N/g, r, s) with the kernel flipped."""
    constant = model.parameters.quantized(node.inputs[1], node.encoding(1))
    values, groups = constant.values, operation.groups
    if operation.is_transposed:
        spatial = tuple(range(2, values.ndim))
        split = np.flip(values, spatial).reshape(groups, -1, *values.shape[1:])
        ordered = np.moveaxis(split, 1, -1)
        axis = 1
    else:
        ordered = np.moveaxis(values, 1, -1)
        axis = 0
    matrices = np.ascontiguousarray(ordered.reshape(groups, operation.out_channels // groups, -1))
    block = constant.qparams.group_size
    if block is None:
        return _Weights(matrices, _by_channel(constant, axis, operation.out_channels, node, model))
    is_aligned = values.shape[1] % block == 0 or prod(values.shape[2:]) == 1
    if operation.is_transposed or constant.qparams.axis != 1 or not is_aligned:
        raise _unaligned(constant, node, model)
    return _Weights(matrices, _by_runs(constant, np.moveaxis(constant.qparams.scale, 1, -1), matrices))


def _matrices(node: Node, position: int, arrangement: Arrangement, axis: int | None, model: Activations) -> _Weights:
    constant = model.parameters.quantized(node.inputs[position], node.encoding(position))
    matrices = np.ascontiguousarray(arrangement.matrices(constant.values))
    own = constant.qparams
    if own.group_size is not None:
        if constant.values.ndim != 2 or own.axis == axis:
            raise _unaligned(constant, node, model)
        return _Weights(matrices, _by_runs(constant, own.scale if own.axis == 1 else own.scale.T, matrices))
    return _Weights(matrices, _by_channel(constant, axis, matrices.shape[0] * matrices.shape[1], node, model))


def _by_runs(constant: QuantizedConstant, scale: NDArray[Any], matrices: NDArray[Any]) -> QParams:
    """The meaning of weights with blocks along K, whose scales lie channel by channel."""
    own = constant.qparams
    if own.zero_point.any():
        raise NumericsError("expected zero point 0 for weights with several scales a channel, got "
                            f"{int(own.zero_point[own.zero_point != 0].flat[0])}", field="zero_point")
    return QParams(scale=scale.reshape(matrices.shape[0] * matrices.shape[1], -1), zero_point=0, qtype=own.qtype, axis=1,
                   group_size=own.group_size)


def _unaligned(constant: QuantizedConstant, node: Node, model: Activations) -> WorkloadError:
    own = constant.qparams
    return model.parameters.error(
        "expected blocks of the inner axis of a matrix, or that divide the input channels of a kernel position, got blocks "
        f"of {own.group_size} along axis {own.axis} of {list(constant.values.shape)}", node.label)


def _by_channel(constant: QuantizedConstant, axis: int | None, channels: int, node: Node, model: Activations) -> QParams:
    """The weights' meaning with one scale an output channel, or one for all."""
    own = constant.qparams
    if own.axis is None:
        return own
    if own.axis != axis:
        raise model.parameters.error(
            f"expected scales of output channels, along axis {axis} of the weights {list(constant.values.shape)}, "
            f"got axis {own.axis}", node.label)
    # Groups of a transposed convolution, or matrices of a batch, share the list.
    repeats = channels // own.scale.size
    return QParams(scale=np.tile(own.scale, repeats), zero_point=np.tile(own.zero_point, repeats), qtype=own.qtype, axis=0)


def _folded(layer: Layer, origin: Origin, x: QParams, weights: _Weights,
            model: Activations) -> tuple[QParams, _Weights, NDArray[Any] | None]:
    """Input, weights and bias after everything that the layer took over before the model rounds."""
    node, channels = origin.node, _channels(layer)
    alpha = float(node.attribute("alpha", 1.0)) if node.op == "Gemm" else 1.0
    if alpha != 1.0:
        # On the input's side, since QGemm multiplies alpha by the input's scale first.
        # Source: microsoft/onnxruntime `onnxruntime/contrib_ops/cpu/quantization/quant_gemm.cc`.
        x = _scaled(x, np.asarray(alpha), node, model)
    bias = _bias(node, x, weights.qparams, channels, model) if node.input(2) else None
    for absorbed in origin.nodes[1:]:
        if absorbed.op in CLAMPS:
            continue
        added = _stated_addend(absorbed, x, weights.qparams, channels, model)
        if added is not None:
            bias = added if bias is None else bias + added
            continue
        factor, addend = _affine(absorbed, channels, model)
        if factor is not None:
            weights = replace(weights, qparams=_scaled(weights.qparams, factor, absorbed, model))
        if addend is not None:
            added = _in_accumulator(addend, x, weights.qparams, absorbed, model)
            bias = np.broadcast_to(added, (channels,)) if bias is None else bias + added
    return x, weights, bias


def _channels(layer: Layer) -> int:
    """Output channels over all groups, or over all matrices of a batch."""
    operation = layer.operation
    assert isinstance(operation, Convolution | MatMul)
    return operation.out_channels if isinstance(operation, Convolution) else operation.batch * operation.n


def _scaled(meaning: QParams, factor: NDArray[Any], node: Node, model: Activations) -> QParams:
    if not np.all(np.isfinite(factor) & (factor > 0)):
        raise model.parameters.error(f"expected factors above 0 to fold into the scales, got {factor.min()}", node.label)
    if meaning.group_size is not None:
        by_channel = np.asarray(meaning.scale * np.reshape(factor, (-1, 1)), dtype=np.float32)
        return QParams(scale=by_channel, zero_point=0, qtype=meaning.qtype, axis=1, group_size=meaning.group_size)
    scale = np.asarray(np.float32(meaning.scale * factor), dtype=np.float64)
    points = np.broadcast_to(meaning.zero_point, scale.shape)
    return QParams(scale=scale, zero_point=points, qtype=meaning.qtype, axis=0 if scale.ndim else None)


def _affine(node: Node, channels: int, model: Activations) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Factor and addend of an operator that the layer took over, one an output channel or one for all."""
    if node.op == "BatchNormalization":
        gamma, beta, mean, variance = (model.parameters.array(name).astype(np.float64) for name in node.inputs[1:5])
        factor = gamma / np.sqrt(variance + node.attribute("epsilon", 1e-5))
        return factor, beta - mean * factor
    constant = next(name for name in node.inputs if model.translation.is_constant(name))
    value = model.parameters.array(constant).astype(np.float64)
    value = value.reshape(()) if value.size == 1 else _spread(value, channels, constant, model)
    if node.op in ("Mul", "Div"):
        with np.errstate(divide="ignore"):
            return value if node.op == "Mul" else 1.0 / value, None
    return None, value if node.op == "Add" else -value


def _stated_addend(node: Node, x: QParams, weight: QParams, channels: int, model: Activations) -> NDArray[Any] | None:
    """What an operator adds or subtracts, where the model has it as integers in the accumulator's scale."""
    if node.op not in ("Add", "Sub"):
        return None
    name = next(name for name in node.inputs if model.translation.is_constant(name))
    stated = _stated_bias(name, x, weight, channels, model)
    return stated if stated is None or node.op == "Add" else -stated.astype(np.int64)


def _bias(node: Node, x: QParams, weight: QParams, channels: int, model: Activations) -> NDArray[Any]:
    """Integers in the accumulator's scale: the model's own, or its real numbers rounded to it as onnxruntime does."""
    name = node.inputs[2]
    if node.encodings:
        found = model.parameters.array(name)
        if found.dtype != np.int32:
            raise model.parameters.error(f"expected a bias of type int32, got {found.dtype.name}", name)
        return _spread(found, channels, name, model)
    beta = float(node.attribute("beta", 1.0)) if node.op == "Gemm" else 1.0
    stated = _stated_bias(name, x, weight, channels, model) if beta == 1.0 else None
    if stated is not None:
        return stated
    real = model.parameters.array(name).astype(np.float32) * np.float32(beta)
    return _in_accumulator(_spread(real, channels, name, model), x, weight, node, model)


def _stated_bias(name: str, x: QParams, weight: QParams, channels: int, model: Activations) -> NDArray[Any] | None:
    """The integers of a constant that is in the accumulator's scale already; None for any other."""
    if not model.parameters.is_quantized(name):
        return None
    constant = model.parameters.quantized(name)
    own, unit = constant.qparams, x.scale * unit_scale(weight)
    is_spread = own.scale.ndim and unit.ndim
    if own.qtype.bits != _INT32.bits or own.zero_point.any() or (is_spread and own.scale.shape != unit.shape):
        return None
    return _spread(constant.values, channels, name, model) if np.allclose(own.scale, unit, _SAME_SCALE, 0.0) else None


def _spread(values: NDArray[Any], channels: int, name: str, model: Activations) -> NDArray[Any]:
    """One number an output channel; the matrices of a batch share them."""
    if channels % values.size:
        raise model.parameters.error(f"expected {channels} numbers, one an output channel, got {values.size}", name)
    return np.tile(values.reshape(-1), channels // values.size)


def _in_accumulator(addend: NDArray[Any], x: QParams, weight: QParams, node: Node, model: Activations) -> NDArray[Any]:
    """``round(addend / (s_x s_w))``."""
    unit = np.float32(x.scale) * unit_scale(weight).astype(np.float32)
    integers = np.rint(addend.astype(np.float32) / unit)
    if not np.all(np.isfinite(integers) & (np.abs(integers) <= _INT32.max)):
        raise model.parameters.error("expected a bias that fits 32 bits in the accumulator's scale", node.label)
    return integers.astype(np.int64)
