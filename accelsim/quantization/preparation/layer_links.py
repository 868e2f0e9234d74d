"""Layers whose output channels are another layer's input channels, and nothing else's: between them numbers may move.

From the first layer to the second leads one path: its bias, its activation, and operators that keep channels apart and that
a positive factor passes through (pooling, zero padding, flattening one position). No tensor on it has a second reader or
leaves the network, so that a residual block, whose input is read twice and whose output is added to it, is never cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel, Reader
from accelsim.quantization.weight_rounding import has_place_for_bias
from accelsim.workload.onnx.graph import Node
from accelsim.workload.operation import Convolution

_POOLING = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_FLATTENING = frozenset({"Flatten", "Reshape", "Squeeze"})


@dataclass(frozen=True, eq=False)
class LayerLink:
    """Two layers, and what stands between the first one's activation and the second.

    Parameters
    ----------
    first : its output channels (G * N,) are the inputs of
    second : (G * C,).
    between : operators, in order.
    """

    first: FloatLayer
    second: FloatLayer
    between: tuple[Node, ...] = ()

    @property
    def channels(self) -> int:
        """How many channels the two share."""
        return self.first.channels

    @property
    def is_padded(self) -> bool:
        """Whether some windows behind the first layer see zeros beside its numbers."""
        operation = self.second.operation
        pads = [value for node in self.between for value in node.integers("pads")]
        pads += operation.pads if isinstance(operation, Convolution) else []
        return any(pads) or any(node.op == "Pad" or str(node.attribute("auto_pad", "")).startswith("SAME")
                                for node in self.between)


def layer_links(model: FloatModel) -> list[LayerLink]:
    """All links of a network, in the order of execution of their first layers."""
    layers = {layer.node.name: layer for layer in model.layers}
    return [link for layer in model.layers if (link := _link_from(layer, layers, model)) is not None]


def layer_chains(links: list[LayerLink]) -> list[tuple[LayerLink, ...]]:
    """Links one behind the other wherever a depthwise layer stands between them, whose channels are inputs and outputs."""
    behind = {link.first.name: link for link in links}
    inner = {link.second.name for link in links if is_depthwise(link.second)}
    return [tuple(_chain_from(link, behind)) for link in links if link.first.name not in inner]


def is_depthwise(layer: FloatLayer) -> bool:
    """Whether each output channel sees one input channel, which no other one sees."""
    operation = layer.operation
    return isinstance(operation, Convolution) and operation.groups == operation.in_channels == operation.out_channels


def _chain_from(link: LayerLink, behind: Mapping[str, LayerLink]) -> Iterator[LayerLink]:
    yield link
    while is_depthwise(link.second) and link.second.name in behind:
        link = behind[link.second.name]
        yield link


def _link_from(first: FloatLayer, layers: Mapping[str, FloatLayer], model: FloatModel) -> LayerLink | None:
    if first.followers or not has_place_for_bias(first):
        return None
    tensor = first.node.outputs[0]
    between: list[Node] = []
    is_behind = tensor == first.activated
    while (reader := _only_reader(tensor, model)) is not None:
        node = reader.node
        if is_behind and node.name in layers:
            link = LayerLink(first, layers[node.name], tuple(between))
            return link if _fits(link, reader, tensor, model) else None
        if is_behind:
            if not _passes(node, reader, model):
                return None
            between.append(node)
        tensor = node.outputs[0]
        is_behind = is_behind or tensor == first.activated
    return None


def _only_reader(tensor: str, model: FloatModel) -> Reader | None:
    readers = model.readers(tensor)
    return readers[0] if len(readers) == 1 and tensor not in model.outputs else None


def _passes(node: Node, reader: Reader, model: FloatModel) -> bool:
    """Whether channels stay channels, and a positive factor comes out as it went in."""
    if reader.position != 0 or any(model.readers(name) or name in model.outputs for name in node.outputs[1:]):
        return False
    shape = model.sizes.get(node.inputs[0], ())
    if node.op in _FLATTENING:
        return len(shape) > 2 and prod(shape[2:]) == 1 and model.sizes.get(node.outputs[0]) == shape[:2]
    if node.op == "Pad":
        value = model.arrays.get(node.input(2), np.zeros(1)) if node.input(2) else np.zeros(1)
        return not node.input(2) or (node.input(2) in model.arrays and not np.any(value))
    return node.op in _POOLING


def _fits(link: LayerLink, reader: Reader, tensor: str, model: FloatModel) -> bool:
    """Whether the second layer's input channels are the first one's output channels."""
    first, second = link.first, link.second
    if isinstance(second.operation, Convolution):
        return reader.position == 0 and isinstance(first.operation, Convolution) and (
            second.operation.in_channels == first.channels)
    if second.weights.shape[0] != 1 or second.node.inputs[0] == second.weights_name or second.node.integer("transA", 0):
        return False
    is_row = isinstance(first.operation, Convolution) and len(model.sizes.get(tensor, ())) != 2
    return not is_row and second.weights.shape[2] == first.channels and (
        isinstance(first.operation, Convolution) or not link.between)
