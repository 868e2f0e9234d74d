"""Networks that onnxruntime quantized: every integer tensor is the one that onnxruntime computes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quantized_executor import run_network
from quantized_models import (
    FloatModel,
    convolutional,
    differences,
    onnx,
    quantized,
    runtime_tensors,
    transformer,
    vectorial,
)

from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.rule import Rule
from accelsim.workload import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork

MAKERS = {"convolutional": convolutional, "transformer": transformer}

#: Operators that the quantizer leaves in floating point unless they are named.
VECTORIAL_OPERATORS = sorted({node.op_type for node in vectorial().nodes})


def imported(path: Path) -> QuantizedNetwork:
    """The network with its integers, which times like the one without them and has the same widths."""
    network = import_quantized_onnx(path)
    assert network.network == import_onnx(path)
    assert network.network.fingerprint == import_onnx(path).fingerprint
    assert (network.runtime, network.path, network.rule) == ("onnxruntime", str(path), Rule("float32_nearest_even"))
    for layer in network.network.layers:
        numbers = network.layers[layer.name]
        assert numbers.output.qtype.bits == layer.output.bits
        if isinstance(numbers.kernel, GridKernel):
            kernel = numbers.kernel
            assert (kernel.input.qtype.bits, kernel.weight.qtype.bits) == (layer.input_bits, layer.weight_bits)
            assert kernel.has_asymmetric_weights == layer.has_asymmetric_weights
    return network


def total(found: dict[str, tuple[int, int]]) -> int:
    return sum(count for count, _ in found.values())


@pytest.mark.parametrize("is_per_channel", [True, False], ids=["per_channel", "per_tensor"])
@pytest.mark.parametrize("activation", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("form", ["QOperator", "QDQ"])
@pytest.mark.parametrize("maker", MAKERS)
def test_every_tensor_end_to_end_equals_that_of_onnxruntime(tmp_path, maker, form, activation, is_per_channel) -> None:
    model = MAKERS[maker](seed=3)
    # onnxruntime has no QGemm of int8 by uint8 and back.
    weight = activation if form == "QOperator" and not is_per_channel else "QInt8"
    path = quantized(model, tmp_path, form=form, activation=activation, weight=weight, is_per_channel=is_per_channel)
    network = imported(path)
    assert all(network.layers[layer.name].model_output for layer in network.network.layers)
    for sample in model.samples(3):
        assert total(differences(network, path, {"x": sample})) == 0


@pytest.mark.parametrize(("maker", "seed"), [("transformer", 12), ("convolutional", 16)])
def test_a_session_that_keeps_int8_gives_the_integers_that_float32_misses_by_one(tmp_path, maker, seed) -> None:
    """On x86 onnxruntime's default session runs some layers between int8 roundings in float32."""
    model = MAKERS[maker](seed=seed)
    path = quantized(model, tmp_path, activation="QInt8")
    network = imported(path)
    for sample in model.samples(4, seed=seed + 100):
        assert total(differences(network, path, {"x": sample}, keeps_int8=True)) == 0
        by_default = differences(network, path, {"x": sample}, is_chained=False)
        assert max(distance for _, distance in by_default.values()) <= 1


@pytest.mark.parametrize("form", ["QOperator", "QDQ"])
def test_the_model_s_real_outputs_follow_from_the_last_integers(tmp_path, form) -> None:
    model = convolutional(seed=4)
    path = quantized(model, tmp_path, form=form)
    network = imported(path)
    (read,), (written,) = network.inputs, network.outputs
    assert (read.name, read.shape, read.is_float) == ("x", (1, 3, 16, 16), True)
    assert (written.name, written.shape, written.is_float) == ("y", (1, 10), True)
    for sample in model.samples(3):
        integers = run_network(network, {"x": sample})[written.tensor].reshape(written.shape)
        expected = runtime_tensors(path, {"x": sample}, ["y"])["y"]
        assert np.array_equal(written.qparams.dequantize(integers, dtype=np.float32), expected)


@pytest.mark.parametrize("activation", ["QUInt8", "QInt8"])
def test_operators_beside_products_equal_those_of_onnxruntime(tmp_path, activation) -> None:
    model = vectorial(seed=3)
    path = quantized(model, tmp_path, activation=activation, op_types_to_quantize=VECTORIAL_OPERATORS)
    network = imported(path)
    for sample in model.samples(3):
        assert total(differences(network, path, {"x": sample})) == 0


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("weight", ["QInt4", "QUInt4"])
@pytest.mark.parametrize("is_per_channel", [True, False], ids=["per_channel", "per_tensor"])
def test_four_bit_weights_give_onnxruntime_s_integers(tmp_path, maker, weight, is_per_channel) -> None:
    """onnxruntime computes these in float32: an output next to a tie could differ by 1; none of these does."""
    model = replace(MAKERS[maker](seed=3), opset=21)
    path = quantized(model, tmp_path, weight=weight, is_per_channel=is_per_channel)
    network = imported(path)
    widths = {layer.weights.bits for layer in network.network.layers if layer.is_on_grid and layer.weights is not None}
    assert widths == {4}
    for sample in model.samples(3):
        assert total(differences(network, path, {"x": sample})) == 0


def within_one(model: FloatModel, path: Path, share: float) -> None:
    """Fed with onnxruntime's integers, every layer's outputs are onnxruntime's, but for a share that differ by 1."""
    network = imported(path)
    found = [differences(network, path, {"x": sample}, is_chained=False) for sample in model.samples(3)]
    elements = sum(layer.output.elements for layer in network.network.layers) * len(found)
    assert max(distance for each in found for _, distance in each.values()) <= 1
    assert sum(total(each) for each in found) <= share * elements


@pytest.mark.parametrize("activation", ["QUInt16", "QInt16"])
@pytest.mark.parametrize("maker", MAKERS)
def test_sixteen_bit_activations_differ_by_one_where_onnxruntime_rounds_sums_to_float32(tmp_path, maker, activation) -> None:
    model = replace(MAKERS[maker](seed=3), opset=21)
    within_one(model, quantized(model, tmp_path, activation=activation), share=0.002)


def test_sixteen_bits_may_be_those_of_onnxruntime_s_own_operators(tmp_path) -> None:
    model = vectorial(seed=3)
    path = quantized(model, tmp_path, activation="QInt16", op_types_to_quantize=VECTORIAL_OPERATORS,
                     extra_options={"UseQDQContribOps": True})
    assert "com.microsoft" in {node.domain for node in onnx.load(path).graph.node}
    within_one(model, path, share=0.01)


def test_weights_may_stay_real_with_their_rounding_in_the_model(tmp_path) -> None:
    model = convolutional(seed=5)
    path = quantized(model, tmp_path, extra_options={"AddQDQPairToWeight": True})
    assert any(constant.name == "stem_w" and constant.data_type == onnx.TensorProto.FLOAT
               for constant in onnx.load(path).graph.initializer)
    network = imported(path)
    for sample in model.samples(2):
        assert total(differences(network, path, {"x": sample})) == 0


def test_symmetric_activations_keep_their_clamps(tmp_path) -> None:
    model = convolutional(seed=6)
    path = quantized(model, tmp_path, activation="QInt8", extra_options={"ActivationSymmetric": True})
    network = imported(path)
    kinds = {layer.name: (layer.kind, layer.fused) for layer in network.network.layers}
    assert kinds["stem"] == ("conv", ("relu",))
    assert network.layers["stem"].kernel.clamp_min == int(network.layers["stem"].output.zero_point) == 0
    for sample in model.samples(2):
        assert total(differences(network, path, {"x": sample})) == 0


def test_a_batch_reads_and_writes_as_many_images(tmp_path) -> None:
    model = convolutional(seed=7)
    path = quantized(model, tmp_path)
    network = import_quantized_onnx(path, batch=3)
    assert (network.inputs[0].shape, network.outputs[0].shape) == ((3, 3, 16, 16), (3, 10))
    samples = model.samples(3)
    batched = run_network(network, {"x": np.concatenate(samples)})[network.outputs[0].tensor]
    single = imported(path)
    each = [run_network(single, {"x": sample})[single.outputs[0].tensor] for sample in samples]
    assert np.array_equal(batched, np.concatenate(each))


def test_weights_in_a_file_of_their_own_are_read(tmp_path) -> None:
    model = convolutional(seed=8)
    path = quantized(model, tmp_path)
    proto = onnx.load(path)
    outside = tmp_path / "outside.onnx"
    onnx.save(proto, outside, save_as_external_data=True, location="weights.bin", size_threshold=64)
    inside, network = imported(path), imported(outside)
    for name, numbers in network.layers.items():
        if isinstance(numbers.kernel, GridKernel):
            assert np.array_equal(numbers.kernel.weights, inside.layers[name].kernel.weights)


@pytest.mark.parametrize("name", ["digits_legacy_QDQ_aUInt8_wInt8_pc", "digits_legacy_QOperator_aInt8_wInt8_pc",
                                  "digits_legacy_QOperator_aUInt8_wInt8_pc"])
def test_a_trained_network_gives_the_recorded_integers(name) -> None:
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if not folder:
        pytest.skip("ACCELSIM_TEST_DATA is not set: the trained models are not here")
    models = Path(folder) / "models" / "digits"
    recorded = np.load(models / f"{name}_tensors.npz")
    network = import_quantized_onnx(models / f"{name}.onnx", batch=len(recorded["x"]))
    values = run_network(network, {"x": recorded["x"]})
    for layer in network.network.layers:
        numbers = network.layers[layer.name]
        expected = recorded[numbers.model_output.replace("/", "|")]
        assert np.array_equal(values[layer.output.name].reshape(expected.shape), expected), layer.name
    written = network.outputs[0]
    assert np.array_equal(written.qparams.dequantize(values[written.tensor], dtype=np.float32), recorded["y"])
