"""Quantized ONNX models: onnxruntime's QDQ, QOperator and dynamic forms, int4 weights, packed weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.workload import Network, import_onnx

node = helper.make_node


@pytest.fixture
def float_model(save_model) -> Path:
    """Convolution, depthwise convolution, residual addition, pooling, a fully connected layer and a softmax."""
    random = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", pads=[1, 1, 1, 1], group=8),
        node("Add", ["c2", "r1"], ["s"], name="sum"),
        node("MaxPool", ["s"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "flat"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["y"], name="fc"),
    ]
    constants = {"w1": normal(8, 3, 3, 3), "b1": normal(8), "w2": normal(8, 1, 3, 3), "b2": normal(8),
                 "flat": np.array([-1, 128]), "w3": normal(128, 10), "b3": normal(10)}
    return save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants, name="float.onnx")


class Calibration:
    """Eight random images."""

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        self._images = iter([{"x": random.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(8)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._images, None)


def quantized(model: Path, form: str) -> Path:
    quantization = pytest.importorskip("onnxruntime.quantization")
    written = model.with_name(f"{form}.onnx")
    quantization.quantize_static(
        model, written, Calibration(), quant_format=quantization.QuantFormat[form], per_channel=True,
        weight_type=quantization.QuantType.QInt8)
    return written


def macs(network: Network) -> dict[str, int]:
    return {layer.name.removesuffix("_quant"): layer.macs for layer in network.layers}


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_static_quantization_keeps_layers_and_macs_and_gives_them_eight_bits(float_model: Path, form: str) -> None:
    network = import_onnx(quantized(float_model, form), weight_bits=2, input_bits=3)
    assert macs(network) == macs(import_onnx(float_model))
    assert {tensor.bits for layer in network.layers for tensor in (*layer.inputs, layer.output)} == {8}
    assert {layer.weights.bits for layer in network.layers if layer.weights is not None} == {8}
    assert [layer.bias.elements for layer in network.layers if layer.bias is not None] == [8, 8, 10]
    assert {layer.bias.bits for layer in network.layers if layer.bias is not None} == {32}
    assert network.unsupported == {}


def test_dynamic_quantization_keeps_the_macs(float_model: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    written = float_model.with_name("dynamic.onnx")
    quantization.quantize_dynamic(float_model, written)
    network = import_onnx(written)
    assert network.macs == import_onnx(float_model).macs
    assert network.unsupported == {}
    # The scales, which are products of computed and constant scalars, fold into the requantization.
    assert {layer.kind for layer in network.layers} == {
        "conv", "depthwise", "matmul", "activation", "elementwise", "pooling"}


def qdq_convolution(weights: onnx.TensorProto, activation_type: int) -> tuple[list, dict]:
    """x -> Q -> DQ -> Conv(DQ(weights)) -> Relu -> Q -> DQ."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("DequantizeLinear", ["w", "s"], ["wd"]),
        node("Conv", ["xd", "wd"], ["c"], name="conv"),
        node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        node("DequantizeLinear", ["cq", "s", "z"], ["cd"]),
        node("Relu", ["cd"], ["r"]),
        node("QuantizeLinear", ["r", "s", "z"], ["rq"]),
        node("DequantizeLinear", ["rq", "s", "z"], ["y"]),
    ]
    zero = helper.make_tensor("z", activation_type, [], [0])
    return nodes, {"s": np.array(0.1, np.float32), "z": zero, "w": weights}


@pytest.mark.parametrize(("weight_type", "weight_bits"), [(TensorProto.INT4, 4), (TensorProto.UINT4, 4),
                                                          (TensorProto.INT8, 8), (TensorProto.INT16, 16)])
@pytest.mark.parametrize(("activation_type", "input_bits"), [(TensorProto.UINT8, 8), (TensorProto.INT16, 16),
                                                             (TensorProto.INT4, 4)])
def test_widths_follow_the_element_types_of_the_model(
    save_model, weight_type, weight_bits, activation_type, input_bits
) -> None:
    weights = helper.make_tensor("w", weight_type, [4, 3, 2, 2], [1] * 48)
    nodes, constants = qdq_convolution(weights, activation_type)
    (layer,) = import_onnx(save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants)).layers
    assert (layer.weights.name, layer.weight_bits, layer.input_bits, layer.output.bits) == (
        "w", weight_bits, input_bits, input_bits)
    assert (layer.fused, layer.output.name) == (("relu",), "r")


def test_batch_normalization_behind_a_rounding_does_not_fold(save_model) -> None:
    nodes, constants = qdq_convolution(numpy_helper.from_array(np.ones((4, 3, 2, 2), np.int8), "w"), TensorProto.INT8)
    nodes[6] = node("BatchNormalization", ["cd", *"gbmv"], ["r"])
    constants |= {name: np.ones(4, np.float32) for name in "gbmv"}
    network = import_onnx(save_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants))
    assert [layer.kind for layer in network.layers] == ["conv", "normalization"]


def test_packed_weights_have_the_shape_and_width_that_the_attributes_state(save_model) -> None:
    nodes = [node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=64, N=24, bits=4, block_size=32)]
    constants = {"w": np.zeros((24, 2, 16), np.uint8), "s": np.ones(48, np.float32)}
    (layer,) = import_onnx(save_model(nodes, {"x": [5, 64]}, ["y"], constants)).layers
    assert (layer.macs, layer.weights.shape, layer.weight_bits) == (5 * 64 * 24, (64, 24), 4)


@pytest.mark.parametrize(("operator", "inputs", "kind"), [
    ("QLinearAdd", ["x", "s", "z", "x", "s", "z", "s", "z"], "elementwise"),
    ("QLinearSigmoid", ["x", "s", "z", "s", "z"], "activation"),
    ("QLinearGlobalAveragePool", ["x", "s", "z", "s", "z"], "pooling"),
    ("QLinearConcat", ["s", "z", "x", "s", "z", "x", "s", "z"], "move"),
    ("QLinearReduceMean", ["x", "s", "z", "s", "z"], "reduction"),
])
def test_operators_of_onnxruntime_run_on_the_vector_unit(save_model, operator, inputs, kind) -> None:
    attributes = {"QLinearConcat": {"axis": 1}, "QLinearReduceMean": {"axes": [2, 3], "keepdims": 1}}
    nodes = [node(operator, inputs, ["y"], domain="com.microsoft", **attributes.get(operator, {}))]
    constants = {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8)}
    path = save_model(nodes, {"x": [1, 4, 8, 8]}, ["y"], constants, input_type=TensorProto.UINT8)
    (layer,) = import_onnx(path, input_bits=16).layers
    assert (layer.kind, layer.input_bits, layer.output.bits) == (kind, 8, 8)


@pytest.mark.parametrize(
    "name", ["digits_float", "digits_legacy_QDQ_aUInt8_wInt8_pc", "digits_legacy_QOperator_aInt8_wInt8_pc"])
def test_trained_network_has_one_count_in_all_its_forms(name: str) -> None:
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if not folder:
        pytest.skip("ACCELSIM_TEST_DATA is not set: the trained models are not here")
    network = import_onnx(Path(folder) / "models" / "digits" / f"{name}.onnx", batch=1)
    # By hand: 16 3x3 filters, 16 depthwise ones and 32 1x1 ones on 8 x 8; 32 3x3 filters on 4 x 4; 512 to 10.
    assert [layer.macs for layer in network.layers if layer.is_on_grid] == [
        64 * 16 * 9, 64 * 16 * 9, 64 * 32 * 16, 16 * 32 * 32 * 9, 5120]
