"""The written Verilog, run by Icarus Verilog with its own testbench: the tile engine's cycles, the simulator's integers."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_designs as designs
from rtl import rtl_groups as groups

from accelsim import load_accelerator, with_changes
from accelsim.rtl.cases import case_of
from accelsim.rtl.description import header_of, module_name_of
from accelsim.rtl.design import GridDesign
from accelsim.rtl.standard_cases import driven_modes, standard_cases
from accelsim.rtl.verilog import verilog_of


@pytest.mark.parametrize("name", groups.names_of("icarus"))
def test_random_grids_pass(name, tmp_path):
    designs.assert_verilog_passes(*groups.made("icarus", name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", groups.names_of("icarus_slow"))
def test_more_random_grids_pass(name, tmp_path):
    designs.assert_verilog_passes(*groups.made("icarus_slow", name), tmp_path)


@pytest.mark.parametrize("name", groups.names_of("icarus_kinds"))
def test_random_grids_of_every_kind_pass(name, tmp_path):
    designs.assert_verilog_passes(*groups.made("icarus_kinds", name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", groups.names_of("icarus_kinds_slow"))
def test_more_random_grids_of_every_kind_pass(name, tmp_path):
    designs.assert_verilog_passes(*groups.made("icarus_kinds_slow", name), tmp_path)


@pytest.mark.parametrize("preset", ["whitepaper_4x4", "nvdla_small", "ethos_u55_128", "cortex_m7_like"])
def test_presets_pass_their_standard_cases(preset, tmp_path):
    design = GridDesign.of(load_accelerator(preset))
    designs.assert_verilog_passes(design, standard_cases(design, seed=0), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["edge_16x16", "nvdla_full", "gap8_hwce_like", "xnor_like"])
def test_larger_presets_do_so_too(preset, tmp_path):
    design = GridDesign.of(load_accelerator(preset))
    designs.assert_verilog_passes(design, standard_cases(design, seed=0), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "sizes"), [
    ("bitfusion_16x32", (4, 4, 1)), ("loom", (4, 4, 2)), ("stripes", (4, 4, 2)), ("tpu_v1", (6, 5, 1)),
    ("edge_tpu_like", (6, 5, 1)), ("scalesim_128x128", (6, 5, 1))])
def test_the_largest_presets_do_so_on_a_few_of_their_pes(preset, sizes, tmp_path):
    rows, columns, pixels = sizes
    chip = with_changes(load_accelerator(preset), {"pe_grid.rows": rows, "pe_grid.columns": columns,
                                                   "pe_grid.pixels": pixels, "requantizer.lanes": 4})
    design = GridDesign.of(chip)
    designs.assert_verilog_passes(design, standard_cases(design, seed=0), tmp_path)


@pytest.mark.parametrize("precision", ["bit_fusion_passes", "subword_uneven", "bit_serial_digits", "codebook"])
def test_the_standard_testbench_drives_every_mode_or_every_number_of_digits(precision):
    arithmetic = designs.design_of(precision).arithmetic
    driven = driven_modes(designs.design_of(precision))
    if arithmetic.has_mode:
        assert sorted(driven, key=arithmetic.modes.index) == list(arithmetic.modes)
    for side in ("weight_passes", "input_passes"):
        assert {getattr(mode, side) for mode in driven} == {getattr(mode, side) for mode in arithmetic.modes}


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_an_8_x_8_grid_passes(dataflow, tmp_path):
    design = designs.design_of(grid_rows=8, grid_columns=8, grid_dataflow=dataflow, unit_lanes=8)
    designs.assert_verilog_passes(design, designs.random_cases(design, np.random.default_rng(8), count=4), tmp_path)


def test_a_testbench_fails_where_one_integer_is_wrong(tmp_path):
    design, case = _small_case()
    first = case.reads[0]
    wrong = replace(first, expected=(first.expected[0] ^ 1, *first.expected[1:]))
    done = designs.run_verilog(design, [replace(case, reads=(wrong, *case.reads[1:]))], tmp_path)
    assert done.returncode != 0
    assert "FAIL: 1 of 1 cases" in done.stdout


@pytest.mark.parametrize("field", ["grid_cycles", "requantize_cycles"])
@pytest.mark.parametrize("cycles", [-1, 1])
def test_a_testbench_fails_where_a_cycle_count_is_wrong(field, cycles, tmp_path):
    design, case = _small_case()
    done = designs.run_verilog(design, [replace(case, **{field: getattr(case, field) + cycles})], tmp_path)
    assert done.returncode != 0
    assert "FAIL: 1 of 1 cases" in done.stdout


def _small_case():
    design = designs.design_of(grid_rows=2, grid_columns=2, unit_lanes=2)
    return design, case_of("small", design, [designs.block_of(design, 0, positions=3, k=3, n=2)])


def test_a_description_gives_the_same_bytes_every_time():
    chip = load_accelerator("whitepaper_4x4")
    design = GridDesign.of(chip)
    texts = {verilog_of(design, name=module_name_of(chip), header=header_of(chip, design)) for _ in range(2)}
    assert len(texts) == 1


def test_the_file_says_what_it_is_and_has_one_module_a_kind():
    chip = load_accelerator("edge_16x16")
    design = GridDesign.of(chip)
    text = verilog_of(design, name=module_name_of(chip), header=header_of(chip, design))
    assert text.startswith("// edge_16x16: PE grid, accumulators and requantizer\n")
    assert "// pe_grid.rows: 16\n" in text
    assert "// requantizer.scheme: tflite_double\n" in text
    assert re.findall(r"(?m)^module (\w+)", text) == [
        "edge_16x16_top", "fold_controller", "grid", "skew_lanes", "accumulator_lane", "requantizer", "skew_stationary",
        "skew_streamed", "skew_loads", "pe_rows", "accumulator_memory", "requantizer_lane", "pe_row", "pe", "multiplier"]
    assert "\\" not in text  # no escaped names
    assert len(re.findall(r"(?m)^  pe pe_\d+ \(", text)) == 16  # a row of them, 16 times a row


def test_the_head_says_how_operands_are_packed_and_what_the_modes_are():
    chip = designs.described("bit_fusion_4")
    head = "\n".join(header_of(chip, GridDesign.of(chip)))
    assert "mode, bits 1 to 0: width of the weights (0 2, 1 4, 2 8, 3 12 bits)\n" in head
    assert "mode 5 (4/4: 1 pair): 0-2x0-1\n" in head
    assert "mode 0 (2/2: 4 pairs): 0x0, 1x1, 2x2, 3x3\n" in head


@pytest.mark.parametrize("precision", ["fixed", "bit_fusion_passes", "subword_channels", "codebook"])
def test_verilator_finds_nothing_to_complain_about(precision, tmp_path):
    if shutil.which("verilator") is None:
        pytest.skip("Verilator is not installed")
    design = designs.design_of(precision, grid_rows=2, grid_columns=2, unit_lanes=2)
    cases = designs.random_cases(design, np.random.default_rng(0), count=2)
    designs.write_verilog(design, cases, tmp_path)
    done = subprocess.run(["verilator", "--lint-only", "--timing", "--top-module", "tested_testbench", "bench.v", "grid.v"],
                          cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
