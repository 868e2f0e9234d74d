"""``accelsim quantize``: the file is whole or not there, the table tells every layer, mistakes are told in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import convolutional, node, runtime, transformer, write_graph

from accelsim import load_quantized_network
from accelsim.cli.main import main
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.version import __version__


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the network net.onnx and its samples data.npz lie."""
    network = convolutional()
    network.save(tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", x=np.concatenate(network.samples(4)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command without a recipe, unless one is given."""
    code = main(["quantize", *arguments, *([] if "--recipe" in arguments else ["--recipe", "none"])])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_file_is_that_of_python_and_the_table_tells_every_layer(folder: Path, capsys: Any) -> None:
    code, out, err = run(capsys, "net.onnx", "--data", "data.npz", "--bits", "4/6", "--out", "q/net.onnx")
    assert (code, err) == (0, "quantized network: q/net.onnx\n")
    model = FloatModel.load("net.onnx")
    quantize(model, "data.npz", BitPolicy.of(4, 6)).save("expected.onnx")
    assert Path("q/net.onnx").read_bytes() == Path("expected.onnx").read_bytes()
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("net, w4a6\n")
    assert lines[4][:7] == ["stem", "conv", "4", "b", "symmetric,", "channel", "min_max"]
    assert [line[0] for line in lines[4:-2]] == ["stem", "deep", "point", "sum", "wide", "grouped", "both", "largest",
                                                 "mean",
                                                "last", "global", "fc", "softmax"]
    assert lines[-1][:5] == ["all", "13", "layers", "4", "b"]


def test_json_has_the_numbers(folder: Path, capsys: Any) -> None:
    code, out, _ = run(capsys, "net.onnx", "--data", "data.npz", "--out", "q.onnx", "--json")
    found = json.loads(out)
    assert (code, found["network"], found["policy"]["name"], len(found["layers"])) == (0, "net", "w8a8", 13)
    model = FloatModel.load("net.onnx")
    assert (found["accelsim_version"], found["network_fingerprint"]) == (__version__, model.fingerprint)
    made = quantize(model, "data.npz")
    stem = found["layers"][0]
    weights, real = made.weights["stem"].dequantized, made.model.layer("stem").weights
    ratio = 10 * np.log10(np.sum(real.astype(float) ** 2) / np.sum((real.astype(float) - weights) ** 2))
    assert stem["weight_sqnr_db"] == pytest.approx(ratio, rel=1e-6)
    assert (stem["weights"], stem["weight_bits"], stem["granularity"], stem["rounding"]) == (216, 8, "channel", "nearest")
    assert stem["output_scale"] == made.activations["stem_r"].scale.item()
    assert [layer["output_range"] for layer in found["layers"]][-4:] == ["min_max", "as last_r", "min_max", "fixed"]
    assert found["tensors"][0] == {"tensor": "x", "layer": "x", "group": "x", "reason": "network input"}


def test_a_policy_and_other_files(folder: Path, capsys: Any) -> None:
    Path("p.yaml").write_text("name: mine\nweights: {range: mse}\nrules:\n  - {layers: first, weights: {bits: 4}}")
    code, _, err = run(capsys, "net.onnx", "--data", "data.npz", "--policy", "p.yaml", "--out", "q.onnx", "--float",
                       "f.onnx",
                       "--report", "tables")
    assert (code, err) == (0, "report: tables\nquantized network: q.onnx\n")
    assert load_quantized_network("q.onnx").network.layers[0].weight_bits == 4
    x = convolutional().samples(1)[0]
    files = [runtime.InferenceSession(file).run(None, {"x": x})[0] for file in ("net.onnx", "f.onnx")]
    assert np.allclose(*files, atol=1e-6)
    with open("tables/layers.csv", newline="") as stream:
        assert [row["weight_bits"] for row in csv.DictReader(stream)][:3] == ["4", "8", "8"]
    with open("tables/tensors.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 15
    assert json.loads(Path("tables/quantization.json").read_text())["policy"]["name"] == "mine"


def test_operators_on_integers(folder: Path, capsys: Any) -> None:
    assert run(capsys, "net.onnx", "--data", "data.npz", "--out", "q.onnx", "--form", "qoperator")[0] == 0
    assert b"QLinearConv" in Path("q.onnx").read_bytes()


def test_what_the_machine_only_times_is_said(folder: Path, capsys: Any) -> None:
    network = transformer()
    network.save(folder / "net.onnx")
    np.savez("data.npz", x=np.concatenate(network.samples(2)))
    Path("p.yaml").write_text("weights: {bits: 4, symmetry: asymmetric, granularity: {kind: sub_channel, size: 8}}")
    code, _, err = run(capsys, "net.onnx", "--data", "data.npz", "--policy", "p.yaml", "--out", "q.onnx")
    assert (code, err) == (0, "scales found during the run, or zero points of blocks: the machine times this network and "
                              "carries no integers\nquantized network: q.onnx\n")


MISTAKES = {
    ("net.onnx", "--data", "data.npz"): "--out: expected a file for the quantized network, got none",
    ("net.onnx", "--out", "q.onnx"): (
        "net.onnx: expected a calibration set, from which min_max takes the ranges of activations, got none"),
    ("net.onnx", "--out", "q.onnx", "--recipe", "standart"): (
        '--recipe: expected one of standard, none, got "standart" (did you mean "standard"?); or a file'),
    ("net.onnx", "--out", "q.onnx", "--recipe", "r.yaml"): "r.yaml: expected a file, found none of that name",
    ("none.onnx", "--data", "data.npz", "--out", "q.onnx"): "none.onnx: expected a file, found none of that name",
    ("net.onnx", "--data", "none.npz", "--out", "q.onnx"): "none.npz: no such file",
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--bits", "4"): (
        "--bits: expected weight and activation bits from 1 to 32 such as 4/8, got 4"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--bits", "17/8"): (
        "--bits: expected widths of at most 16 bits, got 17/8"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--bits", "8/1"): (
        "activations.bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, asymmetric"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--bits", "4/8", "--policy", "p.yaml"): (
        "--bits: expected --policy or --bits, got both"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--policy", "p.yaml"): (
        "p.yaml: expected a file, found none of that name"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--form",
     "qlinear"): "--form: expected qdq or qoperator, got qlinear",
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--float", "q.onnx"): (
        "--float: expected another file than the quantized network's"),
    ("net.onnx", "--data", "data.npz", "--out", "./net.onnx"): "--out: expected another file than the model's",
    ("net.onnx", "--data", "data.npz", "--out", "data.npz"): "--out: expected another file than the calibration set's",
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--float", "q/../net.onnx"): (
        "--float: expected another file than the model's"),
    ("net.onnx", "--data", "data.npz", "--out", "q.onnx", "--form", "qoperator", "--bits", "4/8"): (
        "net.onnx: stem: expected 8 bits and scales known before the run for operators on integers, got 4 bits"),
    ("net.onnx", "--data", "data.npz", "--out", "data.npz/q.onnx"): (
        "data.npz: expected a folder to write to, got the file data.npz"),
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(arguments: tuple[str, ...], folder: Path, capsys: Any) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out, err) == (2, "", f"accelsim: {MISTAKES[arguments]}\n")
    assert not Path("q.onnx").exists()


def test_a_layer_that_has_no_integers_is_refused_and_nothing_is_written(folder: Path, capsys: Any) -> None:
    write_graph(folder / "net.onnx", [node("LRN", ["x"], ["y"], name="norm", size=3)], {"x": (np.float32, [1, 3, 16, 16])},
                ["y"], {})
    code, out, err = run(capsys, "net.onnx", "--data", "data.npz", "--out", "q.onnx")
    assert (code, out, err) == (2, "", "accelsim: net: norm: expected an operator with a kernel on integers, got LRN\n")
    assert not Path("q.onnx").exists()
