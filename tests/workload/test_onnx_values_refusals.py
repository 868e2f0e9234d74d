"""Models whose integers cannot be had: one clear line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import node, onnx, write_graph

from accelsim.errors import UnsupportedOperatorError, WorkloadError
from accelsim.workload import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx

S = np.float32
FLOATING_POINT = "expected integers with scale and zero point, got floating-point numbers; quantize the model first"
CONSTANTS = {"xs": S(0.02), "xz": np.uint8(120), "ws": S(0.011), "wz": np.int8(0), "ys": S(0.05), "yz": np.uint8(100),
             "w": np.ones((4, 3, 3, 3), np.int8)}
IMAGE = {"x": (np.uint8, [1, 3, 8, 8])}
REAL_IMAGE = {"x": (S, [1, 3, 8, 8])}


def conv(*more: str, **attributes: Any) -> Any:
    inputs = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", *more]
    return node("QLinearConv", inputs, ["y"], name="conv", **attributes)


def rounded(source: str, output: str, scale: str, **attributes: Any) -> list:
    parameters = [f"{scale}s", f"{scale}z"]
    return [node("QuantizeLinear", [source, *parameters], [f"{output}q"], name=f"{output}q", **attributes),
            node("DequantizeLinear", [f"{output}q", *parameters], [output], **attributes)]


def between(*nodes: Any) -> list:
    return [*rounded("x", "xd", "x"), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0), *nodes,
            *rounded("c", "y", "y")]


def saved(tmp_path: Path, nodes: list, inputs: dict, constants: dict[str, Any], **options: Any) -> Path:
    return write_graph(tmp_path / "model.onnx", nodes, inputs, ["y"], CONSTANTS | constants, **options)


def refusal(path: Path) -> str:
    """The line, without the path before it; the network alone can be imported."""
    import_onnx(path)
    with pytest.raises(WorkloadError) as caught:
        import_quantized_onnx(path)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(("constants", "expected"), [
    ({"xs": S("nan")}, "conv: xs: expected a finite number above 0, got nan"),
    ({"ys": S("inf")}, "conv: ys: expected a finite number above 0, got inf"),
    ({"ws": S(0)}, "conv: ws: expected a finite number above 0, got 0.0"),
    ({"xs": S(-0.5)}, "conv: xs: expected a finite number above 0, got -0.5"),
    ({"ws": np.array([0.1, 0.2, 0, 0.3], S), "wz": np.zeros(4, np.int8)},
     "conv: ws: expected a finite number above 0, got 0.0"),
    ({"ws": np.full(3, 0.1, S), "wz": np.zeros(3, np.int8)},
     "conv: ws: expected 4 scales, one an index of axis 0 of [4, 3, 3, 3], got [3]"),
    ({"ws": np.full(4, 0.1, S), "wz": np.zeros(3, np.int8)}, "conv: wz: expected one zero point a scale, 4, got 3"),
    ({"xs": np.full(3, 0.1, S), "xz": np.zeros(3, np.uint8)}, "conv: x: expected one scale for an activation, got 3"),
    ({"xz": np.int8(3)}, "conv: xz: expected a zero point of the tensor's type, uint8, got int8"),
    ({"wz": np.uint8(0)}, "conv: wz: expected a zero point of the tensor's type, int8, got uint8"),
    ({"w": np.ones((4, 3, 3, 3), S)}, "conv: wz: expected a zero point of the tensor's type, float, got int8"),
])
def test_scales_and_zero_points(tmp_path, constants, expected) -> None:
    assert refusal(saved(tmp_path, [conv()], IMAGE, constants)) == expected


def stored(name: str, element: int, shape: list[int], values: list[int]) -> onnx.TensorProto:
    """A tensor whose integers stand in a wider field, which may hold more than the type."""
    return onnx.TensorProto(name=name, data_type=element, dims=shape, int32_data=values)


@pytest.mark.parametrize(("constant", "expected"), [
    (stored("w", onnx.TensorProto.INT8, [4, 3, 3, 3], [1] * 107 + [128]), "conv: w: expected -128..127 (int8), got 128"),
    (stored("xz", onnx.TensorProto.UINT8, [], [256]), "conv: xz: expected 0..255 (uint8), got 256"),
    (stored("yz", onnx.TensorProto.UINT8, [], [-1]), "conv: yz: expected 0..255 (uint8), got -1"),
])
def test_integers_outside_their_type(tmp_path, constant, expected) -> None:
    assert refusal(saved(tmp_path, [conv()], IMAGE, {constant.name: constant})) == expected


def test_a_bias_of_another_type(tmp_path) -> None:
    path = saved(tmp_path, [conv("b")], IMAGE, {"b": np.zeros(4, np.int64)})
    assert refusal(path) == "conv: b: expected a bias of type int32, got int64"


def test_a_bias_of_another_length(tmp_path) -> None:
    path = saved(tmp_path, [conv("b")], IMAGE, {"b": np.zeros(3, np.int32)})
    assert refusal(path) == "conv: b: expected 4 numbers, one an output channel, got 3"


def test_truncated_weights(tmp_path) -> None:
    weights = onnx.numpy_helper.from_array(CONSTANTS["w"], "w")
    weights.raw_data = weights.raw_data[:100]
    assert refusal(saved(tmp_path, [conv()], IMAGE, {"w": weights})) == "conv: w: expected 108 bytes of values, got 100"


def outside(location: str, **entries: int) -> onnx.TensorProto:
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.INT8, dims=[4, 30, 3, 3])
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        weights.external_data.add(key=key, value=str(value))
    return weights


WIDE = {"x": (np.uint8, [1, 30, 8, 8])}


def test_weights_in_a_file_that_is_not_there(tmp_path) -> None:
    assert refusal(saved(tmp_path, [conv()], WIDE, {"w": outside("weights.bin")})) == (
        'conv: w: expected its values in the file "weights.bin" beside the model, found none of that name')


def test_weights_in_a_file_that_is_too_short(tmp_path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(1000))
    path = saved(tmp_path, [conv()], WIDE, {"w": outside("weights.bin", offset=64)})
    assert refusal(path) == "conv: w: expected 1080 bytes of values, got 936"


def test_weights_of_another_length_than_stated(tmp_path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(2000))
    path = saved(tmp_path, [conv()], WIDE, {"w": outside("weights.bin", length=1000)})
    assert refusal(path) == "conv: w: expected 1080 bytes of values, got 1000"


def test_weights_outside_the_model_s_folder(tmp_path) -> None:
    path = saved(tmp_path, [conv()], WIDE, {"w": outside("../weights.bin")})
    assert refusal(path) == 'conv: w: expected external data in the folder of the model, got "../weights.bin"'


def test_a_float_model(tmp_path) -> None:
    nodes = [node("Conv", ["x", "f"], ["y"], name="conv")]
    assert refusal(saved(tmp_path, nodes, REAL_IMAGE, {"f": np.ones((4, 3, 3, 3), S)})) == f"conv: {FLOATING_POINT}"


@pytest.mark.parametrize("behind", [[], [node("Relu", ["c"], ["r"])]], ids=["last", "before a clamp"])
def test_a_layer_whose_output_stays_real(tmp_path, behind) -> None:
    nodes = [*between()[:3], node("Conv", ["xd", "wd"], ["c"], name="conv"), *behind]
    path = write_graph(tmp_path / "model.onnx", nodes, REAL_IMAGE, [nodes[-1].output[0]], CONSTANTS)
    assert refusal(path) == f"conv: {FLOATING_POINT}"


def test_two_real_operators_in_a_row(tmp_path) -> None:
    nodes = between(node("Tanh", ["xd"], ["t"], name="tanh"), node("Sigmoid", ["t"], ["c"], name="sigmoid"))
    assert refusal(saved(tmp_path, nodes, REAL_IMAGE, {})) == f"tanh: {FLOATING_POINT}"


def test_weights_in_floating_point(tmp_path) -> None:
    nodes = between(node("Conv", ["xd", "f"], ["c"], name="conv"))
    path = saved(tmp_path, nodes, REAL_IMAGE, {"f": np.ones((4, 3, 3, 3), S)})
    assert refusal(path) == f"conv: f: {FLOATING_POINT}"


def test_an_output_with_two_scales(tmp_path) -> None:
    nodes = [*between(node("Conv", ["xd", "wd"], ["c"], name="conv")), *rounded("c", "other", "x")]
    path = write_graph(tmp_path / "model.onnx", nodes, REAL_IMAGE, ["y", "other"], CONSTANTS)
    assert refusal(path) == "conv: expected one scale and zero point for all that read a tensor, got several"


@pytest.mark.parametrize("operator", ["ConvInteger", "MatMulInteger"])
def test_accumulators_without_a_scale(tmp_path, operator) -> None:
    inputs = IMAGE if operator == "ConvInteger" else {"x": (np.uint8, [5, 4])}
    weights = {} if operator == "ConvInteger" else {"w": np.ones((4, 6), np.int8)}
    path = saved(tmp_path, [node(operator, ["x", "w", "xz"], ["y"], name="layer")], inputs, weights)
    assert refusal(path) == "layer: expected an output with scale and zero point, got int32 accumulators"


def test_a_scale_that_follows_from_the_values(tmp_path) -> None:
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="range"),
             node("ConvInteger", ["q", "w", "z"], ["c"], name="conv"), node("Cast", ["c"], ["y"], to=1)]
    assert refusal(saved(tmp_path, nodes, REAL_IMAGE, {})) == (
        "range: expected a scale that is known before the run, got one that follows from the values")


def test_scales_of_input_channels(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=1),
             node("Conv", ["xd", "wd"], ["c"], name="conv"), *rounded("c", "y", "y")]
    path = saved(tmp_path, nodes, REAL_IMAGE, {"ws": np.full(3, 0.1, S), "wz": np.zeros(3, np.int8)})
    assert refusal(path) == "conv: expected scales of output channels, along axis 0 of the weights [4, 3, 3, 3], got axis 1"


@pytest.mark.parametrize(("axis", "shape", "points", "problem"), [
    (0, (2, 4), 1, "product: zero_point: expected zero point 0 for weights with several scales a channel, got 1"),
    (1, (8, 1), 0, "product: expected blocks of the inner axis of a matrix, or that divide the input channels of a kernel "
                   "position, got blocks of 4 along axis 1 of [8, 4]"),
    (0, (3, 4), 0, "product: ws: expected scales of blocks of 4, [2, 4], got [3, 4]")])
def test_weights_in_blocks(tmp_path, axis, shape, points, problem) -> None:
    nodes = [*rounded("x", "xd", "x"), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=axis, block_size=4),
             node("MatMul", ["xd", "wd"], ["c"], name="product"), *rounded("c", "y", "y")]
    blocks = {"w": np.ones((8, 4), np.int8), "ws": np.full(shape, 0.1, S), "wz": np.full(shape, points, np.int8)}
    path = saved(tmp_path, nodes, {"x": (S, [7, 8])}, blocks)
    assert refusal(path) == problem
    (layer,) = import_onnx(path).layers
    assert layer.weight_scale_groups == (1 if axis else 2)


def test_blocks_that_cross_kernel_positions(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=1, block_size=2),
             node("Conv", ["xd", "wd"], ["c"], name="conv"), *rounded("c", "y", "y")]
    path = saved(tmp_path, nodes, REAL_IMAGE, {"ws": np.full((4, 2, 3, 3), 0.1, S), "wz": np.zeros((4, 2, 3, 3), np.int8)})
    assert refusal(path) == ("conv: expected blocks of the inner axis of a matrix, or that divide the input channels of a "
                             "kernel position, got blocks of 2 along axis 1 of [4, 3, 3, 3]")


def test_a_factor_that_is_not_positive(tmp_path) -> None:
    nodes = between(node("Conv", ["xd", "wd"], ["p"], name="conv"), node("Mul", ["p", "k"], ["c"], name="factor"))
    path = saved(tmp_path, nodes, REAL_IMAGE, {"k": S(-2.5)})
    assert refusal(path) == "conv: factor: expected factors above 0 to fold into the scales, got -2.5"


def test_one_streamed_matrix_for_several_stationary_ones(tmp_path) -> None:
    nodes = [node("QLinearMatMul", ["x", "xs", "xz", "v", "xs", "xz", "ys", "yz"], ["y"], name="product")]
    path = saved(tmp_path, nodes, {"x": (np.uint8, [5, 8]), "v": (np.uint8, [3, 8, 4])}, {})
    assert refusal(path) == "product: expected a matrix of the first operand for each of the second, got one for several"


@pytest.mark.parametrize(("operator", "more", "expected"), [
    ("Where", ["k", "xd", "xd"], "layer: expected an operator with a kernel on integers, got Where"),
    ("ArgMax", ["xd"], "layer: expected an operator with a kernel on integers, got ArgMax"),
    ("LRN", ["xd"], "layer: expected an operator with a kernel on integers, got LRN"),
    ("IsNaN", ["xd"], "layer: expected an operator with a kernel on integers, got IsNaN"),
])
def test_operators_without_a_kernel(tmp_path, operator, more, expected) -> None:
    attributes = {"size": 3} if operator == "LRN" else {}
    nodes = between(node(operator, more, ["c"], name="layer", **attributes))
    assert refusal(saved(tmp_path, nodes, REAL_IMAGE, {"k": np.ones((1, 3, 8, 8), bool)})) == expected


def test_a_gate_that_is_no_hard_swish(tmp_path) -> None:
    nodes = between(node("HardSigmoid", ["xd"], ["g"], name="gate"), node("Mul", ["xd", "g"], ["c"]))
    assert refusal(saved(tmp_path, nodes, REAL_IMAGE, {})) == (
        "gate: expected x * HardSigmoid(x) with alpha 1/6 and beta 1/2, got 0.2 and 0.5")


def test_a_gather_by_places_that_are_computed(tmp_path) -> None:
    nodes = [node("Gather", ["w", "x"], ["y"], name="embedding")]
    path = saved(tmp_path, nodes, {"x": (np.int64, [5])}, {})
    assert refusal(path) == "embedding: expected a Gather of one computed tensor by constants"


def test_operators_that_are_not_simulated(tmp_path) -> None:
    nodes = [*rounded("x", "xd", "x"), node("Conv", ["xd", "wd"], ["c"], name="conv"), *rounded("c", "cd", "y"),
             node("Det", ["cd"], ["d"]), *rounded("d", "y", "y"),
             node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0)]
    path = saved(tmp_path, nodes, REAL_IMAGE, {})
    with pytest.raises(UnsupportedOperatorError) as caught:
        import_quantized_onnx(path)
    assert str(caught.value) == f"{path}: operators that accelsim does not simulate: Det x1"


def test_what_import_onnx_refuses_is_refused_alike(tmp_path) -> None:
    path = tmp_path / "none.onnx"
    with pytest.raises(WorkloadError) as caught:
        import_quantized_onnx(path)
    assert str(caught.value) == f"{path}: expected a file, found none of that name"
