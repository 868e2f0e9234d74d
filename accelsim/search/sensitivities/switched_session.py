"""The float network in one onnxruntime session in which each weight and each activation can be quantized for itself.

Weights are inputs with a default, their own; behind each tensor with a quantizer stands

    on ? clip(round(x / s), low, high) * s : x

with s, low, high and `on` as inputs of the graph, off by default (ONNX: an initializer that is an input too is its
default). So the session is made once, and a run with one layer quantized differs from the float run in what it is fed
alone. Div, Round (half to even), Clip and Mul are the operations of `accelsim.quantization.fake_quantization`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# What an input of the graph is called for each part of a group's quantizer.
_PARTS = ("scale", "low", "high", "on")


class SwitchedSession:
    """Runs the network with some weights and activations quantized.

    Parameters
    ----------
    model : in floating point, with folded batch normalizations.
    placement : its quantizers.

    Raises
    ------
    WorkloadError : a model that onnxruntime refuses.
    """

    def __init__(self, model: FloatModel, placement: Placement) -> None:
        for layer in model.layers:
            if len(model.readers(layer.weights_name)) > 1:
                model = layer.edited(model, weights=layer.weights)
        self.model = model
        self._names = {layer.name: layer.weights_name for layer in model.layers}
        self._layouts = {layer.name: layer.layout for layer in model.layers}
        self._output = model.outputs[0]
        self._groups = {name: f"quantizer {number}" for number, name in enumerate(placement.groups)}
        self._session = self._made(self._proto(placement))

    def run(self, batch: Mapping[str, NDArray[Any]], *, weights: Mapping[str, NDArray[Any]] | None = None,
            grids: Mapping[str, QParams] | None = None) -> NDArray[np.float32]:
        """The network's first output.

        Parameters
        ----------
        weights : layer -> its weights (G, N, K).
        grids : group -> the grid on which its tensors are.
        """
        feed = dict(batch)
        for layer, matrices in (weights or {}).items():
            feed[self._names[layer]] = self._layouts[layer].restored(np.asarray(matrices, np.float32))
        for group, grid in (grids or {}).items():
            limits = (grid.qtype.min - int(grid.zero_point), grid.qtype.max - int(grid.zero_point))
            values = (np.float32(grid.scale), np.float32(limits[0]), np.float32(limits[1]), np.bool_(True))
            feed |= {f"{self._groups[group]} {part}": np.asarray(value)
                     for part, value in zip(_PARTS, values, strict=True)}
        return np.asarray(self._session.run(None, feed)[0])

    def _proto(self, placement: Placement) -> ModelProto:
        """The network with switches."""
        from onnx import TensorProto, helper, numpy_helper

        proto = self.model.proto
        graph = proto.graph
        renamed = {tensor.name: f"{tensor.name} switched" for tensor in placement.tensors}
        nodes = []
        for name in self.model.inputs:
            nodes += self._switch(name, renamed, placement)
        for node in graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = renamed.get(name, name)
            nodes.append(node)
            for name in node.output:
                nodes += self._switch(name, renamed, placement)
        kept = list(nodes)
        del graph.node[:]
        graph.node.extend(kept)
        del graph.output[:]
        graph.output.append(helper.make_empty_tensor_value_info(renamed.get(self._output, self._output)))
        defaults = dict(zip(_PARTS, (np.float32(1), np.float32(0), np.float32(0), np.bool_(False)), strict=True))
        for group in self._groups.values():
            for part, value in defaults.items():
                tensor = numpy_helper.from_array(np.asarray(value), f"{group} {part}")
                graph.initializer.append(tensor)
                graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, []))
        weights = set(self._names.values())
        for tensor in list(graph.initializer):
            if tensor.name in weights:
                graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims)))
        return proto

    def _switch(self, name: str, renamed: Mapping[str, str], placement: Placement) -> list[NodeProto]:
        """The quantizer behind a tensor."""
        from onnx import helper

        if name not in renamed:
            return []
        scale, low, high, is_on = (f"{self._groups[placement.group_of(name).name]} {part}" for part in _PARTS)
        steps = [f"{name} {step}" for step in ("steps", "rounded", "clipped", "quantized")]
        return [helper.make_node("Div", [name, scale], [steps[0]]), helper.make_node("Round", [steps[0]], [steps[1]]),
                helper.make_node("Clip", [steps[1], low, high], [steps[2]]),
                helper.make_node("Mul", [steps[2], scale], [steps[3]]),
                helper.make_node("Where", [is_on, steps[3], name], [renamed[name]])]

    def _made(self, proto: ModelProto) -> Any:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own types, which share no public base
            raise self.model.error(f"onnxruntime does not take this model: {error}") from error
