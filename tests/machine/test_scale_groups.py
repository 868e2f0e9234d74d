"""Several weight scales a channel: the machine's integers are those of big integers, in every dataflow, or it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import load_accelerator, simulate
from accelsim.errors import NumericsError, WorkloadError
from accelsim.hardware import with_changes
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.operation import Convolution, MatMul
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork

EDGE = load_accelerator("edge_16x16")
X = QParams(scale=np.float32(0.03), zero_point=77, qtype=QType(8, False))
Y = QParams(scale=np.float32(0.4), zero_point=-5, qtype=QType(8, True))


def matrix_of(rows: int, columns: int) -> Arrangement:
    return Arrangement(shape=(rows, columns), order=(0, 1), batch_rank=0, rows_rank=1)


def scales(channels: int, runs: int, seed: int) -> QParams:
    values = np.random.default_rng([seed, channels, runs]).lognormal(-3, 0.7, (channels, runs)).astype(np.float32)
    return QParams(scale=values, zero_point=0, qtype=QType(4, True), axis=1, group_size=1)


def weights_of(groups: int, n: int, k: int, length: int, seed: int) -> tuple[Any, QParams]:
    integers = np.random.default_rng([seed, groups, n, k]).integers(-8, 8, (groups, n, k)).astype(np.int8)
    found = scales(groups * n, -(-k // length), seed)
    return integers, QParams(scale=found.scale, zero_point=0, qtype=found.qtype, axis=1, group_size=length)


def network_of(layer: Layer, kernel: GridKernel, read: tuple[int, ...], written: tuple[int, ...]) -> QuantizedNetwork:
    layers = {layer.name: QuantizedLayer(kernel, (read,), written, Y)}
    return QuantizedNetwork(Network("one", (layer,), outputs=("y",)), layers,
                            (ModelInput("x", "x", read, X),), (ModelOutput("y", "y", written, Y),), rule=Rule("dyadic"))


def matrix(positions: int = 6, n: int = 5, k: int = 20, length: int = 8, seed: int = 0) -> QuantizedNetwork:
    integers, weight = weights_of(1, n, k, length, seed)
    bias = np.random.default_rng(seed).integers(-3000, 3000, n).astype(np.int32)
    kernel = GridKernel(weights=integers, bias=bias, input=X, weight=weight, output=Y, clamp_min=-128, clamp_max=127,
                        streamed=matrix_of(positions, k), written=matrix_of(positions, n))
    layer = Layer("fc", MatMul(m=positions, k=k, n=n), (Tensor("x", (positions, k), 8),), Tensor("y", (positions, n), 8),
                  weights=Tensor("w", (n, k), 4, is_constant=True), bias=Tensor("b", (n,), 32, is_constant=True),
                  weight_scale_groups=-(-k // length))
    return network_of(layer, kernel, (positions, k), (positions, n))


def convolution(length: int = 2, seed: int = 0) -> QuantizedNetwork:
    """Two groups of 4 channels each, 3x3 windows with borders."""
    integers, weight = weights_of(2, 3, 36, length, seed)
    kernel = GridKernel(weights=integers, bias=None, input=X, weight=weight, output=Y, clamp_min=-128, clamp_max=127)
    operation = Convolution(batch=1, in_channels=8, out_channels=6, in_size=(5, 4), kernel=(3, 3), pads=(1, 1, 1, 1),
                            groups=2)
    layer = Layer("conv", operation, (Tensor("x", (1, 8, 5, 4), 8),), Tensor("y", (1, 6, 5, 4), 8),
                  weights=Tensor("w", (6, 4, 3, 3), 4, is_constant=True), weight_scale_groups=36 // length)
    return network_of(layer, kernel, (1, 8, 5, 4), (1, 6, 5, 4))


# The same in Python's integers, from the definition ------------------------------------------------------------------------


def rounded(value: int, scale: float) -> int:
    """HAWQ-V3's dyadic number of the scale, times the value, ties to even."""
    fraction, exponent = math.frexp(scale)
    multiplier, shift = math.floor(Fraction(fraction) * 2**31 + Fraction(1, 2)), 31 - exponent
    whole, rest = divmod(value * multiplier, 1 << shift)
    half = 1 << (shift - 1)
    return whole + (rest > half or (rest == half and whole % 2 == 1))


def expected(kernel: GridKernel, channel: int, row: list[int]) -> int:
    """One output: `row` holds the inputs less their zero point."""
    assert kernel.weights is not None
    assert kernel.weight.group_size is not None
    own = kernel.weights.reshape(-1, kernel.weights.shape[2])[channel].tolist()
    scale, length = kernel.weight.scale[channel], kernel.weight.group_size
    largest = float(scale.max())
    total = int(kernel.bias[channel]) if kernel.bias is not None else 0
    for run, first in enumerate(range(0, len(own), length)):
        products = (a * b for a, b in zip(row[first:first + length], own[first:first + length], strict=True))
        total += rounded(sum(products), float(scale[run]) / largest)
    unit = float(np.float32(X.scale) * np.float32(largest)) / float(np.float32(Y.scale))
    return min(max(rounded(total, unit) - 5, -128), 127)


def windows(image: Any, group: int) -> list[list[int]]:
    """Rows of K = (r, s, c) of one group's inputs less their zero point; 0 outside the image."""
    padded = np.pad(image[0, 4 * group:4 * group + 4].astype(int) - 77, ((0, 0), (1, 1), (1, 1)))
    return [padded[:, p:p + 3, q:q + 3].transpose(1, 2, 0).ravel().tolist() for p in range(5) for q in range(4)]


CHANGES = {
    "weight stationary": {"pe_grid.zero_points": "subtract"},
    "folded zero points": {"pe_grid.zero_points": "fold_into_bias"},
    "output stationary": {"pe_grid.dataflow": "output_stationary"},
    "input stationary": {"pe_grid.dataflow": "input_stationary"},
    "dot product": {"pe_grid.dataflow": "dot_product"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_matrices_and_convolutions_are_those_of_big_integers(name: str) -> None:
    machine = with_changes(EDGE, {"requantizer.scheme": "dyadic", **CHANGES[name]})
    for seed in range(3):
        network = matrix(seed=seed)
        kernel = network.layers["fc"].kernel
        assert isinstance(kernel, GridKernel)
        x = np.random.default_rng(seed).integers(0, 256, (6, 20)).astype(np.uint8)
        rows = (x.astype(int) - 77).tolist()
        result = simulate(machine, network, inputs={"x": x})
        assert result.outputs["y"][0].tolist() == [[expected(kernel, channel, row) for channel in range(5)] for row in rows]
        network = convolution(length=(1, 2, 4)[seed], seed=seed)
        kernel = network.layers["conv"].kernel
        assert isinstance(kernel, GridKernel)
        image = np.random.default_rng(seed).integers(0, 256, (1, 8, 5, 4)).astype(np.uint8)
        found = simulate(machine, network, inputs={"x": image}).outputs["y"][0].reshape(6, 20).tolist()
        assert found == [[expected(kernel, channel, row) for row in windows(image, channel // 3)] for channel in range(6)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(0, 1000))
def test_any_length_of_runs(k: int, length: int, n: int, seed: int) -> None:
    network = matrix(positions=3, n=n, k=k, length=length, seed=seed)
    kernel = network.layers["fc"].kernel
    assert isinstance(kernel, GridKernel)
    x = np.random.default_rng(seed).integers(0, 256, (3, k)).astype(np.uint8)
    outputs = simulate(EDGE, network, inputs={"x": x}, rounding="model").outputs["y"][0]
    assert outputs.tolist() == [[expected(kernel, channel, row) for channel in range(n)]
                                for row in (x.astype(int) - 77).tolist()]


def test_time_does_not_depend_on_the_integers_and_widths_are_told() -> None:
    network = matrix()
    x = np.random.default_rng(1).integers(0, 256, (6, 20)).astype(np.uint8)
    carried, alone = simulate(EDGE, network, inputs={"x": x}), simulate(EDGE, network.network)
    assert carried.total_cycles == alone.total_cycles
    values = carried.layers[0].values
    assert values is not None
    # The largest sum of a run: 8 weights of at most 8 by inputs of at most 178 have 14 bits and a sign.
    assert 12 <= values.widths.running_bits <= values.widths.worst_case_bits <= 16
    assert values.is_proven
    assert values.overflows.outputs == 30


@pytest.mark.parametrize(("options", "changes", "problem"), [
    ({"trial_bits": [12]}, {}, "fc: expected one scale a channel for a run that looks at single accumulators (the stepped "
                               "engine, widths to be tried), got several"),
    ({"engine": "stepped"}, {}, "fc: expected one scale a channel for a run that looks at single accumulators (the stepped "
                                "engine, widths to be tried), got several"),
    ({}, {"accumulators.bits": 13}, "fc: expected registers of 16 bits, in which the sums of several scales a channel "
                                    "cannot overflow, got 13"),
    ({}, {"requantizer.scheme": "power_of_two"}, "fc: scale: expected a power of two, got "),
])
def test_what_is_not_simulated_is_refused(options: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    x = np.zeros((6, 20), np.uint8)
    with pytest.raises(NumericsError) as caught:
        simulate(with_changes(EDGE, changes), matrix(), inputs={"x": x}, **options)
    assert str(caught.value).startswith(problem)


def test_scales_and_layer_must_agree() -> None:
    network = matrix()
    layer = replace(network.network.layers[0], weight_scale_groups=2)
    with pytest.raises(WorkloadError) as caught:
        replace(network, network=Network("one", (layer,), outputs=("y",)))
    assert str(caught.value) == "fc: expected 2 weight scales a channel, got 3"
    kernel = network.layers["fc"].kernel
    assert isinstance(kernel, GridKernel)
    with pytest.raises(NumericsError) as wrong:
        replace(kernel, weight=QParams(scale=np.ones((5, 2)), zero_point=0, qtype=QType(4, True), axis=1, group_size=8))
    assert str(wrong.value) == "scale: expected scales of runs of 8 of 20 reduction steps, got shape (5, 2)"
    with pytest.raises(NumericsError) as points:
        replace(kernel, weight=QParams(scale=np.ones((5, 3)), zero_point=1, qtype=QType(4, True), axis=1, group_size=8))
    assert str(points.value) == "zero_point: expected zero point 0 for weights with several scales a channel, got 1"
