"""``accelsim lut`` from the outside."""

import json
import re

import numpy as np
import pytest

from accelsim import load_accelerator, load_network, simulate
from accelsim.cli.main import main
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.operand_bits import OperandBits

MODEL, BITS = "mlperf_tiny_autoencoder", ("--bits", "4,8", "--workers", "1")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(cache, monkeypatch, capsys):
    monkeypatch.setenv("ACCELSIM_CACHE", str(cache))

    def told(*arguments, code=0):
        assert main(["lut", *map(str, arguments)]) == code
        return capsys.readouterr()

    return told


def test_the_table_says_what_the_network_takes_at_every_uniform_choice(run, tmp_path):
    told = run(MODEL, "bitfusion_16x32", *BITS, "--out", tmp_path / "t.csv")
    table = LatencyTable.load(tmp_path / "t.csv")
    assert told.err == f"table: {tmp_path / 't.csv'}, 80 rows of 10 layers\n"
    chip = load_accelerator("bitfusion_16x32")
    table.check(network=load_network(MODEL), accelerator=chip)
    for bits in (4, 8):
        result = simulate(chip, load_network(MODEL, weight_bits=bits, input_bits=bits))
        assert table.total(dict.fromkeys(table.layers, OperandBits(bits, bits, bits))).cycles == result.total_cycles
        (line,) = [line for line in told.out.splitlines() if line.startswith(f" {bits}/{bits}/{bits} ")]
        assert f" {result.total_cycles:,} " in line


def test_a_second_table_comes_from_the_store(run, cache, tmp_path, monkeypatch):
    run(MODEL, "bitfusion_16x32", *BITS, "--out", tmp_path / "first.csv")
    assert (cache / "runs.sqlite").exists()
    monkeypatch.setattr("accelsim.lut.layer_job.run_layer", None)
    run(MODEL, "bitfusion_16x32", *BITS, "--out", tmp_path / "second.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_json_holds_the_rows_of_the_table(run):
    document = json.loads(run(MODEL, "bitfusion_16x32", *BITS, "--json").out)
    assert document["network"] == MODEL
    assert document["accelerator_fingerprint"] == load_accelerator("bitfusion_16x32").fingerprint
    assert len(document["rows"]) == 80
    assert {"layer", "weight_bits", "cycles", "energy_pj", "microseconds", "bound"} <= set(document["rows"][0])
    assert "explanation" not in document


def test_json_holds_the_explanation_that_is_asked_for(run):
    document = json.loads(run(MODEL, "bitfusion_16x32", *BITS, "--json", "--explain").out)["explanation"]
    bits = [(choice["weight_bits"], choice["input_bits"]) for choice in document["uniform"]]
    assert bits == [(4, 4), (4, 8), (8, 4), (8, 8)]
    macs = load_network(MODEL).macs
    assert [choice["bops"] for choice in document["uniform"]] == [16 * macs, 32 * macs, 32 * macs, 64 * macs]
    assert len(document["layers"]) == 10
    assert document["layers"][0]["weights_promised"] == 2


def test_rounding_is_said(run):
    told = run(MODEL, "bitfusion_16x32", "--bits", "3,8", "--output-bits", "8", "--workers", "1")
    assert told.out.splitlines()[-1] == ("Rounded up by bitfusion_16x32: weights of 3 as 4 bits; inputs of 3 as 4 bits.")


def test_explain_names_what_holds_each_layer(run, tmp_path):
    told = run(MODEL, "bitfusion_16x32", *BITS, "--explain", "--report", tmp_path / "report")
    lines = told.out.splitlines()
    assert "10 layers on the PE grid, compared at 8-bit outputs." in lines
    assert sum("memory bound" in line for line in lines if line.startswith(" ")) >= 5
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "What holds it" in page
    assert (tmp_path / "report" / "explanation.csv").read_text().startswith("layer,macs,cycles,rank_correlation,")
    assert sorted(path.name for path in (tmp_path / "report" / "figures").iterdir()) == [
        "bops_and_time.png", "bops_and_time.svg", "gains.png", "gains.svg"]


def test_haqs_and_hawqs_files_are_written_and_read(run, tmp_path):
    run(MODEL, "bitfusion_16x32", *BITS, "--haq", tmp_path / "h.npy", "--hawq", tmp_path / "h.json", "--out",
        tmp_path / "t.csv")
    table = LatencyTable.load(tmp_path / "t.csv")
    array = np.load(tmp_path / "h.npy")
    wanted = table.cost(table.layers[3], OperandBits(4, 8, 8)).cycles / table.header.clock_hz * 1e3
    assert array[3, 3, 7] == pytest.approx(wanted, rel=1e-12)
    told = run(MODEL, "--table", tmp_path / "h.npy", "--out", tmp_path / "theirs.csv")
    # Times alone: no cycles, no energy, no traffic.
    assert re.search(r" 8/8/8 +– +[0-9.]+ us +1.00× +– +– +[0-9.]+ KiB +–", told.out)
    assert f"{tmp_path / 'theirs.csv'}, " in told.err
    theirs = LatencyTable.load(tmp_path / "theirs.csv")
    assert theirs.cost(table.layers[3], OperandBits(4, 8, 8)).cycles == round(wanted * 1e9)
    assert "latency_int4" in json.loads((tmp_path / "h.json").read_text())
    run(MODEL, "--table", tmp_path / "h.json", "--out", tmp_path / "hawqs.csv")
    assert LatencyTable.load(tmp_path / "hawqs.csv").layers == table.layers


def test_a_table_is_read_for_the_hardware_that_it_was_made_for(run, tmp_path):
    run(MODEL, "bitfusion_16x32", *BITS, "--out", tmp_path / "t.csv")
    assert "uniform bits" in run(MODEL, "bitfusion_16x32", "--table", tmp_path / "t.csv").out
    told = run(MODEL, "edge_16x16", "--table", tmp_path / "t.csv", code=2)
    chips = [load_accelerator(name).fingerprint[:12] for name in ("edge_16x16", "bitfusion_16x32")]
    assert told.err == (f"accelsim: {tmp_path / 't.csv'}: expected a table made for the accelerator edge_16x16 (fingerprint "
                        f"{chips[0]}), got one made for bitfusion_16x32 (fingerprint {chips[1]})\n")


def test_residency_and_prefetch_are_compared_with_the_tables_sum(run):
    told = run(MODEL, "bitfusion_16x32", *BITS, "--keep-activations", "--prefetch-weights")
    chip, network = load_accelerator("bitfusion_16x32"), load_network(MODEL)
    from accelsim import MappingOptions

    alone = simulate(chip, network).total_cycles
    together = simulate(chip, network, options=MappingOptions(keeps_activations=True, prefetches_weights=True)).total_cycles
    assert told.out.splitlines()[-1] == (
        f"At 8/8/8 the table's rows add up to {alone:,} cycles; with activations kept on chip and weights prefetched the "
        f"network takes {together:,}, {100 * (together / alone - 1):+.1f} %.")


def test_the_bar_shows_the_time_that_is_left(run, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    told = run(MODEL, "edge_16x16", "--bits", "2,8", "--workers", "1")
    assert MODEL in told.err
    assert "left" in told.err


@pytest.mark.parametrize(("arguments", "message"), [
    (("--bits", "four"), "--bits: expected widths from 1 to 32 such as 2,4,8, got four"),
    (("--bits", "0,8"), "--bits: expected widths from 1 to 32 such as 2,4,8, got 0,8"),
    (("--accumulators", "4"), "--accumulators: expected widths from 8 to 64 such as 16,24,32, got 4"),
    (("--accumulators", "12"), "accumulators.bits: expected at least the operands' 16 bits, got 12"),
    (("--bits", "32"), None),
    (("--table", "none.csv"), "none.csv: expected a file, found none of that name"),
    (("--store", ""), "--store: expected a file or none, got an empty name"),
])
def test_mistakes_are_told_in_one_line(run, arguments, message):
    told = run(MODEL, "bitfusion_16x32", *arguments, code=2)
    assert told.out == ""
    assert told.err.count("\n") == 1
    if message is not None:
        assert told.err == f"accelsim: {message}\n"
    else:
        assert "expected operands of at most 16-bit weights and 16-bit inputs on bitfusion_16x32, got 32 and 32" in told.err
