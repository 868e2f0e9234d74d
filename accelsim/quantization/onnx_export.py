"""A quantized network as ONNX with DequantizeLinear, float operators and QuantizeLinear (QDQ).

    x -> [Clip] -> QuantizeLinear -> DequantizeLinear -> Conv -> Relu -> [Clip] -> QuantizeLinear -> DequantizeLinear -> ...
                     weights (int8) -> DequantizeLinear --^
                       bias (int32) -> DequantizeLinear --^

Weights are stored as integers, with one scale, one a channel, or one a block; biases as int32 in units of s_x s_w. Widths
that ONNX does not have ride in the next wider type, activations of fewer than 8 bits in 8 (`activation_type` tells why),
with a Clip to their range before the QuantizeLinear; the metadata tell the types
(`accelsim.workload.onnx.true_types`). Weights that are codes are stored as the integers that they stand for, and the
metadata tell their width (`accelsim.workload.onnx.code_widths`). Where a tensor is picked from others on its grid (max
pooling, moves) there is no Clip, since its integers are in range.

Source: ONNX Operators.md, QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; onnxruntime
`docs/performance/model-optimizations/quantization.md`, Quantization Formats.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.numerics.qparams import QParams
from accelsim.quantization.export_tensors import ExportTensors
from accelsim.quantization.integer_operands import IntegerOperands
from accelsim.quantization.integer_storage import activation_type
from accelsim.quantization.onnx_file import assembled, node_proto
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.workload.onnx.code_widths import KEY as CODES_KEY
from accelsim.workload.onnx.code_widths import code_metadata
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.stated_rule import KEY as RULE_KEY
from accelsim.workload.onnx.stated_rule import rule_document
from accelsim.workload.onnx.true_types import KEY, clip_bounds, metadata_of

if TYPE_CHECKING:
    from onnx import ModelProto

#: The metadata's entry that holds the policy, as JSON.
POLICY_KEY = "accelsim.policy"

# DynamicQuantizeLinear has 8 bits and a zero point. Source: ONNX Operators.md.
_DYNAMIC_BITS = 8


def qdq_model(quantized: QuantizedModel) -> ModelProto:
    """The network in QDQ form.

    Raises
    ------
    WorkloadError : scales that ONNX cannot state; a range found during the run that is not of 8 bits and asymmetric.
    """
    return _Export(quantized).model()


class _Export:
    """The state of one export."""

    def __init__(self, quantized: QuantizedModel) -> None:
        self._quantized = quantized
        self._float = quantized.model
        self._placement = quantized.placement
        self._graph = ExportTensors(quantized)
        self._operands = IntegerOperands(quantized, self._graph)
        #: Tensor with a quantizer -> its dequantized self.
        self._dequantized: dict[str, str] = {}
        self._bounds: dict[str, tuple[str, str]] = {}

    def model(self) -> ModelProto:
        """The whole network."""
        for name in self._float.inputs:
            if name in self._placement:
                self._put_quantizer(name, name)
        for node in self._float.nodes:
            self._put_node(node)
        return finished(self._quantized, self._graph)

    def _put_node(self, node: Node) -> None:
        """A node on dequantized inputs, and the quantizers of what it writes."""
        inputs = tuple(self._operands.dequantized(node.name, place) or self._dequantized.get(name, name)
                       for place, name in enumerate(node.inputs))
        outputs = tuple(self._graph.free(f"{name}_real") if name in self._placement and name in self._float.outputs else name
                        for name in node.outputs)
        self._graph.nodes.append(node_proto(replace(node, inputs=inputs, outputs=outputs)))
        for name, written in zip(node.outputs, outputs, strict=True):
            if name in self._placement:
                self._put_quantizer(name, written)

    def _put_quantizer(self, tensor: str, source: str) -> None:
        """QuantizeLinear and DequantizeLinear of a tensor, which stands in the graph as `source`."""
        graph, group = self._graph, self._placement.group_of(tensor)
        is_dynamic = group.name in self._quantized.dynamic
        result = tensor if tensor in self._float.outputs else graph.free(f"{tensor}_dequantized")
        self._dequantized[tensor] = result
        if is_dynamic and not self._placement.layer_of(tensor):
            graph.put("Identity", f"{tensor}_Identity", (source,), (result,))  # a view of numbers that are on a grid already
            return
        integers = graph.free(f"{tensor}_quantized")
        if is_dynamic:
            scale, point = self._put_dynamic_quantizer(tensor, source, integers)
        else:
            qparams = self._quantized.activations[group.name]
            scale, point = graph.grid(group.name, qparams)
            if tensor in group.owners and activation_type(qparams.qtype) != qparams.qtype:
                source = self._put_clip(tensor, source, group.name, qparams)
            graph.put("QuantizeLinear", f"{tensor}_QuantizeLinear", (source, scale, point), (integers,))
        graph.put("DequantizeLinear", f"{tensor}_DequantizeLinear", (integers, scale, point), (result,))

    def _put_dynamic_quantizer(self, tensor: str, source: str, integers: str) -> tuple[str, str]:
        scheme = self._quantized.dynamic[self._placement.group_of(tensor).name]
        if scheme.bits != _DYNAMIC_BITS or not scheme.is_asymmetric or scheme.is_signed or scheme.has_power_of_two_scale:
            raise self._float.error(f"expected {_DYNAMIC_BITS} bits without a sign, asymmetric, for a range that is found "
                                    f"during the run, got {scheme.bits} bits, {scheme.symmetry}", tensor)
        names = self._graph.free(f"{tensor}_scale"), self._graph.free(f"{tensor}_zero_point")
        self._graph.put("DynamicQuantizeLinear", f"{tensor}_DynamicQuantizeLinear", (source,), (integers, *names))
        return names

    def _put_clip(self, tensor: str, source: str, group: str, qparams: QParams) -> str:
        """A Clip to the range of a type that rides in a wider one; its output."""
        if group not in self._bounds:
            low, high = clip_bounds(float(qparams.scale), int(qparams.zero_point), qparams.qtype)
            self._bounds[group] = self._graph.reals(f"{group}_low", low), self._graph.reals(f"{group}_high", high)
        clipped = self._graph.free(f"{tensor}_clipped")
        self._graph.put("Clip", f"{tensor}_Clip", (source, *self._bounds[group]), (clipped,))
        return clipped


def finished(quantized: QuantizedModel, graph: ExportTensors) -> ModelProto:
    """The model of an exported graph, with the constants that stayed as they were, and with its metadata."""
    from onnx import numpy_helper

    read = {name for node in graph.nodes for name in node.input}
    kept = [numpy_helper.from_array(array, name) for name, array in quantized.model.arrays.items() if name in read]
    metadata = {POLICY_KEY: json.dumps(quantized.policy.to_document())}
    if graph.types:
        metadata[KEY] = metadata_of(graph.types)
    if quantized.policy.requantization is not None:
        metadata[RULE_KEY] = json.dumps(rule_document(quantized.policy.requantization.rule))
    if graph.codes:
        metadata[CODES_KEY] = code_metadata(graph.codes)
    return assembled(quantized.model, graph.nodes, [*kept, *graph.initializers.values()], opset=quantized.model.opset,
                     metadata=metadata)
