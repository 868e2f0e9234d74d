"""The normal form of an ONNX graph: float operators only, with the widths of the integers beside them.

Quantized and fused operators become the ONNX operators that they stand for; scales and zero points leave the
inputs and stand beside them (`Node.encodings`, `Node.written`):

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

from accelsim.workload.onnx.encoding import Encoding, integer_bits
from accelsim.workload.onnx.graph import Constant, Graph, Node
from accelsim.workload.onnx.true_types import clip_bounds

MICROSOFT = "com.microsoft."

# Source: onnx.proto3, TensorProto.DataType.
_FLOAT, _UINT8, _INT64 = 1, 2, 7


@dataclass
class _Rewriting:
    """The state of one rewriting: what the new nodes add beside the graph."""

    graph: Graph
    bits: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    quantized: set[str] = field(default_factory=set)
    clips: dict[str, Node] = field(default_factory=dict)

    def zero_point_bits(self, name: str) -> int | None:
        if name in self.graph.true_types:
            return self.graph.true_types[name].bits
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
    rewriting = _Rewriting(graph, constants=dict(graph.constants),
                           clips={node.outputs[0]: node for node in graph.nodes if node.op == "Clip"})
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
        bits=rewriting.bits | dict(graph.code_widths),
        quantized=frozenset(rewriting.quantized),
    )


def _form(node: Node, op: str, inputs: Iterable[str], outputs: Iterable[str] | None = None) -> Node:
    kept = list(inputs)
    while kept and not kept[-1]:
        kept.pop()
    return replace(node, op=op, inputs=tuple(kept), outputs=tuple(node.outputs if outputs is None else outputs))


def _picked(op: str, positions: tuple[int, ...]) -> Callable[[Node, _Rewriting], list[Node]]:
    """The operator `op` on some of the inputs."""

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        return [_form(node, op, (node.input(position) for position in positions))]

    return rewrite


def _linear(
    op: str, operands: tuple[int, ...], written: int, *, bias: int | None = None, axis: Callable[[Node], int] = lambda _: 1
) -> Callable[[Node, _Rewriting], list[Node]]:
    """The operator `op` on integers.

    Scale and zero point stand behind each of the `operands`; those of the output stand at `written`. `axis` is that of
    the second operand's scales, if there are several.
    """

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        rewriting.mark(node.outputs[0], node.input(written + 1), node.input(operands[0]))
        positions = operands if bias is None else (*operands, bias)
        encodings = tuple(
            Encoding(node.input(position + 1), node.input(position + 2), axis=axis(node) if count else 1)
            for count, position in enumerate(operands)
        )
        form = _form(node, op, (node.input(position) for position in positions))
        return [replace(form, encodings=encodings, written=Encoding(node.input(written), node.input(written + 1)))]

    return rewrite


def _quantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    element_type = node.integer("output_dtype", 0)
    width = integer_bits(element_type)
    rewriting.mark(node.outputs[0], node.input(2), "")
    if width and not rewriting.zero_point_bits(node.input(2)):
        rewriting.bits[node.outputs[0]] = width
    return [Node("Identity", node.name or f"QuantizeLinear_{node.outputs[0]}", (_unclipped(node, rewriting),), node.outputs,
                 written=_stated(node, element_type))]


def _unclipped(node: Node, rewriting: _Rewriting) -> str:
    """What a QuantizeLinear reads, without the Clip that makes its integers narrower than their type (`true_types`)."""
    read = node.inputs[0]
    qtype, clip = rewriting.graph.true_types.get(node.input(2)), rewriting.clips.get(read)
    if qtype is None or clip is None:
        return read
    stated = [rewriting.constants.get(name) for name in (node.input(1), node.input(2), clip.input(1), clip.input(2))]
    values = [each.value for each in stated if each is not None and each.value is not None and each.value.size == 1]
    if len(values) != len(stated):
        return read
    scale, point, low, high = (value.item() for value in values)
    low_end, high_end = clip_bounds(float(scale), int(point), qtype)
    return clip.inputs[0] if np.float32(low) == low_end and np.float32(high) == high_end else read


def _dequantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    rewriting.quantized.add(node.outputs[0])
    if node.input(2) in rewriting.graph.true_types:
        rewriting.bits[node.inputs[0]] = rewriting.graph.true_types[node.inputs[2]].bits
    return [Node("Identity", node.name or f"DequantizeLinear_{node.outputs[0]}", (node.inputs[0],), node.outputs,
                 encodings=(_stated(node, 0),))]


def _stated(node: Node, element_type: int) -> Encoding:
    """What QuantizeLinear and DequantizeLinear state. Source of the axis: ONNX Operators.md, 1 by default."""
    return Encoding(node.input(1), node.input(2), element_type, node.integer("axis", 1), node.integer("block_size", 0))


def _dynamic_quantize(node: Node, rewriting: _Rewriting) -> list[Node]:
    """Scale and zero point are scalars that later multiplications fold into requantization: constants."""
    rewriting.bits[node.outputs[0]] = 8
    rewriting.constants |= {name: Constant((), _FLOAT) for name in node.outputs[1:] if name}
    return [_form(node, "DynamicQuantizeLinear", node.inputs[:1], node.outputs[:1])]


def _concat(node: Node, rewriting: _Rewriting) -> list[Node]:
    rewriting.mark(node.outputs[0], node.input(1), node.input(2))
    encodings = tuple(Encoding(*pair) for pair in zip(node.inputs[3::3], node.inputs[4::3], strict=False))
    form = _form(node, "Concat", node.inputs[2::3])
    return [replace(form, encodings=encodings, written=Encoding(node.input(0), node.input(1)))]


def _reduce_mean(node: Node, rewriting: _Rewriting) -> list[Node]:
    """Its axes are an attribute, which ONNX's own operator takes as an input from version 18 on."""
    (mean,) = _linear("ReduceMean", (0,), 3)(node, rewriting)
    if rewriting.graph.opsets.get("", 0) < 18:
        return [mean]
    axes = np.asarray(node.integers("axes"), np.int64)
    rewriting.constants[f"{node.outputs[0]}_axes"] = Constant(axes.shape, _INT64, axes)
    kept = {name: value for name, value in node.attributes.items() if name != "axes"}
    return [replace(mean, inputs=(node.inputs[0], f"{node.outputs[0]}_axes"), attributes=kept)]


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
    blocks = Encoding(node.input(2), node.input(3), axis=0, block_size=node.integer("block_size", 0))
    product = Node("MatMul", node.name, (node.inputs[0], weights), node.outputs, encodings=(None, blocks))
    if not node.input(5):
        return [product]
    between = f"{node.outputs[0]}_before_bias"
    return [replace(product, outputs=(between,)), Node("Add", "", (between, node.inputs[5]), node.outputs)]


def _skip_normalization(op: str) -> Callable[[Node, _Rewriting], list[Node]]:
    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        total = node.outputs[3] if len(node.outputs) > 3 and node.outputs[3] else f"{node.outputs[0]}_sum"
        return [Node("Add", "", node.inputs[:2], (total,)), _form(node, op, (total, *node.inputs[2:4]), node.outputs[:1])]

    return rewrite


def _gelu(approximation: str) -> Callable[[Node, _Rewriting], list[Node]]:
    """Gelu, FastGelu, QuickGelu and BiasGelu: one function, which hardware reads from a table.

    QuickGelu, x sigmoid(alpha x), has no name among ONNX's own approximations; it is called "quick" here.
    """

    def rewrite(node: Node, rewriting: _Rewriting) -> list[Node]:
        from onnx.helper import make_attribute

        if approximation != "none":
            node = replace(node, attributes={**node.attributes, "approximate": make_attribute("approximate", approximation)})
        if not node.input(1):
            return [_form(node, "Gelu", node.inputs[:1])]
        total = f"{node.outputs[0]}_sum"
        return [Node("Add", "", node.inputs[:2], (total,)), _form(node, "Gelu", (total,))]

    return rewrite


_REWRITES: dict[str, Callable[[Node, _Rewriting], list[Node]]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "QLinearConv": _linear("Conv", (0, 3), 6, bias=8, axis=lambda _: 0),
    "ConvInteger": _picked("Conv", (0, 1)),
    "QLinearMatMul": _linear("MatMul", (0, 3), 6, axis=lambda _: -1),
    "MatMulInteger": _picked("MatMul", (0, 1)),
    "QGemm": _linear("Gemm", (0, 3), 7, bias=6, axis=lambda node: 0 if node.integer("transB", 0) else 1),
    "QLinearAdd": _linear("Add", (0, 3), 6),
    "QLinearMul": _linear("Mul", (0, 3), 6),
    "QLinearAveragePool": _linear("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": _linear("GlobalAveragePool", (0,), 3),
    "QLinearLeakyRelu": _linear("LeakyRelu", (0,), 3),
    "QLinearSigmoid": _linear("Sigmoid", (0,), 3),
    "QLinearSoftmax": _linear("Softmax", (0,), 3),
    "QLinearConcat": _concat,
    "QLinearReduceMean": _reduce_mean,
    "FusedConv": _activated("Conv", 3),
    "FusedGemm": _activated("Gemm", 3),
    "MatMulIntegerToFloat": _integer_matmul((0, 1), 6),
    "DynamicQuantizeMatMul": _integer_matmul((0, 1), 4),
    "MatMulNBits": _packed_matmul,
    "SkipLayerNormalization": _skip_normalization("LayerNormalization"),
    "SkipSimplifiedLayerNormalization": _skip_normalization("SimplifiedLayerNormalization"),
    "Gelu": _gelu("none"),
    "FastGelu": _gelu("tanh"),
    "QuickGelu": _gelu("quick"),
    "BiasGelu": _gelu("none"),
}
