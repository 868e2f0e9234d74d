"""`accelsim check` shows the peak of the grid for each pair of operand widths, and what is rounded up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from accelsim.cli.main import main
from accelsim.hardware import load_accelerator, preset_path, summarize, with_changes
from accelsim.hardware.summary import WidthSummary

EDGE = preset_path("edge_16x16").read_text(encoding="utf-8")


def peaks(text: str) -> list[str]:
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("peak"))
    found = [lines[first][15:]]
    for line in lines[first + 1:]:
        if not line.startswith(" "):
            break
        found.append(line[15:])
    return found


def checked(capsys: pytest.CaptureFixture[str], folder: Path, precision: str) -> list[str]:
    text = re.sub(r"  precision:\n(?:    .*\n)+", f"  precision: {precision}\n", EDGE)
    path = folder / "npu.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["check", str(path)]) == 0
    return peaks(capsys.readouterr().out)


def test_a_fixed_multiplier_runs_all_at_one_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, tmp_path, "{kind: fixed}") == [
        "0.4096 TOPS (256 MACs/cycle) with 8/8 bits; 4/8, 8/4, 4/4, 3/3, 2/8, 2/2, 1/8, 1/1 run as 8/8"]
    assert checked(capsys, tmp_path, "{kind: fixed, gated: true}") == [
        "0.4096 TOPS (256 MACs/cycle) with 8/8, 4/8, 8/4, 4/4, 3/3, 2/8, 2/2, 1/8, 1/1 bits"]


def test_bricks_have_a_peak_for_each_pair_of_widths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, tmp_path, "{kind: bit_fusion}") == [
        "0.1024 TOPS (64 MACs/cycle) with 16/16 bits",
        "0.2048 TOPS (128 MACs/cycle) with 8/16 bits",
        "0.4096 TOPS (256 MACs/cycle) with 8/8 bits",
        "0.8192 TOPS (512 MACs/cycle) with 4/8, 8/4 bits",
        "1.638 TOPS (1,024 MACs/cycle) with 4/4, 2/8 bits; 3/3 runs as 4/4; 1/8 runs as 2/8",
        "6.554 TOPS (4,096 MACs/cycle) with 2/2 bits; 1/1 runs as 2/2"]


def test_serial_peaks_may_be_fractions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checked(capsys, tmp_path, "{kind: bit_serial, serial: both, weight_bits: 3, input_bits: 8}")
    assert "0.04551 TOPS (28.4444 MACs/cycle) with 3/3 bits" in found


def test_widths_that_are_rounded_up_alone_have_a_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, tmp_path, "{kind: bit_serial, serial: weights}") == [
        "0.0512 TOPS (32 MACs/cycle) with 8/8 bits; 8/4 runs as 8/8",
        "0.1024 TOPS (64 MACs/cycle) with 4/8 bits; 4/4 runs as 4/8",
        "0.1365 TOPS (85.3333 MACs/cycle) with 3/3 bits run as 3/8",
        "0.2048 TOPS (128 MACs/cycle) with 2/8 bits; 2/2 runs as 2/8",
        "0.4096 TOPS (256 MACs/cycle) with 1/8 bits; 1/1 runs as 1/8"]


def test_widths_that_only_the_description_has_are_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, tmp_path, "{kind: fixed, weight_bits: 5, input_bits: 12}")[0].startswith(
        "0.4096 TOPS (256 MACs/cycle) with 5/12 bits; 4/8, ")
    assert checked(capsys, tmp_path, "{kind: ternary, input_bits: 6}") == [
        "0.4096 TOPS (256 MACs/cycle) with 2/6 bits; 2/2, 1/1 run as 2/6"]
    assert checked(capsys, tmp_path, "{kind: codebook, index_bits: 6, entry_bits: 8}") == [
        "0.4096 TOPS (256 MACs/cycle) with 6/8, 4/8, 4/4, 3/3, 2/8, 2/2, 1/8, 1/1 bits run as 8/8"]


def test_floating_point_is_told_apart_from_integers_of_the_same_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                                      ) -> None:
    modes = ("{kind: subword, modes: [{weight_bits: 16, input_bits: 16, macs_per_cycle: 2, is_float: true}, "
             "{weight_bits: 8, input_bits: 8, macs_per_cycle: 2}]}")
    assert checked(capsys, tmp_path, modes) == [
        "0.8192 TFLOPS (512 MACs/cycle) with 16/16 bits; 8/16 runs as 16/16",
        "0.8192 TOPS (512 MACs/cycle) with 8/8 bits; 4/8, 8/4, 4/4, 3/3, 2/8, 2/2, 1/8, 1/1 run as 8/8"]


def test_summary_states_peaks_at_the_native_widths() -> None:
    fusing = with_changes(load_accelerator("edge_16x16"), {"pe_grid.precision": {"kind": "bit_fusion", "fused_bits": 4}})
    summary = summarize(fusing)
    assert (summary.native_weight_bits, summary.native_input_bits, summary.macs_per_cycle) == (4, 4, 256)
    assert WidthSummary(2, 2, 2, 2, 1024) in summary.widths
    assert WidthSummary(8, 8, 8, 8, 64) in summary.widths
    assert summary.ridge_macs_per_byte == 256 / 16


def test_json_has_whole_peaks_as_whole_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "edge_16x16", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert repr(document["macs_per_cycle"]) == "256"
    assert document["widths"][0] == {"weight_bits": 8, "input_bits": 8, "executed_weight_bits": 8, "executed_input_bits": 8,
                                     "macs_per_cycle": 256, "is_float": False}
