"""The normal form of an ONNX graph: float operators only, with the widths of the integers beside them.

Quantized and fused operators become the ONNX operators that they stand for, and scales and zero points
vanish:

    QLinearConv(x, s, z, w, s, z, s, z, b)      Conv(x, w, b), and y is as wide as its zero point
    MatMulInteger(a, b, z, z)                   MatMul(a, b)
    QuantizeLinear(x, s, z)                     Identity(x), and y is as wide as its zero point
    DequantizeLinear(x, s, z)                   Identity(x)
    SkipLayerNormalization(x, skip, gamma, ...) Add(x, skip), LayerNormalization(sum, gamma, ...)

Operators of onnxruntime (com.microsoft) are described in its docs/ContribOperators.md. Those that are not
listed here stay as they are, and the importer reports them as not simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from accelsim.workload.onnx_graph import Constant, Graph, Node

MICROSOFT = "com.microsoft."

# Source: onnx.proto3, TensorProto.DataType.
_INTEGER_BITS = {2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 12: 32, 13: 64, 21: 4, 22: 4, 25: 2, 26: 2}
_FLOAT, _UINT8, _INT64 = 1, 2, 7


def integer_bits(element_type: int) -> int | None:
    """Width of an integer element type; None for floating-point numbers and everything else.

    >>> integer_bits(22), integer_bits(3), integer_bits(1)
    (4, 8, None)
    """
    return _INTEGER_BITS.get(element_type)


@dataclass
class _Rewriting:
    """The state of one rewriting: what the new nodes add beside the graph."""

    graph: Graph
    bits: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    quantized: set[str] = field(default_factory=set)

    def zero_point_bits(self, name: str) -> int | None:
        constant = self.constants.get(name)
        return integer_bits(constant.element_type) if constant is not None else None

    def mark(self, output: str, zero_point: str, source: str) -> None:
        """The output is as wide as its zero point, else as what it comes from, else a byte (the default)."""
        self.bits[output] = self.zero_point_bits(zero_point) or self.bits.get(source) or 8
        self.quantized.add(output)

    def normal(self, node: Node) -> list[Node]:
        op = node.op.removeprefix(MICROSOFT)
        if op in _REWRITES and not node.integer("channels_last", 0):
            return _REWRITES[op](node, self)
        return [node]


def normal_form(graph: Graph) -> Graph:
    """The graph with every quantized operator replaced by its float form."""
    rewriting = _Rewriting(graph, constants=dict(graph.constants))
    for name, constant in graph.constants.items():
        if width := integer_bits(constant.element_type):
            rewriting.bits[name] = width
    for name, graph_input in graph.inputs.items():
        if width := integer_bits(graph_input.element_type):
            rewriting.bits[name] = width
    nodes = [new for node in graph.nodes for new in rewriting.normal(node)]
    return replace(
        graph,
        nodes=tuple(nodes),
        constants=rewriting.constants,
        bits=rewriting.bits,
        quantized=frozenset(rewriting.quantized),
    )


def _form(node: Node, op: str, inputs: Iterable[str], outputs: Iterable[str] | None = None) -> Node:
    kept = list(inputs)
    while kept and not kept[-1]:
        kept.pop()
    return replace(node, op=op, inputs=tuple(kept), outputs=tuple(node.outputs if outputs is None else outputs))


def _picked(op: str, positions: tuple[int, ...], zero_point: int | None) -> Callable[[Node, _Rewriting], list[Node]]:
    """The operator `op` on some of the inputs; the output is as wide as the zero point at that position."""

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        if zero_point is not None:
            rewriting.mark(node.outputs[0], node.input(zero_point), node.input(positions[0]))
        return [_form(node, op, (node.input(position) for position in positions))]

    return rewrite


def _quantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    width = integer_bits(node.integer("output_dtype", 0))
    rewriting.mark(node.outputs[0], node.input(2), "")
    if width and not rewriting.zero_point_bits(node.input(2)):
        rewriting.bits[node.outputs[0]] = width
    return [Node("Identity", node.name, (node.inputs[0],), node.outputs)]


def _dequantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    rewriting.quantized.add(node.outputs[0])
    return [Node("Identity", node.name, (node.inputs[0],), node.outputs)]


def _dynamic_quantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    """Scale and zero point are scalars that later multiplications fold into requantization: constants."""
    rewriting.bits[node.outputs[0]] = 8
    rewriting.constants |= {name: Constant((), _FLOAT) for name in node.outputs[1:] if name}
    return [_form(node, "DynamicQuantizeLinear", node.inputs[:1], node.outputs[:1])]


def _concat(node: Node, rewriting: _Rewriting) -> list[Node]:
    rewriting.mark(node.outputs[0], node.input(1), node.input(2))
    return [_form(node, "Concat", node.inputs[2::3])]


def _reduce_mean(node: Node, rewriting: _Rewriting) -> list[Node]:
    """Its axes are an attribute, which ONNX's own operator takes as an input from version 18 on."""
    rewriting.mark(node.outputs[0], node.input(4), node.input(0))
    if rewriting.graph.opsets.get("", 0) < 18:
        return [_form(node, "ReduceMean", node.inputs[:1])]
    axes = np.asarray(node.integers("axes"), np.int64)
    rewriting.constants[f"{node.outputs[0]}_axes"] = Constant(axes.shape, _INT64, axes)
    kept = {name: value for name, value in node.attributes.items() if name != "axes"}
    return [replace(_form(node, "ReduceMean", (node.inputs[0], f"{node.outputs[0]}_axes")), attributes=kept)]


def _activated(op: str, inputs: int) -> Callable[[Node, _Rewriting], list[Node]]:
    """FusedConv, FusedGemm: the operator, then the activation that its attribute names."""

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        activation = node.attribute("activation", "")
        if not activation:
            return [_form(node, op, node.inputs[:inputs])]
        between = f"{node.outputs[0]}_before_{activation}"
        last = [Node(activation, "", (between,), node.outputs)]
        if inputs < len(node.inputs) and node.inputs[inputs]:
            last.insert(0, Node("Add", "", (between, node.inputs[inputs]), (f"{between}_sum",)))
            last[-1] = replace(last[-1], inputs=(f"{between}_sum",))
        return [_form(node, op, node.inputs[:inputs], (between,)), *last]

    return rewrite


def _integer_matmul(positions: tuple[int, int], bias: int) -> Callable[[Node, _Rewriting], list[Node]]:
    """MatMulIntegerToFloat, DynamicQuantizeMatMul: a product and the addition of a bias."""

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        factors = [node.input(position) for position in positions]
        if not node.input(bias):
            return [_form(node, "MatMul", factors)]
        between = f"{node.outputs[0]}_before_bias"
        return [_form(node, "MatMul", factors, (between,)), Node("Add", "", (between, node.input(bias)), node.outputs)]

    return rewrite


def _packed_matmul(node: Node, rewriting: _Rewriting) -> list[Node]:
    """MatMulNBits: the weights (K, N) are packed into blocks of `bits` wide integers."""
    weights = f"{node.inputs[1]}_unpacked"
    rewriting.constants[weights] = Constant((node.integer("K", 0), node.integer("N", 0)), _UINT8)
    rewriting.bits[weights] = node.integer("bits", 4)
    product = Node("MatMul", node.name, (node.inputs[0], weights), node.outputs)
    if not node.input(5):
        return [product]
    between = f"{node.outputs[0]}_before_bias"
    return [replace(product, outputs=(between,)), Node("Add", "", (between, node.inputs[5]), node.outputs)]


def _skip_normalization(op: str) -> Callable[[Node, _Rewriting], list[Node]]:
    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        total = node.outputs[3] if len(node.outputs) > 3 and node.outputs[3] else f"{node.outputs[0]}_sum"
        return [Node("Add", "", node.inputs[:2], (total,)), _form(node, op, (total, *node.inputs[2:4]), node.outputs[:1])]

    return rewrite


def _gelu(node: Node, rewriting: _Rewriting) -> list[Node]:
    """Gelu, FastGelu, QuickGelu and BiasGelu: one function, which hardware reads from a table."""
    if not node.input(1):
        return [_form(node, "Gelu", node.inputs[:1])]
    total = f"{node.outputs[0]}_sum"
    return [Node("Add", "", node.inputs[:2], (total,)), _form(node, "Gelu", (total,))]


_REWRITES: dict[str, Callable[[Node, _Rewriting], list[Node]]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "QLinearConv": _picked("Conv", (0, 3, 8), 7),
    "ConvInteger": _picked("Conv", (0, 1), None),
    "QLinearMatMul": _picked("MatMul", (0, 3), 7),
    "MatMulInteger": _picked("MatMul", (0, 1), None),
    "QGemm": _picked("Gemm", (0, 3, 6), 8),
    "QLinearAdd": _picked("Add", (0, 3), 7),
    "QLinearMul": _picked("Mul", (0, 3), 7),
    "QLinearAveragePool": _picked("AveragePool", (0,), 4),
    "QLinearGlobalAveragePool": _picked("GlobalAveragePool", (0,), 4),
    "QLinearLeakyRelu": _picked("LeakyRelu", (0,), 4),
    "QLinearSigmoid": _picked("Sigmoid", (0,), 4),
    "QLinearSoftmax": _picked("Softmax", (0,), 4),
    "QLinearConcat": _concat,
    "QLinearReduceMean": _reduce_mean,
    "FusedConv": _activated("Conv", 3),
    "FusedGemm": _activated("Gemm", 3),
    "MatMulIntegerToFloat": _integer_matmul((0, 1), 6),
    "DynamicQuantizeMatMul": _integer_matmul((0, 1), 4),
    "MatMulNBits": _packed_matmul,
    "SkipLayerNormalization": _skip_normalization("LayerNormalization"),
    "SkipSimplifiedLayerNormalization": _skip_normalization("SimplifiedLayerNormalization"),
    "Gelu": _gelu,
    "FastGelu": _gelu,
    "QuickGelu": _gelu,
    "BiasGelu": _gelu,
}
