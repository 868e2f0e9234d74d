"""Waveforms as files: header, times, other readers, whole or not at all."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction

import pytest
from value_dump import Dump

from accelsim import load_accelerator, load_network, with_changes
from accelsim.errors import AccelsimError, HardwareError, OutputError
from accelsim.report.shown_step import shown_step
from accelsim.report.step_signals import StepSignals
from accelsim.report.waveform import step_clocks, write_waveform
from accelsim.version import __version__

CHIP, NETWORK = load_accelerator("whitepaper_4x4"), load_network("mlperf_tiny_dscnn")
DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def written(step, folder, **options):
    write_waveform(step, folder / "step.vcd", **options)
    return Dump(folder / "step.vcd")


def tiny(**changes):
    """A tile of a layer on a 2 x 2 grid."""
    chip = with_changes(CHIP, {"pe_grid.rows": 2, "pe_grid.columns": 2, **changes})
    return shown_step(chip, NETWORK, layer="conv1", tile=0)


def test_the_header_tells_what_is_shown(folder):
    step = tiny(**{"pe_grid.dataflow": "weight_stationary", "accumulators.bits": 24, "pe_grid.partial_sum_bits": 19})
    dump = written(step, folder, clocks=(0, 5))
    ranges, total = step.ranges_text, step_clocks(step)
    assert dump.header[:7] == [
        ("$version", f"accelsim {__version__}"),
        ("$comment", f"model mlperf_tiny_dscnn, layer conv1, tile 0 of {step.tiles} (step 3 of its program: {ranges})"),
        ("$comment", "accelerator whitepaper_4x4: 2 x 2 PEs, weight_stationary, clock 100 MHz"),
        ("$comment", f"clock cycles 0 to 4 of {total}: {total} of the grid, then 0 of the requantizer"),
        ("$comment", "operands: random integers of seed 0, at the layer's widths; inputs signed 8 bits, weights signed 8 "
                     "bits, all sums signed"),
        ("$comment", "x: holds nothing; memories (shadow, drain, accumulators) stand as a clock cycle leaves them"),
        ("$timescale", "1 ns")]
    assert [dump.widths[f"grid.row01.pe01.{name}"] for name in ("input", "weight", "weight_shadow", "partial_sum")] == [
        8, 8, 8, 19]
    assert {width for name, width in dump.widths.items() if re.search(r"lane\d+\.m", name)} == {24}


@pytest.mark.parametrize(("clock", "unit", "femtoseconds"), [
    ("100 MHz", "1 ns", 10**6), ("500 MHz", "1 ns", 10**6), ("800 MHz", "1 ps", 10**3), ("700 MHz", "1 fs", 1),
    ("1 GHz", "100 ps", 10**5), ("1 Hz", "100 ms", 10**14)])
def test_times_are_those_of_the_clock_s_edges(clock, unit, femtoseconds, folder):
    step = tiny(clock=clock)
    dump = written(step, folder, clocks=(3, 7))
    assert ("$timescale", unit) in dump.header
    half = Fraction(10**15, 2 * step.accelerator.clock_hz)
    assert dump.times == [int(half * edge) // femtoseconds for edge in range(6, 15)]
    assert [dump.text("controller.clock", time) for time in dump.times[:-1]] == ["1", "0"] * 4


def test_a_clock_beyond_the_unit_s_reach_is_refused(folder):
    with pytest.raises(HardwareError) as caught:
        write_waveform(tiny(clock="600000 GHz"), folder / "fast.vcd")
    assert str(caught.value) == ("whitepaper_4x4: clock: expected at most 500 THz, whose half cycle a waveform can tell, "
                                 "got 600000000000000 Hz")
    assert not (folder / "fast.vcd").exists()


def test_clocks_that_the_step_does_not_have_are_refused(folder):
    step = tiny()
    total = step_clocks(step)
    with pytest.raises(AccelsimError) as caught:
        write_waveform(step, folder / "none.vcd", clocks=(total, total + 5))
    assert str(caught.value) == f"clocks: expected a first and an end within the step's 0:{total}, got {total}:{total + 5}"


def test_equal_steps_give_equal_bytes(folder):
    for name in ("one.vcd", "two.vcd"):
        write_waveform(tiny(), folder / name)
    assert (folder / "one.vcd").read_bytes() == (folder / "two.vcd").read_bytes()


def test_a_file_is_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "grid.vcd"
    path.write_text("old")
    shown = []

    def fail(self, clock):
        shown.append(clock)
        if len(shown) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(StepSignals, "show", fail)
    with pytest.raises(OutputError) as caught:
        write_waveform(tiny(), path)
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["grid.vcd"]


def test_a_folder_in_the_file_s_place_is_refused(tmp_path):
    with pytest.raises(OutputError) as caught:
        write_waveform(tiny(), tmp_path)
    assert str(caught.value) == f"{tmp_path}: expected a file to write to, got a folder"


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_another_reader_finds_the_same_changes(dataflow, folder):
    reader = pytest.importorskip("vcd.reader", reason="needs pyvcd, another reader")
    dump, kinds = written(tiny(**{"pe_grid.dataflow": dataflow}), folder, clocks=(0, 60)), reader.TokenKind
    found, names, scope, time = {name: [] for name in dump.widths}, {}, [], 0
    with (folder / "step.vcd").open("rb") as file:
        for token in reader.tokenize(file):
            if token.kind is kinds.SCOPE:
                scope.append(token.scope.ident)
            elif token.kind is kinds.UPSCOPE:
                scope.pop()
            elif token.kind is kinds.VAR:
                names.setdefault(token.var.id_code, []).append(".".join([*scope, token.var.reference]))
            elif token.kind is kinds.CHANGE_TIME:
                time = token.time_change
            elif token.kind in (kinds.CHANGE_SCALAR, kinds.CHANGE_VECTOR):
                change = token.scalar_change if token.kind is kinds.CHANGE_SCALAR else token.vector_change
                value = change.value if isinstance(change.value, str) else f"{change.value:b}"
                for name in names[change.id_code]:
                    found[name].append((time, value))
    assert found == dump.changes


@pytest.mark.skipif(shutil.which("vcd2fst") is None, reason="needs vcd2fst and fst2vcd of GTKWave")
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_gtkwave_s_tools_take_the_file_and_give_it_back(dataflow, tmp_path):
    dump = written(tiny(**{"pe_grid.dataflow": dataflow}), tmp_path, clocks=(0, 60))
    for command in (["vcd2fst", "step.vcd", "step.fst"], ["fst2vcd", "-f", "step.fst", "-o", "back.vcd"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    text = re.sub(r"^b(0*)([01]+|x+) ", lambda match: f"b{'x' if match[2][0] == 'x' else match[2]} ",
                  (tmp_path / "back.vcd").read_text(encoding="ascii"), flags=re.MULTILINE)
    (tmp_path / "back.vcd").write_text(text, encoding="ascii")
    back = Dump(tmp_path / "back.vcd")
    assert back.widths == dump.widths
    assert back.changes == dump.changes
