"""`simulate --inputs` and `accumulators`: what they print, write and refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import quantized_models as models

from accelsim.cli.main import main


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A quantized model and its inputs."""
    folder = tmp_path_factory.mktemp("model")
    model = models.convolutional()
    path = models.quantized(model, folder, form="QOperator")
    np.savez(folder / "x.npz", x=np.stack(model.samples(2, seed=3)))
    return str(path), str(folder / "x.npz")


def test_a_checked_run_says_that_no_integer_differs(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = files
    assert main(["simulate", model, "edge_16x16", "--inputs", inputs, "--check", "onnxruntime", "--rounding", "model"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    last = printed.out.strip().splitlines()[-2]
    assert last.startswith("0 of ")
    assert last.endswith(" integers differ from onnxruntime under float32_nearest_even")


def test_json_holds_the_comparison_and_the_sums(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = files
    arguments = ["--inputs", inputs, "--check", "onnxruntime", "--rounding", "model", "--json"]
    assert main(["simulate", model, "edge_16x16", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["check"]["runtime"] == "onnxruntime"
    assert {layer["differing"] for layer in document["check"]["layers"]} == {0}
    assert {layer["differing_fed"] for layer in document["check"]["layers"]} == {0}
    assert len(document["layers"]) == len(document["check"]["layers"])


def test_cycles_are_those_of_a_run_without_integers(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = files
    cycles = []
    for options in ([], ["--inputs", inputs], ["--inputs", inputs, "--rounding", "model"]):
        assert main(["simulate", model, "edge_16x16", "--json", *options]) == 0
        cycles.append([layer["total_cycles"] for layer in json.loads(capsys.readouterr().out)["layers"]])
    assert cycles[0] == cycles[1] == cycles[2]


def test_a_report_of_a_narrow_machine_lists_its_overflows(files: tuple[str, str], tmp_path: Path) -> None:
    model, inputs = files
    narrow = tmp_path / "narrow.yaml"
    shipped = Path(__file__).parents[2] / "hwconfigs" / "edge_16x16.yaml"
    text = shipped.read_text(encoding="utf-8")
    narrow.write_text(text.replace("bits: 32  ", "bits: 12  "), encoding="utf-8")
    assert main(["simulate", model, str(narrow), "--inputs", inputs, "--out", str(tmp_path / "r"), "--events", "5"]) == 0
    with (tmp_path / "r" / "events.csv").open(encoding="utf-8", newline="") as file:
        events = list(csv.DictReader(file))
    document = json.loads((tmp_path / "r" / "result.json").read_text(encoding="utf-8"))
    layers = [layer for layer in document["layers"] if layer["overflow_events"]]
    assert layers
    for layer in layers:
        own = [event for event in events if event["layer"] == layer["layer"]]
        assert len(own) == min(5, layer["overflow_events"])
        for event in own:
            assert not -2048 <= int(event["exact"]) <= 2047
            assert -2048 <= int(event["kept"]) <= 2047
            assert layer["start_cycle"] <= int(event["cycle"]) <= layer["start_cycle"] + layer["total_cycles"]
    assert (tmp_path / "r" / "figures" / "overflow.png").stat().st_size > 0


def test_accumulators_tells_the_narrowest_safe_width(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = files
    assert main(["accumulators", model, "edge_16x16", "--inputs", inputs, "--rounding", "model", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    reached = max(layer["running_bits"] for layer in document["layers"] if layer["running_bits"])
    trials = document["values"]["width_trials"]
    assert sum(trial["wrong_outputs"] for trial in trials if trial["bits"] == reached) == 0
    assert sum(trial["events"] for trial in trials if trial["bits"] == reached - 1) > 0
    assert main(["accumulators", model, "edge_16x16", "--inputs", inputs, "--bits", "10,16"]) == 0
    assert "16 bits" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [
    (["simulate", "{model}", "--check", "onnxruntime"], "--check: expected --inputs for a comparison of integers, got none"),
    (["simulate", "{model}", "--inputs", "{inputs}", "--rounding", "mine"],
     "--rounding: expected hardware or model, got mine"),
    (["simulate", "{model}", "--inputs", "{inputs}", "--check", "tvm"], "--check: expected onnxruntime or litert, got tvm"),
    (["simulate", "{model}", "--inputs", "{inputs}", "--bits", "4/8"],
     "--bits: a model with integers has widths of its own"),
    (["simulate", "{model}", "--inputs", "none.npz"], "none.npz: no such file"),
    (["simulate", "resnet50", "--inputs", "{inputs}"],
     "{resnet50}: expected a quantized .onnx or .tflite model for a run with integers, got a .yaml of shapes"),
    (["accumulators", "{model}"], "--inputs: expected a file of inputs, since widths depend on them, got none"),
    (["accumulators", "{model}", "--inputs", "{inputs}", "--bits", "1"],
     "--bits: expected widths from 2 to 64 such as 16,20,24, got 1"),
])
def test_mistakes_are_one_line_and_exit_code_2(
    files: tuple[str, str], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from accelsim.workload.load import shipped_workloads

    places = {"{model}": files[0], "{inputs}": files[1], "{resnet50}": str(shipped_workloads()["resnet50"])}
    for key, place in places.items():
        arguments, message = [argument.replace(key, place) for argument in arguments], message.replace(key, place)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"accelsim: {message}\n"
