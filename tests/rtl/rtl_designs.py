"""Designs and cases for tests: random ones by a seed, and a small grid to vary."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from accelsim import load_accelerator, with_changes
from accelsim.rtl.cases import case_of
from accelsim.rtl.design import DATAPATH_SCHEMES, GridDesign
from accelsim.rtl.random_blocks import random_block, random_sizes
from accelsim.rtl.standard_cases import of_one_layer
from accelsim.rtl.testbench import testbench_of
from accelsim.rtl.verilog import verilog_of

DATAFLOWS = ("weight_stationary", "input_stationary", "output_stationary", "dot_product")
ROUNDINGS = ("floor", "truncate", "half_up", "half_away", "half_even")

SMALL = {"pe_grid.rows": 4, "pe_grid.columns": 4, "accumulators.entries": 512, "requantizer.lanes": 4}


def described(**options):
    """edge_16x16 with a 4 x 4 grid, and some fields changed: `grid_rows=2` is pe_grid.rows."""
    sections = {"grid": "pe_grid", "precision": "pe_grid.precision", "sums": "accumulators", "unit": "requantizer"}
    changes = {f"{sections[name.split('_')[0]]}.{name.split('_', 1)[1]}": value for name, value in options.items()}
    return with_changes(load_accelerator("edge_16x16"), SMALL | changes)


def design_of(*, has_requantizer=True, has_signed_inputs=True, has_signed_weights=True, **options):
    return GridDesign.of(described(**options), has_requantizer=has_requantizer, has_signed_inputs=has_signed_inputs,
                         has_signed_weights=has_signed_weights)


def random_design(rng, *, side=6):
    """Every parameter that has an RTL, at random."""
    dataflow = str(rng.choice(DATAFLOWS))
    is_dot, is_output = dataflow == "dot_product", dataflow == "output_stationary"
    rows, columns, pixels = int(rng.integers(1, side + 1)), int(rng.integers(1, side + 1)), int(rng.choice((1, 1, 2, 3)))
    weight_bits, input_bits = (int(bits) for bits in rng.integers(2, 17, 2))
    widest = max(weight_bits, input_bits, 8)
    options = {
        "grid_rows": rows, "grid_columns": columns, "grid_dataflow": dataflow, "grid_pixels": pixels,
        "grid_overlap": str(rng.choice(("full", "none"))), "grid_extra_stages": int(rng.integers(0, 4)),
        "grid_swap_spacing": int(rng.choice((0, 0, 3, 11))), "precision_weight_bits": weight_bits,
        "precision_input_bits": input_bits, "grid_reduction": str(rng.choice(("window_channels", "channels"))),
        "grid_zero_points": str(rng.choice(("subtract", "fold_into_bias"))),
        "sums_double_buffered": bool(rng.integers(2)), "sums_preloads_bias": bool(rng.integers(4)),
        "sums_overflow": str(rng.choice(("wrap", "saturate"))),
        "sums_bits": int(rng.choice((widest, max(widest, 12), 20, 32, 32)))}
    if is_dot:
        options["grid_adder_tree_stages"] = int(rng.integers(1, 6))
    else:
        options |= {f"grid_registers_per_{way}_hop": int(rng.choice((0, 1, 1, 2, 3))) for way in ("row", "column")}
    if is_output:
        options["grid_drain"] = str(rng.choice(("rows", "columns")))
    elif not is_dot and rng.integers(2):
        options["grid_partial_sum_bits"] = int(rng.integers(widest, 33))
    sideways = is_dot or options.get("grid_drain") == "columns"
    options |= unit_options(rng, str(rng.choice(DATAPATH_SCHEMES)), lanes=(rows if sideways else columns) * pixels)
    return design_of(has_requantizer=bool(rng.integers(5)), has_signed_inputs=bool(rng.integers(3)),
                     has_signed_weights=bool(rng.integers(3)), **options)


def unit_options(rng, scheme, *, lanes):
    """A requantizer of this rule."""
    options = {"unit_scheme": scheme, "unit_lanes": int(rng.integers(1, lanes + 1)),
               "unit_latency_cycles": int(rng.integers(0, 6))}
    if scheme == "power_of_two":
        options["unit_rounding"] = str(rng.choice(ROUNDINGS))
    if scheme == "shift_floor":
        options["unit_multiplier_bits"] = int(rng.integers(1, 32))
    return options


def random_cases(design, rng, *, count=4, most=2.5):
    """Single blocks and, with two halves, pairs of them; uniform and extreme integers.

    The two blocks of an output-stationary pair have the same sizes (`test_rtl_timing`: the wait of a shorter second fold).
    """
    cases = []
    for place in range(count):
        sizes, values = random_sizes(design, rng, most=most), "extreme" if rng.integers(2) else "uniform"
        blocks = [random_block(design, rng, sizes, values)]
        if design.halves == 2 and place % 2:
            again = sizes if design.is_output_stationary else random_sizes(design, rng, most=most)
            blocks = [random_block(design, rng, sizes), random_block(design, rng, again)]
            blocks[1] = of_one_layer(blocks[1], blocks[0])
        cases.append(case_of(f"case {place}", design, blocks))
    return cases


def seeded(seed, **options):
    """(design, cases) of a seed."""
    rng = np.random.default_rng(seed)
    design = random_design(rng, **options)
    return design, random_cases(design, rng)


def run_verilog(design, cases, folder):
    """The written Verilog with its testbench in Icarus Verilog: its output. Skips where that is not installed."""
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")
    (folder / "grid.v").write_text(verilog_of(design, name="tested", header=["a test"]))
    (folder / "bench.v").write_text(testbench_of(design, cases, name="tested", header=["a test"]))
    built = subprocess.run(["iverilog", "-g2012", "-Wall", "-o", folder / "run", folder / "grid.v", folder / "bench.v"],
                           capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return subprocess.run(["vvp", folder / "run"], capture_output=True, text=True, check=False)
