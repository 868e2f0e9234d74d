"""Recipes: which steps run, which do not and why; what a policy says goes before what a recipe says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import convolutional, node, transformer, write_graph
from saved_networks import saved_tensors

from accelsim.cli.main import main
from accelsim.errors import QuantizationError, WorkloadError
from accelsim.quantization.bit_policy import BitPolicy, WeightRule, parse_bit_policy
from accelsim.quantization.error_measures import sqnr_db
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import NONE, RECIPES, STANDARD, Recipe, load_recipe, parse_recipe
from accelsim.quantization.rounding_method import AdaRound

DIGITS = Path(__file__).parents[2] / "workloads" / "digits"
#: The standard recipe with few iterations.
QUICK = parse_recipe("""
name: quick
equalization: when_needed
absorbs_biases: true
weights: {range: mse, rounding: {name: adaround, iterations: 20, rows: 256, samples: 20}}
activations: {range: mse, range_without_data: bn_statistics}
bias_correction: without_data
""", file="quick.yaml")
INPUTS_ARE_PIXELS = "rules:\n  - {layers: inputs, activations: {range: known}}"


def steps(quantized: QuantizedModel) -> dict[str, str]:
    return {step.name: str(step) for step in quantized.steps}


def digits(text: str, recipe: Recipe, *, has_data: bool = True) -> QuantizedModel:
    data = DIGITS / "calibration.npz" if has_data else None
    return quantize(FloatModel.load(DIGITS / "digits.onnx"), data, parse_bit_policy(text, file="p.yaml"), recipe=recipe)


def test_the_standard_recipe_is_figure_8_in_its_order() -> None:
    made = digits("weights: {bits: 4}", QUICK)
    assert [str(step) for step in made.steps] == [
        "cross-layer equalization: 2 places",
        "high-bias absorption: skipped (no channel with a common part that a layer without padding reads)",
        "quantizers: 14 grids for 16 tensors", "weight ranges: mse x11", "weight rounding: adaround x11",
        "bias correction: skipped (there are data)", "activation ranges: mse x14"]
    assert {own.choice.rounding.name for own in made.weights.values()} == {"adaround"}
    assert STANDARD.model_copy(update={"name": "quick", "weights": QUICK.weights}) == QUICK
    assert STANDARD.weights.rounding == AdaRound()


def test_scales_per_tensor_need_equalization_everywhere() -> None:
    assert steps(digits("weights: {granularity: tensor}", QUICK))["cross-layer equalization"] == (
        "cross-layer equalization: 4 places")


def test_8_bits_are_rounded_to_nearest_unless_the_policy_says_otherwise() -> None:
    made = digits("rules:\n  - {layers: first, weights: {bits: 4}}\n"
                  "  - {layers: last, weights: {rounding: second_order, range: min_max}}", QUICK)
    assert steps(made)["weight rounding"] == "weight rounding: adaround x1, nearest x9, second_order x1"
    assert steps(made)["weight ranges"] == "weight ranges: mse x10, min_max x1"
    assert steps(digits("{}", QUICK))["weight rounding"] == (
        "weight rounding: skipped (no weights below 8 bits for adaround)")


def test_without_data_statistics_set_ranges_and_correct_biases() -> None:
    made = digits(f"weights: {{bits: 4}}\n{INPUTS_ARE_PIXELS}", STANDARD, has_data=False)
    found = steps(made)
    assert found["weight rounding"] == "weight rounding: skipped (no data for adaround)"
    # The first layer reads the network's input, of which no statistics tell.
    assert found["bias correction"] == "bias correction: analytic, 10 of 11 layers"
    assert found["activation ranges"] == "activation ranges: known x1, bn_statistics x13"
    with pytest.raises(WorkloadError) as caught:
        digits("{}", STANDARD, has_data=False)
    assert str(caught.value) == (
        f'{DIGITS / "digits.onnx"}: tensor "image": expected the statistics of a batch normalization for bn_statistics, got '
        "a tensor without one; give a calibration set, or choose another range setter for it")


def test_a_recipe_that_changes_nothing_gives_what_the_policy_alone_gives(tmp_path: Path) -> None:
    drawn = convolutional()
    model, data = FloatModel.load(drawn.save(tmp_path / "net.onnx")), np.stack(drawn.samples(3))
    for name, recipe in (("a", None), ("b", NONE), ("c", Recipe(name="empty"))):
        quantize(model, data, BitPolicy.of(4, 8), recipe=recipe).save(tmp_path / f"{name}.onnx")
    contents = {(tmp_path / f"{name}.onnx").read_bytes() for name in "abc"}
    assert len(contents) == 1
    assert quantize(model, data).steps == ()


@pytest.mark.parametrize("name", ["convolutional", "transformer"])
def test_all_steps_together_leave_a_network_that_computes_nearly_the_same(name: str, tmp_path: Path) -> None:
    drawn = {"convolutional": convolutional, "transformer": transformer}[name]()
    model, data = FloatModel.load(drawn.save(tmp_path / "net.onnx")), np.stack(drawn.samples(6))
    recipe = parse_recipe("equalization: always\nabsorbs_biases: true\nsplitting: {ratio: 0.1}\nmigration: {}\n"
                          "weights: {range: mse}\nactivations: {range: mse}\nbias_correction: empirical", file="r.yaml")
    made = quantize(model, data, BitPolicy.of(8, 8), recipe=recipe)
    expected = {"convolutional": ["cross-layer equalization: 2 places", "outlier channel splitting: 1 place",
                                  "scale migration: skipped (no layer normalization that matrix products alone read)",
                                  "bias correction: empirical, 7 of 7 layers"],
                "transformer": ["cross-layer equalization: skipped (no two layers one behind the other, with nothing else "
                                "reading between)",
                                "outlier channel splitting: skipped (no two layers without groups, one behind the other)",
                                "scale migration: 1 place", "bias correction: empirical, 6 of 6 layers"]}[name]
    assert set(expected) <= set(steps(made).values())
    x = data[0]
    assert sqnr_db(model.run({"x": x})["y"], saved_tensors(made, {"x": x})["y"]) > 25


def test_layers_without_a_bias_get_one_to_be_corrected(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = {"a": random.normal(size=(8, 8)), "b": random.normal(size=(8, 4)), "c": random.normal(size=(4, 4, 1, 1))}
    write_graph(tmp_path / "net.onnx", [
        node("Conv", ["x", "c"], ["h"], name="conv"), node("Flatten", ["h"], ["f"]),
        node("Gemm", ["f", "a"], ["g"], name="gemm"), node("Relu", ["g"], ["r"]),
        node("MatMul", ["r", "b"], ["y"], name="product")],
        {"x": (np.float32, [1, 4, 2, 1])}, ["y"], {name: each.astype(np.float32) for name, each in weights.items()})
    data = random.normal(size=(64, 1, 4, 2, 1)).astype(np.float32)
    policy = BitPolicy(weights=WeightRule(bits=3))
    model = FloatModel.load(tmp_path / "net.onnx")
    plain, made = (quantize(model, data, policy, recipe=recipe)
                   for recipe in (NONE, parse_recipe("bias_correction: empirical", file="r.yaml")))
    assert "conv, gemm, product: given a bias of 0, to be corrected" in made.remarks
    shifts = []
    for quantized in (plain, made):
        errors = [saved_tensors(quantized, {"x": x})["y"] - model.run({"x": x})["y"] for x in data]
        shifts.append(np.abs(np.mean(errors, axis=0)).mean())
    assert shifts[1] < 0.35 * shifts[0]


def test_a_corrected_bias_that_does_not_fit_gives_way(tmp_path: Path) -> None:
    drawn = convolutional()
    model, data = FloatModel.load(drawn.save(tmp_path / "net.onnx")), np.stack(drawn.samples(4))
    policy = parse_bit_policy("bias_bits: 3\nweights: {bits: 2}", file="p.yaml")
    made = quantize(model, data, policy, recipe=parse_recipe("bias_correction: empirical", file="r.yaml"))
    given = [remark for remark in made.remarks if "as given and rounded to nearest, since the bias that was found does not "
             "fit 3 bits" in remark]
    assert given
    assert all(own.bias is not None and np.abs(own.bias).max() <= 3 for own in made.weights.values())


WRONG = {
    "equalization: often": 'r.yaml:1: equalization: expected one of never, when_needed, always, got "often"',
    "weights: {rounding: up}": (
        "r.yaml:1: weights.rounding.name: expected one of nearest, stochastic, adaround, adaquant, second_order, got "
        '"up"'),
    "splitting: {ratio: 2}": "r.yaml:1: splitting.ratio: expected at most 1.0, got 2",
    "migration: {alfa: 0.5}": 'r.yaml:1: migration.alfa: expected a known key, got "alfa" (did you mean "alpha"?)',
    "- equalization": "r.yaml:1: expected a mapping of keys such as equalization and weights, got a list",
    "name: a\nname: b": "r.yaml:2: name: expected this key once, got it again (first in line 1)",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_recipe_is_told_with_file_and_line(text: str) -> None:
    with pytest.raises(QuantizationError) as caught:
        parse_recipe(text, file="r.yaml")
    assert str(caught.value) == WRONG[text]


def test_recipes_are_plain_data_and_back() -> None:
    for recipe in (*RECIPES.values(), QUICK):
        assert Recipe.model_validate(json.loads(json.dumps(recipe.to_document()))) == recipe
    with pytest.raises(QuantizationError) as caught:
        load_recipe("standart")
    assert str(caught.value) == (
        'recipe: expected one of standard, none, got "standart" (did you mean "standard"?); or a file')


def test_the_command_runs_the_standard_recipe_and_tells_its_steps(tmp_path: Path, capsys: Any) -> None:
    out, report = tmp_path / "q.onnx", tmp_path / "report"
    code = main(["quantize", str(DIGITS / "digits.onnx"), "--data", str(DIGITS / "calibration.npz"), "--out", str(out),
                 "--report", str(report)])
    captured = capsys.readouterr()
    made = digits("name: w8a8", STANDARD)
    assert code == 0
    assert [line for line in captured.err.splitlines() if line in {str(step) for step in made.steps}] == [
        str(step) for step in made.steps]
    made.save(tmp_path / "expected.onnx")
    expected, found = (quantize_free(path) for path in (tmp_path / "expected.onnx", out))
    assert expected == found
    document = json.loads((report / "quantization.json").read_text())
    assert document["steps"][0] == {"name": "cross-layer equalization", "is_applied": True, "detail": "2 places"}
    assert document["steps"][4]["is_applied"] is False


def quantize_free(path: Path) -> bytes:
    """A file's graph, without the policy's name in its metadata."""
    import onnx

    return bytes(onnx.load(path).graph.SerializeToString(deterministic=True))
