"""Layers: their kind, and which operand is which."""

from __future__ import annotations

import pytest

from accelsim.errors import WorkloadError
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


def fully_connected(**flags: object) -> Layer:
    return Layer("fc", MatMul(m=2, k=10, n=4), (Tensor("x", (2, 10), 8),), Tensor("y", (2, 4), 8), **flags)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 5, 10])
def test_scale_groups_cut_the_reduction_into_equal_runs_and_a_rest(groups: int) -> None:
    assert fully_connected(weight_scale_groups=groups).weight_scale_groups == groups


@pytest.mark.parametrize("groups", [0, 6, 7, 11])  # runs of two make five groups, never six
def test_other_numbers_of_scale_groups_are_refused(groups: int) -> None:
    with pytest.raises(WorkloadError) as caught:
        fully_connected(weight_scale_groups=groups)
    assert str(caught.value) == (
        f"fc: expected weight_scale_groups that cut 10 reduction steps into equal runs and a rest, got {groups}")


@pytest.mark.parametrize(("field", "value"), [
    ("has_asymmetric_weights", True), ("has_dynamic_range", True), ("weight_scale_groups", 2)])
def test_quantization_of_weights_and_accumulators_is_for_matrix_products_alone(field: str, value: object) -> None:
    with pytest.raises(WorkloadError) as caught:
        Layer("pool", Pooling("max", (1, 4, 8, 8), window=(1, 1)), (IMAGE,), OUTPUT, **{field: value})
    assert str(caught.value) == f"pool: expected no {field} for a layer without a matrix product, got pooling"
