"""Layers: their kind, and which operand is which."""

from __future__ import annotations

import pytest

from accelsim.workload import Convolution, Layer, MatMul, Pooling, Tensor

IMAGE = Tensor("x", (1, 4, 8, 8), 8)
OUTPUT = Tensor("y", (1, 4, 8, 8), 8)


def convolution(**changes: object) -> Convolution:
    return Convolution(batch=1, in_channels=4, out_channels=4, in_size=(8, 8), kernel=(1, 1), **changes)


@pytest.mark.parametrize(("operation", "kind"), [
    (convolution(), "conv"), (convolution(groups=2), "conv"), (convolution(groups=4), "depthwise"),
    (convolution(is_transposed=True), "conv_transpose"), (Pooling("max", (1, 4, 8, 8), window=(1, 1)), "pooling"),
])
def test_kind(operation, kind: str) -> None:
    layer = Layer("a", operation, (IMAGE,), OUTPUT)
    assert (layer.kind, layer.is_on_grid) == (kind, kind != "pooling")


def test_second_activation_plays_the_weights() -> None:
    keys = Tensor("k", (2, 8), 4)
    layer = Layer("scores", MatMul(m=2, k=8, n=2, has_activation_weights=True), (Tensor("q", (2, 8), 8), keys), OUTPUT)
    assert (layer.stationary, layer.weight_bits, layer.input_bits, layer.macs) == (keys, 4, 8, 32)
