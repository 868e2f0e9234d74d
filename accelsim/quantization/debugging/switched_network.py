"""A float network with a switch at every quantizer: on, its values lie on their grid; off, they stay as they are.

Debugging asks for many networks that differ in what is quantized: weights alone, activations alone, one layer alone (white
paper, arXiv 2106.08295, section 3.7). They are one network here, whose switches are inputs, so that onnxruntime prepares it
once.

::

    x^ = s clamp(round(x / s), q_min - z, q_max - z)      activations, where the placement has a quantizer
    w^, b^ = their integers' real values                  weights, biases and other constants of a layer

Grids of up to 22 bits are computed in float32, as fake quantization is; wider ones in float64.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.calibration_set import Batch
from accelsim.quantization.fake_quantization import WIDEST_EXACT_BITS
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.workload.onnx.graph import GraphInput, Node

# Source: onnx.proto3, TensorProto.DataType.
_FLOAT, _BOOL, _DOUBLE = 1, 9, 11


class SwitchedNetwork:
    """A quantized network in floating point, ready to run with any of its quantizers on.

    Parameters
    ----------
    quantized : with static ranges.
    tensors : to fetch, by their names in the float network; the network's outputs if left out. What is fetched of a tensor
        with a quantizer, an input of the network among them, is what its readers get.

    Attributes
    ----------
    layers : names of layers with constants that are quantized, in the order of execution.
    groups : names of groups of activations (`Placement.groups`), in the order of execution.

    Raises
    ------
    WorkloadError : ranges that are found during the run; a model that onnxruntime refuses.
    """

    def __init__(self, quantized: QuantizedModel, tensors: Collection[str] | None = None) -> None:
        if quantized.dynamic:
            raise quantized.model.error("expected ranges that are known before the run, got one that is found during it",
                                        f'tensor "{next(iter(quantized.dynamic))}"')
        circuit = _Circuit(quantized)
        self.layers, self.groups = tuple(circuit.layer_switches), tuple(circuit.group_switches)
        self._switches = {("layer", name): switch for name, switch in circuit.layer_switches.items()}
        self._switches |= {("group", name): switch for name, switch in circuit.group_switches.items()}
        wanted = tuple(quantized.model.outputs if tensors is None else tensors)
        self._fetched = {name: circuit.shown_as.get(name, name) for name in wanted}
        self._session = FloatSession(circuit.model(), tuple(self._fetched.values()))

    def run(self, batch: Batch, *, layers: Collection[str] = (), groups: Collection[str] = ()) -> dict[str, NDArray[Any]]:
        """The fetched tensors of a batch.

        Parameters
        ----------
        layers : whose constants are quantized.
        groups : of activations that are quantized.
        """
        on = {("layer", name) for name in layers} | {("group", name) for name in groups}
        inputs = {**batch, **{switch: np.asarray(place in on) for place, switch in self._switches.items()}}
        found = self._session.run(inputs)
        return {name: found[fetched] for name, fetched in self._fetched.items()}


class _Circuit:
    """The network while its switches are put in."""

    def __init__(self, quantized: QuantizedModel) -> None:
        self._quantized, self._original = quantized, quantized.model
        self._nodes: list[Node] = []
        self._arrays: dict[str, NDArray[Any]] = dict(self._original.arrays)
        self._taken: set[str] = {*self._arrays, *self._original.inputs,
                                 *(name for node in self._original.nodes for name in (*node.outputs, node.name))}
        self.layer_switches: dict[str, str] = {}
        self.group_switches: dict[str, str] = {}
        #: Input of the network -> what its readers get.
        self.shown_as: dict[str, str] = {}
        operands = self._switched_operands()
        for name in self._original.inputs:
            self._put_quantizer(name, name)
        for node in self._original.nodes:
            real = {name: self._free(f"{name}_real") for name in node.outputs if self._grid(name) is not None}
            self._nodes.append(replace(
                node, outputs=tuple(real.get(name, name) for name in node.outputs),
                inputs=tuple(operands.get((node.name, place), self.shown_as.get(name, name))
                             for place, name in enumerate(node.inputs))))
            for name, unrounded in real.items():
                self._put_quantizer(name, unrounded)

    def model(self) -> FloatModel:
        """The network, with the switches as inputs."""
        switches = {name: GraphInput((), _BOOL) for name in (*self.layer_switches.values(), *self.group_switches.values())}
        model = replace(self._original, inputs={**self._original.inputs, **switches})
        return model.with_nodes(self._nodes, self._arrays)

    def _free(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def _put(self, op: str, output: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        made = {name: helper.make_attribute(name, value) for name, value in attributes.items()}
        self._nodes.append(Node(op, self._free(f"{output}/{op}"), inputs, (output,), made))
        return output

    def _constant(self, name: str, values: Any, dtype: Any) -> str:
        name = self._free(name)
        self._arrays[name] = np.asarray(values, dtype)
        return name

    def _grid(self, tensor: str) -> QParams | None:
        """The grid of a tensor that is computed and not picked from others of its group."""
        placement = self._quantized.placement
        if tensor not in placement or not placement.layer_of(tensor):
            return None
        return self._quantized.grid_of(tensor)

    def _put_quantizer(self, tensor: str, real: str) -> None:
        """What reads the tensor gets it on its grid, or as it is."""
        grid = self._grid(tensor)
        if grid is None:
            return
        group = self._quantized.placement.group_of(tensor).name
        if group not in self.group_switches:
            self.group_switches[group] = self._free(f"{group}_switch")
        shown = tensor
        if real == tensor:
            shown = self.shown_as[tensor] = self._free(f"{tensor}_switched")
        self._put("Where", shown, self.group_switches[group], self._on_grid(tensor, real, grid), real)

    def _on_grid(self, tensor: str, real: str, grid: QParams) -> str:
        is_wide = grid.qtype.bits > WIDEST_EXACT_BITS
        dtype = np.float64 if is_wide else np.float32
        scale = self._constant(f"{tensor}_scale", grid.scale, dtype)
        ends = [self._constant(f"{tensor}_{name}", int(limit - int(grid.zero_point)), dtype)
                for name, limit in (("lowest", grid.qtype.min), ("highest", grid.qtype.max))]
        value = self._put("Cast", self._free(f"{tensor}_wide"), real, to=_DOUBLE) if is_wide else real
        value = self._put("Div", self._free(f"{tensor}_steps"), value, scale)
        value = self._put("Round", self._free(f"{tensor}_whole_steps"), value)
        value = self._put("Clip", self._free(f"{tensor}_kept_steps"), value, *ends)
        value = self._put("Mul", self._free(f"{tensor}_on_grid"), value, scale)
        return self._put("Cast", self._free(f"{tensor}_narrow"), value, to=_FLOAT) if is_wide else value

    def _switched_operands(self) -> dict[tuple[str, int], str]:
        """(node, input) -> what it reads instead of a constant."""
        found = {}
        for layer, changed in self._changed_constants().items():
            switch = self.layer_switches[layer] = self._free(f"{layer}_switch")
            for (node, place), (before, after) in changed.items():
                name = self._free(f"{before}_switched")
                quantized = self._constant(f"{before}_quantized", after, np.float32)
                found[node, place] = self._put("Where", name, switch, quantized, before)
        return found

    def _changed_constants(self) -> dict[str, dict[tuple[str, int], tuple[str, NDArray[Any]]]]:
        """Layer -> (node, input) -> name of a constant, and its quantized values."""
        model = self._original
        found: dict[str, dict[tuple[str, int], tuple[str, NDArray[Any]]]] = {}
        for layer in model.layers:
            own = self._quantized.weights[layer.name]
            bias = None if own.bias is None or own.bias_scale is None else own.bias * own.bias_scale
            found[layer.name] = _differences(model, layer.edited(model, weights=own.dequantized, bias=bias))
        for constant in self._quantized.placement.constants:
            operand = self._quantized.constants[constant.node, constant.position]
            values = operand.qparams.dequantize(operand.integers, dtype=np.float32)
            edited = model.with_operand(constant.node, constant.position, values, f"{constant.name}_operand")
            found[constant.layer] = {**found.get(constant.layer, {}), **_differences(model, edited)}
        return found


def _differences(model: FloatModel, edited: FloatModel) -> dict[tuple[str, int], tuple[str, NDArray[Any]]]:
    """Constants of nodes that have other numbers in the edited model."""
    found = {}
    for node, other in zip(model.nodes, edited.nodes, strict=True):
        for place, (before, after) in enumerate(zip(node.inputs, other.inputs, strict=True)):
            if before in model.arrays and model.arrays[before] is not edited.arrays[after]:
                found[node.name, place] = before, edited.arrays[after]
    return found
