"""Models of DequantizeLinear, float operators and QuantizeLinear, written by hand: all give onnxruntime's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qdq_networks import (
    IMAGE,
    MICROSOFT,
    S,
    agreeing,
    between,
    dequantized,
    kinds,
    normal,
    of_channels,
    positive,
    rounded,
    signed,
)
from quantized_models import node, onnx


def conv(*, bias: str = "", output: str = "c") -> list:
    inputs = ["xd", "wd", *([bias] if bias else [])]
    return [dequantized("w", "wd", "w", axis=0), node("Conv", inputs, [output], name="conv")]


def product(output: str = "c", **attributes: Any) -> list:
    return [dequantized("w", "wd", "w", **attributes), node("MatMul", ["xd", "wd"], [output], name="product")]


WEIGHTS = {"w": signed(4, 3, 3, 3)}
MATRIX = {"x": [7, 8]}

UNIT = S(0.02) * S(0.011)
BIASES = {
    "in the accumulator's scale": {"b": np.array([-900, 17, 5000, 0], np.int32), "bs": UNIT, "bz": np.int32(0)},
    "in another scale": {"b": np.array([-900, 17, 5000, 0], np.int32), "bs": S(3 * UNIT), "bz": np.int32(0)},
    "of eight bits": {"b": signed(4), "bs": S(0.01), "bz": np.int8(0)},
}


@pytest.mark.parametrize("case", BIASES)
def test_a_bias_of_any_scale(tmp_path, case) -> None:
    constants = WEIGHTS | BIASES[case]
    network = agreeing(tmp_path, between(dequantized("b", "bd", "b"), *conv(bias="bd")), IMAGE, constants)
    real = (constants["b"] * np.float64(constants["bs"])) / UNIT
    assert np.array_equal(network.layers["conv"].kernel.bias, np.rint(real))


def test_a_bias_in_floating_point_is_rounded_to_the_accumulator_s_scale(tmp_path) -> None:
    constants = WEIGHTS | of_channels(4) | {"bd": normal(4)}
    kernel = agreeing(tmp_path, between(*conv(bias="bd")), IMAGE, constants).layers["conv"].kernel
    assert np.array_equal(kernel.bias, np.rint(constants["bd"] / (S(0.02) * constants["ws"])))


def test_scales_of_columns(tmp_path) -> None:
    agreeing(tmp_path, between(*product(axis=1)), MATRIX, {"w": signed(8, 4)} | of_channels(4))


def test_weights_may_be_transposed_behind_their_scales(tmp_path) -> None:
    nodes = between(dequantized("w", "wt", "w", axis=0), node("Transpose", ["wt"], ["wd"], perm=[1, 0]),
                    node("MatMul", ["xd", "wd"], ["c"], name="product"))
    kernel = agreeing(tmp_path, nodes, MATRIX, {"w": signed(4, 8)} | of_channels(4)).layers["product"].kernel
    assert np.array_equal(kernel.weights, signed(4, 8)[None])


def test_weights_may_be_quantized_in_the_model(tmp_path) -> None:
    nodes = between(*rounded("wf", "wd", "w"), node("Conv", ["xd", "wd"], ["c"], name="conv"))
    agreeing(tmp_path, nodes, IMAGE, {"wf": normal(4, 3, 3, 3)})


def test_a_bias_behind_a_matrix_product_is_rounded_as_that_of_a_gemm(tmp_path) -> None:
    nodes = between(*product("p"), node("Add", ["p", "k"], ["c"]))
    assert kinds(agreeing(tmp_path, nodes, MATRIX, {"w": signed(8, 6), "k": normal(6)})) == ["matmul"]


#: onnxruntime adds these in float32; here the sum is rounded to the accumulator's scale, 1/227 of an output's step.
FOLDED = 2 / 227


@pytest.mark.parametrize(("nodes", "constants"), [
    ([node("Add", ["k", "p"], ["c"])], {"k": normal(6)}),
    ([node("Sub", ["p", "k"], ["c"])], {"k": S(0.4)}),
    ([node("Div", ["p", "k"], ["c"])], {"k": S(2.7)}),
    ([node("Mul", ["p", "k"], ["m"]), node("Add", ["m", "l"], ["c"])], {"k": positive(6), "l": normal(6)}),
], ids=["bias", "minus a scalar", "quotient", "factor and bias of columns"])
def test_constants_behind_a_product_fold_into_scale_and_bias(tmp_path, nodes, constants) -> None:
    network = agreeing(tmp_path, between(*product("p"), *nodes), {"x": [2, 70, 8]}, {"w": signed(8, 6)} | constants,
                       share=FOLDED)
    assert kinds(network) == ["matmul"]


def test_a_batch_normalization_behind_a_convolution_folds_into_scale_and_bias(tmp_path) -> None:
    nodes = between(*conv(bias="b", output="p"), node("BatchNormalization", ["p", *"ghmk"], ["c"]))
    constants = WEIGHTS | {"b": normal(4), "g": positive(4), "h": normal(4), "m": normal(4) / 2, "k": positive(4)}
    assert kinds(agreeing(tmp_path, nodes, IMAGE, constants, share=FOLDED)) == ["conv"]


def test_a_batch_normalization_alone(tmp_path) -> None:
    nodes = between(node("BatchNormalization", ["xd", *"ghmk"], ["c"]))
    constants = {"g": normal(3), "h": normal(3), "m": normal(3), "k": positive(3)}
    assert kinds(agreeing(tmp_path, nodes, IMAGE, constants)) == ["normalization"]


def test_clamps_behind_a_convolution_are_the_output_s_range(tmp_path) -> None:
    nodes = between(*conv(output="p"), node("Relu", ["p"], ["r"]), node("Clip", ["r", "", "six"], ["c"]))
    kernel = agreeing(tmp_path, nodes, IMAGE, WEIGHTS | {"six": S(2.51)}).layers["conv"].kernel
    assert (kernel.clamp_min, kernel.clamp_max) == (100, 150)


def test_a_clamp_behind_a_rounding_to_the_same_integers_is_the_output_s_range(tmp_path) -> None:
    nodes = between(*conv(output="p"), *rounded("p", "pd", "y"), node("Relu", ["pd"], ["c"]))
    network = agreeing(tmp_path, nodes, IMAGE, WEIGHTS)
    assert (kinds(network), network.layers["conv"].model_output) == (["conv"], "yq")


def test_a_clamp_behind_a_rounding_to_other_integers_is_a_layer(tmp_path) -> None:
    nodes = between(*conv(output="p"), *rounded("p", "pd", "v"), node("Relu", ["pd"], ["c"]))
    network = agreeing(tmp_path, nodes, IMAGE, WEIGHTS)
    assert (kinds(network), network.layers["conv"].model_output) == (["conv", "activation"], "pdq")


def test_a_rounding_to_other_integers_is_a_layer(tmp_path) -> None:
    nodes = between(*conv(output="p"), *rounded("p", "pd", "v"), node("Flatten", ["pd"], ["c"]))
    network = agreeing(tmp_path, nodes, IMAGE, WEIGHTS)
    assert [(layer.kind, layer.name, layer.shape_text) for layer in network.network.layers][1:] == [
        ("activation", "yq", "4x6x6 -> 144")]


def test_moves_and_maxima_between_roundings_keep_the_integers(tmp_path) -> None:
    nodes = between(
        node("Transpose", ["xd"], ["t"], name="before", perm=[0, 2, 3, 1]),
        node("Reshape", ["t", "shape"], ["r"]), dequantized("w", "wd", "w"),
        node("MatMul", ["r", "wd"], ["p"], name="product"), node("Transpose", ["p"], ["c"], name="behind", perm=[1, 0]))
    network = agreeing(tmp_path, nodes, IMAGE, {"w": signed(3, 5), "shape": np.array([64, 3])})
    assert {name: numbers.model_output for name, numbers in network.layers.items()} == {
        "before": "", "product": "", "behind": "yq"}
    assert network.layers["product"].output == network.layers["behind"].output


def test_a_relu_between_an_unrounded_maximum_and_a_convolution(tmp_path) -> None:
    nodes = [*rounded("x", "q", "x"), node("MaxPool", ["q"], ["m"], name="pool", kernel_shape=[2, 2]),
             node("Relu", ["m"], ["xd"]), *conv(), *rounded("c", "y", "y")]
    network = agreeing(tmp_path, nodes, IMAGE, WEIGHTS)
    assert (kinds(network), network.layers["pool"].kernel.clamp_min) == (["pooling", "conv"], 120)


def test_a_pad_by_zero_folds_and_rounds_to_the_zero_point(tmp_path) -> None:
    nodes = [*rounded("x", "q", "x"), node("Pad", ["q", "pads"], ["p"]), *rounded("p", "xd", "x"), *conv(),
             *rounded("c", "y", "y")]
    network = agreeing(tmp_path, nodes, IMAGE, WEIGHTS | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 2])})
    assert network.network.layers[0].operation.pads == (1, 1, 1, 2)


def test_a_pad_behind_an_unrounded_layer_folds_into_the_next(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), *conv(output="p"), node("Pad", ["p", "pads"], ["q"]), *rounded("q", "d", "v"),
             dequantized("k", "kd", "w"), node("Conv", ["d", "kd"], ["c"], name="next"), *rounded("c", "y", "y")]
    constants = WEIGHTS | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 2]), "k": signed(5, 4, 3, 3)}
    network = agreeing(tmp_path, nodes, IMAGE, constants)
    assert [layer.operation.pads for layer in network.network.layers] == [(0, 0, 0, 0), (1, 1, 1, 2)]


def test_a_pad_by_another_number_rounds_it_like_the_rest(tmp_path) -> None:
    nodes = [*rounded("x", "q", "x"), node("Pad", ["q", "pads", "fill"], ["p"], name="pad"), *rounded("p", "xd", "v"),
             *conv(), *rounded("c", "y", "y")]
    constants = WEIGHTS | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 2]), "fill": S(0.5)}
    assert kinds(agreeing(tmp_path, nodes, IMAGE, constants)) == ["move", "conv"]


GATES = {"Sigmoid": {}, "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5}}


@pytest.mark.parametrize("operands", [["xd", "s"], ["s", "xd"]], ids=["gate right", "gate left"])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("is_rounded", [True, False], ids=["rounded between", "one function"])
def test_gated_products_are_one_layer(tmp_path, gate, operands, is_rounded) -> None:
    nodes = [node(gate, ["xd"], ["g"], name="gate", **GATES[gate])]
    nodes += rounded("g", "s", "u") if is_rounded else [node("Identity", ["g"], ["s"])]
    assert kinds(agreeing(tmp_path, between(*nodes, node("Mul", operands, ["c"])), IMAGE, {})) == ["activation"]


@pytest.mark.parametrize("operator", [
    "Relu", "Tanh", "Erf", "HardSwish", "Sigmoid", "Elu", "Exp", "Softplus", "Selu", "Abs", "Neg", "Floor", "Ceil", "Round",
    "Sin", "Cos", "Mish", "LeakyRelu", "HardSigmoid", "Celu", "ThresholdedRelu", "Sign"])
def test_functions_of_one_element(tmp_path, operator) -> None:
    assert kinds(agreeing(tmp_path, between(node(operator, ["xd"], ["c"])), IMAGE, {})) == ["activation"]


@pytest.mark.parametrize(("operator", "attributes"), [
    ("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("FastGelu", MICROSOFT), ("QuickGelu", MICROSOFT), ("Gelu", MICROSOFT)])
def test_gelus(tmp_path, operator, attributes) -> None:
    agreeing(tmp_path, between(node(operator, ["xd"], ["c"], **attributes)), IMAGE, {})


@pytest.mark.parametrize(("nodes", "constants"), [
    ([node("PRelu", ["xd", "k"], ["c"])], {"k": normal(3, 1, 1)}),
    ([node("Pow", ["xd", "k"], ["c"])], {"k": S(2)}),
    ([node("Div", ["xd", "k"], ["c"])], {"k": positive(3, 1, 1)}),
    ([node("Div", ["k", "xd"], ["c"])], {"k": S(0.7), "xs": S(0.5), "xz": np.uint8(0)}),
    ([node("Sub", ["k", "xd"], ["c"])], {"k": normal(3, 1, 1)}),
    ([node("Add", ["xd", "k"], ["c"])], {"k": normal(3, 1, 1)}),
    ([node("Max", ["xd", "k"], ["c"])], {"k": S(0.3)}),
    ([dequantized("w", "k", "w", axis=0), node("Mul", ["xd", "k"], ["c"])], {"w": signed(3, 1, 1)} | of_channels(3)),
], ids=["prelu", "pow", "div", "inverse", "difference", "sum", "maximum", "scales of channels"])
def test_constants_in_floating_point(tmp_path, nodes, constants) -> None:
    agreeing(tmp_path, between(*nodes), IMAGE, constants)


TWO = {"x": [20, 30], "v": [20, 30]}


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("is_clamped", [True, False], ids=["clamped", "free"])
def test_operators_of_two_tensors(tmp_path, operator, is_clamped) -> None:
    """onnxruntime computes a clamped sum in float32 and a free one in a kernel of integers: they differ on ties."""
    nodes = [*rounded("v", "vd", "v"), node(operator, ["xd", "vd"], ["s" if is_clamped else "c"])]
    nodes += [node("Relu", ["s"], ["c"])] if is_clamped else []
    ties = {"xs": S(0.25), "vs": S(0.5), "ys": S(1.0), "yz": np.uint8(101)}
    assert kinds(agreeing(tmp_path, between(*nodes), TWO, ties)) == ["elementwise"]


@pytest.mark.parametrize("operator", ["Sum", "Mean", "Max", "Min"])
def test_operators_of_three_tensors(tmp_path, operator) -> None:
    agreeing(tmp_path, between(*rounded("v", "vd", "v"), node(operator, ["xd", "vd", "xd"], ["c"])), TWO, {})


@pytest.mark.parametrize(("operator", "opset"), [
    (node("LogSoftmax", ["xd"], ["c"]), 21), (node("Softmax", ["xd"], ["c"], axis=3), 11),
    (node("ReduceMean", ["xd"], ["c"], axes=[2], keepdims=0), 17), (node("ReduceMax", ["xd"], ["c"], axes=[3]), 17),
    (node("GlobalMaxPool", ["xd"], ["c"]), 21), (node("GlobalAveragePool", ["xd"], ["c"]), 21),
    (node("LpNormalization", ["xd"], ["c"], axis=1), 21), (node("SpaceToDepth", ["xd"], ["c"], blocksize=2), 21),
    (node("Transpose", ["xd"], ["c"], perm=[0, 2, 1, 3]), 21)])
def test_rows_and_moves_to_other_integers(tmp_path, operator, opset) -> None:
    constants = {"xs": S(0.04), "ys": S(0.061), "yz": np.uint8(131)}
    assert len(agreeing(tmp_path, between(operator), IMAGE, constants, opset=opset).network.layers) == 1


COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
SIZES = {"x": [1, 3, 6, 8]}


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("sizes", [["scales"], ["", "sizes"]], ids=["by scales", "to sizes"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resized_images(tmp_path, mode, sizes, coordinates) -> None:
    constants = {"scales": np.array([1, 1, 2, 1.5], S), "sizes": np.array([1, 3, 13, 7])}
    resize = node("Resize", ["xd", "", *sizes], ["c"], mode=mode, coordinate_transformation_mode=coordinates)
    assert kinds(agreeing(tmp_path, between(resize), SIZES, constants)) == ["resize"]


@pytest.mark.parametrize("nearest_mode", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_neighbours(tmp_path, nearest_mode) -> None:
    resize = node("Resize", ["xd", "", "scales"], ["c"], axes=[3, 2], nearest_mode=nearest_mode)
    agreeing(tmp_path, between(resize), SIZES, {"scales": np.array([1.5, 2], S)})


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_resized_as_in_version_ten(tmp_path, mode) -> None:
    resize = node("Resize", ["xd", "scales"], ["c"], mode=mode)
    agreeing(tmp_path, between(resize), SIZES, {"scales": np.array([1, 1, 2, 1.5], S)}, opset=10)


def test_a_nearest_neighbour_has_the_integers_of_the_rounding_behind_a_clamp(tmp_path) -> None:
    nodes = between(node("Resize", ["xd", "", "scales"], ["r"], name="near"), node("Relu", ["r"], ["c"], name="clamp"))
    network = agreeing(tmp_path, nodes, SIZES, {"scales": np.array([1, 1, 2, 2], S)})
    assert network.layers["near"].output == network.layers["clamp"].output


def test_a_clamp_beside_other_readers_clamps_the_integers_that_all_read(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), *conv(output="p"), node("Relu", ["p"], ["r"], name="clamp"), *rounded("r", "rd", "v"),
             *rounded("p", "pd", "v"), node("Add", ["rd", "pd"], ["c"], name="sum"), *rounded("c", "y", "y")]
    assert kinds(agreeing(tmp_path, nodes, IMAGE, WEIGHTS)) == ["conv", "activation", "elementwise"]


def test_parts_of_a_tensor(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), node("Split", ["xd", "sizes"], ["a", "b"], name="split", axis=2),
             *rounded("a", "ad", "x"), *rounded("b", "bd", "x"),
             node("Gather", ["bd", "places"], ["g"], name="gather", axis=2),
             *rounded("g", "gd", "x"), node("Concat", ["gd", "ad"], ["c"], name="join", axis=2), *rounded("c", "y", "y")]
    network = agreeing(tmp_path, nodes, IMAGE, {"sizes": np.array([3, 5]), "places": np.array([4, 0, -2])})
    assert kinds(network) == ["move"] * 4


@pytest.mark.parametrize(("kind", "zero", "opset"), [("INT4", 1, 21), ("UINT4", 5, 21), ("INT2", 0, 25)])
def test_activations_of_less_than_eight_bits(tmp_path, kind, zero, opset) -> None:
    element = getattr(onnx.TensorProto, kind)

    def scalar(name: str, value: int) -> Any:
        return onnx.helper.make_tensor(name, element, [], [value])

    weights = np.random.default_rng(3).integers(-8, 8, 108)
    constants = {"xs": S(0.3), "xz": scalar("xz", zero), "ys": S(0.9), "yz": scalar("yz", zero), "us": S(1.1),
                 "uz": scalar("uz", zero), "w": onnx.helper.make_tensor("w", onnx.TensorProto.INT4, [4, 3, 3, 3], weights),
                 "ws": S(0.2), "wz": onnx.helper.make_tensor("wz", onnx.TensorProto.INT4, [], [0])}
    nodes = [*rounded("x", "xd", "x"), *conv(output="p"), node("Relu", ["p"], ["r"]), *rounded("r", "rd", "y"),
             node("MaxPool", ["rd"], ["m"], name="pool", kernel_shape=[2, 2]), *rounded("m", "md", "y"),
             node("Add", ["md", "md"], ["a"], name="add"), *rounded("a", "ad", "u"),
             node("Sigmoid", ["ad"], ["c"], name="sigmoid"), *rounded("c", "y", "u")]
    network = agreeing(tmp_path, nodes, IMAGE, constants, opset=opset)
    assert {layer.output.bits for layer in network.network.layers} == {int(kind[-1])}


def test_a_quantizer_without_a_zero_point_is_unsigned_or_of_the_type_that_it_names(tmp_path) -> None:
    nodes = [node("QuantizeLinear", ["x", "xs"], ["xq"], output_dtype=onnx.TensorProto.INT8),
             node("DequantizeLinear", ["xq", "xs"], ["xd"]), node("Abs", ["xd"], ["c"], name="abs"),
             node("QuantizeLinear", ["c", "ys"], ["yq"]), node("DequantizeLinear", ["yq", "ys"], ["y"])]
    network = agreeing(tmp_path, nodes, IMAGE, {})
    assert (network.inputs[0].qparams.qtype.name, network.layers["abs"].output.qtype.name) == ("int8", "uint8")
