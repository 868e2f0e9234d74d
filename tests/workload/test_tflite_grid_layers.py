"""Convolutions and matrix products of TFLite models: the integers that LiteRT's reference kernels compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork
from tflite_agreement import agreeing_network

from accelsim.numerics.rule import Rule
from accelsim.workload.operation import Convolution, MatMul
from accelsim.workload.quantized_network import QuantizedNetwork

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
BIAS = {"int8": "int32", "uint8": "int32", "int16": "int64"}
POINTS = {"int8": (3, -5), "uint8": (120, 131), "int16": (0, 0)}


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "int4":
        return rng.integers(-8, 8, shape)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def save_convolution(path: Path, op: str, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], *, dtype: str = "int8",
                     weights: str = "", bias: str | None = "", per_channel: bool = True, **options: int) -> np.ndarray:
    """Writes a model of one convolution with random integers and scales; returns a random input."""
    rng = np.random.default_rng(len(str((op, x, w, dtype, weights, bias, per_channel, sorted(options.items())))))
    model = LitertNetwork()
    weight_type = weights or ("uint8" if dtype == "uint8" else "int8")
    dimension = 3 if op == "DEPTHWISE_CONV_2D" else 0
    channels = w[dimension]
    s_in = 0.02 if dtype != "int16" else 0.0003
    s_w = rng.uniform(0.004, 0.02, channels) if per_channel else 0.013
    spread = np.sqrt(np.prod(w) / channels) * (0.5 if weight_type == "int4" else 7)
    source = model.tensor("x", x, dtype, scale=s_in, zero_point=POINTS[dtype][0])
    constants = model.tensor("w", w, weight_type, scale=s_w, zero_point=117 if dtype == "uint8" else 0,
                             data=integers(rng, w, weight_type), dimension=dimension)
    out = model.tensor("y", y, dtype, scale=float(spread * s_in * np.mean(s_w) * 13), zero_point=POINTS[dtype][1])
    inputs = [source, constants]
    if op == "TRANSPOSE_CONV":
        inputs = [model.tensor("shape", [4], "int32", data=list(y)), constants, source]
    if bias is not None:
        addend = model.tensor("b", [channels], bias or BIAS[dtype], scale=s_in * s_w,
                              data=rng.integers(-3000, 3000, channels))
        inputs.append(addend)
    model.operator(op, inputs, [out], version=3, **options)
    model.save(path, [source], [out])
    return integers(rng, x, dtype)


def operation_of(network: QuantizedNetwork) -> Convolution:
    operation = network.network.layers[0].operation
    assert isinstance(operation, Convolution)
    return operation


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("fused", [NONE, RELU, RELU_N1_TO_1, RELU6])
def test_a_convolution_with_each_type_and_activation(tmp_path: Path, dtype: str, fused: int) -> None:
    x = save_convolution(tmp_path / "m.tflite", "CONV_2D", (1, 7, 9, 5), (6, 3, 2, 5), (1, 4, 5, 6), dtype=dtype,
                         per_channel=dtype != "uint8", padding=SAME, strideH=2, strideW=2, fusedActivationFunction=fused)
    network = agreeing_network(tmp_path / "m.tflite", x)
    words = {NONE: (), RELU: ("relu",), RELU_N1_TO_1: ("clip",), RELU6: ("relu6",)}[fused]
    assert network.network.layers[0].fused == words
    assert network.rule == Rule("tflite_int16x8" if dtype == "int16" else "litert_reference")
    assert network.runtime == "litert"


@pytest.mark.parametrize(
    ("x", "w", "y", "options"),
    [
        ((1, 8, 8, 3), (4, 3, 3, 3), (1, 8, 8, 4), {"padding": SAME, "strideH": 1, "strideW": 1}),
        ((1, 8, 9, 3), (4, 3, 2, 3), (1, 6, 8, 4), {"padding": VALID, "strideH": 1, "strideW": 1}),
        ((1, 8, 9, 3), (4, 3, 2, 3), (1, 3, 3, 4), {"padding": VALID, "strideH": 2, "strideW": 3}),
        ((1, 12, 11, 3), (4, 3, 3, 3), (1, 6, 4, 4), {"padding": SAME, "strideH": 2, "strideW": 3}),
        ((1, 12, 11, 2), (3, 3, 3, 2), (1, 12, 11, 3),
         {"padding": SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 2, "dilationWFactor": 3}),
        ((1, 12, 11, 2), (3, 3, 3, 2), (1, 8, 5, 3),
         {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 2, "dilationWFactor": 3}),
        ((1, 5, 5, 6), (8, 3, 3, 3), (1, 5, 5, 8), {"padding": SAME, "strideH": 1, "strideW": 1}),
        ((2, 5, 5, 6), (6, 1, 1, 2), (2, 5, 5, 6), {"padding": VALID, "strideH": 1, "strideW": 1}),
        ((1, 6, 6, 1), (4, 1, 1, 1), (1, 2, 2, 4), {"padding": SAME, "strideH": 4, "strideW": 3}),
    ],
    ids=["same", "valid", "strides", "same_strides", "dilated_same", "dilated_valid", "grouped", "grouped_batch", "gaps"],
)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_convolutions_of_every_geometry(tmp_path: Path, dtype: str, x: tuple[int, ...], w: tuple[int, ...],
                                        y: tuple[int, ...], options: dict[str, int]) -> None:
    values = save_convolution(tmp_path / "m.tflite", "CONV_2D", x, w, y, dtype=dtype, **options)
    operation = operation_of(agreeing_network(tmp_path / "m.tflite", values))
    assert operation.groups == x[3] // w[3]
    assert operation.out_shape == (y[0], y[3], y[1], y[2])


@pytest.mark.parametrize(
    ("x", "w", "y", "options"),
    [
        ((1, 8, 8, 4), (1, 3, 3, 4), (1, 8, 8, 4), {"padding": SAME, "strideH": 1, "strideW": 1, "depthMultiplier": 1}),
        ((1, 9, 8, 4), (1, 3, 2, 12), (1, 4, 4, 12), {"padding": VALID, "strideH": 2, "strideW": 2, "depthMultiplier": 3}),
        ((1, 9, 8, 1), (1, 3, 3, 5), (1, 9, 8, 5), {"padding": SAME, "strideH": 1, "strideW": 1, "depthMultiplier": 5}),
        ((1, 9, 8, 2), (1, 3, 3, 4), (1, 9, 8, 4),
         {"padding": SAME, "strideH": 1, "strideW": 1, "depthMultiplier": 2, "dilationHFactor": 2, "dilationWFactor": 3}),
    ],
    ids=["one", "multiplier", "one_channel", "dilated"],
)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_depthwise_convolutions(tmp_path: Path, dtype: str, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...],
                                options: dict[str, int]) -> None:
    values = save_convolution(tmp_path / "m.tflite", "DEPTHWISE_CONV_2D", x, w, y, dtype=dtype,
                              per_channel=dtype != "uint8", fusedActivationFunction=RELU6, **options)
    network = agreeing_network(tmp_path / "m.tflite", values)
    assert operation_of(network).groups == x[3]
    assert network.network.layers[0].kind == ("depthwise" if x[3] > 1 else "conv")


@pytest.mark.parametrize(
    ("x", "w", "y", "options"),
    [
        ((1, 4, 5, 3), (6, 3, 3, 3), (1, 8, 10, 6), {"padding": SAME, "strideH": 2, "strideW": 2}),
        ((1, 4, 5, 3), (6, 3, 2, 3), (1, 9, 10, 6), {"padding": VALID, "strideH": 2, "strideW": 2}),
        ((1, 4, 5, 3), (6, 4, 3, 3), (1, 4, 5, 6), {"padding": SAME, "strideH": 1, "strideW": 1}),
        ((1, 4, 5, 3), (6, 2, 2, 3), (1, 13, 15, 6), {"padding": VALID, "strideH": 3, "strideW": 3}),
        ((1, 4, 4, 2), (2, 5, 5, 2), (1, 7, 7, 2), {"padding": SAME, "strideH": 2, "strideW": 2}),
        ((1, 3, 3, 2), (2, 2, 2, 2), (1, 9, 9, 2), {"padding": SAME, "strideH": 3, "strideW": 3}),
    ],
    ids=["same", "valid", "stride_1", "beyond", "odd", "gaps"],
)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_transposed_convolutions(tmp_path: Path, dtype: str, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...],
                                 options: dict[str, int]) -> None:
    values = save_convolution(tmp_path / "m.tflite", "TRANSPOSE_CONV", x, w, y, dtype=dtype, per_channel=dtype != "uint8",
                              **options)
    operation = operation_of(agreeing_network(tmp_path / "m.tflite", values))
    assert operation.is_transposed
    assert operation.out_shape == (y[0], y[3], y[1], y[2])


@pytest.mark.parametrize("op", ["CONV_2D", "TRANSPOSE_CONV"])
def test_int16_with_biases_of_32_bits_has_the_rule_of_32_bits(tmp_path: Path, op: str) -> None:
    x = save_convolution(tmp_path / "m.tflite", op, (1, 6, 6, 3), (4, 3, 3, 3), (1, 6, 6, 4), dtype="int16", bias="int32",
                         padding=SAME, strideH=1, strideW=1, quantizedBiasType=2)
    assert agreeing_network(tmp_path / "m.tflite", x).rule == Rule("litert_reference")


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("op", ["CONV_2D", "TRANSPOSE_CONV"])
def test_one_scale_for_all_channels(tmp_path: Path, op: str, dtype: str) -> None:
    x = save_convolution(tmp_path / "m.tflite", op, (1, 6, 6, 3), (4, 3, 3, 3), (1, 6, 6, 4), dtype=dtype,
                         per_channel=False, padding=SAME, strideH=1, strideW=1)
    kernel = agreeing_network(tmp_path / "m.tflite", x).layers[f"{op.lower()}_0"].kernel
    assert kernel.weight.axis is None


@pytest.mark.parametrize(("op", "w"), [("CONV_2D", (4, 3, 3, 3)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 3))])
def test_weights_of_4_bits(tmp_path: Path, op: str, w: tuple[int, ...]) -> None:
    channels = max(w[0], 3)
    x = save_convolution(tmp_path / "m.tflite", op, (1, 6, 6, 3), w, (1, 6, 6, channels), weights="int4", padding=SAME,
                         strideH=1, strideW=1, **({"depthMultiplier": 1} if op[0] == "D" else {}))
    network = agreeing_network(tmp_path / "m.tflite", x)
    assert network.network.layers[0].weight_bits == 4


def test_a_transposed_convolution_without_biases(tmp_path: Path) -> None:
    x = save_convolution(tmp_path / "m.tflite", "TRANSPOSE_CONV", (1, 4, 5, 3), (6, 3, 3, 3), (1, 8, 10, 6), bias=None,
                         padding=SAME, strideH=2, strideW=2)
    network = agreeing_network(tmp_path / "m.tflite", x)
    assert network.network.layers[0].bias is None
    assert network.layers["transpose_conv_0"].kernel.bias is None


def save_fully_connected(path: Path, x: tuple[int, ...], w: tuple[int, int], y: tuple[int, ...], *, dtype: str = "int8",
                         weights: str = "int8", per_channel: bool = False, has_bias: bool = True, weight_zero_point: int = 0,
                         **options: object) -> np.ndarray:
    rng = np.random.default_rng(5)
    model = LitertNetwork()
    s_w = rng.uniform(0.004, 0.02, w[0]) if per_channel else 0.0131
    source = model.tensor("x", x, dtype, scale=0.021, zero_point=POINTS[dtype][0])
    constants = model.tensor("w", w, weights, scale=s_w, zero_point=weight_zero_point, data=integers(rng, w, weights))
    out = model.tensor("y", y, dtype, scale=0.021 * np.sqrt(w[1]), zero_point=POINTS[dtype][1])
    inputs = [source, constants]
    if has_bias:
        inputs.append(model.tensor("b", [w[0]], BIAS[dtype], scale=0.021 * s_w, data=rng.integers(-3000, 3000, w[0])))
    model.operator("FULLY_CONNECTED", inputs, [out], version=11, **options)
    model.save(path, [source], [out])
    return integers(rng, x, dtype)


@pytest.mark.parametrize(
    ("x", "y", "keeps"),
    [((1, 24), (1, 7), False), ((5, 24), (5, 7), False), ((1, 3, 4, 24), (12, 7), False), ((2, 12), (1, 7), False),
     ((1, 3, 4, 24), (1, 3, 4, 7), True)],
)
@pytest.mark.parametrize("has_bias", [True, False])
def test_fully_connected_layers(tmp_path: Path, x: tuple[int, ...], y: tuple[int, ...], keeps: bool, has_bias: bool) -> None:
    values = save_fully_connected(tmp_path / "m.tflite", x, (7, 24), y, has_bias=has_bias, keepNumDims=keeps,
                                  fusedActivationFunction=RELU)
    network = agreeing_network(tmp_path / "m.tflite", values)
    assert network.network.layers[0].operation == MatMul(m=int(np.prod(x)) // 24, k=24, n=7)
    assert network.layers["fully_connected_0"].kernel.operator == "fully_connected"


@pytest.mark.parametrize(
    ("dtype", "weights", "per_channel", "point"),
    [("uint8", "uint8", False, 117), ("int8", "int8", True, 0), ("int8", "int8", False, 9), ("int8", "int4", False, 0)],
)
def test_fully_connected_weights_of_every_kind(tmp_path: Path, dtype: str, weights: str, per_channel: bool,
                                               point: int) -> None:
    values = save_fully_connected(tmp_path / "m.tflite", (3, 24), (7, 24), (3, 7), dtype=dtype, weights=weights,
                                  per_channel=per_channel, weight_zero_point=point)
    network = agreeing_network(tmp_path / "m.tflite", values)
    assert network.layers["fully_connected_0"].kernel.has_asymmetric_weights == bool(point)
    assert network.network.layers[0].has_asymmetric_weights == bool(point)


def test_a_fully_connected_layer_of_two_activations(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = LitertNetwork()
    x = model.tensor("x", (4, 12), scale=0.02, zero_point=3)
    w = model.tensor("w", (5, 12), scale=0.013)
    y = model.tensor("y", (4, 5), scale=0.1, zero_point=-4)
    model.operator("FULLY_CONNECTED", [x, w], [y], version=4)
    path = model.save(tmp_path / "m.tflite", [x, w], [y])
    network = agreeing_network(path, integers(rng, (4, 12), "int8"), integers(rng, (5, 12), "int8"))
    assert network.network.layers[0].operation == MatMul(m=4, k=12, n=5, has_activation_weights=True)


def save_product(path: Path, x: tuple[int, ...], y: tuple[int, ...], out: tuple[int, ...], *, dtype: str = "int8",
                 constant: str = "", adj_x: bool = False, adj_y: bool = False) -> list[np.ndarray]:
    """Writes a BATCH_MATMUL, "x" or "y" constant; returns its inputs."""
    rng = np.random.default_rng(9)
    model = LitertNetwork()
    values = {"x": integers(rng, x, dtype), "y": integers(rng, y, dtype)}
    points = (0, 0, 0) if dtype == "int16" else (3, -7, 5)
    numbers = {name: model.tensor(name, shape, dtype, scale=scale, zero_point=point,
                                  data=values[name] if name == constant else None)
               for name, shape, scale, point in (("x", x, 0.021, points[0]), ("y", y, 0.0172, points[1]))}
    size = 40 if dtype == "int8" else 9000
    result = model.tensor("out", out, dtype, scale=0.021 * 0.0172 * size * np.sqrt(x[-2 if adj_x else -1]),
                          zero_point=points[2])
    model.operator("BATCH_MATMUL", [numbers["x"], numbers["y"]], [result], version=4, adjX=adj_x, adjY=adj_y)
    given = [name for name in ("x", "y") if name != constant]
    model.save(path, [numbers[name] for name in given], [result])
    return [values[name] for name in given]


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("constant", ["", "x", "y"])
@pytest.mark.parametrize("adj_x", [False, True])
@pytest.mark.parametrize("adj_y", [False, True])
def test_batched_products_of_activations_and_constants(tmp_path: Path, dtype: str, constant: str, adj_x: bool,
                                                       adj_y: bool) -> None:
    x, y = ((2, 3, 6, 4) if adj_x else (2, 3, 4, 6)), ((2, 3, 5, 6) if adj_y else (2, 3, 6, 5))
    values = save_product(tmp_path / "m.tflite", x, y, (2, 3, 4, 5), dtype=dtype, constant=constant, adj_x=adj_x,
                          adj_y=adj_y)
    network = agreeing_network(tmp_path / "m.tflite", *values)
    m, n = (5, 4) if constant == "x" else (4, 5)
    assert network.network.layers[0].operation == MatMul(m=m, k=6, n=n, batch=6, has_activation_weights=not constant)


@pytest.mark.parametrize(
    ("x", "y", "out", "sizes"),
    [
        ((2, 3, 4, 6), (6, 5), (2, 3, 4, 5), (1, 24, 5)),
        ((2, 3, 4, 6), (2, 1, 6, 5), (2, 3, 4, 5), (2, 12, 5)),
        ((2, 3, 4, 6), (1, 3, 6, 5), (2, 3, 4, 5), (3, 8, 5)),
        ((4, 6), (2, 3, 6, 5), (2, 3, 4, 5), (1, 30, 4)),
        ((1, 3, 4, 6), (2, 3, 6, 5), (2, 3, 4, 5), (3, 10, 4)),
    ],
)
def test_batches_that_broadcast_become_positions(tmp_path: Path, x: tuple[int, ...], y: tuple[int, ...],
                                                 out: tuple[int, ...], sizes: tuple[int, int, int]) -> None:
    values = save_product(tmp_path / "m.tflite", x, y, out)
    operation = agreeing_network(tmp_path / "m.tflite", *values).network.layers[0].operation
    batch, m, n = sizes
    assert operation == MatMul(m=m, k=6, n=n, batch=batch, has_activation_weights=True)
