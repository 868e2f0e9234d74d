"""Kernels of the ONNX operators on rows: softmax, normalization, reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.normalization import NormalizationKernel
from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.kernels.softmax import SoftmaxKernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.clamps import CLAMPS, clamp_range
from accelsim.workload.onnx.float_kernel import FloatKernel
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.kernel_chain import chained
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.vector_operators import REDUCTIONS

# Source: ONNX Operators.md, the attributes' defaults.
_EPSILON = 1e-5

_FUSED_BITS = 8


def softmax_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """Softmax and LogSoftmax; onnxruntime fuses a softmax of 8-bit integers into QLinearSoftmax."""
    node = origin.node
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    y = written.qparams
    version = node.integer("opset", model.translation.graph.opsets.get("", 13))
    is_old, is_log = version < 13, node.op == "LogSoftmax"
    is_fused = not is_log and x.qtype.bits == y.qtype.bits == _FUSED_BITS
    return SoftmaxKernel(node.integer("axis", 1 if is_old else -1), 1.0, x, y, is_log=is_log,
                         form="qlinear" if is_fused else "dequantize", is_flattened=is_old), written


def reduction_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """ReduceMean, ReduceSum, ReduceMax and ReduceMin."""
    node = origin.node
    if node.op.startswith("Arg"):
        raise NotQuantized(f"expected an operator with a kernel on integers, got {node.op}")
    rank = len(model.translation.shape(node.inputs[0]))
    stated = model.parameters.array(node.inputs[1]).flat if node.input(1) else node.integers("axes")
    axes = tuple(sorted(int(axis) % rank for axis in stated)) or tuple(range(rank))
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    kind = REDUCTIONS[node.op]
    assert kind in ("mean", "sum", "max", "min")
    kernel = ReductionKernel(kind, axes, bool(node.integer("keepdims", 1)), x, written.qparams)  # type: ignore[arg-type]
    return _with_clamps(kernel, origin.nodes[1:], written.qparams, model), written


def _with_clamps(kernel: Kernel, nodes: Sequence[Node], y: QParams, model: Activations) -> Kernel:
    for node in nodes:
        if node.op not in CLAMPS:
            raise NotQuantized(f"expected an integer tensor before {node.label}, got floating-point numbers")
    low, high = clamp_range(nodes, y, model)
    if (low, high) == (y.qtype.min, y.qtype.max):
        return kernel
    return chained([kernel, RescalingKernel(y, y, low, high)])


def normalization_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """Layer, RMS, instance and L2 normalization; a batch normalization that no layer took over."""
    node = origin.node
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    y = written.qparams
    if node.op == "BatchNormalization":
        constants = _batch_constants(node, model)
        kernel: Kernel = FloatKernel("affine", (x,), y, y.qtype.min, y.qtype.max, constants)
    else:
        kernel = _normalization(node, x, y, model)
    return _with_clamps(kernel, origin.nodes[1:], y, model), written


def _normalization(node: Node, x: QParams, y: QParams, model: Activations) -> Kernel:
    rank = len(model.translation.shape(node.inputs[0]))
    epsilon = float(node.attribute("epsilon", _EPSILON))
    gamma, beta = (_real(node, position, model) for position in (1, 2))
    axis = node.integer("axis", -1) % rank
    if node.op == "LayerNormalization":
        return NormalizationKernel("layer", tuple(range(axis, rank)), epsilon, gamma, beta, x, y)
    if node.op in ("RMSNormalization", "SimplifiedLayerNormalization"):
        return NormalizationKernel("rms", tuple(range(axis, rank)), epsilon, gamma, beta, x, y)
    if node.op == "InstanceNormalization":
        shape = (-1, *(1,) * (rank - 2))
        gamma, beta = (None if each is None else each.reshape(shape) for each in (gamma, beta))
        return NormalizationKernel("layer", tuple(range(2, rank)), epsilon, gamma, beta, x, y)
    if node.op == "LpNormalization" and node.integer("p", 2) == 2:
        return NormalizationKernel("l2", (axis,), 0.0, None, None, x, y)
    raise NotQuantized(f"expected an operator with a kernel on integers, got {node.op}")


def _real(node: Node, position: int, model: Activations) -> NDArray[np.float32] | None:
    """A constant operand in real numbers."""
    name = node.input(position)
    if not name:
        return None
    if not model.translation.is_constant(name):
        raise NotQuantized(f"expected a {node.op} with constant parameters")
    return np.asarray(model.parameters.array(name), dtype=np.float32)


def _batch_constants(node: Node, model: Activations) -> dict[int, NDArray[Any]]:
    """Factor and addend of each channel, along dimension 1."""
    rank = len(model.translation.shape(node.inputs[0]))
    gamma, beta, mean, variance = (np.asarray(_real(node, position, model)) for position in range(1, 5))
    factor = gamma / np.sqrt(variance + np.float32(node.attribute("epsilon", _EPSILON)))
    shape = (-1, *(1,) * (rank - 2))
    return {1: factor.reshape(shape), 2: (beta - mean * factor).reshape(shape)}
