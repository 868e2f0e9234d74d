"""Models of quantized operators, written by hand: every form of them gives onnxruntime's integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import differences, node, write_graph

from accelsim.workload import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork

S = np.float32
CONSTANTS = {"xs": S(0.02), "xz": np.uint8(120), "vs": S(0.03), "vz": np.uint8(7), "ws": S(0.011), "wz": np.int8(0),
             "ys": S(0.05), "yz": np.uint8(100)}
MICROSOFT = "com.microsoft"


def unsigned(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(0, 256, shape).astype(np.uint8)


def signed(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(-127, 128, shape).astype(np.int8)


def biases(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-9000, 9000, channels).astype(np.int32)


def of_channels(count: int) -> dict[str, np.ndarray]:
    return {"ws": np.random.default_rng(count).uniform(0.001, 0.02, count).astype(S), "wz": np.zeros(count, np.int8)}


def conv(source: str = "x", output: str = "y", *, bias: bool = False, **attributes: Any) -> Any:
    inputs = [source, "xs", "xz", "w", "ws", "wz", "ys", "yz", *(["b"] if bias else [])]
    return node("QLinearConv", inputs, [output], name=output, **attributes)


def product(left: str = "x", right: str = "w") -> Any:
    scales = {"x": ["xs", "xz"], "v": ["vs", "vz"], "w": ["ws", "wz"]}
    return node("QLinearMatMul", [left, *scales[left], right, *scales[right], "ys", "yz"], ["y"], name="y")


def gemm(right: str = "w", addend: str = "", **attributes: Any) -> Any:
    scales = ["vs", "vz"] if right == "v" else ["ws", "wz"]
    inputs = ["x", "xs", "xz", right, *scales, addend, "ys", "yz"]
    return node("QGemm", inputs, ["y"], name="y", domain=MICROSOFT, **attributes)


def of_two(operator: str) -> Any:
    return node(operator, ["x", "xs", "xz", "v", "vs", "vz", "ys", "yz"], ["y"], name="y", domain=MICROSOFT)


def of_one(operator: str, **attributes: Any) -> Any:
    return node(operator, ["x", "xs", "xz", "ys", "yz"], ["y"], name="y", domain=MICROSOFT, **attributes)


def agreeing(tmp_path: Path, nodes: list, shapes: dict[str, list[int]], constants: dict[str, Any], *, dtype: Any = np.uint8,
             opset: int = 17) -> QuantizedNetwork:
    """The network of a model, after all of its integers were found equal to onnxruntime's."""
    inputs = {name: (dtype, shape) for name, shape in shapes.items()}
    path = write_graph(tmp_path / "model.onnx", nodes, inputs, [nodes[-1].output[0]], CONSTANTS | constants, opset=opset)
    network = import_quantized_onnx(path)
    assert network.network == import_onnx(path)
    for seed in (1, 2):
        made = unsigned if dtype == np.uint8 else signed
        feeds = {name: made(*shape, seed=seed) for name, shape in shapes.items()}
        assert set(differences(network, path, feeds).values()) == {(0, 0)}
    return network


def kinds(network: QuantizedNetwork) -> list[str]:
    return [layer.kind for layer in network.network.layers]


CONVOLUTIONS = {
    "per channel with bias": ([4, 3, 3, 3], {"pads": [1, 1, 1, 1], "bias": True}, True),
    "strided, padded unevenly": ([4, 3, 3, 2], {"pads": [0, 1, 2, 1], "strides": [2, 3]}, False),
    "same padding": ([4, 3, 4, 4], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, False),
    "dilated": ([4, 3, 3, 3], {"dilations": [2, 3]}, True),
    "grouped": ([6, 1, 3, 3], {"group": 3, "bias": True}, True),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(tmp_path, case) -> None:
    shape, attributes, is_per_channel = CONVOLUTIONS[case]
    constants = {"w": signed(*shape), "b": biases(shape[0])} | (of_channels(shape[0]) if is_per_channel else {})
    network = agreeing(tmp_path, [conv(**attributes)], {"x": [2, 3, 11, 12]}, constants)
    assert len(network.network.layers) == 1


def test_a_convolution_of_one_dimension(tmp_path) -> None:
    agreeing(tmp_path, [conv(pads=[1, 2], strides=[2], dilations=[2])], {"x": [2, 3, 19]}, {"w": signed(4, 3, 3)})


def test_weights_with_a_zero_point_are_an_asymmetric_layer(tmp_path) -> None:
    constants = {"w": unsigned(6, 2, 3, 3), "wz": np.uint8(131), "b": biases(6)}
    network = agreeing(tmp_path, [conv(bias=True, group=2, pads=[1, 1, 1, 1])], {"x": [1, 4, 6, 6]}, constants)
    assert network.layers["y"].kernel.weight_zero_points == 131
    assert network.network.layers[0].has_asymmetric_weights


@pytest.mark.parametrize(("shape", "weights"), [
    ([3, 5, 8], [8, 6]), ([2, 3, 5, 8], [3, 8, 6]), ([8], [8, 6]), ([4, 8], [8])])
def test_products_by_constants(tmp_path, shape, weights) -> None:
    agreeing(tmp_path, [product()], {"x": shape}, {"w": signed(*weights)})


def test_a_product_has_one_scale_a_column(tmp_path) -> None:
    agreeing(tmp_path, [product()], {"x": [3, 5, 8]}, {"w": signed(8, 6)} | of_channels(6))


def test_a_constant_left_operand_is_stationary(tmp_path) -> None:
    constants = {"w": unsigned(6, 8), "wz": np.uint8(9)}
    network = agreeing(tmp_path, [product("w", "x")], {"x": [3, 8, 5]}, constants)
    (layer,) = network.network.layers
    assert (layer.operation.m, layer.operation.k, layer.operation.n) == (15, 8, 6)


@pytest.mark.parametrize(("shape", "other"), [([5, 8], [8, 4]), ([2, 3, 5, 8], [2, 3, 8, 4]), ([2, 3, 5, 8], [3, 8, 4]),
                                              ([3, 5, 8], [8, 4])])
def test_products_of_two_activations(tmp_path, shape, other) -> None:
    network = agreeing(tmp_path, [product("x", "v")], {"x": shape, "v": other}, {})
    operation = network.network.layers[0].operation
    arranged = network.layers["y"].kernel.streamed.matrices(np.zeros(shape))
    assert arranged.shape == (operation.batch, operation.m, operation.k)


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.3])
def test_a_gemm_multiplies_alpha_into_its_scale(tmp_path, alpha) -> None:
    constants = {"w": signed(50, 64), "c": biases(50)}
    agreeing(tmp_path, [gemm(addend="c", alpha=alpha, transB=1)], {"x": [40, 64]}, constants)


def test_a_gemm_may_have_a_scale_a_column_and_a_transposed_left_operand(tmp_path) -> None:
    constants = {"w": signed(8, 5), "c": biases(5)} | of_channels(5)
    agreeing(tmp_path, [gemm(addend="c", transA=1)], {"x": [8, 4]}, constants)


def test_a_gemm_of_two_activations(tmp_path) -> None:
    agreeing(tmp_path, [gemm("v")], {"x": [4, 8], "v": [8, 5]}, {})


PADS = {"w": signed(4, 3, 3, 3), "p": np.array([0, 0, 1, 1, 0, 0, 2, 1])}


def test_a_pad_by_the_zero_point_folds_into_the_convolution(tmp_path) -> None:
    nodes = [node("Pad", ["x", "p", "f"], ["padded"], name="pad"), conv("padded")]
    network = agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, PADS | {"f": np.uint8(120)})
    assert network.network.layers[0].operation.pads == (1, 1, 2, 1)


@pytest.mark.parametrize("constants", [{"f": np.uint8(0)}, {}], ids=["fill 0", "no fill"])
def test_a_pad_by_another_integer_is_a_layer(tmp_path, constants) -> None:
    nodes = [node("Pad", ["x", "p", *constants], ["padded"], name="pad"), conv("padded")]
    assert kinds(agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, PADS | constants)) == ["move", "conv"]


def test_integers_move_between_operators(tmp_path) -> None:
    nodes = [conv("x", "c"),
             node("MaxPool", ["c"], ["m"], name="m", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
             node("Transpose", ["m"], ["t"], name="t", perm=[0, 2, 3, 1]), node("Reshape", ["t", "shape"], ["r"]),
             node("Pad", ["r", "pads", "fill"], ["p"], name="p"),
             node("Slice", ["p", "one", "last", "one"], ["s"], name="s")]
    constants = {"w": signed(4, 3, 3, 3), "shape": np.array([1, -1]), "pads": np.array([0, 2, 0, 1]),
                 "fill": np.uint8(33), "one": np.array([1]), "last": np.array([-1])}
    network = agreeing(tmp_path, nodes, {"x": [1, 3, 16, 16]}, constants)
    assert kinds(network) == ["conv", "pooling", "move", "move", "move"]
    assert {numbers.output for numbers in network.layers.values()} == {network.layers["c"].output}


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_integers_are_resized_as_they_are(tmp_path, mode) -> None:
    nodes = [node("Resize", ["x", "", "scales"], ["r"], name="resize", mode=mode), conv("r")]
    constants = {"w": signed(4, 3, 3, 3), "scales": np.array([1, 1, 2, 1.5], S)}
    assert kinds(agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, constants)) == ["resize", "conv"]


def test_a_linear_resize_behind_a_convolution_differs_by_one_at_most(tmp_path) -> None:
    """onnxruntime turns the image to channels last there, where its Resize has another arithmetic."""
    nodes = [conv("x", "c"), node("Resize", ["c", "", "scales"], ["y"], name="resize", mode="linear")]
    constants = CONSTANTS | {"w": signed(4, 3, 3, 3), "scales": np.array([1, 1, 2, 1.5], S)}
    path = write_graph(tmp_path / "model.onnx", nodes, {"x": (np.uint8, [1, 3, 6, 6])}, ["y"], constants, opset=17)
    network = import_quantized_onnx(path)
    found = [differences(network, path, {"x": unsigned(1, 3, 6, 6, seed=seed)}) for seed in (1, 2)]
    assert {each["c"] for each in found} == {(0, 0)}
    assert max(each["resize"][1] for each in found) == 1


def test_clamps_of_integers_are_the_output_s_range(tmp_path) -> None:
    nodes = [conv("x", "c"), node("Clip", ["c", "low", "high"], ["y"])]
    constants = {"w": signed(4, 3, 3, 3), "low": np.uint8(90), "high": np.uint8(130)}
    kernel = agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, constants).layers["c"].kernel
    assert (kernel.clamp_min, kernel.clamp_max) == (90, 130)


def test_a_relu_of_integers_keeps_what_is_above_zero_not_above_the_zero_point(tmp_path) -> None:
    nodes = [conv("x", "c"), node("Relu", ["c"], ["y"])]
    constants = {"w": signed(4, 3, 3, 3), "xz": np.int8(3), "yz": np.int8(-20)}
    kernel = agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, constants, dtype=np.int8).layers["c"].kernel
    assert (kernel.clamp_min, int(kernel.output.zero_point)) == (0, -20)


@pytest.mark.parametrize("attributes", [
    {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1},
    {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}])
def test_average_pools(tmp_path, attributes) -> None:
    agreeing(tmp_path, [of_one("QLinearAveragePool", **attributes)], {"x": [1, 3, 8, 7]}, {})


def test_a_pool_of_one_dimension(tmp_path) -> None:
    nodes = [conv("x", "c"), node("MaxPool", ["c"], ["y"], name="y", kernel_shape=[3], strides=[2], pads=[1, 0])]
    agreeing(tmp_path, nodes, {"x": [2, 3, 19]}, {"w": signed(4, 3, 3)})


@pytest.mark.parametrize("operator", ["QLinearSigmoid", "QLinearLeakyRelu", "QLinearGlobalAveragePool"])
def test_operators_of_one_tensor(tmp_path, operator) -> None:
    agreeing(tmp_path, [of_one(operator)], {"x": [2, 3, 8, 8]}, {"ys": S(0.01)})


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_operators_of_two_tensors_broadcast(tmp_path, operator) -> None:
    agreeing(tmp_path, [of_two(operator)], {"x": [2, 3, 8, 8], "v": [3, 1, 1]}, {})


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_operators_of_a_tensor_and_a_constant(tmp_path, operator) -> None:
    network = agreeing(tmp_path, [of_two(operator)], {"x": [2, 3, 8, 8]}, {"v": unsigned(3, 1, 1)})
    assert network.network.layers[0].weights.elements == 3


def test_a_concatenation_of_several_scales_and_a_constant(tmp_path) -> None:
    nodes = [node("QLinearConcat", ["ys", "yz", "x", "xs", "xz", "v", "vs", "vz", "k", "ws", "xz"], ["y"], axis=1,
                  domain=MICROSOFT)]
    agreeing(tmp_path, nodes, {"x": [2, 3, 4], "v": [2, 1, 4]}, {"k": unsigned(2, 2, 4)})


@pytest.mark.parametrize(("axis", "version"), [(1, 11), (-1, 13), (2, 13), (2, 9)])
def test_a_softmax_has_the_rows_of_its_own_version(tmp_path, axis, version) -> None:
    constants = {"xs": S(0.05), "ys": S(1 / 256), "yz": np.uint8(0)}
    agreeing(tmp_path, [of_one("QLinearSoftmax", axis=axis, opset=version)], {"x": [2, 3, 4, 5]}, constants)


def test_integers_that_come_from_outside_mean_what_their_reader_says(tmp_path) -> None:
    nodes = [node("MaxPool", ["x"], ["m"], name="m", kernel_shape=[2, 2]), conv("m")]
    (given,) = agreeing(tmp_path, nodes, {"x": [1, 3, 6, 6]}, {"w": signed(4, 3, 3, 3)}).inputs
    assert (given.is_float, float(given.qparams.scale), int(given.qparams.zero_point)) == (False, S(0.02), 120)


def test_outputs_may_be_integers(tmp_path) -> None:
    (written,) = agreeing(tmp_path, [conv()], {"x": [1, 3, 6, 6]}, {"w": signed(4, 3, 3, 3)}).outputs
    assert (written.name, written.is_float, float(written.qparams.scale)) == ("y", False, S(0.05))
