"""The written Verilog, run by Icarus Verilog with its own testbench, takes the tile engine's cycles and gives its integers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_designs as designs

from accelsim import load_accelerator
from accelsim.rtl.cases import case_of
from accelsim.rtl.description import header_of, module_name_of
from accelsim.rtl.design import GridDesign
from accelsim.rtl.random_blocks import random_block, work_of
from accelsim.rtl.standard_cases import standard_cases
from accelsim.rtl.verilog import verilog_of


def assert_passes(design, cases, folder):
    done = designs.run_verilog(design, cases, folder)
    requests = sum(len(case.reads) for case in cases)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("PASS")] == [f"PASS: {len(cases)} cases, {requests} requests"]
    taken = [int(line.split()[2]) for line in lines if line.startswith("case ")]
    assert taken == [case.grid_cycles for case in cases]


@pytest.mark.parametrize("seed", range(1000, 1016))
def test_random_grids_pass(seed, tmp_path):
    assert_passes(*designs.seeded(seed), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2000, 2150))
def test_more_random_grids_pass(seed, tmp_path):
    assert_passes(*designs.seeded(seed), tmp_path)


@pytest.mark.parametrize("preset", ["edge_16x16", "ethos_u55_128", "nvdla_small", "whitepaper_4x4"])
def test_presets_pass_their_standard_cases(preset, tmp_path):
    design = GridDesign.of(load_accelerator(preset))
    assert_passes(design, standard_cases(design, seed=0), tmp_path)


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_an_8_x_8_grid_passes(dataflow, tmp_path):
    design = designs.design_of(grid_rows=8, grid_columns=8, grid_dataflow=dataflow, unit_lanes=8)
    assert_passes(design, designs.random_cases(design, np.random.default_rng(8), count=4), tmp_path)


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
    return design, case_of("small", design, [random_block(design, np.random.default_rng(0), work_of(positions=3, k=3, n=2))])


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
        "skew_streamed", "skew_loads", "pe_row", "accumulator_memory", "requantizer_lane", "pe"]
    assert "\\" not in text  # no escaped names
    assert len(re.findall(r"(?m)^  pe pe_\d+ \(", text)) == 16  # a row of them, 16 times a row
