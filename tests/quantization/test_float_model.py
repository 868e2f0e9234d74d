"""Float networks are read into one operator set, and layers show their weights as the machine multiplies them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import mobile
from quantized_models import FloatModel as Network
from quantized_models import Weights, convolutional, node, onnx, runtime, transformer, vectorial, write_graph

from accelsim.errors import OutputError, WorkloadError
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.operation import Convolution

NETWORKS = {"convolutional": convolutional, "transformer": transformer, "vectorial": vectorial, "mobile": mobile}


def loaded(network: Network, tmp_path: Path) -> FloatModel:
    return FloatModel.load(network.save(tmp_path / "net.onnx"))


def outputs_of(path: Path, x: np.ndarray) -> np.ndarray:
    return runtime.InferenceSession(str(path)).run(None, {"x": x})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_computes_what_its_file_computes(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    path, x = network.save(tmp_path / "net.onnx"), network.samples(1)[0]
    model = FloatModel.load(path)
    model.save(tmp_path / "again.onnx")
    expected = outputs_of(path, x)
    assert np.abs(model.run({"x": x})["y"] - expected).max() < 1e-5
    assert np.abs(outputs_of(tmp_path / "again.onnx", x) - expected).max() < 1e-5
    assert np.ptp(expected) > 0.01


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    model = loaded(convolutional(), tmp_path)
    model.save(tmp_path / "a" / "net.onnx")
    FloatModel.load(tmp_path / "a" / "net.onnx").save(tmp_path / "b" / "net.onnx")
    assert (tmp_path / "a" / "net.onnx").read_bytes() == (tmp_path / "b" / "net.onnx").read_bytes()


def test_a_network_is_not_saved_where_nothing_can_be_written(tmp_path: Path) -> None:
    model = loaded(convolutional(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder to write to, got the file"):
        model.save(tmp_path / "file" / "net.onnx")


@pytest.mark.parametrize("opset", [9, 12, 17, 21, 23])
def test_older_operator_sets_are_converted_and_newer_ones_kept(opset: int, tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
             node("GlobalAveragePool", ["r"], ["y"])]
    w = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 3, 8, 8])}, ["y"], {"w": w}, opset=opset)
    model = FloatModel.load(path)
    assert model.opset == max(opset, 21)
    x = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert np.abs(model.run({"x": x})["y"] - outputs_of(path, x)).max() < 1e-6


def test_copies_and_constant_subgraphs_vanish_and_every_node_has_a_name(tmp_path: Path) -> None:
    nodes = [node("Transpose", ["wt"], ["w"], perm=[1, 0]), node("Identity", ["x"], ["x1"]),
             node("MatMul", ["x1", "w"], ["a"]), node("Dropout", ["a"], ["d", "mask"]),
             node("Shape", ["d"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "axes"], ["n1"]),
             node("Concat", ["n1", "rest"], ["target"], axis=0), node("Reshape", ["d", "target"], ["r"]),
             node("Relu", ["r"], ["unused"]), node("Identity", ["r"], ["y"])]
    constants = {"wt": np.ones((4, 3), np.float32), "zero": np.array(0), "axes": np.array([0]), "rest": np.array([2, 2])}
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 3])}, ["y"], constants)
    model = FloatModel.load(path)
    assert [(each.op, each.name, each.outputs) for each in model.nodes] == [
        ("MatMul", "MatMul_a", ("a",)), ("Reshape", "Reshape_y", ("y",))]
    assert {name: array.tolist() for name, array in model.arrays.items()} == {
        "w": np.ones((3, 4)).tolist(), "target": [1, 2, 2]}
    assert model.run({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[[3, 3], [3, 3]]]


def test_equal_node_names_are_told_apart(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["a"], name="act"), node("Relu", ["a"], ["b"], name="act"), node("Relu", ["b"], ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 3])}, ["y"], {})
    assert [each.name for each in FloatModel.load(path).nodes] == ["act", "act_1", "Relu_y"]


def test_an_open_batch_stays_open_and_may_be_fixed(tmp_path: Path) -> None:
    nodes = [node("Gemm", ["x", "w"], ["y"], name="fc")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, ["N", 3])}, ["y"], {"w": np.eye(3,
                                                                                                        dtype=np.float32)})
    model = FloatModel.load(path)
    assert model.is_batch_open
    assert model.sizes["y"] == (1, 3)
    assert model.run({"x": np.ones((5, 3), np.float32)})["y"].shape == (5, 3)
    assert FloatModel.load(path, batch=4).inputs["x"].dimensions == (4, 3)
    assert FloatModel.load(path, shapes={"x": (2, 3)}).sizes["y"] == (2, 3)


GEMM_FORMS = {
    "factors": ({"alpha": 0.5, "beta": 2.0}, "c_list"), "transposed": ({"transB": 1, "alpha": 3.0}, ""),
    "matrix": ({"beta": 0.5}, "c_matrix"), "computed": ({"alpha": 2.0, "beta": 3.0}, "extra"), "plain": ({}, "c_list"),
}


@pytest.mark.parametrize("form", GEMM_FORMS)
def test_every_gemm_becomes_a_plain_one(form: str, tmp_path: Path) -> None:
    attributes, addend = GEMM_FORMS[form]
    random = np.random.default_rng(3)
    weights = random.normal(size=(4, 4)).astype(np.float32)
    constants = {"w": weights, "c_list": random.normal(size=4).astype(np.float32),
                 "c_matrix": random.normal(size=(2, 4)).astype(np.float32)}
    nodes = [node("Gemm", ["x", "w", *filter(None, [addend])], ["y"], name="fc", **attributes)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [2, 4]), "extra": (np.float32, [2, 4])}, ["y"],
                       {name: value for name, value in constants.items() if name in ("w", addend)})
    feeds = {name: random.normal(size=(2, 4)).astype(np.float32) for name in ("x", "extra")}
    model = FloatModel.load(path)
    expected = runtime.InferenceSession(str(path)).run(None, feeds)[0]
    assert np.allclose(model.run({name: feeds[name] for name in model.inputs})["y"], expected, atol=1e-5)
    (gemm,) = [each for each in model.nodes if each.op == "Gemm"]
    assert "alpha" not in gemm.attributes or not attributes
    assert len(model.layers) == 1


def matrix_product(layer: FloatLayer, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A layer by its definition: rows of the padded, stretched input times (G, N, K), K in (r, s, c) order."""
    operation = layer.operation
    assert isinstance(operation, Convolution)
    (top, left, bottom, right), (rows, columns) = operation.pads, operation.kernel
    stride = (1, 1) if operation.is_transposed else operation.stride
    if operation.is_transposed:
        spread = np.zeros((*x.shape[:2], (x.shape[2] - 1) * operation.stride[0] + 1,
                           (x.shape[3] - 1) * operation.stride[1] + 1))
        spread[:, :, ::operation.stride[0], ::operation.stride[1]] = x
        reach = [step * (size - 1) for step, size in zip(operation.dilation, operation.kernel, strict=True)]
        x = spread
        top, left, bottom, right = (reach[0] - top, reach[1] - left, reach[0] - bottom + operation.output_padding[0],
                                    reach[1] - right + operation.output_padding[1])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    groups, channels, _ = layer.weights.shape
    found = np.zeros(shape)
    width = x.shape[1] // groups
    for g in range(groups):
        part = padded[:, g * width:(g + 1) * width]
        for p in range(shape[2]):
            for q in range(shape[3]):
                window = [part[0, c, p * stride[0] + r * operation.dilation[0], q * stride[1] + s * operation.dilation[1]]
                          for r in range(rows) for s in range(columns) for c in range(width)]
                found[0, g * channels:(g + 1) * channels, p, q] = layer.weights[g] @ np.array(window)
    bias = np.zeros(layer.channels) if layer.bias is None else layer.bias
    return found + bias.reshape(1, -1, 1, 1)


CONVOLUTIONS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "plain": ("Conv", (6, 4, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "grouped": ("Conv", (6, 2, 3, 2), {"group": 2, "pads": [1, 1, 0, 0]}),
    "depthwise": ("Conv", (8, 1, 3, 3), {"group": 4}),
    "dilated": ("Conv", (3, 4, 3, 3), {"dilations": [2, 1], "pads": [2, 1, 2, 1]}),
    "same": ("Conv", (3, 4, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "transposed": ("ConvTranspose", (4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 0, 1], "output_padding": [1, 0]}),
    "transposed groups": ("ConvTranspose", (4, 3, 3, 2), {"group": 2, "strides": [1, 2], "dilations": [2, 1]}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_weights_of_a_convolution_are_those_of_its_matrix_product(name: str, tmp_path: Path) -> None:
    op, shape, attributes = CONVOLUTIONS[name]
    w = Weights(1)
    channels = shape[0] if op == "Conv" else shape[1] * attributes.get("group", 1)
    nodes = [node(op, ["x", w.add("w", *shape), w.add("b", channels)], ["y"], name="layer", **attributes)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4, 7, 6])}, ["y"], w.constants)
    model = FloatModel.load(path)
    (layer,) = model.layers
    x = np.random.default_rng(2).normal(size=(1, 4, 7, 6)).astype(np.float32)
    expected = model.run({"x": x})["y"]
    assert np.allclose(matrix_product(layer, x, expected.shape), expected, atol=1e-4)
    assert np.array_equal(layer.layout.restored(layer.weights), w.constants["w"])


PRODUCTS = {
    "right": (["x", "w"], (5, 4), (2, 3, 5), (0,)), "left": (["w", "x"], (4, 5), (2, 5, 3), (1,)),
    "batch": (["x", "w"], (2, 5, 4), (2, 3, 5), (0,)), "vector": (["x", "w"], (5,), (3, 5), (0,)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_weights_of_a_product_are_its_columns(name: str, tmp_path: Path) -> None:
    inputs, shape, x_shape, _ = PRODUCTS[name]
    w = Weights(1)
    w.add("w", *shape, scale=1.0)
    path = write_graph(tmp_path / "net.onnx", [node("MatMul", inputs, ["y"], name="layer")], {"x": (np.float32, x_shape)},
                       ["y"], w.constants)
    model = FloatModel.load(path)
    (layer,) = model.layers
    x = np.random.default_rng(2).normal(size=x_shape).astype(np.float32)
    rows = x.swapaxes(-1, -2) if name == "left" else x
    matrices = layer.weights if name == "batch" else layer.weights[0]
    product = rows @ matrices.swapaxes(-1, -2)
    product = product.swapaxes(-1, -2) if name == "left" else product
    assert np.allclose(product.reshape(model.run({"x": x})["y"].shape), model.run({"x": x})["y"], atol=1e-5)
    assert np.array_equal(layer.layout.restored(layer.weights), w.constants["w"])


@pytest.mark.parametrize("name", ["convolutional", "transformer"])
def test_edited_weights_and_biases_do_what_scaling_the_output_does(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    model, x = loaded(network, tmp_path), network.samples(1)[0]
    for layer in model.layers:
        assert layer.bias is not None
        edited = layer.edited(model, weights=2 * layer.weights, bias=2 * layer.bias + 1)
        before, after = (each.run({"x": x}, [layer.output])[layer.output] for each in (model, edited))
        assert np.allclose(2 * before + 1, after, atol=1e-4)
        assert np.array_equal(edited.layer(layer.name).weights, 2 * layer.weights)


def test_a_product_without_a_bias_gets_one_behind_it(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("MatMul", ["x", w.add("w", 3, 4)], ["y"], name="layer")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [2, 3])}, ["y"], w.constants)
    model = FloatModel.load(path)
    edited = model.layers[0].edited(model, bias=np.arange(4, dtype=np.float32))
    assert [each.op for each in edited.nodes] == ["MatMul", "Add"]
    assert edited.layers[0].bias is not None
    x = np.ones((2, 3), np.float32)
    assert np.allclose(edited.run({"x": x})["y"], model.run({"x": x})["y"] + np.arange(4))


def test_layers_that_share_weights_are_edited_one_by_one(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Gemm", ["x", w.add("w", 3, 3)], ["h"], name="one"), node("Gemm", ["h", "w"], ["y"], name="two")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 3])}, ["y"], w.constants)
    model = FloatModel.load(path)
    edited = model.layer("two").edited(model, weights=0 * model.layer("two").weights)
    assert np.array_equal(edited.layer("one").weights, model.layer("one").weights)
    assert not edited.layer("two").weights.any()


def test_activations_behind_layers_are_told(tmp_path: Path) -> None:
    model = loaded(mobile(), tmp_path)
    found = {layer.name: (layer.activation, layer.activated,
                          [each.op for each in layer.followers]) for layer in model.layers}
    assert found == {
        "c1": ("", "b1", ["BatchNormalization"]), "d1": ("clip", "r6", ["BatchNormalization"]), "se1": ("relu", "se1r", []),
        "se2": ("", "se2", []), "p1": ("", "b3", ["BatchNormalization"]), "v1": ("", "v1", []),
        "q1": ("", "q1h", ["Mul"]), "fc": ("", "y", [])}
    assert (model.layer("d1").clip.low, model.layer("d1").clip.high) == (0, 6)
    assert model.layer("v1").input == "pr"
    assert model.layer("v1").operation.pads == (1, 1, 1, 1)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(WorkloadError) as caught:
        FloatModel.load(path, **options)
    return str(caught.value).replace(str(path), "net.onnx")


def test_what_is_no_float_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no model")
    assert refusal(path) == "net.onnx: not an ONNX model, or a truncated one"
    write_graph(path, [node("QuantizeLinear", ["x", "s"], ["y"])], {"x": (np.float32, [1, 3])}, ["y"], {"s": np.float32(1)})
    assert refusal(path) == "net.onnx: expected a network in floating point, got a quantized one (QuantizeLinear)"
    write_graph(path, [node("Relu", ["x"], ["y"])], {"x": (np.float16, [1, 3])}, ["y"], {})
    assert refusal(path) == "net.onnx: x: expected numbers of type float, got float16"
    write_graph(path, [node("Relu", ["x"], ["y"])], {"x": (np.float32, [1, 3])}, ["y"], {})
    assert refusal(path, batch=2) == 'net.onnx: input "x": the model fixes the batch at 1, got --batch 2'
    assert refusal(path, shapes={"z": (1, 3)}) == 'net.onnx: input "z": the model has no such input'
    assert refusal(path, shapes={"x": (3,)}) == 'net.onnx: input "x": expected 2 dimensions, got [3]'
    body = onnx.helper.make_graph([node("Relu", ["x"], ["b"])], "body", [], [onnx.helper.make_empty_tensor_value_info("b")])
    write_graph(path, [node("If", ["c"], ["y"], then_branch=body, else_branch=body)],
                {"x": (np.float32, [1, 3]), "c": (np.bool_, [])}, ["y"], {})
    assert refusal(path) == "net.onnx: If_y: expected operators without bodies of their own, got If"


def test_tensors_that_are_not_there_are_refused(tmp_path: Path) -> None:
    model = loaded(convolutional(), tmp_path)
    with pytest.raises(WorkloadError, match="deepest: expected a tensor that the network computes, got none of that name"):
        model.run({"x": convolutional().samples(1)[0]}, ["deepest"])
    with pytest.raises(WorkloadError, match="onnxruntime does not run this model on these inputs"):
        model.run({"x": np.zeros((1, 1), np.float32)})
