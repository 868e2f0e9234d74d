"""Finds where quantizers stand in a float network; the rules are told in `placement`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np

from accelsim.errors import UnsupportedOperatorError
from accelsim.quantization.fixed_grid import FixedGrid
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import PlacedConstant, PlacedTensor, Placement, QuantizerGroup
from accelsim.quantization.placement_options import PlacementOptions
from accelsim.workload.layer import Layer
from accelsim.workload.onnx.clamps import CLAMPS
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.translation import Translation
from accelsim.workload.operation import Elementwise, Move, Normalization, Pooling, Reduction, Resize, Softmax

# Source: white paper, section 3.1, BN based range setting: "alpha = 6 so that only large outliers are clipped".
_DEVIATIONS = 6.0

# Source: onnx.proto3, TensorProto.DataType.
_FLOAT = 1

# With a kernel on integers where their constants are integers too; others take their constants as real numbers.
_WITH_INTEGER_CONSTANTS = frozenset({"Add", "Sub", "Mul", "Max", "Min", "Sum"})

# Moves that give some of their first input's elements and nothing else.
_PICKING = frozenset({"transpose", "slice", "split", "gather", "expand", "tile", "space_to_depth", "depth_to_space"})


def place(model: FloatModel, options: PlacementOptions | None = None) -> Placement:
    """Quantizers for a network whose batch normalizations are folded.

    Raises
    ------
    UnsupportedOperatorError : operators that the machine does not execute.
    WorkloadError : a tensor that no layer writes.
    """
    translation = model.translation
    if +translation.unsupported:
        found = ", ".join(f"{name} x{count}" for name, count in sorted((+translation.unsupported).items()))
        raise UnsupportedOperatorError(f"operators that accelsim does not simulate: {found}", file=model.path or None)
    placing = _Placing(model, options or PlacementOptions())
    for name in model.inputs:
        if placing.is_real(name):
            placing.own(name, name, "network input")
    for node in model.nodes:
        for output in filter(None, node.outputs):
            if placing.is_real(output):
                placing.put(output, node)
    return placing.placement()


class _Placing:
    """The state of one placement."""

    def __init__(self, model: FloatModel, options: PlacementOptions) -> None:
        self.model = model
        self.options = options
        self.translation: Translation = model.translation
        origins = self.translation.origins
        self.written = {origins[layer.name].written: (layer, origins[layer.name]) for layer in self.translation.layers}
        self.inside = {name for origin in origins.values() for name in _inside(origin, self.translation)}
        self.layers: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.roots: dict[str, str] = {}
        self.fixed: dict[str, FixedGrid] = {}
        self.owners: list[str] = []
        self.constants: list[PlacedConstant] = []

    def is_real(self, name: str) -> bool:
        """Whether a tensor holds real numbers that are not known before the run, and that something reads or takes out."""
        element_type = self.translation.element_types.get(name, _FLOAT) or _FLOAT
        is_used = bool(self.model.readers(name)) or name in self.model.outputs
        return element_type == _FLOAT and not self.translation.is_constant(name) and name not in self.inside and is_used

    def put(self, output: str, node: Node) -> None:
        """A quantizer for what a node writes."""
        if output in self.written:
            layer, origin = self.written[output]
            self._put_layer(output, layer, origin)
        elif output in self.translation.views:
            self.share(output, self.translation.views[output], "", f"{node.op} of {self.translation.views[output]}")
        elif node.op == "Pad":
            self.share(output, node.inputs[0], "", f"{node.inputs[0]} with a border of zeros")
        else:
            raise self.model.error(f"expected an operator with a layer of its own, got {node.op}", node.label)

    def _put_layer(self, output: str, layer: Layer, origin: Origin) -> None:
        source = origin.operands[0] if origin.operands else ""
        if self._is_shared(layer, origin):
            self.share(output, source, layer.name, f"{_verb(layer)} integers of {source}")
            return
        behind = ", ".join(node.op for node in origin.nodes[1:])
        self.own(output, layer.name, f"output of {origin.node.op}" + (f" with {behind}" if behind else ""))
        grid = self._fixed_grid(layer, origin)
        if grid is not None:
            self.fixed[output] = grid
            self.reasons[output] += ", whose range is known"
        if isinstance(layer.operation, Move) and layer.operation.kind == "concat":
            self._concatenate(output, layer, origin)
        elif isinstance(layer.operation, Elementwise):
            self._combine(layer, origin)

    def _is_shared(self, layer: Layer, origin: Origin) -> bool:
        """Whether a layer's output is on its input's grid."""
        operation, node = layer.operation, origin.node
        if any(each.op not in CLAMPS for each in origin.nodes[1:]):
            return False
        if isinstance(operation, Pooling):
            return operation.kind == "max" or self.options.average_pooling == "shared"
        if isinstance(operation, Reduction):
            is_mean = operation.kind == "mean" and self.options.average_pooling == "shared"
            return is_mean or node.op in ("ReduceMax", "ReduceMin")
        if isinstance(operation, Move):
            return (operation.kind in _PICKING and len(origin.operands) == 1) or (
                operation.kind == "pad" and self._pads_with_zeros(node))
        return isinstance(operation, Resize)

    def _pads_with_zeros(self, node: Node) -> bool:
        value = self.model.arrays.get(node.input(2))
        return node.attribute("mode", "constant") != "constant" or not node.input(2) or (
            value is not None and not value.any())

    def _fixed_grid(self, layer: Layer, origin: Origin) -> FixedGrid | None:
        """The grid of an operator whose range does not depend on data."""
        node, operation = origin.node, layer.operation
        if len(origin.nodes) > 1:
            return None
        if node.op == "Sigmoid" or (isinstance(operation, Softmax) and node.op == "Softmax"):
            return FixedGrid("share")
        if node.op == "Tanh" or (isinstance(operation, Normalization) and operation.kind == "l2"):
            return FixedGrid("unit")
        if node.op == "LayerNormalization" and self.options.layer_normalization == "fixed":
            return self._normalized(node, operation)
        return None

    def _normalized(self, node: Node, operation: object) -> FixedGrid:
        """The range of a layer normalization: its elements' shifts, and so many of their scales around them."""
        assert isinstance(operation, Normalization)
        gamma = self.model.arrays.get(node.input(1), np.ones(1, np.float32)).astype(np.float64)
        beta = self.model.arrays.get(node.input(2), np.zeros(1, np.float32)).astype(np.float64)
        reach = min(_DEVIATIONS, sqrt(max(operation.row_length - 1, 1))) * np.abs(gamma)
        return FixedGrid("range", float(np.min(beta - reach)), float(np.max(beta + reach)))

    def _concatenate(self, output: str, layer: Layer, origin: Origin) -> None:
        """Parts on the result's grid, or on grids of their own."""
        if self.options.concatenation == "shared":
            for source in origin.operands:
                self.join(output, source, "one grid for all parts of a concatenation")
        for position, name in enumerate(origin.node.inputs):
            if name in self.model.arrays:
                group = output if self.options.concatenation == "shared" else ""
                self.constants.append(PlacedConstant(name, origin.node.name, position, layer.name, group))

    def _combine(self, layer: Layer, origin: Origin) -> None:
        """Operands of an element-wise operator."""
        node = origin.node
        if node.op in ("Add", "Sub", "Sum") and self.options.addition == "matched":
            for source in origin.operands[1:]:
                self.join(origin.operands[0], source, f"one grid for the operands of {layer.name}")
        if node.op in _WITH_INTEGER_CONSTANTS:
            self.constants += [PlacedConstant(name, node.name, position, layer.name)
                               for position, name in enumerate(node.inputs) if name in self.model.arrays]

    def own(self, tensor: str, layer: str, reason: str) -> None:
        """A tensor with a grid of its own."""
        self.roots[tensor] = tensor
        self.owners.append(tensor)
        self.layers[tensor], self.reasons[tensor] = layer, reason

    def share(self, tensor: str, source: str, layer: str, reason: str) -> None:
        """A tensor on the grid of what it comes from."""
        if source not in self.roots:
            raise self.model.error(f'reads "{source}", which carries no quantizer', layer or tensor)
        self.roots[tensor] = source
        self.layers[tensor], self.reasons[tensor] = layer, reason

    def join(self, tensor: str, other: str, reason: str) -> None:
        """Two tensors on one grid, unless one of them has a fixed one."""
        mine, its = self._root(tensor), self._root(other)
        if mine == its or mine in self.fixed or its in self.fixed:
            return
        # The one that stands first names the group.
        first, second = sorted((mine, its), key=list(self.roots).index)
        self.roots[second] = first
        self.reasons[other] += f"; {reason}"

    def _root(self, tensor: str) -> str:
        while self.roots[tensor] != tensor:
            tensor = self.roots[tensor]
        return tensor

    def placement(self) -> Placement:
        members: dict[str, list[str]] = defaultdict(list)
        for tensor in self.roots:
            members[self._root(tensor)].append(tensor)
        owners = set(self.owners)
        groups = {}
        for root, tensors in members.items():
            own = tuple(tensor for tensor in tensors if tensor in owners)
            groups[root] = QuantizerGroup(root, tuple(tensors), own, tuple(self.layers[tensor] for tensor in own),
                                          self.fixed.get(root))
        placed = tuple(PlacedTensor(tensor, self.layers[tensor], self._root(tensor), self.reasons[tensor])
                       for tensor in self.roots)
        constants = tuple(each._replace(group=self._root(each.group) if each.group else "") for each in self.constants)
        return Placement(placed, groups, constants)


def _inside(origin: Origin, translation: Translation) -> Iterator[str]:
    """Tensors between two operators of one layer."""
    for node, following in zip(origin.nodes, origin.nodes[1:], strict=False):
        output = node.outputs[origin.output if node is origin.node else 0]
        for name in _computed(following.inputs, translation):
            between = [name]
            while between[-1] in translation.views and between[-1] != output:
                between.append(translation.views[between[-1]])
            if between[-1] == output:
                yield from between


def _computed(names: Iterable[str], translation: Translation) -> Iterator[str]:
    return (name for name in names if name and not translation.is_constant(name))


def _verb(layer: Layer) -> str:
    if isinstance(layer.operation, Pooling | Reduction):
        return "average of" if layer.operation.kind in ("average", "mean") else "largest of" if (
            layer.operation.kind == "max") else "smallest of"
    return "interpolated" if isinstance(layer.operation, Resize) and layer.operation.mode != "nearest" else "moved"
