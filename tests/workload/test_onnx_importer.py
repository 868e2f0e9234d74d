"""Whole ONNX models: the light models of the onnx package, dynamic sizes, external data, unsupported operators."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import WorkloadError
from accelsim.workload import Convolution, MatMul, Move, Network, import_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

# Multiply-accumulates in millions, counted by hand tools elsewhere; the exact numbers come from `counted_macs`.
LIGHT_MILLIONS = {
    "bvlc_alexnet": 655, "densenet121": 2834, "inception_v1": 1432, "inception_v2": 2019, "resnet50": 4089,
    "shufflenet": 125, "squeezenet": 349, "vgg19": 19632, "zfnet512": 1482,
}


def counted_macs(path: Path) -> int:
    """Outputs times products an output, over the raw nodes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    shapes = {info.name: [size.dim_value for size in info.type.tensor_type.shape.dim]
              for info in (*graph.input, *graph.value_info, *graph.output)}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        if node.op_type == "Gemm":
            transposed = next((item.i for item in node.attribute if item.name == "transB"), 0)
            total += prod(shapes[node.output[0]]) * shapes[node.input[1]][1 if transposed else 0]
    return total


def kinds(network: Network) -> Counter[str]:
    return Counter(layer.kind for layer in network.layers)


@pytest.mark.parametrize("name", LIGHT_MILLIONS)
def test_light_model_has_the_macs_of_an_independent_count(name: str) -> None:
    path = LIGHT / f"light_{name}.onnx"
    network = import_onnx(path)
    assert network.macs == counted_macs(path)
    assert round(network.macs / 1e6) == LIGHT_MILLIONS[name]
    assert network.unsupported == {}


def test_resnet50_is_convolutions_additions_and_one_product_without_batch_normalization() -> None:
    network = import_onnx(LIGHT / "light_resnet50.onnx")
    assert kinds(network) == {"conv": 53, "matmul": 1, "elementwise": 16, "pooling": 2, "softmax": 1}
    assert Counter(fused for layer in network.layers for fused in layer.fused) == {"relu": 49}
    # A folded batch normalization leaves a bias.
    assert all(layer.bias is not None for layer in network.layers if layer.is_on_grid)


def test_pre_activation_batch_normalization_stays_with_its_scale_and_shift_folded_in() -> None:
    network = import_onnx(LIGHT / "light_densenet121.onnx")
    # 121 normalizations: 59 follow a convolution that nothing else reads, 62 read a concatenation or a pooling.
    assert kinds(network) == {"conv": 121, "normalization": 62, "pooling": 5, "move": 58}


def test_two_imports_have_one_fingerprint() -> None:
    path = LIGHT / "light_squeezenet.onnx"
    assert import_onnx(path).fingerprint == import_onnx(path).fingerprint


def test_default_widths_apply_to_weights_and_activations_of_a_float_model() -> None:
    network = import_onnx(LIGHT / "light_squeezenet.onnx", weight_bits=4, input_bits=6)
    grid = [layer for layer in network.layers if layer.is_on_grid]
    assert {layer.weight_bits for layer in grid} == {4}
    assert {tensor.bits for layer in network.layers for tensor in (*layer.inputs, layer.output)} == {6}
    assert {layer.bias.bits for layer in grid if layer.bias is not None} == {32}


def conv_net(batch: object) -> tuple[list[onnx.NodeProto], dict[str, list[object]], dict[str, np.ndarray]]:
    nodes = [
        helper.make_node("Conv", ["data", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "flat"], ["r"]),
        helper.make_node("Gemm", ["r", "f"], ["y"], name="fc", transB=1),
    ]
    constants = {"w": np.zeros((4, 3, 3, 3), np.float32), "f": np.zeros((10, 256), np.float32),
                 "flat": np.array([1 if batch == 1 else -1, 256])}
    return nodes, {"data": [batch, 3, 8, 8]}, constants


def test_batch_replaces_a_symbolic_first_dimension(save_model) -> None:
    nodes, inputs, constants = conv_net("N")
    network = import_onnx(save_model(nodes, inputs, ["y"], constants), batch=5)
    assert [layer.macs for layer in network.layers] == [5 * 4 * 64 * 27, 5 * 2560]


def test_batch_replaces_a_fixed_one_and_the_reshape_that_repeats_it(save_model) -> None:
    nodes, inputs, constants = conv_net(1)
    network = import_onnx(save_model(nodes, inputs, ["y"], constants), batch=5)
    assert [layer.output.shape for layer in network.layers] == [(5, 4, 8, 8), (5, 10)]


def test_batch_of_a_model_with_another_fixed_batch_is_refused(save_model) -> None:
    nodes, inputs, constants = conv_net(2)
    path = save_model(nodes, inputs, ["y"], constants)
    with pytest.raises(WorkloadError) as error:
        import_onnx(path, batch=3)
    assert str(error.value) == f'{path}: input "data": the model fixes the batch at 2, got --batch 3'


def test_unknown_dimension_names_input_dimension_and_option(save_model) -> None:
    nodes, inputs, constants = conv_net("N")
    path = save_model(nodes, inputs, ["y"], constants)
    with pytest.raises(WorkloadError) as error:
        import_onnx(path)
    assert str(error.value) == (
        f'{path}: input "data": dimension 0 ("N") is not known: give --batch or --shape data=...')


def test_unknown_inner_dimension_asks_for_the_shape(save_model) -> None:
    path = save_model([helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 3, "height", 8]}, ["y"])
    with pytest.raises(WorkloadError) as error:
        import_onnx(path, batch=1)
    assert str(error.value) == f'{path}: input "x": dimension 2 ("height") is not known: give --shape x=...'


def test_shape_sets_a_whole_input(save_model) -> None:
    path = save_model([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 3, "height", 8]}, ["y"])
    assert import_onnx(path, shapes={"x": (2, 3, 4, 8)}).layers[0].output.shape == (2, 3, 4, 8)


def test_shape_of_an_unknown_input_suggests_a_known_one(save_model) -> None:
    path = save_model([helper.make_node("Relu", ["data"], ["y"])], {"data": [1, 3]}, ["y"])
    with pytest.raises(WorkloadError) as error:
        import_onnx(path, shapes={"date": (1, 3)})
    assert str(error.value) == f'{path}: input "date": the model has no such input (did you mean "data"?)'


def test_external_weights_need_not_be_there(save_model, tmp_path: Path) -> None:
    nodes, inputs, constants = conv_net(1)
    model = onnx.load(save_model(nodes, inputs, ["y"], constants))
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=200)
    onnx.save(model, tmp_path / "external.onnx")
    (tmp_path / "weights.bin").unlink()
    assert import_onnx(tmp_path / "external.onnx").macs == 4 * 64 * 27 + 2560


def test_sizes_computed_from_a_shape_vanish(save_model) -> None:
    """What exporters write for ``x.view(x.shape[0], x.shape[1] // 2, 2 * x.shape[2])``."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Gather", ["s", "one"], ["c"]),
        helper.make_node("Gather", ["s", "two"], ["l"]),
        helper.make_node("Div", ["c", "two"], ["half"]),
        helper.make_node("Mul", ["l", "two"], ["double"]),
        *(helper.make_node("Unsqueeze", [name, "axis"], [f"{name}_1"]) for name in ("n", "half", "double")),
        helper.make_node("Concat", ["n_1", "half_1", "double_1"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    constants = {"zero": np.array(0), "one": np.array(1), "two": np.array(2), "axis": np.array([0]),
                 "w": np.zeros((16, 3), np.float32)}
    network = import_onnx(save_model(nodes, {"x": ["N", 6, 8]}, ["y"], constants), batch=2)
    assert [(layer.operation, layer.inputs[0].name) for layer in network.layers] == [(MatMul(m=6, k=16, n=3), "x")]


def test_unsupported_operators_are_counted_and_their_outputs_come_from_outside(save_model) -> None:
    nodes = [
        helper.make_node("TopK", ["x", "k"], ["t", "i"]),
        helper.make_node("Exotic", ["t"], ["e"], domain="com.acme"),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("MatMul", ["t", "v"], ["z"]),
    ]
    constants = {"k": np.array([4]), "w": np.zeros((8, 3), np.float32), "v": np.zeros((4, 2), np.float32)}
    network = import_onnx(save_model(nodes, {"x": [2, 8]}, ["y", "z", "e"], constants))
    assert network.unsupported == {"TopK": 1, "com.acme.Exotic": 1}
    assert [(layer.inputs[0].name, layer.macs) for layer in network.layers] == [("x", 48), ("t", 16)]
    assert network.outputs == ("y", "z")


def test_operators_behind_an_unknown_size_are_counted_too(save_model) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("NonZero", ["y"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Relu", ["f"], ["z"]),
    ]
    network = import_onnx(save_model(nodes, {"x": [2, 8]}, ["z"], {"w": np.zeros((8, 3), np.float32)}))
    assert network.unsupported == {"Cast": 1, "NonZero": 1, "Relu": 1}


def test_network_without_an_executable_operator_is_refused(save_model) -> None:
    path = save_model([helper.make_node("TopK", ["x", "k"], ["y", "i"])], {"x": [2, 8]}, ["y"], {"k": np.array([4])})
    with pytest.raises(WorkloadError) as error:
        import_onnx(path)
    assert str(error.value) == f"{path}: expected at least one operator that accelsim executes, got TopK x1"


def test_same_node_names_become_unique_in_order(save_model) -> None:
    nodes = [helper.make_node("Sigmoid", ["x"], ["a"], name="f"), helper.make_node("Tanh", ["a"], ["b"], name="f"),
             helper.make_node("Exp", ["b"], ["c"])]
    network = import_onnx(save_model(nodes, {"x": [2, 8]}, ["c"]))
    assert [layer.name for layer in network.layers] == ["f", "f_2", "Exp_c"]


def test_functions_of_the_model_are_written_out(tmp_path: Path) -> None:
    function = helper.make_function("local", "twice", ["a", "b"], ["c"], [
        helper.make_node("MatMul", ["a", "b"], ["m"]), helper.make_node("MatMul", ["m", "b"], ["c"]),
    ], [helper.make_opsetid("", 21)])
    graph = helper.make_graph(
        [helper.make_node("twice", ["x", "w"], ["y"], domain="local")], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 8])],
        [numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")])
    model = helper.make_model(graph, functions=[function], ir_version=10,
                              opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("local", 1)])
    path = tmp_path / "functions.onnx"
    path.write_bytes(model.SerializeToString())
    assert [layer.macs for layer in import_onnx(path).layers] == [128, 128]


def test_views_keep_the_name_and_shape_of_their_producer(save_model) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["y"]),
    ]
    constants = {"w": np.zeros((4, 3, 2, 2), np.float32), "g": np.zeros((36, 5), np.float32)}
    network = import_onnx(save_model(nodes, {"x": [1, 3, 4, 4]}, ["y", "t"], constants))
    conv, transpose, gemm = network.layers
    assert transpose.operation == Move("transpose", (1, 3, 3, 4))
    assert gemm.inputs == (conv.output,)
    assert conv.output.shape == (1, 4, 3, 3)


def test_transposition_of_dimensions_of_one_is_a_view(save_model) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Transpose", ["p"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "w"], ["y"]),
    ]
    network = import_onnx(save_model(nodes, {"x": [1, 8, 4, 4]}, ["y"], {"w": np.zeros((8, 5), np.float32)}))
    assert kinds(network) == {"pooling": 1, "matmul": 1}


def test_dead_nodes_vanish(save_model) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Exp", ["x"], ["nobody_reads_this"])]
    assert len(import_onnx(save_model(nodes, {"x": [2, 8]}, ["y"])).layers) == 1


def test_unsorted_nodes_are_sorted(save_model) -> None:
    nodes = [helper.make_node("Exp", ["a"], ["y"]), helper.make_node("Sigmoid", ["x"], ["a"])]
    assert [layer.name for layer in import_onnx(save_model(nodes, {"x": [2]}, ["y"])).layers] == ["Sigmoid_a", "Exp_y"]


def test_external_shape_constants_are_read(save_model, tmp_path: Path) -> None:
    nodes, inputs, constants = conv_net(1)
    model = onnx.load(save_model(nodes, inputs, ["y"], constants))
    onnx.external_data_helper.convert_model_to_external_data(model, location="all.bin", size_threshold=0)
    onnx.save(model, tmp_path / "external.onnx")
    assert import_onnx(tmp_path / "external.onnx").macs == 4 * 64 * 27 + 2560


def test_convolution_reads_what_the_shapes_say(save_model) -> None:
    nodes, inputs, constants = conv_net(1)
    network = import_onnx(save_model(nodes, inputs, ["y"], constants))
    assert network.layers[0].operation == Convolution(
        batch=1, in_channels=3, out_channels=4, in_size=(8, 8), kernel=(3, 3), pads=(1, 1, 1, 1))


def test_view_whose_shape_nobody_knows_is_an_error(save_model) -> None:
    nodes = [helper.make_node("Reshape", ["x", "target"], ["r"], name="reshape"),
             helper.make_node("Relu", ["r"], ["y"])]
    path = save_model(nodes, {"x": [2, 8], "target": [2]}, ["y"])
    with pytest.raises(WorkloadError) as error:
        import_onnx(path)
    assert str(error.value) == f'{path}: reshape: the shape of "r" is not known'


def test_network_is_named_like_its_file(save_model) -> None:
    path = save_model([helper.make_node("Exp", ["x"], ["y"])], {"x": [2]}, ["y"], name="my_net.onnx")
    assert import_onnx(path).name == "my_net"
