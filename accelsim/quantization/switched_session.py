"""The float network in one onnxruntime session in which each constant and each activation can be quantized for itself.

Constants that a quantizer could change are inputs with a default, their own numbers; behind each tensor with a quantizer
stands

    on ? clip(round(x / s), low, high) * s : x

with s, low, high and `on` as inputs of the graph, off by default (ONNX: an initializer that is an input too is its default).
So the session is made once, and a run with one layer quantized differs from the float run in what it is fed alone. Div,
Round (half to even), Clip and Mul are the operations of `fake_quantization`, in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# What an input of the graph is called for each part of a group's quantizer, and its default.
_DEFAULTS = {"scale": np.float32(1), "low": np.float32(0), "high": np.float32(0), "on": np.bool_(False)}


class SwitchedSession:
    """Runs the network with some constants and activations quantized.

    Parameters
    ----------
    model : in floating point, with folded batch normalizations.
    placement : its quantizers.
    tensors : to fetch; the network's outputs if left out. What is fetched of a tensor with a quantizer is what its readers
        get.

    Attributes
    ----------
    model : the same network, in which every constant that a quantizer could change has one reader; what `run` takes as
        `constants` are those of its names.

    Raises
    ------
    WorkloadError : a model that onnxruntime refuses.
    """

    def __init__(self, model: FloatModel, placement: Placement, tensors: Iterable[str] | None = None) -> None:
        self.model = _with_single_readers(model, placement)
        layers = self.model.layers
        self._weights = {layer.name: (layer.weights_name, layer.layout) for layer in layers}
        self._groups = {name: f"quantizer {number}" for number, name in enumerate(placement.groups)}
        self._shown = {tensor.name: f"{tensor.name} switched" for tensor in placement.tensors}
        self._fetched = tuple(self.model.outputs if tensors is None else dict.fromkeys(tensors))
        constants = {name for node, place in _operands(self.model, placement)
                     if (name := node_input(self.model, node, place)) in self.model.arrays}
        self._session = self._made(self._proto(placement, sorted(constants)))

    def run(self, batch: Mapping[str, NDArray[Any]], *, weights: Mapping[str, NDArray[Any]] | None = None,
            constants: Mapping[str, NDArray[Any]] | None = None,
            grids: Mapping[str, QParams] | None = None) -> dict[str, NDArray[Any]]:
        """The fetched tensors of a batch.

        Parameters
        ----------
        weights : layer -> its weights (G, N, K).
        constants : constant -> its numbers; weights, biases and operands alone.
        grids : group -> the grid on which its tensors are.
        """
        feed = {**batch, **(constants or {})}
        for layer, matrices in (weights or {}).items():
            name, layout = self._weights[layer]
            feed[name] = layout.restored(np.asarray(matrices, np.float32))
        for group, grid in (grids or {}).items():
            limits = (grid.qtype.min - int(grid.zero_point), grid.qtype.max - int(grid.zero_point))
            values = (np.float32(grid.scale), np.float32(limits[0]), np.float32(limits[1]), np.bool_(True))
            feed |= {f"{self._groups[group]} {part}": np.asarray(value)
                     for part, value in zip(_DEFAULTS, values, strict=True)}
        return dict(zip(self._fetched, self._session.run(None, feed), strict=True))

    def _proto(self, placement: Placement, constants: Sequence[str]) -> ModelProto:
        """The network with switches."""
        from onnx import helper, numpy_helper

        proto = self.model.proto
        graph = proto.graph
        nodes: list[NodeProto] = []
        for name in self.model.inputs:
            nodes += self._switch(name, placement)
        for node in graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = self._shown.get(name, name)
            nodes.append(node)
            for name in node.output:
                nodes += self._switch(name, placement)
        kept = list(nodes)
        del graph.node[:]
        graph.node.extend(kept)
        del graph.output[:]
        graph.output.extend(helper.make_empty_tensor_value_info(self._shown.get(name, name)) for name in self._fetched)
        for group in self._groups.values():
            graph.initializer.extend(numpy_helper.from_array(np.asarray(value), f"{group} {part}")
                                     for part, value in _DEFAULTS.items())
        switched = {*constants, *(f"{group} {part}" for group in self._groups.values() for part in _DEFAULTS)}
        graph.input.extend(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
                           for tensor in graph.initializer if tensor.name in switched)
        return proto

    def _switch(self, name: str, placement: Placement) -> list[NodeProto]:
        """The quantizer behind a tensor."""
        from onnx import helper

        if name not in placement:
            return []
        scale, low, high, is_on = (f"{self._groups[placement.group_of(name).name]} {part}" for part in _DEFAULTS)
        steps = [f"{name} {step}" for step in ("steps", "rounded", "clipped", "quantized")]
        return [helper.make_node("Div", [name, scale], [steps[0]]), helper.make_node("Round", [steps[0]], [steps[1]]),
                helper.make_node("Clip", [steps[1], low, high], [steps[2]]),
                helper.make_node("Mul", [steps[2], scale], [steps[3]]),
                helper.make_node("Where", [is_on, steps[3], name], [self._shown[name]])]

    def _made(self, proto: ModelProto) -> Any:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own types, which share no public base
            raise self.model.error(f"onnxruntime does not take this model: {error}") from error


def node_input(model: FloatModel, node_name: str, place: int) -> str:
    """What a node reads at a place; "" for nothing."""
    return next(node for node in model.nodes if node.name == node_name).input(place)


def _operands(model: FloatModel, placement: Placement) -> list[tuple[str, int]]:
    """(node, input) of every constant that a quantizer could change: weights, biases, operands of layers without weights."""
    found = []
    for layer in model.layers:
        found += [(layer.node.name, place) for place in range(1 if layer.node.op != "MatMul" else 0, len(layer.node.inputs))]
        if layer.bias_node is not None:
            found += [(layer.bias_node.name, place) for place in range(len(layer.bias_node.inputs))]
    return [*found, *((constant.node, constant.position) for constant in placement.constants)]


def _with_single_readers(model: FloatModel, placement: Placement) -> FloatModel:
    """The model in which nothing else reads what a quantizer could change."""
    for node, place in _operands(model, placement):
        name = node_input(model, node, place)
        if name in model.arrays and len(model.readers(name)) > 1:
            model = model.with_operand(node, place, model.arrays[name], f"{name}_of_{node}")
    return model
