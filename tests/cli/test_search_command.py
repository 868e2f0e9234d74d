"""``accelsim search`` from the command line."""

import json

import numpy as np
import pytest

from accelsim.cli.main import main
from accelsim.hardware.loader import load_accelerator
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.onnx.graph import GraphInput, Node

GENERATOR = np.random.default_rng(9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float network of three layers with weights, and samples with labels."""
    made = tmp_path_factory.mktemp("search")
    nodes = (Node("Conv", "a", ("x", "wa"), ("ya",)), Node("Relu", "relu", ("ya",), ("ra",)),
             Node("Conv", "b", ("ra", "wb"), ("yb",)), Node("Relu", "relu2", ("yb",), ("rb",)),
             Node("GlobalAveragePool", "mean", ("rb",), ("m",)), Node("Flatten", "flat", ("m",), ("f",)),
             Node("Gemm", "fc", ("f", "wc"), ("y",)))
    weights = {"wa": GENERATOR.normal(size=(8, 3, 3, 3)).astype(np.float32),
               "wb": GENERATOR.normal(size=(16, 8, 3, 3)).astype(np.float32),
               "wc": GENERATOR.normal(size=(16, 4)).astype(np.float32)}
    model = FloatModel("net", nodes, weights, {"x": GraphInput(("n", 3, 8, 8), 1)}, ("y",))
    model.save(made / "net.onnx")
    x = GENERATOR.normal(size=(16, 3, 8, 8)).astype(np.float32)
    labels = model.run({"x": x})["y"].argmax(axis=1)
    np.savez(made / "data.npz", x=x, label=labels)
    return made


@pytest.fixture(autouse=True)
def own_cache(folder, monkeypatch):
    monkeypatch.setenv("ACCELSIM_CACHE", str(folder / "cache"))


def arguments(folder, *more):
    return ["search", str(folder / "net.onnx"), "unpu", "--data", str(folder / "data.npz"), *more]


def test_a_search_prints_the_networks_the_layers_and_what_it_found(folder, capsys):
    assert main(arguments(folder, "--latency", "0.9x", "--front", "0")) == 0
    printed = capsys.readouterr().out
    assert "net on unpu: 16 samples" in printed
    for name in ("float", "uniform 8", "uniform 4", "chosen"):
        assert f"\n {name} " in printed
    assert "The choice keeps the budget of latency: " in printed
    assert "proved optimal." in printed
    assert "Every layer took exactly the cycles that the table predicted." in printed


def test_json_is_all_of_standard_output_and_the_report_is_whole(folder, capsys):
    out = folder / "report"
    assert main(arguments(folder, "--latency", "0.9x", "--energy", "1x", "--size", "0.9x", "--front", "4", "--json",
                          "--out", str(out))) == 0
    found = capsys.readouterr()
    document = json.loads(found.out)
    assert found.err == f"report: {out}/index.html\n"
    assert [budget["cost"] for budget in document["budgets"]] == ["latency", "energy", "size"]
    assert all(budget["predicted"] <= budget["limit"] for budget in document["budgets"])
    assert document == json.loads((out / "search.json").read_text())
    page = (out / "index.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") == 4
    # What a search wrote is what another one takes.
    assert main(arguments(folder, "--latency", "0.9x", "--energy", "1x", "--size", "0.9x", "--front", "0", "--json",
                          "--table", str(out / "table.csv"), "--sensitivity", str(out / "sensitivities.csv"))) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["widths"] == document["widths"]


def test_accumulators_are_chosen_safe(folder, capsys):
    assert main(arguments(folder, "--latency", "0.95x", "--accumulators", "16,20,24", "--accumulator-safe", "--front", "0",
                          "--json")) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    chosen = [layer for layer in layers if layer["accumulator_bits"] is not None]
    assert [layer["layer"] for layer in chosen] == ["a", "b", "fc"]
    assert all(layer["safe_accumulator_bits"] <= layer["accumulator_bits"] for layer in chosen)


def test_safe_accumulators_alone_are_the_accelerators_own(folder, capsys):
    out = folder / "plain"
    assert main(arguments(folder, "--latency", "0.95x", "--front", "0", "--out", str(out))) == 0
    capsys.readouterr()
    # A table without widths of accumulators has rows of the accelerator's own.
    assert main(arguments(folder, "--latency", "0.95x", "--accumulator-safe", "--front", "0", "--json", "--table",
                          str(out / "table.csv"))) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    own = load_accelerator("unpu").accumulators.bits
    assert [layer["accumulator_bits"] for layer in layers if layer["weight_bits"] is not None] == [own] * 3
    assert all(layer["safe_accumulator_bits"] <= own for layer in layers if layer["weight_bits"] is not None)


def test_labels_beyond_the_networks_classes_are_told_before_the_search(folder, capsys):
    path = folder / "wrong.npz"
    with np.load(folder / "data.npz") as data:
        np.savez(path, x=data["x"], label=data["label"] + 4)
        most = data["label"].max() + 4
    assert main(arguments(folder, "--latency", "0.9x", "--eval", str(path))) == 2
    assert capsys.readouterr().err == (f"accelsim: {path}: label: expected labels from 0 to 3, the classes of the network, "
                                       f"got {most}\n")


def test_open_ends_ties_and_joined_widths_are_taken(folder, capsys):
    assert main(arguments(folder, "--latency", "0.95x", "--fix", "first=open", "--fix", "b=4", "--tie", "a,b",
                          "--front", "0", "--weights", "4,8", "--activations", "4,8", "--json")) == 0
    layers = {layer["layer"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert layers["a"]["weight_bits"] == layers["b"]["weight_bits"] == 4
    assert layers["fc"]["weight_bits"] == 8


def test_an_evolution_is_kept_in_its_storage(folder, capsys):
    storage = folder / "trials.sqlite"
    assert main(arguments(folder, "--latency", "0.95x", "--method", "evolutionary", "--measured", "--trials", "12",
                          "--front", "0", "--storage", str(storage), "--json")) == 0
    assert storage.exists()
    assert json.loads(capsys.readouterr().out)["solver"] == "evolutionary"


@pytest.mark.parametrize(("more", "line"), [
    ((), "accelsim: expected a budget such as --latency 0.7x, got none"),
    (("--latency", "7"), 'accelsim: latency: expected a budget such as 0.7x, 5ms or 1.2Mcycles, got "7"'),
    (("--latency", "0.7x", "--method", "magic"), "accelsim: --method: expected one of ilp, exhaustive, greedy, "
     'evolutionary, reinforcement, differentiable, got "magic"'),
    (("--latency", "0.7x", "--weights", "two"), "accelsim: --weights: expected widths such as 2,4,8, got two"),
    (("--latency", "0.7x", "--fix", "first"), "accelsim: --fix: expected a name and a width such as first=8, got first"),
    (("--latency", "0.7x", "--fix", "a=open"),
     "accelsim: --fix: expected one of first, last, inputs, outputs to be open, since all others are, got a=open"),
    (("--latency", "0.7x", "--tie", "a"), "accelsim: --tie: expected at least two names such as conv1,conv2, got a"),
    (("--latency", "0.7x", "--tie", "a,a"), "accelsim: --tie: expected at least two names such as conv1,conv2, got a,a"),
    (("--latency", "0.7x", "--front", "1"),
     "accelsim: --front: expected at least 2 points of a front or 0 for none, got 1"),
    (("--latency", "0.7x", "--method", "evolutionary", "--storage", "/"),
     "accelsim: /: expected a file to write to, got a folder"),
    (("--latency", "0.7x", "--trials", "5"), "accelsim: --trials: expected the method evolutionary, got ilp"),
    (("--latency", "0.7x", "--measured"),
     "accelsim: --measured: expected the method evolutionary, which needs no sum, got another one"),
    (("--latency", "0.7x", "--measure", "hessian"),
     "accelsim: --traces: expected a file of traces for the measure hessian, got none"),
])
def test_mistakes_are_told_in_one_line(folder, capsys, more, line):
    assert main(arguments(folder, *more)) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_an_infeasible_budget_says_the_smallest_feasible_value(folder, capsys):
    assert main(arguments(folder, "--latency", "10 cycles")) == 2
    line = capsys.readouterr().err
    assert line.startswith("accelsim: latency: expected at least ")
    assert line.endswith(" cycles, the smallest that these widths reach, got 10 cycles; fixed: x activations, a weights, "
                         "fc weights, y activations\n")


def test_a_search_without_samples_is_refused(folder, capsys):
    assert main(["search", str(folder / "net.onnx"), "unpu", "--latency", "0.7x"]) == 2
    assert capsys.readouterr().err == "accelsim: --data: expected samples to calibrate on, got none\n"


def test_a_table_of_another_accelerator_is_refused(folder, capsys):
    out = folder / "other"
    assert main(arguments(folder, "--latency", "0.95x", "--front", "0", "--out", str(out))) == 0
    capsys.readouterr()
    assert main(["search", str(folder / "net.onnx"), "edge_16x16", "--data", str(folder / "data.npz"), "--latency", "0.9x",
                 "--table", str(out / "table.csv")]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"accelsim: {out / 'table.csv'}: expected a table made for the accelerator edge_16x16 (finger")
    assert line.count("\n") == 1
