"""What scales and zero points mean for time: layers that rescale, pads that fold, asymmetric and grouped weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from accelsim.workload import import_onnx

node = helper.make_node
S = np.float32
CONSTANTS = {"s": S(0.1), "z": np.uint8(3), "t": S(0.2), "w": np.ones((4, 3, 2, 2), np.int8)}
IMAGE = {"x": [1, 3, 8, 8]}


def rounded(source: str, output: str, scale: str = "s", zero: str = "z") -> list:
    return [node("QuantizeLinear", [source, scale, zero], [f"{output}q"], name=f"to_{output}"),
            node("DequantizeLinear", [f"{output}q", scale, zero], [output])]


def kinds(path: Any) -> list[tuple[str, str]]:
    return [(layer.name, layer.kind) for layer in import_onnx(path).layers]


def rescaled(scale: str, zero: str) -> list:
    """A convolution between roundings, rounded once more."""
    return [*rounded("x", "a"), node("DequantizeLinear", ["w", "s"], ["wd"]), node("Conv", ["a", "wd"], ["c"], name="conv"),
            *rounded("c", "b"), *rounded("b", "y", scale, zero)]


@pytest.mark.parametrize(("scale", "zero"), [("t", "z"), ("s", "other"), ("s", "signed")])
def test_another_scale_zero_point_or_type_takes_a_pass(save_model, scale, zero) -> None:
    constants = CONSTANTS | {"other": np.uint8(4), "signed": np.int8(3)}
    path = save_model(rescaled(scale, zero), IMAGE, ["y"], constants)
    assert kinds(path) == [("conv", "conv"), ("to_y", "activation")]


def test_the_same_scale_and_zero_point_take_none_whatever_they_are_called(save_model) -> None:
    constants = CONSTANTS | {"same": S(0.1), "as_well": np.array([3], np.uint8)}
    assert kinds(save_model(rescaled("same", "as_well"), IMAGE, ["y"], constants)) == [("conv", "conv")]


def test_a_scale_that_is_computed_counts_as_the_same(save_model) -> None:
    nodes = [node("Add", ["s", "t"], ["sum"]), *rescaled("sum", "z")]
    assert kinds(save_model(nodes, IMAGE, ["y"], CONSTANTS)) == [("conv", "conv")]


@pytest.mark.parametrize(("fill", "is_folded"), [(3, True), (0, False)])
def test_a_pad_of_integers_folds_where_it_adds_the_zero_point(save_model, fill, is_folded) -> None:
    nodes = [node("Pad", ["x", "pads", "fill"], ["p"], name="pad"),
             node("QLinearConv", ["p", "s", "z", "w", "s", "i", "s", "z"], ["y"], name="conv")]
    constants = CONSTANTS | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "fill": np.uint8(fill), "i": np.int8(0)}
    path = save_model(nodes, IMAGE, ["y"], constants, input_type=TensorProto.UINT8)
    assert kinds(path) == ([] if is_folded else [("pad", "move")]) + [("conv", "conv")]


@pytest.mark.parametrize("zero", [0, 7])
@pytest.mark.parametrize("channels", [4, 1100], ids=["few channels", "many channels"])
def test_weights_with_a_zero_point_are_asymmetric(save_model, zero, channels) -> None:
    points = np.zeros(channels, np.uint8)
    points[-1] = zero
    nodes = [*rounded("x", "a"), node("DequantizeLinear", ["w", "scales", "points"], ["wd"], axis=0),
             node("Transpose", ["wd"], ["wt"]), node("MatMul", ["a", "wt"], ["c"], name="product"), *rounded("c", "y")]
    constants = {**CONSTANTS, "w": np.ones((channels, 8), np.uint8), "scales": np.ones(channels, S), "points": points}
    (layer,) = import_onnx(save_model(nodes, {"x": [5, 8]}, ["y"], constants)).layers
    assert layer.has_asymmetric_weights == (zero != 0)


@pytest.mark.parametrize(("zero", "is_asymmetric"), [("z", True), ("none", False)])
def test_a_product_of_two_activations_is_asymmetric_where_the_stationary_one_is(save_model, zero, is_asymmetric) -> None:
    nodes = [*rounded("x", "a"), *rounded("v", "b", "s", zero), node("Transpose", ["b"], ["bt"], name="move", perm=[1, 0]),
             node("MatMul", ["a", "bt"], ["c"], name="product"), *rounded("c", "y")]
    constants = CONSTANTS | {"none": np.int8(0)}
    layer = import_onnx(save_model(nodes, {"x": [5, 8], "v": [6, 8]}, ["y"], constants)).layers[-1]
    assert (layer.name, layer.has_asymmetric_weights) == ("product", is_asymmetric)


def test_packed_weights_have_a_scale_a_block(save_model) -> None:
    nodes = [node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=80, N=24, bits=4, block_size=32)]
    constants = {"w": np.zeros((24, 3, 16), np.uint8), "s": np.ones(72, S)}
    (layer,) = import_onnx(save_model(nodes, {"x": [5, 80]}, ["y"], constants)).layers
    assert (layer.weight_scale_groups, layer.has_asymmetric_weights) == (3, False)
