"""The script that trained the shipped digits network runs, and the shipped files are what it says they are."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

FOLDER = Path(__file__).parents[2] / "workloads" / "digits"


def accuracy_of(folder):
    session = onnxruntime.InferenceSession(str(folder / "digits.onnx"))
    with np.load(folder / "test.npz") as test:
        (scores,) = session.run(None, {"image": test["image"]})
        return float((scores.argmax(axis=1) == test["label"]).mean())


def test_the_shipped_network_has_the_accuracy_that_it_names_and_is_small():
    facts = json.loads((FOLDER / "digits.json").read_text(encoding="utf-8"))
    assert accuracy_of(FOLDER) == pytest.approx(facts["test_accuracy"], abs=0.5 / facts["test_images"])
    assert facts["test_accuracy"] >= 0.97
    assert (FOLDER / "digits.onnx").stat().st_size < 500_000


def test_the_shipped_network_keeps_its_batch_normalizations_and_has_both_kinds_of_blocks():
    graph = onnx.load(FOLDER / "digits.onnx").graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("BatchNormalization") == operators.count("Conv") == 10
    assert operators.count("Add") == 2
    groups = [attribute.i for node in graph.node for attribute in node.attribute if attribute.name == "group"]
    assert sorted(groups)[-2:] == [64, 96]


def test_calibration_images_are_no_test_images():
    with np.load(FOLDER / "test.npz") as test, np.load(FOLDER / "calibration.npz") as calibration:
        assert test["image"].dtype == calibration["image"].dtype == np.float32
        seen = {image.tobytes() for image in calibration["image"]}
        assert not seen & {image.tobytes() for image in test["image"]}
        assert 0 <= calibration["image"].min() < calibration["image"].max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None or find_spec("sklearn") is None, reason="needs the extra train")
def test_the_training_script_writes_a_network_that_runs(tmp_path):
    command = [sys.executable, str(FOLDER / "train.py"), "--epochs", "3", "--out", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    facts = json.loads(done.stdout)
    assert facts == json.loads((tmp_path / "digits.json").read_text(encoding="utf-8"))
    assert accuracy_of(tmp_path) == pytest.approx(facts["test_accuracy"], abs=0.5 / facts["test_images"])
    assert facts["test_accuracy"] > 0.3  # ten classes: it learned something
