"""Kernels of the ONNX operators on the vector unit that compute: element-wise operators, activations, pooling, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.kernels.multiplication import MultiplicationKernel
from accelsim.numerics.kernels.real_function import FUNCTIONS
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.kernels.selection import SelectionKernel
from accelsim.numerics.kernels.table import TableKernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.layer import Layer
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.clamps import CLAMPS, clamp_range
from accelsim.workload.onnx.float_kernel import FloatKernel
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.image_kernels import pooling_kernel, resizing_kernel
from accelsim.workload.onnx.kernel_chain import KernelChain, Step, chained
from accelsim.workload.onnx.move_kernels import move_kernel
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.row_kernels import normalization_kernel, reduction_kernel, softmax_kernel
from accelsim.workload.onnx.vector_operators import ACTIVATIONS, ELEMENTWISE
from accelsim.workload.operation import Activation, Elementwise, Move, Normalization, Pooling, Reduction, Resize, Softmax


def vector_kernel(layer: Layer, origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """What a layer off the PE grid computes.

    Raises
    ------
    NotQuantized : operands or an output in floating point, an operator without a kernel.
    WorkloadError, NumericsError : wrong scales, zero points or constants.
    """
    if isinstance(layer.operation, Move):
        return move_kernel(origin, model)
    if origin.node.op in ("Sigmoid", "HardSigmoid") and len(origin.nodes) > 1:
        return _gated(origin, model)
    builders: dict[type, Callable[[Origin, Activations], tuple[Kernel, Written]]] = {
        Elementwise: _elementwise, Activation: _activation, Pooling: pooling_kernel, Resize: resizing_kernel,
        Softmax: softmax_kernel, Normalization: normalization_kernel, Reduction: reduction_kernel,
    }
    return builders[type(layer.operation)](origin, model)


class _Operands(NamedTuple):
    """Operands of an element-wise operator: meanings of all in order; integer constants; float constants by position."""

    meanings: tuple[QParams | None, ...]
    integers: dict[int, NDArray[Any]]
    reals: dict[int, NDArray[Any]]

    @property
    def read(self) -> tuple[QParams, ...]:
        """Of the activations."""
        return tuple(meaning for place, meaning in enumerate(self.meanings)
                     if meaning is not None and place not in self.integers)


def _operands(node: Node, model: Activations) -> _Operands:
    meanings: list[QParams | None] = []
    integers: dict[int, NDArray[Any]] = {}
    reals: dict[int, NDArray[Any]] = {}
    for place, name in enumerate(node.inputs):
        encoding = node.encoding(place)
        if not model.translation.is_constant(name):
            meanings.append(model.read(name, encoding))
        elif encoding is not None or model.parameters.is_quantized(name):
            constant = model.parameters.quantized(name, encoding)
            meanings.append(constant.qparams)
            integers[place] = constant.values
        else:
            meanings.append(None)
            reals[place] = model.parameters.array(name).astype(np.float32)
    return _Operands(tuple(meanings), integers, reals)


def _elementwise(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    node = origin.node
    kind = "mean" if node.op == "Mean" else ELEMENTWISE.get(node.op, "")
    if kind not in ("add", "sub", "mul", "div", "max", "min", "pow", "mean"):
        raise NotQuantized(f"expected an operator with a kernel on integers, got {node.op}")
    if model.holds_integers(origin.written) and node.written is None:
        raise NotQuantized(f"expected a {node.op} with scales and zero points, got one of bare integers")
    operands = _operands(node, model)
    written = model.written(origin)
    low, high = clamp_range(_clamps(origin), written.qparams, model)
    return _elementwise_kernel(node, kind, operands, written.qparams, low, high), written


def _elementwise_kernel(node: Node, kind: str, operands: _Operands, y: QParams, low: int, high: int) -> Kernel:
    """In integers where all operands are, else in float32 as onnxruntime.

    onnxruntime fuses neither a Sum nor what a clamp stands behind, unless the output's range makes the clamp superfluous.
    """
    meanings = tuple(meaning for meaning in operands.meanings if meaning is not None)
    is_free = (low, high) == (y.qtype.min, y.qtype.max)
    is_unfused = node.written is None and (node.op == "Sum" or not is_free)
    if not operands.reals and all(meaning.axis is None for meaning in meanings):
        if kind == "add" or (kind == "sub" and len(meanings) == 2):
            signs = (1, *(1 if kind == "add" else -1 for _ in meanings[1:]))
            return AdditionKernel(meanings, y, low, high, signs, operands.integers, is_unfused=is_unfused)
        if kind == "mul" and len(meanings) == 2 and not is_unfused:
            return MultiplicationKernel(meanings, y, low, high, operands.integers)
        if kind in ("max", "min"):
            kernel: Kernel = SelectionKernel("max" if kind == "max" else "min", meanings, y, operands.integers)
            return kernel if is_free else chained([kernel, RescalingKernel(y, y, low, high)], len(operands.read))
    constants = dict(operands.reals)
    for place, integers in operands.integers.items():
        meaning = operands.meanings[place]
        assert meaning is not None
        constants[place] = meaning.dequantize(integers, dtype=np.float32)
    return FloatKernel(kind, operands.read, y, low, high, constants)


def _clamps(origin: Origin) -> Sequence[Node]:
    """The clamps that a layer took over, which must be all that it took over."""
    for absorbed in origin.nodes[1:]:
        if absorbed.op not in CLAMPS:
            raise NotQuantized(f"expected an integer tensor between {origin.node.label} and {absorbed.label}, "
                               "got floating-point numbers")
    return origin.nodes[1:]


def _activation(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """A clamp of its own, a rescaling, or a function by its table."""
    node = origin.node
    if node.op == "DynamicQuantizeLinear":
        raise NotQuantized("expected a scale that is known before the run, got one that follows from the values")
    _clamps(origin)
    if node.op == "PRelu":
        operands = _operands(node, model)
        written = model.written(origin)
        y = written.qparams
        return _elementwise_kernel(node, "prelu", operands, y, y.qtype.min, y.qtype.max), written
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    y = written.qparams
    if node.op in (*CLAMPS, "Identity"):
        low, high = clamp_range([node] if node.op in CLAMPS else [], y, model)
        return RescalingKernel(x, y, low, high), written
    if model.holds_integers(origin.written) and node.written is None:
        raise NotQuantized(f"expected a {node.op} with scales and zero points, got one of bare integers")
    return _table(node, x, y), written


# Source: ONNX Operators.md, the attributes' defaults.
_FUNCTION_PARAMETERS = {
    "LeakyRelu": {"alpha": 0.01}, "Elu": {"alpha": 1.0}, "Celu": {"alpha": 1.0}, "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Selu": {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}, "ThresholdedRelu": {"alpha": 1.0},
    "Swish": {"alpha": 1.0},
}

#: Where the table has another name than the network's kind of layer.
_FUNCTIONS = {"Celu": "celu", "ThresholdedRelu": "thresholded_relu"}

# Source: onnxruntime docs/ContribOperators.md, QuickGelu.
_QUICK_GELU_ALPHA = 1.702


def _table(node: Node, x: QParams, y: QParams) -> TableKernel:
    """The function of an operator, with its parameters."""
    if node.op == "Gelu":
        approximation = node.attribute("approximate", "none")
        if approximation == "quick":
            return TableKernel("silu", x, y, {"alpha": float(node.attribute("alpha", _QUICK_GELU_ALPHA))})
        return TableKernel("gelu", x, y, {"approximate": float(approximation == "tanh")})
    function = _FUNCTIONS.get(node.op, ACTIVATIONS[node.op])
    if function not in FUNCTIONS:
        raise NotQuantized(f"expected an operator with a kernel on integers, got {node.op}")
    stated = _FUNCTION_PARAMETERS.get(node.op, {})
    parameters = {name: float(node.attribute(name, default)) for name, default in stated.items()}
    return TableKernel(function, x, y, parameters)


def _gate_table(gate: Node, x: QParams, y: QParams) -> TableKernel:
    """x * sigmoid(x), x * hard_sigmoid(x) as one function."""
    if gate.op == "Sigmoid":
        return TableKernel("silu", x, y)
    slope, offset = gate.attribute("alpha", 0.2), gate.attribute("beta", 0.5)
    if abs(slope - 1 / 6) > 1e-6 or offset != 0.5:
        raise NotQuantized(f"expected x * HardSigmoid(x) with alpha 1/6 and beta 1/2, got {slope:.6g} and {offset:.6g}")
    return TableKernel("hard_swish", x, y)


def _gated(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """x * sigmoid(x), x * hard_sigmoid(x): one function, or two roundings where the model rounds in between."""
    gate, product = origin.nodes[:2]
    place = 0 if model.translation.root(product.inputs[0]) == model.translation.root(gate.outputs[0]) else 1
    if len(origin.nodes) > 2:
        raise NotQuantized(f"expected an integer tensor between {gate.label} and {origin.nodes[2].label}, "
                           "got floating-point numbers")
    x = model.read(origin.operands[0], gate.encoding(0))
    between = model.between(gate.outputs[0], product.inputs[place], product.encoding(place))
    other = model.read(product.inputs[1 - place], product.encoding(1 - place))
    written = model.written(origin)
    y = written.qparams
    if between is None:
        return _gate_table(gate, x, y), written
    rounded, read = between
    table = _table(gate, x, rounded)
    operands = _Operands((read, other) if place == 0 else (other, read), {}, {})
    multiplication = _elementwise_kernel(product, "mul", operands, y, y.qtype.min, y.qtype.max)
    return KernelChain((Step(table, (0,)), Step(multiplication, (1, 0) if place == 0 else (0, 1)))), written
