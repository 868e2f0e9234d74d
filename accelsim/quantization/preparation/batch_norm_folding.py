"""Batch normalizations folded into the layers beside them, so that none is left to be quantized.

A batch normalization is an affine map of each channel, ``y = f x + a`` with ``f = gamma / sqrt(var + epsilon)`` and
``a = beta - mean f``. Behind a linear layer, ``f (W x + b) + a = (f W) x + (f b + a)``: it folds into weights and bias, and
so do factors and addends of single channels. In front of one without padding, ``W (f x + a) + b = (W f) x + (W a + b)``.
Padding stands between the two: its zeros are not normalized; such a one, and one between two activations, becomes a
depthwise convolution of 1 x 1, which computes the same on the PE grid.

What a batch normalization says of its output (mean beta, deviation |gamma|) is kept as statistics of that tensor.

Source: white paper (arXiv 2106.08295) section 2.3.1, equations 9 and 10; Jacob et al. 2018 (arXiv 1712.05877) section 3.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.quantization.float_file import without_copies
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.edited import Edited
from accelsim.workload.onnx.graph import Node
from accelsim.workload.operation import Convolution

Doubles = NDArray[np.float64]

# Source: ONNX Operators.md, BatchNormalization, the attribute's default.
_EPSILON = 1e-5

_NORMALIZATION = "BatchNormalization"


class _Affine(NamedTuple):
    """``y = factor x + addend``, one pair a channel, and what is known of y."""

    factor: Doubles
    addend: Doubles
    statistics: ChannelStatistics | None = None

    def then(self, other: _Affine) -> _Affine:
        """This one, then the other."""
        known = self.statistics
        if other.statistics is not None:
            known = other.statistics
        elif known is not None:
            known = ChannelStatistics(known.mean * other.factor + other.addend, known.std * np.abs(other.factor))
        return _Affine(self.factor * other.factor, self.addend * other.factor + other.addend, known)


def fold_batch_norms(model: FloatModel, *, alone: Literal["convolution", "kept"] = "convolution") -> Edited:
    """The same network, to float32's rounding, with its batch normalizations in the layers beside them.

    Parameters
    ----------
    alone : what becomes of one that no layer takes: a depthwise convolution, or itself, which the vector unit executes in
        floating point.

    Raises
    ------
    WorkloadError : a batch normalization whose parameters are computed.
    """
    model, behind = _folded_behind(model)
    model, before = _folded_before(model)
    model, left = _replaced(model) if alone == "convolution" else (model, [])
    if left:
        # Factors and addends behind the new convolutions.
        model, more = _folded_behind(model)
        left += more
    kept = [f"{node.name}: kept, no layer beside it takes it" for node in model.nodes if node.op == _NORMALIZATION]
    return Edited(model, (*behind, *before, *left, *kept))


def _folded_behind(model: FloatModel) -> tuple[FloatModel, list[str]]:
    """Into the layer before: what the importer would fold into its requantization."""
    remarks: list[str] = []
    statistics: dict[str, ChannelStatistics] = {}
    removed: dict[str, Node] = {}
    edits = []
    for layer in model.layers:
        if not layer.followers:
            continue
        whole = _Affine(np.ones(layer.channels), np.zeros(layer.channels))
        for node in layer.followers:
            whole = whole.then(_affine(node, layer.channels, model))
            removed[node.name] = _copy(node, model)
        edits.append((layer, whole))
        if whole.statistics is not None:
            statistics[layer.name] = whole.statistics
        remarks.append(f"{', '.join(node.name for node in layer.followers)}: folded into {layer.name}")
    for layer, affine in edits:
        model = _with_affine(layer, affine, model)
    nodes = [removed.get(node.name, node) for node in model.nodes]
    model = without_copies(model.with_nodes(nodes)) if removed else model
    known = {layer.output: statistics[layer.name] for layer in model.layers if layer.name in statistics}
    return replace(model, statistics={**model.statistics, **known}), remarks


def _with_affine(layer: FloatLayer, affine: _Affine, model: FloatModel) -> FloatModel:
    groups, rows, _ = layer.weights.shape
    weights = layer.weights * affine.factor.reshape(groups, rows, 1)
    own = np.zeros(layer.channels) if layer.bias is None else layer.bias.astype(np.float64)
    bias = own * affine.factor + affine.addend
    return layer.edited(model, weights=weights, bias=None if layer.bias is None and not bias.any() else bias)


def _affine(node: Node, channels: int, model: FloatModel) -> _Affine:
    """What a follower of a layer does to each channel."""
    if node.op == _NORMALIZATION:
        found = _normalization(node, model)
        repeats = channels // found.factor.size
        assert found.statistics is not None
        known = ChannelStatistics(np.tile(found.statistics.mean, repeats), np.tile(found.statistics.std, repeats))
        return _Affine(np.tile(found.factor, repeats), np.tile(found.addend, repeats), known)
    place = next(place for place, name in enumerate(node.inputs) if name in model.arrays)
    value = model.arrays[node.inputs[place]].astype(np.float64).reshape(-1)
    value = np.tile(value, channels // value.size)
    ones, zeros = np.ones(channels), np.zeros(channels)
    return {"Mul": _Affine(value, zeros), "Add": _Affine(ones, value), "Sub": _Affine(ones, -value)}.get(
        node.op) or _Affine(1.0 / value, zeros)


def _normalization(node: Node, model: FloatModel) -> _Affine:
    """Factor, addend and statistics of a batch normalization."""
    missing = [name for name in node.inputs[1:5] if name not in model.arrays]
    if missing:
        raise model.error(f'expected constant parameters, got "{missing[0]}", which is computed', node.name)
    gamma, beta, mean, variance = (model.arrays[name].astype(np.float64) for name in node.inputs[1:5])
    factor = gamma / np.sqrt(variance + node.attribute("epsilon", _EPSILON))
    return _Affine(factor, beta - mean * factor, ChannelStatistics(beta, np.abs(gamma)))


def _copy(node: Node, model: FloatModel) -> Node:
    """What is left of a follower: an Identity of the input that is not constant."""
    source = next(name for name in node.inputs if name and name not in model.arrays)
    return Node("Identity", node.name, (source,), node.outputs[:1])


def _folded_before(model: FloatModel) -> tuple[FloatModel, list[str]]:
    """Into the layer behind, where nothing else reads the tensor and no padding comes in between."""
    remarks = []
    for name in [node.name for node in model.nodes if node.op == _NORMALIZATION]:
        node = next(each for each in model.nodes if each.name == name)
        layer = next((each for each in model.layers if _takes(each, node.outputs[0], model)), None)
        if layer is None:
            continue
        affine = _normalization(node, model)
        groups, _, depth = layer.weights.shape
        factor, addend = (np.tile(each.reshape(groups, 1, -1), (1, 1, depth * groups // each.size)) for each in affine[:2])
        own = np.zeros(layer.channels) if layer.bias is None else layer.bias.astype(np.float64)
        bias = own + (layer.weights * addend).sum(axis=2).reshape(-1)
        model = layer.edited(model, weights=layer.weights * factor, bias=bias)
        model = without_copies(model.with_nodes([_copy(each, model) if each.name == name else each for each in model.nodes]))
        remarks.append(f"{name}: folded into {layer.name}, behind it")
    return model, remarks


def _takes(layer: FloatLayer, tensor: str, model: FloatModel) -> bool:
    """Whether a layer can take the affine map of the channels of a tensor that it alone reads."""
    if tensor not in layer.node.inputs or len(model.readers(tensor)) != 1 or tensor in model.outputs:
        return False
    if isinstance(layer.operation, Convolution):
        return not any(layer.operation.pads) and not layer.operation.is_transposed
    return len(model.sizes[tensor]) == 2 and layer.node.inputs[0] == tensor and not layer.node.integer("transA", 0)


def _replaced(model: FloatModel) -> tuple[FloatModel, list[str]]:
    """Those of images that are left, as depthwise convolutions."""
    from onnx.helper import make_attribute

    remarks: list[str] = []
    arrays: dict[str, NDArray[Any]] = {}
    statistics: dict[str, ChannelStatistics] = {}
    nodes = []
    for node in model.nodes:
        rank = len(model.sizes[node.inputs[0]]) if node.op == _NORMALIZATION else 0
        if rank not in (3, 4):
            nodes.append(node)
            continue
        affine = _normalization(node, model)
        names = [model.free_name(f"{node.name}_{word}") for word in ("weights", "bias")]
        arrays[names[0]] = affine.factor.astype(np.float32).reshape(-1, *(1,) * (rank - 1))
        arrays[names[1]] = affine.addend.astype(np.float32)
        assert affine.statistics is not None
        statistics[node.outputs[0]] = affine.statistics
        nodes.append(Node("Conv", node.name, (node.inputs[0], *names), node.outputs[:1],
                          {"group": make_attribute("group", affine.factor.size)}))
        remarks.append(f"{node.name}: a depthwise convolution of 1 x 1, no layer beside it takes it")
    return model.with_nodes(nodes, arrays, statistics), remarks
