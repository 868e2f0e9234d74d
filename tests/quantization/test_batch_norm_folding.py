"""Folding batch normalizations keeps what a network computes, and what they knew of their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import convolution, mobile, normalization
from quantized_models import Weights, node, onnx, runtime, write_graph

from accelsim.errors import WorkloadError
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms

X = {"x": (np.float32, [2, 4, 6, 6])}


def network(tmp_path: Path, nodes: list[Any], w: Weights, inputs: Any = X) -> tuple[FloatModel, Path]:
    path = write_graph(tmp_path / "net.onnx", nodes, inputs, ["y"], w.constants)
    return FloatModel.load(path), path


def agrees(model: FloatModel, path: Path, shape: tuple[int, ...] = (2, 4, 6, 6)) -> bool:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = runtime.InferenceSession(str(path)).run(None, {"x": x})[0]
    assert np.ptp(expected) > 0.1
    return bool(np.allclose(model.run({"x": x})["y"], expected, atol=1e-5, rtol=1e-5))


def layer_before(kind: str, w: Weights) -> Any:
    if kind == "transposed":
        names = ["x", w.add("a_w", 4, 3, 3, 3), w.add("a_bias", 6, scale=0.1)]
        return node("ConvTranspose", names, ["a"], name="a", group=2, strides=[2, 2])
    groups = {"conv": 1, "grouped": 2, "depthwise": 4}[kind]
    return convolution(w, "x", "a", 8, 4 // groups, 3, 3, group=groups, has_bias=kind != "conv", pads=[1] * 4)


@pytest.mark.parametrize("kind", ["conv", "grouped", "depthwise", "transposed"])
def test_behind_a_convolution_it_folds_into_weights_and_bias(kind: str, tmp_path: Path) -> None:
    w = Weights(0)
    channels = 6 if kind == "transposed" else 8
    nodes = [layer_before(kind, w), normalization(w, "a", "n", channels), node("Relu", ["n"], ["y"])]
    model, path = network(tmp_path, nodes, w)
    folded, remarks = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == [model.nodes[0].op, "Relu"]
    assert remarks == ("n: folded into a",)
    assert agrees(folded, path)
    known = folded.statistics[folded.layers[0].output]
    assert np.allclose(known.mean, w.constants["n_b"])
    assert np.allclose(known.std, np.abs(w.constants["n_g"]))


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_behind_a_product_it_folds_into_weights_and_bias(op: str, tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node(op, ["x", w.add("w", 5, 3)], ["a"], name="a"), normalization(w, "a", "y", 3)]
    model, path = network(tmp_path, nodes, w, {"x": (np.float32, [4, 5])})
    folded, _ = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Gemm"] if op == "Gemm" else ["MatMul", "Add"]
    assert agrees(folded, path, (4, 5))


def test_factors_and_addends_of_channels_fold_too_and_move_the_statistics(tmp_path: Path) -> None:
    w = Weights(0)
    names = [w.keep("f", np.linspace(-2, 2, 8, dtype=np.float32).reshape(8, 1, 1)), w.add("s", 8, 1, 1)]
    nodes = [convolution(w, "x", "a", 8, 4, 1, 1), normalization(w, "a", "n", 8), node("Mul", ["n", names[0]], ["m"],
                                                                                       name="m"),
             node("Add", [names[1], "m"], ["y"], name="s")]
    model, path = network(tmp_path, nodes, w)
    folded, remarks = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Conv"]
    assert remarks == ("n, m, s: folded into a",)
    assert agrees(folded, path)
    factor, addend = w.constants["f"].ravel(), w.constants["s"].ravel()
    assert np.allclose(folded.statistics["y"].mean, w.constants["n_b"] * factor + addend, atol=1e-6)
    assert np.allclose(folded.statistics["y"].std, np.abs(w.constants["n_g"] * factor), atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_in_front_of_a_convolution_without_padding_it_folds_into_that(groups: int, tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Tanh", ["x"], ["t"]), normalization(w, "t", "n", 4),
             convolution(w, "n", "y", 8, 4 // groups, 3, 2, group=groups, has_bias=groups > 1)]
    model, path = network(tmp_path, nodes, w)
    folded, remarks = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Tanh", "Conv"]
    assert remarks == ("n: folded into y, behind it",)
    assert agrees(folded, path)


def test_in_front_of_a_product_it_folds_into_that(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [normalization(w, "x", "n", 5), node("Gemm", ["n", w.add("w", 3, 5)], ["y"], name="fc", transB=1)]
    model, path = network(tmp_path, nodes, w, {"x": (np.float32, [4, 5])})
    folded, _ = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Gemm"]
    assert agrees(folded, path, (4, 5))


def test_in_front_of_padding_or_between_activations_it_becomes_a_depthwise_convolution(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Tanh", ["x"], ["t"]), normalization(w, "t", "n", 4), convolution(w, "n", "a", 4, 4, 3, 3, pads=[1] * 4),
             node("Sigmoid", ["a"], ["s"]), normalization(w, "s", "m", 4), node("Relu", ["m"], ["y"])]
    model, path = network(tmp_path, nodes, w)
    folded, remarks = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Tanh", "Conv", "Conv", "Sigmoid", "Conv", "Relu"]
    assert remarks == ("n: a depthwise convolution of 1 x 1, no layer beside it takes it",
                       "m: a depthwise convolution of 1 x 1, no layer beside it takes it")
    assert [layer.operation.is_depthwise for layer in folded.layers] == [True, False, True]
    assert agrees(folded, path)


def test_what_a_second_reader_needs_is_not_folded(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [convolution(w, "x", "a", 4, 4, 1, 1), normalization(w, "a", "n", 4), node("Add", ["a", "n"], ["y"])]
    model, path = network(tmp_path, nodes, w)
    folded, _ = fold_batch_norms(model)
    assert [each.op for each in folded.nodes] == ["Conv", "Conv", "Add"]
    assert agrees(folded, path)
    assert fold_batch_norms(model, alone="kept").remarks == ("n: kept, no layer beside it takes it",)


def test_a_network_output_keeps_its_name_and_weights_that_others_read_stay(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [convolution(w, "x", "a", 4, 4, 1, 1), normalization(w, "a", "n", 4),
             node("Conv", ["n", "a_w"], ["b"], name="b"), normalization(w, "b", "y", 4)]
    model, path = network(tmp_path, nodes, w)
    folded, _ = fold_batch_norms(model)
    assert (folded.outputs, [each.op for each in folded.nodes]) == (("y",), ["Conv", "Conv"])
    assert agrees(folded, path)


def test_a_mobile_network_keeps_its_function(tmp_path: Path) -> None:
    path = mobile().save(tmp_path / "net.onnx")
    folded, remarks = fold_batch_norms(FloatModel.load(path))
    x = mobile().samples(1)[0]
    assert np.abs(folded.run({"x": x})["y"] - runtime.InferenceSession(str(path)).run(None, {"x": x})[0]).max() < 1e-6
    assert not any(each.op == "BatchNormalization" for each in folded.nodes)
    assert remarks == ("b1: folded into c1", "b2: folded into d1", "b3: folded into p1", "q1h: folded into q1",
                       "b4: a depthwise convolution of 1 x 1, no layer beside it takes it")
    assert set(folded.statistics) == {"c1", "d1", "p1", "b4"}


def test_a_large_network_of_another_maker_keeps_its_function() -> None:
    path = Path(onnx.__file__).parent / "backend/test/data/light/light_densenet121.onnx"
    model = FloatModel.load(path)
    folded, _ = fold_batch_norms(model)
    x = {name: np.random.default_rng(0).normal(size=known.dimensions).astype(np.float32) for name,
         known in model.inputs.items()}
    (before,), (after,) = (each.run(x).values() for each in (model, folded))
    assert not any(each.op in ("BatchNormalization", "Mul") for each in folded.nodes)
    assert np.allclose(before, after, rtol=1e-4, atol=1e-7)


def test_computed_parameters_are_refused(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [convolution(w, "x", "a", 4, 4, 1, 1), normalization(w, "a", "y", 4)]
    del w.constants["y_m"]
    model, _ = network(tmp_path, nodes, w, {**X, "y_m": (np.float32, [4])})
    with pytest.raises(WorkloadError) as caught:
        fold_batch_norms(model)
    assert str(caught.value).endswith('net.onnx: y: expected constant parameters, got "y_m", which is computed')
