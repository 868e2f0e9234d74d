"""``accelsim sweep`` from the outside."""

import csv
import json

import pytest

from accelsim import load_accelerator, load_network, simulate, with_changes
from accelsim.cli.main import main

MODEL = "mlperf_tiny_autoencoder"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ACCELSIM_CACHE", str(tmp_path / "cache"))

    def told(*arguments, code=0):
        assert main(["sweep", MODEL, "edge_16x16", "--workers", "1", *map(str, arguments)]) == code
        return capsys.readouterr()

    return told


def test_a_sweep_writes_its_page_figure_csv_and_json(run, tmp_path):
    told = run("--set", "pe_grid.rows=8,16", "--set", "dram.bandwidth=6.4 GB/s,25.6 GB/s", "--bits", "4/8", "--out",
               tmp_path / "sweep")
    assert told.err == f"report: {tmp_path / 'sweep' / 'index.html'}\n"
    assert f"{MODEL} on 4 variations of edge_16x16" in told.out
    names = {str(path.relative_to(tmp_path / "sweep")) for path in (tmp_path / "sweep").rglob("*.*")}
    assert names == {"index.html", "sweep.csv", "sweep.json", "figures/pareto.png", "figures/pareto.svg"}
    with (tmp_path / "sweep" / "sweep.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    network = load_network(MODEL, weight_bits=4)
    for row in rows:
        chip = with_changes(load_accelerator("edge_16x16"), {
            "pe_grid.rows": int(row["pe_grid.rows"]), "dram.bandwidth": row["dram.bandwidth"]})
        assert int(row["cycles"]) == simulate(chip, network).total_cycles
    document = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))
    assert document["fields"] == ["pe_grid.rows", "dram.bandwidth"]
    assert len(document["designs"]) == 4


def test_the_same_sweep_gives_the_same_bytes_from_the_store(run, tmp_path, monkeypatch):
    run("--set", "pe_grid.rows=8,16", "--out", tmp_path / "first")
    monkeypatch.setattr("accelsim.lut.layer_job.run_layer", None)
    run("--set", "pe_grid.rows=8,16", "--out", tmp_path / "second")
    for path in (tmp_path / "first").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()


@pytest.mark.parametrize(("arguments", "message"), [
    ((), "--set: expected at least one field with values such as pe_grid.rows=8,16,32, got none"),
    (("--set", "pe_grid.rows"), "--set: expected a field and its values such as pe_grid.rows=8,16,32, got pe_grid.rows"),
    (("--set", "dma.queues=8,"), "--set: expected a field and its values such as pe_grid.rows=8,16,32, got dma.queues=8,"),
    (("--set", "pe_grid.rows=8,8"), "--set: expected different values, got pe_grid.rows=8,8"),
    (("--set", "pe_grid.rows=8", "--set", "pe_grid.rows=4"), "--set: expected every field once, got pe_grid.rows twice"),
    (("--set", "pe_grid.rows=many"), "pe_grid.rows: expected a whole number, got \"many\""),
    (("--set", "grid.rows=8"), 'expected the dotted path of a field, got "grid.rows"'),
])
def test_mistakes_are_told_in_one_line(run, arguments, message):
    told = run(*arguments, code=2)
    assert told.out == ""
    assert told.err == f"accelsim: {message}\n"
