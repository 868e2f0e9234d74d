"""A transformer block as exporters write it: heads and masks sized by arithmetic on shapes, open batch and sequence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from accelsim.workload import MatMul, import_onnx

WIDTH, HEADS = 64, 4

node = helper.make_node


def projection(source: str, output: str) -> list[NodeProto]:
    """A product with constant weights, and its bias as the left operand of an addition."""
    return [node("MatMul", [source, "w"], [f"{output}_product"]), node("Add", ["b", f"{output}_product"], [output])]


def block() -> list[NodeProto]:
    nodes = [layer for name in "qkv" for layer in projection("x", name)]
    nodes += [node("Shape", ["x"], ["size"])]
    for name, index in (("batch", "zero"), ("sequence", "one")):
        nodes += [node("Gather", ["size", index], [f"{name}_size"]), node("Unsqueeze", [f"{name}_size", "axis"], [name])]
    nodes += [node("Concat", ["batch", "sequence", "heads", "per_head"], ["split"], axis=0)]
    for name in "qkv":
        order = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        nodes += [node("Reshape", [name, "split"], [f"{name}_split"]),
                  node("Transpose", [f"{name}_split"], [f"{name}_heads"], perm=order)]
    nodes += [
        node("MatMul", ["q_heads", "k_heads"], ["scores"]),
        node("Div", ["scores", "root"], ["scaled"]),
        # The mask is expanded to a size in which -1 stands for "as it is".
        node("Concat", ["batch", "ones", "sequence", "sequence"], ["mask_size"], axis=0),
        node("Shape", ["mask_size"], ["rank"]),
        node("ConstantOfShape", ["rank"], ["all_ones"], value=numpy_helper.from_array(np.array([1]))),
        node("Mul", ["all_ones", "minus"], ["all_minus"]),
        node("Equal", ["mask_size", "all_minus"], ["is_minus"]),
        node("Where", ["is_minus", "all_ones", "mask_size"], ["expanded_size"]),
        node("Unsqueeze", ["mask", "inner"], ["mask_4d"]),
        node("Expand", ["mask_4d", "expanded_size"], ["expanded"]),
        node("Cast", ["expanded"], ["is_seen"], to=TensorProto.BOOL),
        node("Where", ["is_seen", "scaled", "lowest"], ["masked"]),
        node("Softmax", ["masked"], ["attention"], axis=-1),
        node("MatMul", ["attention", "v_heads"], ["context"]),
        node("Transpose", ["context"], ["merged"], perm=[0, 2, 1, 3]),
        node("Concat", ["batch", "sequence", "width"], ["whole"], axis=0),
        node("Reshape", ["merged", "whole"], ["flat"]),
        *projection("flat", "out"),
        node("Add", ["out", "x"], ["y"]),
    ]
    return nodes


CONSTANTS = {
    "w": np.zeros((WIDTH, WIDTH), np.float32), "b": np.zeros(WIDTH, np.float32), "zero": np.array(0), "one": np.array(1),
    "axis": np.array([0]), "inner": np.array([1, 2]), "heads": np.array([HEADS]), "per_head": np.array([WIDTH // HEADS]),
    "ones": np.array([1]), "minus": np.array(-1), "width": np.array([WIDTH]), "root": np.array(4, np.float32),
    "lowest": np.array(-1e9, np.float32),
}


@pytest.fixture
def model(save_model) -> Path:
    return save_model(block(), {"x": ["B", "S", WIDTH], "mask": ["B", "S"]}, ["y"], CONSTANTS, opset=14)


def test_attention_is_four_projections_and_two_products_of_activations(model: Path) -> None:
    network = import_onnx(model, shapes={"x": (2, 7, WIDTH), "mask": (2, 7)})
    products = [layer.operation for layer in network.layers if layer.kind == "matmul"]
    projected = MatMul(m=14, k=WIDTH, n=WIDTH)
    assert products == [
        projected, projected, projected,
        MatMul(m=7, k=16, n=7, batch=8, has_activation_weights=True),
        MatMul(m=7, k=7, n=16, batch=8, has_activation_weights=True),
        projected,
    ]
    assert network.unsupported == {}


def test_shape_arithmetic_vanishes_and_biases_and_scale_fold(model: Path) -> None:
    network = import_onnx(model, shapes={"x": (2, 7, WIDTH), "mask": (2, 7)})
    # Beside the products: four transpositions, the mask's expansion, conversion and selection, softmax, the residual sum.
    assert Counter(layer.kind for layer in network.layers) == {
        "matmul": 6, "move": 6, "activation": 1, "softmax": 1, "elementwise": 1}
    assert [layer.bias.name for layer in network.layers if layer.bias is not None] == ["b"] * 4
