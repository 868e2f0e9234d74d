"""Whole networks of many operators, from real numbers to real numbers: every tensor is LiteRT's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork
from tflite_agreement import agreeing_network

from accelsim.numerics.rule import Rule

SAME, VALID = 0, 1
RELU, RELU6 = 1, 3
BIAS = {"int8": "int32", "uint8": "int32", "int16": "int64"}


class Builder(LitertNetwork):
    """A network whose scales follow the sizes of its sums, so that outputs fill their range without saturating."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype, self.rng = dtype, np.random.default_rng(11)
        self.step, self.middle = {"int8": (0.03, -20), "uint8": (0.03, 108), "int16": (0.0003, 0)}[dtype]

    def activation(self, name: str, *shape: int, step: float | None = None, middle: int | None = None) -> int:
        return self.tensor(name, shape, self.dtype, scale=self.step if step is None else step,
                           zero_point=self.middle if middle is None else middle)

    def convolved(self, op: str, source: int, name: str, w: tuple[int, ...], y: tuple[int, ...], *, padding: int = SAME,
                  stride: int = 1, activation: int = RELU6) -> int:
        is_depthwise = op == "DEPTHWISE_CONV_2D"
        channels, k = w[-1 if is_depthwise else 0], np.prod(w[1:3]) * (1 if is_depthwise else w[3])
        s_w = self.rng.uniform(0.5, 1.5, channels) / 75 / np.sqrt(k) if self.dtype != "uint8" else 1 / 75 / np.sqrt(k)
        weights = self.tensor(f"{name}_w", w, "uint8" if self.dtype == "uint8" else "int8", scale=s_w,
                              zero_point=125 if self.dtype == "uint8" else 0, dimension=3 if is_depthwise else 0,
                              data=self.rng.integers(0, 256, w) - (0 if self.dtype == "uint8" else 128))
        bias = self.tensor(f"{name}_b", (channels,), BIAS[self.dtype], scale=self.step * s_w,
                           data=self.rng.integers(-500, 500, channels))
        result = self.activation(name, *y)
        options = {"depthMultiplier": 1} if is_depthwise else {}
        self.operator(op, [source, weights, bias], [result], version=3, padding=padding, strideH=stride, strideW=stride,
                      fusedActivationFunction=activation, **options)
        return result


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_a_residual_network_with_branches_and_views(tmp_path: Path, dtype: str) -> None:
    model = Builder(dtype)
    real = model.tensor("image", (1, 16, 16, 3), "float32")
    x = model.activation("x", 1, 16, 16, 3)
    model.operator("QUANTIZE", [real], [x])
    stem = model.convolved("CONV_2D", x, "stem", (8, 3, 3, 3), (1, 8, 8, 8), stride=2)
    wide = model.convolved("DEPTHWISE_CONV_2D", stem, "wide", (1, 3, 3, 8), (1, 8, 8, 8))
    narrow = model.convolved("CONV_2D", wide, "narrow", (8, 1, 1, 8), (1, 8, 8, 8), activation=0)
    added = model.activation("added", 1, 8, 8, 8)
    model.operator("ADD", [stem, narrow], [added], version=2, potScaleInt16=False, fusedActivationFunction=RELU)
    pooled = model.activation("pooled", 1, 4, 4, 8)
    model.operator("MAX_POOL_2D", [added], [pooled], version=2, padding=VALID, filterHeight=2, filterWidth=2, strideH=2,
                   strideW=2)
    halved = model.convolved("CONV_2D", added, "halved", (8, 3, 3, 8), (1, 4, 4, 8), stride=2)
    joined = model.activation("joined", 1, 4, 4, 16)
    model.operator("CONCATENATION", [pooled, halved], [joined], version=2, axis=3)
    mean = model.activation("mean", 1, 16)
    axes = model.tensor("axes", (2,), "int32", data=[1, 2])
    model.operator("MEAN", [joined, axes], [mean], version=2)
    rows = model.activation("rows", 4, 4)
    model.operator("RESHAPE", [mean, model.tensor("shape", (2,), "int32", data=[4, 4])], [rows], newShape=[4, 4])
    step, middle = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}[dtype]
    chances = model.activation("chances", 4, 4, step=step, middle=middle)
    model.operator("SOFTMAX", [rows], [chances], version=2, beta=1.0)
    out = model.tensor("out", (4, 4), "float32")
    model.operator("DEQUANTIZE", [chances], [out], version=2)
    path = model.save(tmp_path / "m.tflite", [real], [out])
    image = np.random.default_rng(3).normal(0, 1.2, (1, 16, 16, 3)).astype(np.float32)
    network = agreeing_network(path, image)
    assert [layer.name for layer in network.network.layers] == [
        "conv_2d_1", "depthwise_conv_2d_2", "conv_2d_3", "add_4", "max_pool_2d_5", "conv_2d_6", "concatenation_7", "mean_8",
        "softmax_10"]
    assert network.rule == Rule("tflite_int16x8" if dtype == "int16" else "litert_reference")
    assert network.network.layers[0].has_asymmetric_weights == (dtype == "uint8")


def test_attention_of_two_heads(tmp_path: Path) -> None:
    model = LitertNetwork()

    def tensor(name: str, *shape: int, scale: float = 0.04, zero_point: int = -3) -> int:
        return model.tensor(name, shape, scale=scale, zero_point=zero_point)

    x = tensor("x", 1, 6, 16)
    order = model.tensor("order", (4,), "int32", data=[0, 2, 1, 3])
    heads = []
    for name in "qkv":
        w = model.tensor(f"{name}_w", (16, 16), scale=0.004,
                         data=np.random.default_rng(ord(name)).integers(-127, 128, (16, 16)))
        flat, split, turned = tensor(name, 1, 6, 16), tensor(f"{name}_s", 1, 6, 2, 8), tensor(f"{name}_t", 1, 2, 6, 8)
        model.operator("FULLY_CONNECTED", [x, w, -1], [flat], version=6, keepNumDims=True)
        model.operator("RESHAPE", [flat], [split], newShape=[1, 6, 2, 8])
        model.operator("TRANSPOSE", [split, order], [turned], version=2)
        heads.append(turned)
    scores = tensor("scores", 1, 2, 6, 6, scale=0.08)
    model.operator("BATCH_MATMUL", [heads[0], heads[1]], [scores], version=3, adjY=True)
    weights = tensor("weights", 1, 2, 6, 6, scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [scores], [weights], version=2, beta=0.35)
    mixed, turned, y = tensor("mixed", 1, 2, 6, 8), tensor("turned", 1, 6, 2, 8), tensor("y", 1, 6, 16)
    model.operator("BATCH_MATMUL", [weights, heads[2]], [mixed], version=3)
    model.operator("TRANSPOSE", [mixed, order], [turned], version=2)
    model.operator("RESHAPE", [turned], [y], newShape=[1, 6, 16])
    path = model.save(tmp_path / "m.tflite", [x], [y])
    values = np.random.default_rng(8).integers(-128, 128, (1, 6, 16)).astype(np.int8)
    network = agreeing_network(path, values)
    assert network.network.macs == 3 * 6 * 16 * 16 + 2 * (2 * 6 * 6 * 8)
    assert network.outputs[0].tensor == "turned"
