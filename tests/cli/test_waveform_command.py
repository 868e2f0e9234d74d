"""`accelsim waveform`: what it says, writes and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import quantized_models as models

from accelsim.cli.main import main

STEP = ("mlperf_tiny_dscnn, conv1, tile 0 of 100 on whitepaper_4x4: step 3 of its program, g[0:1] m[0:25] n[0:16] k[0:8]; "
        "8 folds, 205 clock cycles")
RANDOM = "operands: random integers of seed 0, at the layer's widths"
CONV1 = ["waveform", "mlperf_tiny_dscnn", "whitepaper_4x4", "--layer", "conv1"]


def test_it_says_beforehand_what_it_will_write_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "grid.vcd", tmp_path / "grid.html"
    assert main([*CONV1, "--out", str(out), "--animate", str(page)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[:2] == [STEP, RANDOM]
    told = [line.partition(", about ")[0] for line in lines[2:4]]
    assert told == [f"{out}: 205 clock cycles", f"{page}: 205 clock cycles"]
    assert lines[4:] == [f"waveform: {out}", f"animation: {page}"]
    assert out.read_text().startswith("$version accelsim ")
    assert page.read_text().startswith("<!doctype html>")


def test_a_part_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "grid.html"
    assert main([*CONV1, "--animate", str(page), "--clocks", "100:140", "--tile", "99", "--seed", "7"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("k[32:40]; 8 folds, 205 clock cycles and 101 of the requantizer")
    assert lines[1] == "operands: random integers of seed 7, at the layer's widths"
    assert lines[2].startswith(f"{page}: 40 clock cycles, about ")
    assert lines[3] == f"animation: {page}, clock cycles 100:140 of 0:306; --clocks shows others"


def test_the_integers_of_a_model_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = models.convolutional()
    model, inputs, out = models.quantized(described, tmp_path, form="QDQ"), tmp_path / "x.npz", tmp_path / "grid.vcd"
    np.savez(inputs, x=np.stack(described.samples(2, seed=3)))
    options = ["--layer", "fc", "--inputs", str(inputs), "--sample", "1", "--rounding", "model", "--out", str(out)]
    assert main(["waveform", str(model), "whitepaper_4x4", *options]) == 0
    assert f"operands: integers of sample 1 of {inputs}" in capsys.readouterr().err.splitlines()
    told = f"$comment operands: integers of sample 1 of {inputs}; inputs unsigned 8 bits, weights signed 8 bits"
    assert told in out.read_text()


@pytest.mark.parametrize(("options", "message"), [
    (["--layer", "conv1"], "--out: expected a file for the signals, or --animate, got neither"),
    (["--out", "a.vcd"], "--layer: expected the name of a layer, got none"),
    (["--layer", "conv", "--out", "a.vcd"],
     'mlperf_tiny_dscnn: expected the name of a layer, got "conv" (did you mean conv1?)'),
    (["--layer", "pool", "--out", "a.vcd"],
     "pool: expected a layer on the PE grid, got one that the vector unit executes (pooling)"),
    (["--layer", "conv1", "--tile", "100", "--out", "a.vcd"],
     "conv1: expected tile 0 to 99, one of its compute steps, got 100"),
    (["--layer", "conv1", "--out", "a.vcd", "--clocks", "9"],
     "--clocks: expected a first clock cycle and an end behind it such as 0:240, got 9"),
    (["--layer", "conv1", "--out", "a.vcd", "--clocks", "9:9"],
     "--clocks: expected a first clock cycle and an end behind it such as 0:240, got 9:9"),
    (["--layer", "conv1", "--out", "a.vcd", "--limit", "5"], '--limit: expected a size such as "512 KiB", got "5"'),
    (["--layer", "conv1", "--animate", "a.mp4"], "a.mp4: expected a file that ends in .gif, .html or .png, got .mp4"),
    (["--layer", "conv1", "--out", "a.html", "--animate", "a.html"], "--animate: expected another file than the signals'"),
    (["--layer", "conv1", "--out", "a.vcd", "--inputs", "missing.npz"],
     "{shipped}: expected a quantized .onnx or .tflite model for a run with integers, got a .yaml of shapes"),
    (["--layer", "conv1", "--out", "a.vcd", "--inputs", "x.npz", "--bits", "4/4"],
     "--bits: a model with integers has widths of its own"),
])
def test_a_mistake_is_one_line_and_exit_code_2(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelsim import shipped_workloads

    monkeypatch.chdir(tmp_path)
    assert main(["waveform", "mlperf_tiny_dscnn", "whitepaper_4x4", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"accelsim: {message.format(shipped=shipped_workloads()['mlperf_tiny_dscnn'])}\n"
    assert list(tmp_path.iterdir()) == []


def test_clocks_that_the_tile_does_not_have_and_sizes_beyond_the_limit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.vcd"
    assert main([*CONV1, "--out", str(out), "--clocks", "300:400"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        STEP, RANDOM, "accelsim: clocks: expected a first and an end within the step's 0:205, got 300:400"]
    assert main([*CONV1, "--out", str(out), "--limit", "10 KB"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == [STEP, RANDOM]
    assert told[2].startswith(f"accelsim: {out}: expected at most 10 kB, got about ")
    assert told[2].endswith(" for 205 clock cycles; --clocks FIRST:END shows fewer of them, --limit allows more")
    assert not out.exists()
    assert main([*CONV1, "--out", str(out), "--limit", "10 KB", "--clocks", "0:2"]) == 2  # its header alone is larger
    assert main([*CONV1, "--animate", str(tmp_path / "a.html"), "--limit", "10 KB"]) == 2


def test_a_place_where_nothing_can_be_written_is_told_before_the_model_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--out", "--animate"):
        folder = tmp_path / ("a.vcd" if option == "--out" else "a.html")
        folder.mkdir()
        assert main(["waveform", "no_such_model", "--layer", "x", option, str(folder)]) == 2
        assert capsys.readouterr().err == f"accelsim: {folder}: expected a file to write to, got a folder\n"
