"""A layer with constant weights in a float network: its weights as matrices, its bias, its activation, its geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.arrangement import Arrangement
from accelsim.quantization.clip import Clip
from accelsim.workload.layer import Layer
from accelsim.workload.onnx.activations import NotQuantized
from accelsim.workload.onnx.clamps import CLAMPS
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.products import product_of
from accelsim.workload.operation import Convolution, MatMul

if TYPE_CHECKING:
    from accelsim.quantization.float_model import FloatModel

#: What the layer multiplies by: filters, transposed filters, or a matrix.
LayerKind = Literal["conv", "conv_transpose", "matmul"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """How a layer's weights lie in the model, and how in matrices.

    Parameters
    ----------
    shape : in the model.
    arrangement : the array as (G, N, K).
    flipped : axes that are reversed first (the kernel of a transposed convolution).
    channel_axis : the model's axis of output channels; None where the weights are a vector.
    channel_repeats : how often the channels of that axis occur over all groups or matrices: there is one scale for each
        index of an axis in ONNX, so that they share theirs.
    inner_axis : the model's axis along which products are added up, the fastest part of K.
    product_axis : the axis of output channels of a matrix product, from its last: -2 where the weights stand on the left of
        a matrix.
    """

    shape: tuple[int, ...]
    arrangement: Arrangement
    flipped: tuple[int, ...] = ()
    channel_axis: int | None = 0
    channel_repeats: int = 1
    inner_axis: int = 1
    product_axis: int = -1

    def matrices(self, array: Array) -> Array:
        """(G, N, K) of an array as it lies in the model."""
        return np.ascontiguousarray(self.arrangement.matrices(np.flip(array, self.flipped) if self.flipped else array))

    def restored(self, matrices: Array) -> Array:
        """The model's array of (G, N, K)."""
        array = self.arrangement.restored(matrices).reshape(self.shape)
        return np.ascontiguousarray(np.flip(array, self.flipped) if self.flipped else array)


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A convolution or matrix product with constant weights, with its bias and the clamp behind it.

    Parameters
    ----------
    name : of its node, and of the layer that the machine executes.
    kind : what it multiplies by.
    operation : its geometry, as the machine sees it.
    node : the operator that multiplies.
    weights_name : of the constant in the model.
    layout : how the weights lie.
    weights : (G, N, K), float32, K in (r, s, c) order, c fastest.
    bias : (G * N,), float32; None where it has none.
    bias_node : the Add behind a MatMul that adds the bias; None where the node itself does.
    input : the tensor that it reads, without the Pad before it, whose borders are among the operation's pads.
    output : the tensor that product and bias make, before the activation.
    followers : operators between the product and the activation that are not folded into weights and bias.
    clip : the activation that the layer executes: ReLU, ReLU6, any other clamp, or none.
    activated : the tensor behind the activation; `output` where there is none.
    """

    name: str
    kind: LayerKind
    operation: Convolution | MatMul
    node: Node
    weights_name: str
    layout: WeightLayout
    weights: Array
    bias: Array | None
    bias_node: Node | None
    input: str
    output: str
    followers: tuple[Node, ...]
    clip: Clip
    activated: str

    @property
    def activation(self) -> Literal["", "relu", "clip"]:
        """What reports call the clamp."""
        if self.clip.is_identity:
            return ""
        return "relu" if np.all(self.clip.low == 0) and np.all(np.isposinf(self.clip.high)) else "clip"

    @property
    def channels(self) -> int:
        """Output channels over all groups: G * N."""
        return int(self.weights.shape[0] * self.weights.shape[1])

    def edited(self, model: FloatModel, *, weights: Array | None = None, bias: Array | None = None) -> FloatModel:
        """The model in which this layer has other weights (G, N, K) or another bias (G * N,).

        Raises
        ------
        WorkloadError : a bias that a product of several matrices has no place for.
        """
        if weights is not None:
            place = self.node.inputs.index(self.weights_name)
            with np.errstate(over="ignore"):  # what float32 does not hold is refused where the network runs
                array = self.layout.restored(np.asarray(weights, np.float32))
            model = model.with_operand(self.node.name, place, array, f"{self.name}_weights")
        if bias is None:
            return model
        bias = np.asarray(bias, np.float32)
        if self.node.op != "MatMul":
            return model.with_operand(self.node.name, 2, bias, f"{self.name}_bias")
        lists = bias.reshape(self.weights.shape[:2])
        if np.any(lists != lists[0]):
            raise model.error("expected one bias for all matrices", self.name)
        addend = lists[0] if self.layout.product_axis == -1 else lists[0][:, None]
        if self.bias_node is not None:
            place = addend_place(self.bias_node, model)
            array = -addend if self.bias_node.op == "Sub" else addend
            return model.with_operand(self.bias_node.name, place, array, f"{self.name}_bias")
        return self._with_addition(model, addend)

    def _with_addition(self, model: FloatModel, bias: Array) -> FloatModel:
        """The model with an Add behind this layer's MatMul."""
        product, name = model.free_name(f"{self.node.outputs[0]}_product"), model.free_name(f"{self.name}_bias")
        nodes: list[Node] = []
        for node in model.nodes:
            if node.name == self.node.name:
                added = Node("Add", model.free_node_name(f"{self.name}_bias"), (product, name), node.outputs)
                nodes += [replace(node, outputs=(product,)), added]
            else:
                nodes.append(node)
        return model.with_nodes(nodes, {name: bias})


def layers_of(model: FloatModel) -> tuple[FloatLayer, ...]:
    """The layers with constant weights, in the order of execution."""
    origins = model.translation.origins
    return tuple(_layer(layer, origins[layer.name], model) for layer in model.translation.layers
                 if layer.is_on_grid and layer.weights is not None)


def _layer(layer: Layer, origin: Origin, model: FloatModel) -> FloatLayer:
    node, operation = origin.node, layer.operation
    assert isinstance(operation, Convolution | MatMul)
    place, layout = _layout(node, operation, model)
    others = [each for each in origin.nodes[1:] if each.op not in CLAMPS]
    clamps = [each for each in origin.nodes[1:] if each.op in CLAMPS]
    bias_node = others[0] if _is_bias(node, others) else None
    followers = tuple(others[1:] if bias_node is not None else others)
    kind: LayerKind = "matmul"
    if isinstance(operation, Convolution):
        kind = "conv_transpose" if operation.is_transposed else "conv"
    weights = layout.matrices(model.arrays[node.inputs[place]])
    output = others[-1].outputs[0] if others else node.outputs[0]
    return FloatLayer(
        name=layer.name, kind=kind, operation=operation, node=node, weights_name=node.inputs[place], layout=layout,
        weights=weights, bias=_bias(node, bias_node, weights.shape[0] * weights.shape[1], model), bias_node=bias_node,
        input=origin.operands[0], output=output, followers=followers, clip=_clip(clamps, model),
        activated=clamps[-1].outputs[0] if clamps else output)


def _is_bias(node: Node, others: Sequence[Node]) -> bool:
    """Whether what stands behind a product without a bias of its own adds one."""
    return node.op == "MatMul" and bool(others) and others[0].op in ("Add", "Sub")


def _layout(node: Node, operation: Convolution | MatMul, model: FloatModel) -> tuple[int, WeightLayout]:
    """Which input of the node the weights are, and how they lie."""
    if isinstance(operation, MatMul):
        try:
            product = product_of(node, model.translation)
        except NotQuantized as reason:
            raise model.error(str(reason), node.label) from None
        shape = model.arrays[node.inputs[product.stationary]].shape
        free = product.channel_axis
        is_left = product.stationary == 0 and len(model.sizes[node.inputs[1]]) > 1
        return product.stationary, WeightLayout(
            shape, product.stationary_as, channel_axis=free, channel_repeats=operation.batch,
            inner_axis=0 if free is None else 2 * len(shape) - 3 - free, product_axis=-2 if is_left else -1)
    shape, groups = model.arrays[node.inputs[1]].shape, operation.groups
    spatial = tuple(range(2, len(shape)))
    if operation.is_transposed:
        split = (groups, shape[0] // groups, *shape[1:])
        order = (0, 2, *(axis + 1 for axis in spatial), 1)
        return 1, WeightLayout(shape, Arrangement(split, order, 1, 1), spatial, channel_axis=1, channel_repeats=groups,
                               inner_axis=0)
    split = (groups, shape[0] // groups, *shape[1:])
    return 1, WeightLayout(shape, Arrangement(split, (0, 1, *(axis + 1 for axis in spatial), 2), 1, 1))


def _bias(node: Node, bias_node: Node | None, channels: int, model: FloatModel) -> Array | None:
    if bias_node is not None:
        found = model.arrays[bias_node.inputs[addend_place(bias_node, model)]]
        found = -found if bias_node.op == "Sub" else found
    elif node.input(2):
        if node.input(2) not in model.arrays:
            raise model.error("expected a constant bias, got a computed one", node.label)
        found = model.arrays[node.inputs[2]]
    else:
        return None
    return np.tile(found.reshape(-1), channels // found.size)


def addend_place(node: Node, model: FloatModel) -> int:
    """Which input of an Add or Sub is the constant."""
    return next(place for place, name in enumerate(node.inputs) if name in model.arrays)


def _clip(clamps: Sequence[Node], model: FloatModel) -> Clip:
    """What clamps one after the other leave of the real numbers. Of crossed bounds ONNX takes the upper one."""
    low, high = -np.inf, np.inf
    for node in clamps:
        least, most = (0.0, np.inf) if node.op == "Relu" else clip_bounds(node, model)
        low, high = min(max(low, least), most), min(max(high, least), most)
        if low >= high:
            raise model.error("expected a Clip between two bounds, the lower one first", node.label)
    return Clip(low=low, high=high)


def clip_bounds(node: Node, model: FloatModel) -> tuple[float, float]:
    """Bounds of a Clip.

    Raises
    ------
    WorkloadError : a bound that is computed.
    """
    found = []
    for place, open_end in ((1, -np.inf), (2, np.inf)):
        name = node.input(place)
        if name and name not in model.arrays:
            raise model.error("expected a Clip between constants, got a computed bound", node.label)
        found.append(float(model.arrays[name].reshape(-1)[0]) if name else open_end)
    return found[0], found[1]
