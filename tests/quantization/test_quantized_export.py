"""What is saved is what was quantized: loaded again it gives the same integers, and onnxruntime computes the machine's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import mobile
from quantized_models import FloatModel as Network
from quantized_models import (
    Weights,
    convolutional,
    differences,
    node,
    onnx,
    runtime,
    runtime_tensors,
    transformer,
    vectorial,
    write_graph,
)

from accelsim import load_accelerator, load_network, simulate
from accelsim.errors import WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork

NETWORKS = {"convolutional": convolutional, "transformer": transformer, "vectorial": vectorial, "mobile": mobile}


def quantized(network: Network, policy: BitPolicy, tmp_path: Path) -> QuantizedModel:
    model = FloatModel.load(network.save(tmp_path / "net.onnx"))
    return quantize(model, network.samples(6, seed=1), policy)


def policy(text: str) -> BitPolicy:
    return parse_bit_policy(text, file="p.yaml")


def require_same_integers(loaded: QuantizedNetwork, made: QuantizedModel) -> None:
    """Weights, biases, grids and widths of a loaded network are those that were made."""
    for layer in made.model.layers:
        kernel, own = loaded.layers[layer.name].kernel, made.weights[layer.name]
        assert isinstance(kernel, GridKernel)
        assert kernel.weights is not None
        assert np.array_equal(kernel.weights, own.integers)
        assert kernel.weight.qtype == own.qparams.qtype
        assert (kernel.bias is None) == (own.bias is None)
        assert own.bias is None or np.array_equal(kernel.bias, own.bias)
        assert kernel.input == made.grid_of(layer.input)
        assert kernel.output == made.grid_of(layer.activated)
    widths = {layer.name: (layer.weight_bits, layer.output.bits) for layer in loaded.network.layers}
    for layer in made.model.layers:
        output = made.grid_of(layer.activated)
        assert output is not None
        assert widths[layer.name] == (made.weights[layer.name].qparams.qtype.bits, output.qtype.bits)


# Largest distance to onnxruntime's integers, layer fed by layer: 8 bits exactly.
WIDTHS = {(8, 8): 0, (4, 8): 1, (6, 6): 1, (4, 4): 1, (3, 5): 1, (2, 8): 1, (8, 12): 1}
QUICK = [(8, 8), (4, 8), (6, 6)]


def quick_first(cases: Any, quick: Any) -> list[Any]:
    """Cases, those that are not quick as slow tests."""
    return [pytest.param(case, id=str(case), marks=[] if case in quick else pytest.mark.slow) for case in cases]


@pytest.mark.parametrize("bits", quick_first(WIDTHS, QUICK))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_loads_to_the_same_integers_and_onnxruntime_computes_them(
        name: str, bits: tuple[int, int], tmp_path: Path) -> None:
    network = NETWORKS[name]()
    made = quantized(network, BitPolicy.of(*bits), tmp_path)
    for file in ("q.onnx", "again.onnx"):
        made.save(tmp_path / file)
    assert (tmp_path / "q.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    require_same_integers(loaded, made)
    for sample in network.samples(2):
        found = differences(loaded, tmp_path / "q.onnx", {"x": sample}, is_chained=False)
        assert len(found) == len(loaded.network.layers)
        assert max(distance for _, distance in found.values()) <= WIDTHS[bits]


POLICIES = {
    "per tensor": "weights: {granularity: tensor}",
    "groups of channels": "weights: {granularity: {kind: channel_group, size: 3}}",
    "asymmetric weights": "weights: {symmetry: asymmetric}",
    "restricted": "weights: {is_restricted: true}",
    "powers of two": "weights: {has_power_of_two_scale: true}\nactivations: {has_power_of_two_scale: true}",
    "symmetric": "activations: {symmetry: symmetric}",
    "signed": "activations: {is_signed: true}",
    "own pools": "placement: {average_pooling: requantized, layer_normalization: calibrated}",
    "shared": "placement: {concatenation: shared, addition: matched}",
    "narrow biases": "bias_bits: 12",
    "mse": "weights: {range: mse}\nactivations: {range: mse}",
    "percentile": "activations: {range: {setter: percentile, percentile: 99}}",
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("network", quick_first(NETWORKS, ["convolutional"]))
def test_8_bits_are_exact_under_every_scheme(network: str, name: str, tmp_path: Path) -> None:
    made = quantized(NETWORKS[network](), policy(POLICIES[name]), tmp_path)
    made.save(tmp_path / "q.onnx")
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    require_same_integers(loaded, made)
    found = differences(loaded, tmp_path / "q.onnx", {"x": NETWORKS[network]().samples(1)[0]}, keeps_int8=True)
    assert {layer: count for layer, (count, _) in found.items() if count} == {}


def test_the_file_tells_its_policy(tmp_path: Path) -> None:
    made = quantized(convolutional(), BitPolicy.of(4, 8), tmp_path)
    told = {each.key: each.value for each in made.proto().metadata_props}
    assert told["accelsim.policy"] == '{"name": "w4a8", "weights": {"bits": 4}, "activations": {"bits": 8}}'


def test_a_quantized_network_is_near_the_float_one(tmp_path: Path) -> None:
    network = mobile()
    made, x = quantized(network, BitPolicy(), tmp_path), network.samples(1)[0]
    made.save(tmp_path / "q.onnx")
    real = made.model.run({"x": x})["y"]
    found = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": x})[0]
    assert 0 < np.abs(found - real).max() < 0.03 * np.abs(real).max()


def test_the_machine_executes_what_was_quantized(tmp_path: Path) -> None:
    network = convolutional()
    made = quantized(network, BitPolicy.of(8, 8), tmp_path)
    require_same_integers(made.network(), made)
    made.save(tmp_path / "q.onnx")
    samples = network.samples(2)
    result = simulate(load_accelerator("edge_16x16"), made.network(), inputs={"x": np.stack(samples)}, rounding="model")
    expected = [runtime_tensors(tmp_path / "q.onnx", {"x": sample}, ["y_quantized"])["y_quantized"] for sample in samples]
    assert np.array_equal(np.concatenate(result.outputs["y"]), np.concatenate(expected))


def test_a_tensor_may_leave_the_network_and_be_read_inside(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Gemm", ["x", w.add("w", 4, 4)], ["h"], name="one"), node("Relu", ["h"], ["r"]),
             node("Gemm", ["r", w.add("v", 4, 4)], ["y"], name="two")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["r", "y"], w.constants)
    made = quantize(FloatModel.load(path), np.random.default_rng(0).normal(size=(5, 1, 4)))
    made.save(tmp_path / "q.onnx")
    x = np.ones((1, 4), np.float32)
    r, y = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": x})
    real_r, real_y = runtime.InferenceSession(str(path)).run(None, {"x": x})
    assert np.allclose(r, real_r, atol=0.05)
    assert np.allclose(y, real_y, atol=0.05)
    assert [output.name for output in made.network().outputs] == ["r", "y"]


def test_shared_weights_are_stored_for_each_layer(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Gemm", ["x", w.add("w", 4, 4), w.add("b", 4)], ["h"], name="one"),
             node("Gemm", ["h", "w", "b"], ["y"], name="two")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["y"], w.constants)
    rules = "rules:\n  - {layers: two, weights: {bits: 4}}"
    made = quantize(FloatModel.load(path), np.random.default_rng(0).normal(size=(5, 1, 4)), policy(rules))
    made.save(tmp_path / "q.onnx")
    require_same_integers(import_quantized_onnx(tmp_path / "q.onnx"), made)


@pytest.mark.parametrize("operator", ["Add", "Sub"])
@pytest.mark.parametrize(("shape", "column"), [([2, 8, 6], (6, 1)), ([8, 5], (6, 1)), ([8], (6,))], ids=str)
def test_weights_on_the_left_have_a_bias_a_row(shape: list[int], column: tuple[int, ...], operator: str,
                                               tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("MatMul", [w.add("w", 6, 8), "x"], ["p"], name="p"),
             node(operator, ["p", w.add("k", *column, scale=1.0)], ["y"], name="k")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, shape)}, ["y"], w.constants)
    samples = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    model = FloatModel.load(path)
    (layer,) = model.layers
    assert layer.bias is not None
    edited = layer.edited(model, weights=2 * layer.weights, bias=2 * layer.bias + 1)
    before, after = (each.run({"x": samples[0]})["y"] for each in (model, edited))
    assert np.allclose(2 * before + 1, after, atol=1e-4)
    made = quantize(model, samples)
    made.save(tmp_path / "q.onnx")
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    require_same_integers(loaded, made)
    found = differences(loaded, tmp_path / "q.onnx", {"x": samples[0]}, is_chained=False)
    assert max(distance for _, distance in found.values()) <= 1


def test_an_open_batch_stays_open_in_the_file(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Conv", ["x", w.add("w", 4, 3, 3, 3)], ["c"], name="c"), node("GlobalAveragePool", ["c"], ["y"], name="p")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, ["N", 3, 6, 6])}, ["y"], w.constants)
    samples = np.random.default_rng(0).normal(size=(9, 3, 6, 6)).astype(np.float32)
    made = quantize(FloatModel.load(path), samples)
    made.save(tmp_path / "q.onnx")
    assert runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": samples})[0].shape == (9, 4, 1, 1)
    require_same_integers(made.network(), made)
    require_same_integers(import_quantized_onnx(tmp_path / "q.onnx", batch=1), made)


def test_a_bias_that_does_not_fit_widens_its_channels_scale(tmp_path: Path) -> None:
    weights = np.array([[1.0, -1.0], [1e-9, 0.0], [0.0, 0.0]], np.float32)
    bias = np.array([0.5, 100.0, -30.0], np.float32)
    nodes = [node("Gemm", ["x", "w", "b"], ["y"], name="fc", transB=1)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 2])}, ["y"], {"w": weights, "b": bias})
    made = quantize(FloatModel.load(path), np.array([[[1.0, 2.0]], [[-1.0, 1.0]]]))
    assert made.remarks == ("fc: weight scales of 2 channels grew so that the bias fits 32 bits",)
    made.save(tmp_path / "q.onnx")
    require_same_integers(import_quantized_onnx(tmp_path / "q.onnx"), made)
    own = made.weights["fc"]
    assert own.bias is not None
    assert np.allclose(own.bias * own.bias_scale, bias, rtol=1e-6, atol=1e-4)
    assert np.abs(own.bias).max() <= 2**31 - 1 - 2 * 170 * 128  # 85 is x's zero point: room for the products in 32 bits
    found = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": np.array([[1.0, 2.0]], np.float32)})[0]
    assert np.allclose(found, [[-0.5, 100.0, -30.0]], atol=0.6)


def test_scales_of_blocks_are_stored_as_blocks_and_executed(tmp_path: Path) -> None:
    text = "weights: {bits: 4, granularity: {kind: sub_channel, size: 4}}"
    network = transformer()
    made = quantized(network, policy(text), tmp_path)
    made.save(tmp_path / "q.onnx")
    attributes = [attribute.name for each in onnx.load(tmp_path / "q.onnx").graph.node for attribute in each.attribute]
    assert attributes.count("block_size") == 6
    whole = made.model
    for each in made.model.layers:
        whole = each.edited(whole, weights=made.weights[each.name].dequantized)
    x = network.samples(1, seed=1)[0]  # one that it was calibrated on, so that nothing is clipped
    found = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": x})[0]
    assert np.abs(found - whole.run({"x": x})["y"]).max() < 0.06
    assert np.abs(found - made.model.run({"x": x})["y"]).max() > 0.1
    assert {layer.weight_scale_groups for layer in load_network(tmp_path / "q.onnx").layers if layer.is_on_grid} == {1, 4, 8}
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    require_same_integers(loaded, made)
    for layer in made.model.layers:
        kernel = loaded.layers[layer.name].kernel
        assert isinstance(kernel, GridKernel)
        assert kernel.weight == made.weights[layer.name].qparams
    # Sums of runs are rounded to units of the accumulator, of which an output's step has some.
    reached = differences(loaded, tmp_path / "q.onnx", {"x": x}, is_chained=False)
    assert max(distance for _, distance in reached.values()) <= 2
    result = simulate(load_accelerator("edge_16x16"), loaded, inputs={"x": x}, rounding="model")
    assert np.abs((result.outputs["y"][0].astype(int) - loaded.outputs[0].qparams.zero_point)
                  * loaded.outputs[0].qparams.scale - found).max() < 0.1


def test_blocks_of_a_convolution_lie_along_its_input_channels(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Conv", ["x", w.add("w", 4, 8, 3, 3)], ["y"], name="c")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 8, 5, 5])}, ["y"], w.constants)
    samples = np.random.default_rng(0).normal(size=(4, 1, 8, 5, 5)).astype(np.float32)
    model = FloatModel.load(path)
    made = quantize(model, samples,
                    policy("weights: {bits: 4, granularity: {kind: sub_channel, size: 4}}\nactivations: {bits: 16}"))
    made.save(tmp_path / "q.onnx")
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(tmp_path / "q.onnx").graph.initializer}
    assert stored["w_scale"].shape == (4, 2, 3, 3)
    block = w.constants["w"][1, 4:8, 2, 0]
    assert stored["w_scale"][1, 1, 2, 0] == pytest.approx(2 * np.abs(block).max() / 15, rel=1e-6)
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    require_same_integers(loaded, made)
    kernel = loaded.layers["c"].kernel
    assert isinstance(kernel, GridKernel)
    assert kernel.weight == made.weights["c"].qparams
    found = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": samples[0]})[0]
    real = made.model.layers[0].edited(model, weights=made.weights["c"].dequantized).run({"x": samples[0]})["y"]
    assert np.abs(found - real).max() < 0.005
    refused = quantize(model, samples, policy("weights: {granularity: {kind: sub_channel, size: 3}}"))
    with pytest.raises(WorkloadError) as caught:
        refused.proto()
    assert str(caught.value) == f"{path}: c: expected blocks that divide the 8 input channels of a kernel position, got 3"


def test_ranges_of_the_run_become_dynamic_quantizers_and_are_only_timed(tmp_path: Path) -> None:
    network = convolutional()
    made = quantized(network, policy("activations: {is_dynamic: true}"), tmp_path)
    made.save(tmp_path / "q.onnx")
    x = network.samples(1)[0]
    found = runtime.InferenceSession(str(tmp_path / "q.onnx")).run(None, {"x": 50 * x})[0]
    assert np.abs(found - made.model.run({"x": 50 * x})["y"]).max() < 0.05
    assert load_network(tmp_path / "q.onnx").layers
    with pytest.raises(WorkloadError, match="expected a scale that is known before the run"):
        made.network()
    with pytest.raises(WorkloadError) as caught:
        quantized(network, policy("activations: {is_dynamic: true, bits: 4}"), tmp_path).proto()
    assert str(caught.value).endswith("x: expected 8 bits without a sign, asymmetric, for a range that is found during the "
                                      "run, got 4 bits, asymmetric")


def test_statistics_of_batch_normalizations_give_ranges_without_data(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Conv", ["x", w.add("w", 4, 3, 1, 1)], ["c"], name="c"),
             node("BatchNormalization", ["c", *(w.keep(name, np.linspace(0.5, 2, 4).astype(np.float32)) for name in "gbmv")],
                  ["n"]), node("Relu", ["n"], ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 3, 2, 2])}, ["y"], w.constants)
    text = "activations: {range: {setter: bn_statistics, alpha: 3.0}}"
    model = FloatModel.load(path)
    for data, way_out in ((None, "give a calibration set, or choose"), (np.ones((1, 1, 3, 2, 2)), "choose")):
        with pytest.raises(WorkloadError) as caught:
            quantize(model, data, policy(text))
        assert str(caught.value) == (f'{path}: tensor "x": expected the statistics of a batch normalization for '
                                     f"bn_statistics, got a tensor without one; {way_out} another range setter for it")
    made = quantize(model, np.ones((1, 1, 3, 2, 2)),
                    policy(f"{text}\nrules:\n  - {{layers: inputs, activations: {{range: min_max}}}}"))
    grid = made.activations["y"]
    assert (grid.zero_point.item(), grid.scale.item()) == (0, pytest.approx((2 + 3 * 2) / 255))


LIGHT = ["light_squeezenet", "light_shufflenet"]


@pytest.mark.parametrize("name", LIGHT)
def test_networks_of_another_maker_become_integers(name: str) -> None:
    path = Path(onnx.__file__).parent / "backend/test/data/light" / f"{name}.onnx"
    model = FloatModel.load(path)
    made = quantize(model, np.random.default_rng(0).normal(size=(1, 1, 3, 224, 224)))
    require_same_integers(made.network(), made)


def test_a_layer_without_integers_is_told_in_one_line(tmp_path: Path) -> None:
    nodes = [node("LRN", ["x"], ["y"], name="norm", size=3)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4, 2, 2])}, ["y"], {})
    with pytest.raises(WorkloadError) as caught:
        quantize(FloatModel.load(path), np.ones((1, 1, 4, 2, 2))).network()
    assert str(caught.value) == "net: norm: expected an operator with a kernel on integers, got LRN"


@pytest.mark.parametrize("text", quick_first(POLICIES.values(), [POLICIES["per tensor"], POLICIES["symmetric"]]))
@pytest.mark.parametrize("name", NETWORKS)
def test_operators_on_integers_compute_the_same(name: str, text: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    made, x = quantized(network, policy(text), tmp_path), network.samples(1)[0]
    made.save(tmp_path / "qdq.onnx")
    made.save(tmp_path / "qoperator.onnx", "qoperator")
    loaded = import_quantized_onnx(tmp_path / "qoperator.onnx")
    require_same_integers(loaded, made)
    found = differences(loaded, tmp_path / "qoperator.onnx", {"x": x}, keeps_int8=True)
    assert {layer: count for layer, (count, _) in found.items() if count} == {}
    outputs = [runtime_tensors(tmp_path / form, {"x": x}, ["y"], keeps_int8=True)["y"] for form in ("qdq.onnx",
                                                                                                    "qoperator.onnx")]
    assert np.array_equal(*outputs)
    operators = {each.op_type for each in onnx.load(tmp_path / "qoperator.onnx").graph.node}
    assert not operators & {"Conv", "Gemm", "Concat", "Softmax", "GlobalAveragePool"}


@pytest.mark.parametrize(("text", "problem"), {
    "activations: {bits: 6}": "x: expected 8 bits and scales known before the run for operators on integers, got 6 bits",
    "weights: {bits: 4}": "stem: expected 8 bits and scales known before the run for operators on integers, got 4 bits",
    "activations: {is_dynamic: true}": (
        "x: expected 8 bits and scales known before the run for operators on integers, got a range that is found during the "
        "run"),
}.items())
def test_operators_on_integers_have_8_bits(text: str, problem: str, tmp_path: Path) -> None:
    made = quantized(convolutional(), policy(text), tmp_path)
    with pytest.raises(WorkloadError) as caught:
        made.save(tmp_path / "q.onnx", "qoperator")
    assert str(caught.value) == f"{tmp_path / 'net.onnx'}: {problem}"
    assert not (tmp_path / "q.onnx").exists()


@pytest.fixture
def digits() -> tuple[Path, Any]:
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if folder is None:
        pytest.skip("needs the trained network of digits: set ACCELSIM_TEST_DATA")
    found = np.load(Path(folder) / "inputs/sklearn_digits_u8.npz")
    return Path(folder) / "models/digits/digits_float.onnx", (found["x"].reshape(-1, 1, 8, 8).astype(np.float32) / 16,
                                                              found["labels"])


# Share of 400 digits that onnxruntime's run of the saved file may lose against the float network.
LOSSES = {(8, 8): 0.005, (6, 6): 0.01, (4, 8): 0.05}


@pytest.mark.parametrize("bits", LOSSES, ids=str)
def test_a_trained_network_keeps_its_accuracy(bits: tuple[int, int], digits: Any, tmp_path: Path) -> None:
    path, (x, labels) = digits
    made = quantize(FloatModel.load(path), x[:200, None], BitPolicy.of(*bits))
    made.save(tmp_path / "q.onnx")
    accuracies = []
    for file in (path, tmp_path / "q.onnx"):
        session = runtime.InferenceSession(str(file))
        answers = [int(session.run(None, {"x": image[None]})[0].argmax()) for image in x[-400:]]
        accuracies.append(float(np.mean(np.array(answers) == labels[-400:])))
    assert accuracies[0] > 0.9
    assert accuracies[0] - accuracies[1] <= LOSSES[bits]
