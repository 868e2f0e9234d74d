"""Roundings by name in a whole network: what looks at data leaves less error behind than rounding to nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import convolutional, node, transformer, write_graph
from saved_networks import saved_tensors

from accelsim.errors import WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.quantization.bit_policy import BitPolicy, WeightRule, parse_bit_policy
from accelsim.quantization.error_measures import sqnr_db
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.rounding_method import ROUNDING_METHODS, AdaRound
from accelsim.quantization.weight_rounding import WEIGHT_ROUNDINGS
from accelsim.workload.onnx.values import import_quantized_onnx

DATA_ROUNDINGS: list[Any] = [{"name": "adaround", "iterations": 100, "rows": 512},
                             {"name": "adaquant", "iterations": 100, "rows": 512}, {"name": "second_order", "rows": 1024}]
NETWORKS = {"convolutional": convolutional, "transformer": transformer}


def policy(rounding: Any, bits: int = 4, **rule: Any) -> BitPolicy:
    return BitPolicy(weights=WeightRule(bits=bits, rounding=rounding, **rule))


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FloatModel, Any]:
    """A float network and samples to calibrate on."""
    drawn = NETWORKS[request.param]()
    drawn.save(tmp_path / "net.onnx")
    return FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(24))


def output_sqnr(model: FloatModel, quantized: Any, seed: int = 99) -> float:
    """Of the last tensor with a grid, on other samples."""
    random = np.random.default_rng(seed)
    tensor = next(layer.activated for layer in reversed(quantized.model.layers))
    real, found = [], []
    for _ in range(8):
        sample = {"x": random.normal(size=model.sizes["x"]).astype(np.float32)}
        real.append(quantized.model.run(sample, [tensor])[tensor])
        found.append(saved_tensors(quantized, sample)[tensor])
    return sqnr_db(np.stack(real), np.stack(found))


@pytest.mark.parametrize("rounding", DATA_ROUNDINGS, ids=str)
def test_roundings_that_look_at_data_leave_less_error_at_the_output(network: tuple[FloatModel, Any], rounding: Any) -> None:
    model, data = network
    plain = output_sqnr(model, quantize(model, data, policy("nearest")))
    assert output_sqnr(model, quantize(model, data, policy(rounding))) > plain + 0.5


@pytest.mark.parametrize("rounding", [*DATA_ROUNDINGS, {"name": "stochastic", "seed": 5}], ids=str)
def test_the_same_seed_gives_the_same_file_and_the_file_the_same_integers(rounding: Any, tmp_path: Path) -> None:
    drawn = convolutional()
    drawn.save(tmp_path / "net.onnx")
    model, data = FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(6))
    for name in ("a.onnx", "b.onnx"):
        made = quantize(model, data, policy(rounding))
        made.save(tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    loaded = import_quantized_onnx(tmp_path / "a.onnx")
    for name, own in made.weights.items():
        kernel = loaded.layers[name].kernel
        assert isinstance(kernel, GridKernel)
        assert np.array_equal(kernel.weights, own.integers)
        assert np.array_equal(kernel.bias, own.bias)


def test_chance_rounds_to_one_of_two_neighbours_and_differs_from_layer_to_layer(tmp_path: Path) -> None:
    drawn = convolutional()
    drawn.save(tmp_path / "net.onnx")
    model, data = FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(2))
    first, other = (quantize(model, data, policy({"name": "stochastic", "seed": seed})) for seed in (0, 1))
    distances = []
    for layer in first.model.layers:
        own = first.weights[layer.name]
        steps = layer.weights.reshape(layer.channels, -1) / own.qparams.scale[:, None]
        distances.append((own.integers.reshape(layer.channels, -1) - steps).ravel())
        assert not np.array_equal(own.integers, other.weights[layer.name].integers)
    assert np.abs(np.concatenate(distances)).max() < 1 + 1e-4
    assert abs(np.mean(np.concatenate(distances))) < 4 * 0.5 / np.sqrt(sum(map(len, distances)))  # right on average


def test_adaquant_brings_a_bias_and_scales_of_its_own_which_powers_of_two_are_not(tmp_path: Path) -> None:
    drawn = convolutional()
    drawn.save(tmp_path / "net.onnx")
    model, data = FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(6))
    plain = quantize(model, data, policy("nearest", 3))
    found = quantize(model, data, policy({"name": "adaquant", "iterations": 100}, 3))
    assert any(np.any(own.qparams.scale != plain.weights[name].qparams.scale) for name, own in found.weights.items())
    for name, own in found.weights.items():
        assert own.bias is not None
        assert own.bias_scale is not None
        x = found.grid_of(found.model.layer(name).input)
        assert x is not None
        assert np.allclose(own.bias_scale, own.qparams.scale * float(x.scale), rtol=1e-6)
    powers = quantize(model, data, policy({"name": "adaquant", "iterations": 100}, 3, has_power_of_two_scale=True))
    for own in powers.weights.values():
        assert np.all(np.exp2(np.round(np.log2(own.qparams.scale))) == own.qparams.scale)


def test_progress_is_told_from_the_first_layer_to_the_last(tmp_path: Path) -> None:
    drawn = convolutional()
    drawn.save(tmp_path / "net.onnx")
    told: list[tuple[int, int, str]] = []
    quantize(FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(2)),
             policy({"name": "adaround", "iterations": 50}), told=lambda *each: told.append(each))
    rounds = [each for each in told if each[2].startswith("adaround ")]
    assert rounds[-1] == (7 * 50, 7 * 50, "adaround fc")
    assert [done for done, _, _ in rounds] == sorted(done for done, _, _ in rounds)


def test_options_stand_in_the_policy_and_come_back(tmp_path: Path) -> None:
    found = parse_bit_policy("weights: {rounding: {name: adaround, iterations: 9, settles: false}}", file="p.yaml")
    assert found.weight_choice().rounding == AdaRound(iterations=9, settles=False)
    assert BitPolicy.model_validate(found.to_document()).weights == found.weights
    assert set(WEIGHT_ROUNDINGS) == set(ROUNDING_METHODS)
    for name in ROUNDING_METHODS:
        assert parse_bit_policy(f"weights: {{rounding: {name}}}", file="p.yaml").weight_choice().rounding.name == name


def test_without_data_a_rounding_that_looks_at_them_is_refused(tmp_path: Path) -> None:
    write_graph(tmp_path / "net.onnx", [node("Gemm", ["x", "w"], ["y"], name="fc")], {"x": (np.float32, [1, 2])}, ["y"],
                {"w": np.eye(2, dtype=np.float32)})
    rule = parse_bit_policy("weights: {rounding: adaround}\nactivations: {is_dynamic: true}", file="p.yaml")
    with pytest.raises(WorkloadError) as caught:
        quantize(FloatModel.load(tmp_path / "net.onnx"), None, rule)
    assert str(caught.value) == (f"{tmp_path / 'net.onnx'}: fc: rounding: expected a calibration set, which adaround looks "
                                 "at, got none")


def test_channels_that_share_a_scale_still_do_after_adaquant(tmp_path: Path) -> None:
    drawn = convolutional()
    drawn.save(tmp_path / "net.onnx")
    rule = parse_bit_policy("weights: {bits: 3, rounding: {name: adaquant, iterations: 50}, granularity: {kind: "
                            "channel_group, size: 4}}", file="p.yaml")
    made = quantize(FloatModel.load(tmp_path / "net.onnx"), np.stack(drawn.samples(2)), rule)
    scales = made.weights["stem"].qparams.scale.reshape(2, 4)
    assert np.all(scales == scales[:, :1])
    assert scales[0, 0] != scales[1, 0]
