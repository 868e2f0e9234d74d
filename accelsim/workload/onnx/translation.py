"""The state of one import: layers so far, which names are views of which tensor, who reads what.

The translators of single operators (`grid_operators`, `vector_operators`) read and extend it; it
dies with the import.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.roundings import Roundings
from accelsim.workload.onnx.shapes import Shapes
from accelsim.workload.onnx.stationary import Stationary, has_zero_point, scale_groups
from accelsim.workload.onnx.views import constant_names, live_nodes, views
from accelsim.workload.operation import Convolution, Elementwise, MatMul, Move, Normalization, Operation, Pooling, Reduction
from accelsim.workload.tensor import Shape, Tensor

#: Accumulator-wide constants: one bias an output channel.
BIAS_BITS = 32

# Integers wider than this are indices and sizes, not weights.
LARGEST_WEIGHT_BITS = 16

#: What ends in the requantizer, which clamps on the way out.
REQUANTIZED = (Convolution, MatMul, Elementwise, Pooling, Normalization, Reduction)

_KEEPING_WIDTH = (Pooling, Move)


class NotSimulated(Exception):
    """A translator met a form of its operator that the machine does not execute."""


class Translation:
    """Builds layers from nodes.

    Parameters
    ----------
    shapes : the graph in normal form with the shapes of its tensors.
    path : of the model, for messages.
    weight_bits, input_bits : widths of tensors that are floating-point in the model.
    """

    def __init__(self, shapes: Shapes, path: Path, *, weight_bits: int, input_bits: int) -> None:
        self.graph = shapes.graph
        self.path = path
        self.sizes = dict(shapes.sizes)
        self.element_types = shapes.element_types
        self.weight_bits = weight_bits
        self.input_bits = input_bits
        self.unsupported: Counter[str] = Counter()
        #: Output of a `Pad` of one number around the image -> its input, (top, left, bottom, right), the number.
        self.image_pads: dict[str, tuple[str, tuple[int, int, int, int], float]] = {}
        self.constants = constant_names(self.graph)
        self.nodes = live_nodes(self.graph, self.constants)
        self._copies = {
            node.outputs[0]: node.inputs[0]
            for node in self.graph.nodes
            if node.op == "Identity" and node.outputs[0] in self.constants
        }
        #: Name of a view -> what it is a view of.
        self.views = views(self.nodes, shapes)
        self.roundings = Roundings(self.nodes, self.graph.constants, self.views, self.graph.true_types)
        self._writers = {name: node for node in self.graph.nodes for name in node.outputs}
        self._readers = Counter(name for node in self.nodes for name in (*node.inputs, *node.captured()))
        self._widths = self._root_widths()
        self._slots: list[Layer | None] = []
        self._origins: list[Origin] = []
        self._producers: dict[str, int] = {}
        self._tensors: dict[str, Tensor] = {}
        self._names: Counter[str] = Counter()

    def _root_widths(self) -> dict[str, int]:
        widths: dict[str, int] = {}
        for name, width in self.graph.bits.items():
            root = self.root(name)
            widths[root] = max(width, widths.get(root, 0))
        return widths

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self._slots if layer is not None)

    @property
    def origins(self) -> dict[str, Origin]:
        """What each layer stands for, by the layer's name."""
        pairs = zip(self._slots, self._origins, strict=True)
        return {layer.name: origin for layer, origin in pairs if layer is not None}

    def origin(self, layer: Layer) -> Origin:
        """What a layer stands for so far."""
        return self._origins[self._producers[layer.output.name]]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Tensors that leave the network, as its layers call them."""
        roots = dict.fromkeys(self.root(name) for name in self.graph.outputs)
        return tuple(root for root in roots if root in self._producers)

    def is_view(self, node: Node) -> bool:
        return bool(node.outputs) and node.outputs[0] in self.views

    def is_constant(self, name: str) -> bool:
        return name in self.constants

    def shape(self, name: str) -> Shape:
        return self.sizes[name]

    def root(self, name: str) -> str:
        """The tensor that a name is a view of."""
        while name in self.views:
            name = self.views[name]
        return name

    def value(self, name: str) -> np.ndarray[Any, Any] | None:
        """The numbers of a small constant, None where they are not known."""
        constant = self.graph.constants.get(name)
        return constant.value if constant is not None else None

    def zero(self, node: Node) -> float:
        """What stands for 0 in the tensor that a node reads as its first input, directly or as a view."""
        encoding = self.roundings.stored(node.inputs[0], node.encoding(0))
        point = self.roundings.zero_point(encoding) if encoding is not None else 0
        return 0.0 if point is None else float(point)

    def activation(self, name: str) -> Tensor:
        """The tensor that a layer reads under this name; one that no layer writes comes from outside."""
        root = self.root(name)
        if root not in self._tensors:
            width = self._widths.get(root, self.input_bits)
            self._tensors[root] = Tensor(root, self.sizes[root], width)
        return self._tensors[root]

    def constant(self, name: str, *, bits: int | None = None, shape: Shape | None = None) -> Tensor:
        """A constant operand, as wide as its integers in the model; `weight_bits` if floating-point."""
        stated = self.constants[name]
        if bits is None:
            bits = stated if stated is not None and stated <= LARGEST_WEIGHT_BITS else self.weight_bits
        return Tensor(self._source(name), self.sizes[name] if shape is None else shape, bits, is_constant=True)

    def bias(self, name: str, channels: int) -> Tensor:
        return Tensor(self._source(name), (channels,), BIAS_BITS, is_constant=True)

    def _source(self, name: str) -> str:
        """The name of the parameter that a constant is the rounded or unrounded copy of."""
        while name in self._copies:
            name = self._copies[name]
        return name

    def emit(
        self,
        node: Node,
        operation: Operation,
        inputs: tuple[str, ...],
        *,
        output: int = 0,
        weights: Tensor | None = None,
        bias: Tensor | None = None,
        stationary: Stationary | None = None,
    ) -> None:
        """Adds the layer that writes one of the node's outputs; `stationary` of a layer on the grid."""
        read = tuple(self.activation(name) for name in inputs)
        name = node.outputs[output]
        is_embedding = isinstance(operation, Move) and operation.kind == "gather" and weights is not None
        keeps_width = isinstance(operation, _KEEPING_WIDTH) and read and not is_embedding
        default = read[0].bits if keeps_width else self.input_bits
        written = Tensor(name, self.sizes[name], self._widths.get(name, default))
        layer = Layer(self._unique(node.label), operation, read, written, weights=weights, bias=bias)
        if stationary is not None:
            layer = self._with_scales(layer, stationary)
        self._producers[name] = len(self._slots)
        self._slots.append(layer)
        self._origins.append(Origin(nodes=(node,), operands=inputs, output=output))
        self._tensors[name] = written

    def _with_scales(self, layer: Layer, stationary: Stationary) -> Layer:
        encoding, is_direct = stationary.encoding(self._writers)
        rank = len(self.sizes[stationary.node.inputs[stationary.position]])
        return replace(
            layer, has_asymmetric_weights=has_zero_point(encoding, self.graph),
            weight_scale_groups=scale_groups(stationary, encoding, is_direct, layer.reduction_length, rank))

    def emit_elementwise(self, node: Node, kind: str, operands: tuple[str, ...]) -> None:
        """Adds an element-by-element layer; the largest constant operand is its weights."""
        constants = [name for name in operands if self.is_constant(name)]
        largest = max(constants, key=lambda name: prod(self.sizes[name]), default="")
        read = tuple(name for name in operands if not self.is_constant(name))
        operation = Elementwise(kind, self.sizes[node.outputs[0]], operands=len(operands))
        self.emit(node, operation, read, weights=self.constant(largest) if largest else None)

    def before(self, node: Node, suffix: str, shape: Shape) -> Node:
        """The node, writing a tensor that only a following layer of the same node reads."""
        name = f"{node.outputs[0]}_{suffix}"
        self.sizes[name] = shape
        return replace(node, name=f"{node.label}_{suffix}", outputs=(name,))

    def _unique(self, label: str) -> str:
        """The label, with a number behind it from its second use on."""
        name = label
        while self._names[name]:
            self._names[label] += 1
            name = f"{label}_{self._names[label]}"
        self._names[name] += 1
        return name

    def sole_producer(self, name: str, *, through_rounding: bool = True) -> Layer | None:
        """The layer that writes a tensor which nothing but the caller reads, directly or as a view.

        Without `through_rounding`, a tensor that the model rounds to integers on the way does not count.
        """
        while True:
            if self._readers[name] != 1 or name in self.graph.outputs:
                return None
            if not through_rounding and name in self.graph.quantized:
                return None
            if name not in self.views:
                break
            name = self.views[name]
        return self._slots[self._producers[name]] if name in self._producers else None

    def absorb(self, producer: Layer, node: Node, *, bias: Tensor | None = None, fused: str = "") -> None:
        """The producer takes over the node: it writes the node's output itself."""
        name = node.outputs[0]
        slot = self._producers.pop(producer.output.name)
        del self._tensors[producer.output.name]
        written = replace(producer.output, name=name, bits=self._widths.get(name, producer.output.bits))
        self._tensors[name] = written
        self._producers[name] = slot
        self._origins[slot] = replace(self._origins[slot], nodes=(*self._origins[slot].nodes, node))
        self._slots[slot] = replace(
            producer, output=written, bias=bias or producer.bias, fused=(*producer.fused, fused) if fused else producer.fused
        )

    def withdraw(self, layer: Layer) -> None:
        """Takes back a layer whose only reader does its work."""
        self._slots[self._producers.pop(layer.output.name)] = None
        del self._tensors[layer.output.name]

    def change(self, layer: Layer, operation: Operation, node: Node) -> None:
        """A layer becomes another operation that writes the node's output."""
        self.absorb(replace(layer, operation=operation), node)

    def error(self, problem: str, node: Node) -> WorkloadError:
        return WorkloadError(problem, file=str(self.path), field=node.label)
