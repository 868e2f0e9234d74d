"""A quantized network as ONNX of operators on integers (QOperator), where all widths are 8 bits.

Convolutions become QLinearConv, matrix products QLinearMatMul or QGemm, and what onnxruntime has an integer operator for its
own; shapes, moves and max pooling work on the integers as they are. A clamp behind such an operator is a Clip of integers,
and none where the type ends there anyway. Everything else stands between a DequantizeLinear and a QuantizeLinear.

Source: ONNX Operators.md, QLinearConv, QLinearMatMul; onnxruntime `docs/ContribOperators.md`, QGemm, QLinearAdd, QLinearMul,
QLinearAveragePool, QLinearGlobalAveragePool, QLinearConcat, QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.export_tensors import ExportTensors
from accelsim.quantization.float_layer import FloatLayer, clip_bounds
from accelsim.quantization.integer_operands import IntegerOperands
from accelsim.quantization.integer_storage import stored_type
from accelsim.quantization.onnx_export import finished
from accelsim.quantization.onnx_file import node_proto
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.weight_scales import stated_scales
from accelsim.workload.onnx.clamps import CLAMPS
from accelsim.workload.onnx.graph import Node

if TYPE_CHECKING:
    from onnx import ModelProto

_BITS = 8
_RUNTIME = "com.microsoft"

# On integers as on real numbers, in ONNX and in onnxruntime's kernels.
_ON_INTEGERS = frozenset({"MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather"})

# One activation and scales: the operator of onnxruntime, and how its inputs are ordered.
_OF_ONE = {"Sigmoid": "QLinearSigmoid", "LeakyRelu": "QLinearLeakyRelu", "Softmax": "QLinearSoftmax",
           "AveragePool": "QLinearAveragePool", "GlobalAveragePool": "QLinearGlobalAveragePool"}
_OF_TWO = {"Add": "QLinearAdd", "Mul": "QLinearMul"}


def qoperator_model(quantized: QuantizedModel) -> ModelProto:
    """The network in QOperator form.

    Raises
    ------
    WorkloadError : some width that is not 8 bits, scales of blocks, a range that is found during the run.
    """
    _check(quantized)
    return _Export(quantized).model()


def _check(quantized: QuantizedModel) -> None:
    if quantized.dynamic:
        raise _refused(quantized, next(iter(quantized.dynamic)), "a range that is found during the run")
    weights = [(name, own.qparams) for name, own in quantized.weights.items()]
    for name, grid in (*quantized.activations.items(), *weights):
        if grid.qtype.bits != _BITS:
            raise _refused(quantized, name, f"{grid.qtype.bits} bits")
        if grid.group_size is not None:
            raise _refused(quantized, name, f"scales of blocks of {grid.group_size}")


def _refused(quantized: QuantizedModel, name: str, found: str) -> WorkloadError:
    return quantized.model.error(f"expected {_BITS} bits and scales known before the run for operators on integers, "
                                 f"got {found}", name)


class _Export:
    """The state of one export."""

    def __init__(self, quantized: QuantizedModel) -> None:
        self._quantized = quantized
        self._float = quantized.model
        self._placement = quantized.placement
        self._graph = ExportTensors(quantized)
        self._operands = IntegerOperands(quantized, self._graph)
        self._layers = {layer.node.name: layer for layer in self._float.layers}
        #: Tensor with a quantizer -> its integers.
        self._integers: dict[str, str] = {}
        self._dequantized: dict[str, str] = {}
        #: Nodes of a layer that is not complete yet.
        self._open: list[Node] = []

    def model(self) -> ModelProto:
        """The whole network."""
        for name in self._float.inputs:
            if name in self._placement:
                self._quantize(name, name)
        for node in self._float.nodes:
            self._put(node)
        return finished(self._quantized, self._graph)

    def _put(self, node: Node) -> None:
        if not any(name in self._placement for name in node.outputs):
            if self._is_inside(node):
                self._open.append(node)
            else:
                self._graph.nodes.append(node_proto(self._on_integers(node)))
            return
        chain = [*self._chain_before(node), node]
        if not self._put_operator(chain):
            self._put_real(chain)
        for name in node.outputs:
            if name in self._float.outputs and name in self._placement:
                self._graph.put("DequantizeLinear", f"{name}_DequantizeLinear",
                                (self._integers[name], *self._grid(name)), (name,))

    def _is_inside(self, node: Node) -> bool:
        """Whether a node writes real numbers that a layer keeps to itself."""
        translation = self._float.translation
        return any(name and not translation.is_constant(name) and translation.element_types.get(name, 1) == 1
                   for name in node.outputs)

    def _chain_before(self, node: Node) -> list[Node]:
        """The open nodes whose results a node needs, in order."""
        needed, found = set(node.inputs), []
        for each in reversed(self._open):
            if needed.intersection(each.outputs):
                found.append(each)
                needed.update(each.inputs)
        self._open = [each for each in self._open if each not in found]
        return found[::-1]

    def _put_operator(self, chain: Sequence[Node]) -> bool:
        """The layer as an operator on integers; False if there is none."""
        node, others = chain[0], chain[1:]
        if node.op in _ON_INTEGERS and not others:
            self._move(node)
            return True
        if any(each.op not in CLAMPS for each in others):
            return False
        output = chain[-1].outputs[0]
        form = self._form(node, output)
        if form is None:
            return False
        op, inputs, attributes = form
        result = self._graph.free(f"{output}_quantized")
        clamp = self._clamp(others, self._quantized.activations[self._placement.group_of(output).name])
        written = result if clamp is None else self._graph.free(f"{output}_unclamped")
        self._graph.put(op, node.name, inputs, (written,), attributes, domain="" if op in _STANDARD else _RUNTIME)
        if clamp is not None:
            bounds = tuple(self._graph.integers(f"{output}_{word}", bound, clamp[2])
                           for word, bound in zip(("low", "high"), clamp[:2], strict=True))
            self._graph.put("Clip", f"{output}_Clip", (written, *bounds), (result,))
        self._integers[output] = result
        return True

    def _form(self, node: Node, output: str) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
        """Operator, inputs and attributes."""
        if node.name in self._layers:
            return self._product(self._layers[node.name], output)
        kept = {name: node.attribute(name) for name in node.attributes}
        if node.op in _OF_ONE and node.inputs[0] in self._integers:
            if node.op == "Softmax":
                kept = {"axis": node.integer("axis", -1), "opset": self._float.opset}
            elif node.op == "AveragePool" and (node.integer("ceil_mode", 0) or "dilations" in kept):
                return None
            return _OF_ONE[node.op], (*self._operand(node, 0), *self._grid(output)), kept
        if node.op in _OF_TWO:
            return _OF_TWO[node.op], (*self._operand(node, 0), *self._operand(node, 1), *self._grid(output)), kept
        if node.op == "MatMul":
            return "QLinearMatMul", (*self._operand(node, 0), *self._operand(node, 1), *self._grid(output)), kept
        if node.op == "Concat":
            parts = [name for place in range(len(node.inputs)) for name in self._operand(node, place)]
            return "QLinearConcat", (*self._grid(output), *parts), kept
        return None

    def _product(self, layer: FloatLayer, output: str) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
        """A convolution or matrix product with constant weights."""
        node, own = layer.node, self._quantized.weights[layer.name]
        is_plain = layer.node.inputs[1] == layer.weights_name and not layer.followers
        op = {"Conv": "QLinearConv", "Gemm": "QGemm", "MatMul": "QLinearMatMul"}.get(node.op)
        is_listed = op == "QLinearMatMul" and own.qparams.axis is not None
        if op is None or not is_plain or layer.bias_node is not None or is_listed:
            return None
        stated = stated_scales(layer, own.qparams, self._float)
        qtype, array = own.qparams.qtype, layer.layout.restored(own.integers)
        weights = (self._graph.integers(f"{layer.weights_name}_quantized", array, qtype),
                   *self._graph.scales(layer.weights_name, stated.scale, stated.zero_point, qtype))
        bias = () if own.bias is None else (self._graph.bias(f"{layer.name}_bias", own.bias),)
        kept = {name: node.attribute(name) for name in node.attributes}
        x, y = self._operand(node, 0), self._grid(output)
        if op == "QGemm":
            turned: dict[str, Any] = {name: kept[name] for name in ("transA", "transB") if name in kept}
            return op, (*x, *weights, *(bias or ("",)), *y), turned
        return op, (*x, *weights, *y, *bias), kept

    def _operand(self, node: Node, place: int) -> tuple[str, str, str]:
        """Integers, scale and zero point of one input."""
        name = node.inputs[place]
        constant = self._quantized.constants.get((node.name, place))
        if constant is None:
            return self._integers[name], *self._grid(name)
        return (self._graph.integers(f"{name}_quantized", constant.integers, constant.qparams.qtype),
                *self._graph.scales(name, constant.qparams.scale, constant.qparams.zero_point, constant.qparams.qtype))

    def _clamp(self, clamps: Sequence[Node], grid: QParams) -> tuple[int, int, Any] | None:
        """The range of integers that clamps leave; None where they leave the type's."""
        low, high, stored = grid.qtype.min, grid.qtype.max, stored_type(grid.qtype)
        for node in clamps:
            ends = (0.0, np.inf) if node.op == "Relu" else clip_bounds(node, self._float)
            least, most = (int(grid.quantize(np.float32(end))) for end in ends)
            low, high = min(max(low, least), most), min(max(high, least), most)
        return None if (low, high) == (stored.min, stored.max) else (low, high, grid.qtype)

    def _move(self, node: Node) -> None:
        """An operator that gives some of the integers that it reads."""
        outputs = tuple(self._graph.free(f"{name}_quantized") for name in node.outputs)
        self._graph.nodes.append(node_proto(replace(self._on_integers(node), outputs=outputs)))
        self._integers |= dict(zip(node.outputs, outputs, strict=True))

    def _put_real(self, chain: Sequence[Node]) -> None:
        """Operators on real numbers, with the integers around them."""
        written: Mapping[str, str] = {name: self._graph.free(f"{name}_real") for name in chain[-1].outputs}
        for node in chain:
            inputs = tuple(self._real(node, place) for place in range(len(node.inputs)))
            outputs = tuple(written.get(name, name) for name in node.outputs)
            self._graph.nodes.append(node_proto(replace(node, inputs=inputs, outputs=outputs)))
        for name in filter(None, chain[-1].outputs):
            if name in self._placement:
                self._quantize(name, written[name])

    def _real(self, node: Node, place: int) -> str:
        """An input of an operator on real numbers: dequantized where it is integers."""
        name = node.inputs[place]
        constant = self._operands.dequantized(node.name, place)
        if constant is not None:
            return constant
        if name not in self._integers:
            return name
        if name not in self._dequantized:
            self._dequantized[name] = self._graph.free(f"{name}_dequantized")
            self._graph.put("DequantizeLinear", f"{self._dequantized[name]}_DequantizeLinear",
                            (self._integers[name], *self._grid(name)), (self._dequantized[name],))
        return self._dequantized[name]

    def _quantize(self, tensor: str, source: str) -> None:
        result = self._graph.free(f"{tensor}_quantized")
        self._graph.put("QuantizeLinear", f"{tensor}_QuantizeLinear", (source, *self._grid(tensor)), (result,))
        self._integers[tensor] = result

    def _grid(self, tensor: str) -> tuple[str, str]:
        group = self._placement.group_of(tensor).name
        return self._graph.grid(group, self._quantized.activations[group])

    def _on_integers(self, node: Node) -> Node:
        """A node that reads integers wherever there are some."""
        return replace(node, inputs=tuple(self._integers.get(name, name) for name in node.inputs))


# Operators of ONNX itself.
_STANDARD = frozenset({"QLinearConv", "QLinearMatMul"})
