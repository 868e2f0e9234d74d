"""Steps of post-training quantization where they matter: accuracy of a trained network on images that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from digits_network import CALIBRATION, accuracy_of, digits, held_out, rescaled_digits
from saved_networks import saved_tensors

from accelsim.quantization.bit_policy import parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.lockstep import Lockstep
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.preparation.layer_links import layer_links
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import NONE, STANDARD, Recipe, WeightSteps
from accelsim.quantization.rounding_method import AdaRound
from accelsim.quantization.weight_rounding import layer_problem

#: Of the float network, as its training measured it: `workloads/digits/digits.json`.
FLOAT = 0.993333
#: AdaRound with a twentieth of its iterations and a quarter of its data, and the standard recipe with it.
ADAROUND = "rounding: {name: adaround, iterations: 100, rows: 1024, samples: 64}"
QUICK = STANDARD.model_copy(update={"weights": WeightSteps(range="mse", rounding=AdaRound(
    iterations=100, rows=1024, samples=64))})


def made(weights: str, recipe: Recipe = NONE, model: FloatModel | None = None, rest: str = "") -> QuantizedModel:
    policy = parse_bit_policy(f"weights: {{{weights}}}\n{rest}", file="p.yaml")
    return quantize(digits() if model is None else model, CALIBRATION, policy, recipe=recipe)


def test_the_float_network_reads_what_it_read_when_it_was_trained() -> None:
    assert accuracy_of(digits()) == pytest.approx(FLOAT, abs=1e-6)


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_8_bits_are_within_one_percent_of_float(granularity: str) -> None:
    weights = f"bits: 8, granularity: {granularity}"
    assert accuracy_of(made(weights)) >= FLOAT - 0.01
    assert accuracy_of(made(weights, QUICK)) >= FLOAT - 0.01


@pytest.mark.parametrize(("granularity", "loss"), [("channel", 0.01), ("tensor", 0.025)])
def test_weights_of_4_bits_with_adaround_are_within_two_and_a_half_percent_of_float(granularity: str, loss: float) -> None:
    assert accuracy_of(made(f"bits: 4, granularity: {granularity}", QUICK)) >= FLOAT - loss


def test_equalization_rescues_channels_that_were_rescaled_by_up_to_1000() -> None:
    scaled = rescaled_digits(1000)
    images = held_out()[0]
    real, same = (model.run({"image": images})["scores"] for model in (digits(), scaled))
    assert np.abs(real - same).max() < 1e-5 * np.abs(real).max()
    for granularity in ("tensor", "channel"):
        weights = f"bits: 8, granularity: {granularity}"
        lost = accuracy_of(made(weights, model=scaled))
        rescued = accuracy_of(made(weights, Recipe(equalization="always"), scaled))
        # One scale a channel of weights is no help: activations have one a tensor.
        assert lost < 0.2
        assert rescued >= FLOAT - 0.01


def test_the_standard_recipe_sees_that_channels_were_rescaled() -> None:
    found = made("bits: 8", QUICK, rescaled_digits(1000))
    assert str(found.steps[0]) == "cross-layer equalization: 4 places"
    assert accuracy_of(found) >= FLOAT - 0.01


def shifts(quantized: QuantizedModel) -> dict[str, Any]:
    """Mean of every layer's output less that of the float network, channel by channel, over the test images."""
    images = held_out()[0]
    layers = quantized.model.layers
    real = quantized.model.run({"image": images}, [layer.activated for layer in layers])
    found = saved_tensors(quantized, {"image": images})
    return {layer.name: np.mean(found[layer.activated] - real[layer.activated], axis=(0, 2, 3) if real[
        layer.activated].ndim == 4 else 0) for layer in layers}


def test_analytic_bias_correction_approaches_the_empirical_one() -> None:
    found = {kind: made("bits: 3, granularity: tensor", Recipe(bias_correction=kind))  # type: ignore[arg-type]
             for kind in ("none", "analytic", "empirical")}
    scores = {kind: accuracy_of(each) for kind, each in found.items()}
    assert scores["none"] < scores["analytic"] - 0.03 < scores["empirical"]
    assert scores["empirical"] >= FLOAT - 0.025
    sizes = {kind: {name: float(np.linalg.norm(each)) for name, each in shifts(found[kind]).items()} for kind in found}
    total = {kind: sum(each.values()) for kind, each in sizes.items()}
    assert total["empirical"] < 0.4 * total["none"]
    assert total["analytic"] < 0.75 * total["none"]


def test_analytic_corrections_point_where_empirical_ones_do() -> None:
    found = {kind: made("bits: 4, granularity: tensor", Recipe(bias_correction=kind))  # type: ignore[arg-type]
             for kind in ("none", "analytic", "empirical")}
    likeness = []
    for layer in found["none"].model.layers[1:]:
        own = {kind: each.weights[layer.name] for kind, each in found.items()}
        biases = {kind: each.bias * each.bias_scale for kind, each in own.items()}
        analytic, empirical = (biases[kind] - biases["none"] for kind in ("analytic", "empirical"))
        if analytic.any():
            likeness.append(analytic @ empirical / np.linalg.norm(analytic) / np.linalg.norm(empirical))
    # Two layers read tensors whose batch normalizations have no shift: a mean of 0 is not moved by rounding.
    assert len(likeness) == 8
    assert np.median(likeness) > 0.8
    assert min(likeness) > 0.6


def test_adaround_leaves_less_error_in_every_layer_and_reads_more_digits_than_nearest() -> None:
    """Of what layers read when all before them are rounded, on test images that rounding has not seen
    (white paper, table 5).
    """
    plain = made("bits: 4, range: mse, granularity: tensor")
    learned = made(f"bits: 4, range: mse, granularity: tensor, {ADAROUND}")
    pair = Lockstep(learned.model, learned.placement, learned.activations, {}, {}, [
        {"image": image[None]} for image in held_out()[0][:60]])
    ratios = []
    for layer in learned.model.layers:
        rows = pair.rows(layer, 4000, np.random.default_rng(0))
        problem = layer_problem(layer, plain.weights[layer.name].qparams, *rows)
        errors = [problem.error(each.weights[layer.name].integers) for each in (learned, plain)]
        ratios.append(errors[0] / errors[1])
        pair.quantize(layer, learned.weights[layer.name])
    assert np.median(ratios) < 0.8
    assert max(ratios) < 1
    lower = [accuracy_of(made(f"bits: 2, range: mse, {rounding}")) for rounding in ("rounding: nearest", ADAROUND)]
    assert lower[0] < 0.5 < FLOAT - 0.05 < lower[1]
    assert accuracy_of(learned) >= max(accuracy_of(plain), FLOAT - 0.025)


@pytest.mark.parametrize("rounding", [
    "{name: second_order, rows: 1024, samples: 64}", "{name: adaquant, iterations: 100, rows: 1024, samples: 64}"])
def test_other_roundings_that_look_at_data_read_3_bits_within_two_and_a_half_percent(rounding: str) -> None:
    weights = "bits: 3, range: mse, rounding: "
    assert accuracy_of(made(weights + rounding)) >= FLOAT - 0.025 > accuracy_of(made(weights + "nearest")) + 0.1


def test_split_channels_help_weights_with_an_outlier() -> None:
    """Of every layer that can be split, one input channel has weights eight times too large, and its inputs are as small."""
    model = fold_batch_norms(digits()).model
    for link in layer_links(model):
        if link.second.weights.shape[0] == link.first.weights.shape[0] == 1:
            first, second = (model.layer(layer.name) for layer in (link.first, link.second))
            factors = np.where(np.arange(link.channels) == 3, 8.0, 1.0)
            assert first.bias is not None
            model = first.edited(model, weights=first.weights / factors[:, None], bias=first.bias / factors)
            scaled = second.weights.reshape(1, second.channels, -1, link.channels) * factors
            model = second.edited(model, weights=scaled.reshape(second.weights.shape))
    weights = "bits: 4, granularity: tensor"
    split = Recipe.model_validate({"splitting": {"ratio": 0.2}})
    assert accuracy_of(made(weights, split, model)) > accuracy_of(made(weights, model=model)) + 0.03
