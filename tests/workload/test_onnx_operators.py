"""Single ONNX operators and their folding, on models of a few nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from accelsim.errors import WorkloadError
from accelsim.workload import (
    Activation,
    Convolution,
    Elementwise,
    MatMul,
    Move,
    Normalization,
    Pooling,
    Reduction,
    Resize,
    Softmax,
    Tensor,
    import_onnx,
)

node = helper.make_node


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)), kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]), pads=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    auto_pad=st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]), is_transposed=st.booleans(),
)
def test_convolution_has_the_output_size_that_onnxruntime_computes(
    save_model, size, kernel, stride, dilation, groups, pads, auto_pad, is_transposed
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    # onnxruntime gives other sizes than ONNX's inference for SAME with dilation or with a kernel below the stride.
    if auto_pad.startswith("SAME"):
        dilation, stride = (1, 1), (min(stride[0], kernel[0]), min(stride[1], kernel[1]))
    attributes = {"strides": stride, "dilations": dilation, "group": groups, "kernel_shape": kernel}
    attributes |= {"pads": pads} if auto_pad == "NOTSET" else {"auto_pad": auto_pad}
    weights = floats(4, 8 // groups, *kernel) if is_transposed else floats(8, 4 // groups, *kernel)
    op = "ConvTranspose" if is_transposed else "Conv"
    path = save_model([node(op, ["x", "w"], ["y"], **attributes)], {"x": [2, 4, *size]}, ["y"], {"w": weights})
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": floats(2, 4, *size)})[0].shape
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        expected = ()
    if not expected or min(expected) < 1:
        with pytest.raises(WorkloadError):
            import_onnx(path)
        return
    layer = import_onnx(path).layers[0]
    assert isinstance(layer.operation, Convolution)
    assert layer.operation.out_shape == layer.output.shape == expected
    assert layer.operation.groups == groups


def test_one_dimensional_convolution_has_height_one(save_model) -> None:
    path = save_model([node("Conv", ["x", "w"], ["y"], strides=[2], pads=[1, 2])], {"x": [1, 4, 9]}, ["y"],
                      {"w": floats(8, 4, 3)})
    assert import_onnx(path).layers[0].operation == Convolution(
        batch=1, in_channels=4, out_channels=8, in_size=(1, 9), kernel=(1, 3), stride=(1, 2), pads=(0, 1, 0, 2))


def test_transposed_convolution_takes_its_pads_from_the_output_shape(save_model) -> None:
    path = save_model([node("ConvTranspose", ["x", "w"], ["y"], strides=[3, 2], output_shape=[10, 8])],
                      {"x": [1, 1, 3, 3]}, ["y"], {"w": floats(1, 2, 3, 3)})
    operation = import_onnx(path).layers[0].operation
    # ONNX's own example: full size 9 x 7, one more row and column are asked for.
    assert isinstance(operation, Convolution)
    assert (operation.out_size, operation.output_padding) == ((10, 8), (1, 1))


def test_three_dimensional_convolution_is_not_simulated(save_model) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])]
    network = import_onnx(save_model(nodes, {"x": [1, 2, 4, 4, 4]}, ["y"], {"w": floats(2, 2, 3, 3, 3)}))
    assert network.unsupported == {"Conv": 1}
    assert [layer.kind for layer in network.layers] == ["activation"]


@pytest.mark.parametrize(("left", "right", "expected"), [
    ((5, 8), (8, 3), MatMul(m=5, k=8, n=3)),
    ((2, 4, 5, 8), (8, 3), MatMul(m=40, k=8, n=3)),
    ((2, 5, 8), (2, 8, 3), MatMul(m=5, k=8, n=3, batch=2)),
    ((8,), (8, 3), MatMul(m=1, k=8, n=3)),
    ((5, 8), (8,), MatMul(m=5, k=8, n=1)),
])
def test_product_with_a_constant(save_model, left, right, expected) -> None:
    path = save_model([node("MatMul", ["x", "w"], ["y"])], {"x": left}, ["y"], {"w": floats(*right)})
    layer = import_onnx(path).layers[0]
    assert layer.operation == expected
    assert layer.weights == Tensor("w", right, 8, is_constant=True)


@pytest.mark.parametrize(("left", "right", "m", "batch"), [
    ((2, 12, 7, 8), (2, 12, 8, 3), 7, 24),
    ((2, 12, 7, 8), (8, 3), 168, 1),
    ((2, 12, 7, 8), (2, 1, 8, 3), 84, 2),
    ((7, 8), (12, 8, 3), 7, 12),
])
def test_product_of_activations_folds_a_shared_right_operand_into_m(save_model, left, right, m, batch) -> None:
    path = save_model([node("MatMul", ["a", "b"], ["y"])], {"a": left, "b": right}, ["y"])
    layer = import_onnx(path).layers[0]
    assert layer.operation == MatMul(m=m, k=8, n=3, batch=batch, has_activation_weights=True)
    assert [tensor.name for tensor in layer.inputs] == ["a", "b"]


def test_constant_left_operand_is_the_weights(save_model) -> None:
    path = save_model([node("MatMul", ["w", "x"], ["y"])], {"x": [2, 8, 3]}, ["y"], {"w": floats(5, 8)})
    layer = import_onnx(path).layers[0]
    assert layer.operation == MatMul(m=6, k=8, n=5)
    assert layer.inputs[0].name == "x"


def test_gemm_with_a_matrix_addend_is_a_product_and_an_addition(save_model) -> None:
    path = save_model([node("Gemm", ["x", "w", "c"], ["y"], transA=1)], {"x": [8, 5], "c": [5, 3]}, ["y"],
                      {"w": floats(8, 3)})
    product, addition = import_onnx(path).layers
    assert product.operation == MatMul(m=5, k=8, n=3)
    assert addition.operation == Elementwise("add", (5, 3))
    assert addition.inputs[0] == product.output


def test_constant_addition_behind_a_product_is_its_bias(save_model) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["a"]), node("Relu", ["a"], ["y"])]
    path = save_model(nodes, {"x": [2, 5, 8]}, ["y"], {"w": floats(8, 3), "b": floats(3)})
    (layer,) = import_onnx(path).layers
    assert layer.bias == Tensor("b", (3,), 32, is_constant=True)
    assert (layer.fused, layer.output.name) == (("relu",), "y")


def test_scale_of_attention_scores_folds_into_the_product(save_model) -> None:
    nodes = [node("MatMul", ["a", "b"], ["m"]), node("Div", ["m", "s"], ["d"]), node("Softmax", ["d"], ["y"])]
    path = save_model(nodes, {"a": [2, 7, 8], "b": [2, 8, 7]}, ["y"], {"s": np.array(8, np.float32)})
    product, softmax = import_onnx(path).layers
    assert product.output.name == "d"
    assert softmax.operation == Softmax((2, 7, 7), row_length=7)


def test_addition_of_a_whole_constant_tensor_reads_it_as_weights(save_model) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "positions"], ["y"])]
    path = save_model(nodes, {"x": [5, 8]}, ["y"], {"w": floats(8, 3), "positions": floats(5, 3)})
    addition = import_onnx(path).layers[1]
    assert addition.operation == Elementwise("add", (5, 3))
    assert addition.weights == Tensor("positions", (5, 3), 8, is_constant=True)


def batch_normalization(source: str, output: str) -> object:
    return node("BatchNormalization", [source, *"gbmv"], [output], name="bn")


BN_CONSTANTS = {name: np.ones(4, np.float32) for name in "gbmv"}


def test_batch_normalization_folds_into_the_convolution_before_it(save_model) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), batch_normalization("c", "y")]
    path = save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], {"w": floats(4, 3, 3, 3), **BN_CONSTANTS})
    (layer,) = import_onnx(path).layers
    assert (layer.kind, layer.bias, layer.output.name) == ("conv", Tensor("bn_bias", (4,), 32, is_constant=True), "y")


def test_batch_normalization_stays_if_something_else_reads_the_convolution(save_model) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), batch_normalization("c", "y"), node("Relu", ["c"], ["z"])]
    path = save_model(nodes, {"x": [1, 3, 8, 8]}, ["y", "z"], {"w": floats(4, 3, 3, 3), **BN_CONSTANTS})
    _, normalization, relu = import_onnx(path).layers
    assert normalization.operation == Normalization("batch", (1, 4, 6, 6), row_length=4)
    assert relu.operation == Activation("relu", (1, 4, 6, 6))


def test_batch_normalization_behind_a_fused_relu_does_not_fold(save_model) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["r"]), batch_normalization("r", "y")]
    path = save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], {"w": floats(4, 3, 3, 3), **BN_CONSTANTS})
    assert [layer.kind for layer in import_onnx(path).layers] == ["conv", "normalization"]


def test_output_of_the_graph_counts_as_a_reader(save_model) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])]
    path = save_model(nodes, {"x": [1, 3, 8, 8]}, ["y", "c"], {"w": floats(4, 3, 3, 3)})
    network = import_onnx(path)
    assert [layer.kind for layer in network.layers] == ["conv", "activation"]
    assert network.outputs == ("y", "c")


@pytest.mark.parametrize(("low", "high", "kind"), [(0, 6, "relu6"), (0, None, "relu"), (-1, 1, "clip"), (0, 1, "clip")])
def test_clip_fuses_under_the_name_of_its_bounds(save_model, low, high, kind) -> None:
    bounds = {"low": np.array(low, np.float32)} | ({"high": np.array(high, np.float32)} if high is not None else {})
    nodes = [node("Add", ["a", "b"], ["s"]), node("Clip", ["s", *bounds], ["y"])]
    (layer,) = import_onnx(save_model(nodes, {"a": [2, 8], "b": [2, 8]}, ["y"], bounds)).layers
    assert layer.fused == (kind,)


@pytest.mark.parametrize(("pads", "value", "is_folded"), [
    ([0, 0, 1, 2, 0, 0, 3, 4], 0.0, True),
    ([0, 0, 1, 2, 0, 0, 3, 4], 1.0, False),
    ([0, 1, 1, 2, 0, 0, 3, 4], 0.0, False),
])
def test_zero_pad_of_the_image_folds_into_the_convolution(save_model, pads, value, is_folded) -> None:
    channels = 3 + pads[1] + pads[5]
    nodes = [node("Pad", ["x", "pads", "value"], ["p"]), node("Conv", ["p", "w"], ["y"], pads=[1, 0, 0, 0])]
    constants = {"pads": np.array(pads), "value": np.array(value, np.float32), "w": floats(4, channels, 3, 3)}
    network = import_onnx(save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants))
    operation = network.layers[-1].operation
    assert isinstance(operation, Convolution)
    assert [layer.kind for layer in network.layers] == (["conv"] if is_folded else ["move", "conv"])
    assert operation.pads == ((2, 2, 3, 4) if is_folded else (1, 0, 0, 0))
    assert operation.out_size == (8 + 4 + 1 - 2, 8 + 6 - 2)


def test_gated_sigmoid_is_one_look_up(save_model) -> None:
    nodes = [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])]
    (layer,) = import_onnx(save_model(nodes, {"x": [2, 8]}, ["y"])).layers
    assert (layer.operation, layer.output.name) == (Activation("silu", (2, 8)), "y")


def test_split_is_one_move_for_each_output(save_model) -> None:
    nodes = [node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2, name="s"), node("Mul", ["a", "b"], ["y"])]
    network = import_onnx(save_model(nodes, {"x": [2, 8]}, ["y"]))
    assert [(layer.name, layer.operation) for layer in network.layers[:2]] == [
        ("s", Move("split", (2, 4))), ("s_2", Move("split", (2, 4)))]


def test_embedding_reads_as_many_rows_as_it_looks_up(save_model) -> None:
    path = save_model([node("Gather", ["table", "ids"], ["y"])], {"ids": [1, 5]}, ["y"], {"table": floats(900, 16)},
                      input_type=TensorProto.INT64)
    (layer,) = import_onnx(path).layers
    assert layer.operation == Move("gather", (1, 5, 16))
    assert layer.weights == Tensor("table", (1, 5, 16), 8, is_constant=True)
    assert layer.inputs == (Tensor("ids", (1, 5), 64),)
    assert layer.output == Tensor("y", (1, 5, 16), 8)


@pytest.mark.parametrize(("operator", "expected"), [
    (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
     Pooling("max", (1, 4, 4, 4), window=(3, 3), stride=(2, 2), pads=(0, 0, 1, 1))),
    (node("GlobalAveragePool", ["x"], ["y"]), Pooling("average", (1, 4, 1, 1), window=(8, 8))),
    (node("ReduceMean", ["x", "axes"], ["y"], keepdims=0), Reduction("mean", (1, 4), in_elements=256)),
    (node("LRN", ["x"], ["y"], size=5), Normalization("lrn", (1, 4, 8, 8), row_length=5)),
    (node("InstanceNormalization", ["x", "four", "four"], ["y"]), Normalization("instance", (1, 4, 8, 8), row_length=64)),
    (node("GroupNormalization", ["x", "four", "four"], ["y"], num_groups=2),
     Normalization("group", (1, 4, 8, 8), row_length=128)),
    (node("LayerNormalization", ["x", "eight"], ["y"]), Normalization("layer", (1, 4, 8, 8), row_length=8)),
    (node("SimplifiedLayerNormalization", ["x", "eight"], ["y"]), Normalization("rms", (1, 4, 8, 8), row_length=8)),
    (node("Resize", ["x", "", "scales"], ["y"]), Resize("nearest", (1, 4, 16, 16))),
    (node("HardSwish", ["x"], ["y"]), Activation("hard_swish", (1, 4, 8, 8))),
    (node("Gelu", ["x"], ["y"], domain="com.microsoft"), Activation("gelu", (1, 4, 8, 8))),
    (node("PRelu", ["x", "slopes"], ["y"]), Activation("prelu", (1, 4, 8, 8))),
    (node("Concat", ["x", "x"], ["y"], axis=1), Move("concat", (1, 8, 8, 8))),
    (node("DepthToSpace", ["x"], ["y"], blocksize=2), Move("depth_to_space", (1, 1, 16, 16))),
    (node("Sum", ["x", "x", "x"], ["y"]), Elementwise("add", (1, 4, 8, 8), operands=3)),
    (node("Pow", ["x", "slopes"], ["y"]), Elementwise("pow", (1, 4, 8, 8))),
    (node("Greater", ["x", "slopes"], ["y"]), Elementwise("compare", (1, 4, 8, 8))),
    (node("IsNaN", ["x"], ["y"]), Activation("compare", (1, 4, 8, 8))),
])
def test_operator_of_the_vector_unit(save_model, operator, expected) -> None:
    constants = {"axes": np.array([2, 3]), "four": floats(4), "eight": floats(8), "slopes": floats(4, 1, 1),
                 "scales": np.array([1, 1, 2, 2], np.float32)}
    used = {name: value for name, value in constants.items() if name in operator.input}
    network = import_onnx(save_model([operator], {"x": [1, 4, 8, 8]}, ["y"], used))
    assert [layer.operation for layer in network.layers] == [expected]


def test_softmax_before_version_13_makes_one_row_of_all_axes_behind(save_model) -> None:
    path = save_model([node("Softmax", ["x"], ["y"])], {"x": [2, 3, 4]}, ["y"], opset=11)
    assert import_onnx(path).layers[0].operation == Softmax((2, 3, 4), row_length=12)


def test_skip_normalization_is_an_addition_and_a_normalization(save_model) -> None:
    nodes = [node("SkipLayerNormalization", ["a", "b", "g"], ["y"], domain="com.microsoft")]
    network = import_onnx(save_model(nodes, {"a": [2, 5, 8], "b": [2, 5, 8]}, ["y"], {"g": floats(8)}))
    assert [layer.operation for layer in network.layers] == [
        Elementwise("add", (2, 5, 8)), Normalization("layer", (2, 5, 8), row_length=8)]
