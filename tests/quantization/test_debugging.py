"""Debugging finds the quantizers that were made bad on purpose, and what helps; it tells a wrong function from few bits."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_network import rescaled_digits

from accelsim.cli.main import main
from accelsim.errors import WorkloadError
from accelsim.quantization.bit_policy import parse_bit_policy
from accelsim.quantization.debugging import debug as room
from accelsim.quantization.debugging.debug import debug
from accelsim.quantization.debugging.debug_result import ACTIVATIONS, ALL, FLOAT, WEIGHTS, WIDE, DebugResult
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.labelled_set import LabelledSet
from accelsim.quantization.quantize import quantize
from accelsim.report.debug_wording import debug_findings

DIGITS = Path(__file__).parents[2] / "workloads" / "digits"
MODEL, DATA, TEST = (str(DIGITS / name) for name in ("digits.onnx", "calibration.npz", "test.npz"))


def debugged(policy: str) -> DebugResult:
    return debug(FloatModel.load(MODEL), DATA, parse_bit_policy(policy, file="p.yaml"), evaluation=TEST)


@pytest.fixture(scope="module")
def bad_weights() -> DebugResult:
    return debugged("{name: bad, rules: [{layers: inverted_expand, weights: {bits: 2, granularity: tensor}}]}")


@pytest.fixture(scope="module")
def bad_output() -> DebugResult:
    return debugged("{name: bad, rules: [{layers: head, activations: {bits: 2}}]}")


def test_weights_of_too_few_bits_are_found(bad_weights: DebugResult) -> None:
    assert bad_weights.culprit == WEIGHTS
    worst = bad_weights.worst[0]
    assert (worst.name, worst.weight_bits, worst.worst_db) == ("inverted_expand", 2, worst.weights_db)
    assert worst.drop_db is not None
    assert worst.drop_db == max(layer.drop_db for layer in bad_weights.layers if layer.drop_db is not None)


def test_an_output_of_too_few_bits_is_found(bad_output: DebugResult) -> None:
    assert bad_output.culprit == ACTIVATIONS
    worst = bad_output.worst[0]
    assert (worst.name, worst.output_bits, worst.worst_db) == ("head", 2, worst.output_db)


def test_a_remedy_is_recommended_that_helps_indeed(bad_output: DebugResult) -> None:
    best = bad_output.recommended
    assert best is not None
    assert best.place == "policy"
    policy = {"name": "bad", "rules": [{"layers": "head", "activations": {"bits": 2}}, dict(best.change)]}
    again = debugged(json.dumps(policy))
    assert again.scores[ALL].sqnr_db == pytest.approx(best.score.sqnr_db, abs=1e-9)
    assert again.scores[ALL].sqnr_db > bad_output.scores[ALL].sqnr_db + 3


def test_the_scores_are_those_of_the_networks_that_they_name(bad_weights: DebugResult) -> None:
    held = np.load(TEST)
    real = FloatModel.load(MODEL).run({"image": held["image"]})["scores"]
    assert bad_weights.scores[FLOAT].accuracy == np.mean(real.argmax(axis=1) == held["label"])
    assert (bad_weights.scores[FLOAT].sqnr_db, bad_weights.scores[FLOAT].agreement) == (math.inf, 1.0)
    policy = parse_bit_policy("rules: [{layers: inverted_expand, weights: {bits: 2, granularity: tensor}}]", file="p.yaml")
    model = quantize(FloatModel.load(MODEL), DATA, policy)
    edited = model.model
    for layer in model.model.layers:
        own = model.weights[layer.name]
        assert own.bias is not None
        edited = layer.edited(edited, weights=own.dequantized, bias=own.bias * own.bias_scale)
    found = edited.run({"image": held["image"]})["scores"]
    ratio = 10 * np.log10(np.sum(real.astype(float) ** 2) / np.sum((real.astype(float) - found) ** 2))
    assert bad_weights.scores[WEIGHTS].sqnr_db == pytest.approx(ratio, abs=0.01)
    assert bad_weights.scores[WEIGHTS].accuracy == np.mean(found.argmax(axis=1) == held["label"])


def test_a_network_whose_preparation_changes_it_is_told_from_one_of_few_bits(
        bad_weights: DebugResult, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bad_weights.is_sane

    def broken(model: FloatModel, *arguments: Any, **options: Any) -> Any:
        layer = model.layers[3]
        return quantize(layer.edited(model, weights=layer.weights * 1.01), *arguments, **options)

    monkeypatch.setattr(room, "quantize", broken)
    result = debugged("{name: fine}")
    assert not result.is_sane
    assert result.scores[WIDE].sqnr_db < 60


def test_labels_are_one_whole_number_a_sample(tmp_path: Path) -> None:
    model = FloatModel.load(MODEL)
    images = np.zeros((3, 1, 8, 8), np.float32)
    assert [(len(batch["image"]), labels) for batch, labels in LabelledSet({"image": images}, model)] == [(3, None)]
    with pytest.raises(WorkloadError) as caught:
        list(LabelledSet({"image": images, "label": np.zeros(2, np.int64)}, model))
    assert str(caught.value) == "expected one label a sample, got 2 for 3 samples"
    np.savez(tmp_path / "none.npz", image=images[:0], label=np.zeros(0, np.int64))
    with pytest.raises(WorkloadError) as caught:
        list(LabelledSet(tmp_path / "none.npz", model))
    assert str(caught.value) == f"{tmp_path / 'none.npz'}: expected at least one sample to calibrate on, got none"
    for labels, shown in ((np.zeros(3), "float64 of shape [3]"), (np.array([[1, 2, 3]]), "int64 of shape [1, 3]"),
                          (np.array([0, -1, 2]), "int64 of shape [3]")):
        with pytest.raises(WorkloadError) as caught:
            LabelledSet({"image": images, "labels": labels}, model)
        assert str(caught.value) == f"label: expected one whole number from 0 for each sample, got {shown}"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["debug", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_writes_a_report_and_says_what_helps(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "p.yaml").write_text("name: low\nrules: [{layers: head, activations: {bits: 2}}]\n", encoding="utf-8")
    code, out, err = run(capsys, MODEL, "--data", DATA, "--eval", TEST, "--policy", str(tmp_path / "p.yaml"), "--out",
                         str(tmp_path / "report"), "--top", "2")
    assert (code, err) == (0, f"report: {tmp_path / 'report' / 'index.html'}\n")
    assert out.startswith("digits, low, recipe none: 600 samples\n")
    assert "worst of 15 layers first" in out
    assert "the activations cost more." in out
    assert out.splitlines()[-1].startswith("Recommended: ")
    rows = list(csv.DictReader((tmp_path / "report" / "layers.csv").open(encoding="utf-8")))
    assert [row["layer"] for row in rows][:2] == ["image", "stem"]
    document = json.loads((tmp_path / "report" / "debug.json").read_text(encoding="utf-8"))
    assert (document["is_sane"], document["samples"], len(document["layers"])) == (True, 600, 15)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Ranges of channels" in page
    assert document["recommended"] in page
    assert document["network_fingerprint"] == FloatModel.load(MODEL).fingerprint
    assert document["network_fingerprint"] in page


MISTAKES = {
    (MODEL,): "--data: expected samples to calibrate on, got none",
    (MODEL, "--data", "none.npz"): "none.npz: no such file",
    ("none.onnx", "--data", DATA): "none.onnx: expected a file, found none of that name",
    (MODEL, "--data", DATA, "--bits", "4/8", "--policy", "p.yaml"): "--bits: expected --policy or --bits, got both",
}


@pytest.mark.parametrize("arguments", list(MISTAKES))
def test_a_mistake_is_one_line(arguments: tuple[str, ...], capsys: Any) -> None:
    assert run(capsys, *arguments) == (2, "", f"accelsim: {MISTAKES[arguments]}\n")


def test_channels_that_differ_are_told_and_equalized() -> None:
    model = rescaled_digits()
    policy = parse_bit_policy("name: tensor\nweights: {granularity: tensor}", file="p.yaml")
    result = debug(model, DATA, policy, evaluation=TEST)
    assert result.is_sane
    best = result.recommended
    assert best is not None
    assert (best.name, best.place) == ("cross-layer equalization", "recipe")
    assert best.score.accuracy is not None
    assert best.score.accuracy > 0.98 > 0.5 > (result.scores[ALL].accuracy or 1)
    assert any(sentence.startswith("The channels of ") for sentence in debug_findings(result))
