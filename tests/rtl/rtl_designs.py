"""Designs and cases for tests: random ones by a seed, and a small grid to vary."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from accelsim import load_accelerator, with_changes
from accelsim.rtl.cases import case_of
from accelsim.rtl.design import DATAPATH_SCHEMES, GridDesign
from accelsim.rtl.random_blocks import random_block, random_mode, random_sizes, work_of
from accelsim.rtl.standard_cases import followed_by
from accelsim.rtl.testbench import testbench_of
from accelsim.rtl.verilog import verilog_of

DATAFLOWS = ("weight_stationary", "input_stationary", "output_stationary", "dot_product")
ROUNDINGS = ("floor", "truncate", "half_up", "half_away", "half_even")

SMALL = {"pe_grid.rows": 4, "pe_grid.columns": 4, "accumulators.entries": 512, "requantizer.lanes": 4}


def modes(*rates):
    """Modes of subword PEs, as (weight bits, input bits, MACs a cycle)."""
    return [{"weight_bits": weights, "input_bits": inputs, "macs_per_cycle": rate} for weights, inputs, rate in rates]


#: Precisions by name. The modes of subword PEs are those of DVAFS (Moons et al. 2017), TPU v1, GAP8's convolution engine,
#: and a list that nobody built.
PRECISIONS = {
    "fixed": {"kind": "fixed", "weight_bits": 8, "input_bits": 8},
    "subword": {"kind": "subword", "modes": modes((8, 8, 1), (4, 4, 2), (2, 2, 4))},
    "subword_passes": {"kind": "subword", "modes": modes((8, 8, 1), (8, 16, "1/2"), (16, 8, "1/2"), (16, 16, "1/4"))},
    "subword_channels": {"kind": "subword", "widens": "channels", "modes": modes((16, 16, 1), (8, 16, 2), (4, 16, 4))},
    "subword_split": {"kind": "subword", "modes": modes((8, 6, 1), (4, 6, 2), (1, 6, 8))},
    "subword_uneven": {"kind": "subword", "modes": modes((6, 7, 3), (1, 1, 16), (5, 11, "1/3"))},
    "bit_fusion_4": {"kind": "bit_fusion", "fused_bits": 4, "weight_bits": 10, "input_bits": 4},
    "bit_fusion_8": {"kind": "bit_fusion", "fused_bits": 8, "weight_bits": 8, "input_bits": 8},
    "bit_fusion_16": {"kind": "bit_fusion", "fused_bits": 16, "weight_bits": 16, "input_bits": 16},
    "bit_fusion_passes": {"kind": "bit_fusion", "fused_bits": 8, "weight_bits": 16, "input_bits": 16},
    "bit_serial_weights": {"kind": "bit_serial", "serial": "weights", "weight_bits": 8, "input_bits": 8,
                           "overhead_cycles": 3, "depthwise_overhead_cycles": 7},
    "bit_serial_inputs": {"kind": "bit_serial", "serial": "inputs", "weight_bits": 16, "input_bits": 16},
    "bit_serial_both": {"kind": "bit_serial", "serial": "both", "weight_bits": 5, "input_bits": 4, "overhead_cycles": 2},
    "bit_serial_digits": {"kind": "bit_serial", "serial": "both", "weight_bits": 8, "input_bits": 7, "bits_per_cycle": 3},
    "xnor": {"kind": "binary"},
    "binary": {"kind": "binary", "input_bits": 6},
    "ternary": {"kind": "ternary"},
    "ternary_wide": {"kind": "ternary", "input_bits": 8},
    "shift_add": {"kind": "shift_add", "weight_bits": 4, "input_bits": 8},
    "codebook": {"kind": "codebook", "index_bits": 4, "entry_bits": 8, "input_bits": 8},
    "codebook_vectors": {"kind": "codebook", "index_bits": 6, "vector_length": 3, "entry_bits": 5, "input_bits": 9},
}

#: Kinds whose weights have their sign in a code.
SIGNED = ("binary", "ternary", "shift_add")


def described(precision=None, **options):
    """edge_16x16 with a 4 x 4 grid, another precision of `PRECISIONS`, and some fields changed: `grid_rows=2` is
    pe_grid.rows."""
    sections = {"grid": "pe_grid", "precision": "pe_grid.precision", "sums": "accumulators", "unit": "requantizer"}
    changes = {f"{sections[name.split('_')[0]]}.{name.split('_', 1)[1]}": value for name, value in options.items()}
    if precision is not None:
        changes["pe_grid.precision"] = PRECISIONS[precision]
    return with_changes(load_accelerator("edge_16x16"), SMALL | changes)


def design_of(precision=None, *, has_requantizer=True, has_signed_inputs=True, has_signed_weights=True, **options):
    return GridDesign.of(described(precision, **options), has_requantizer=has_requantizer,
                         has_signed_inputs=has_signed_inputs, has_signed_weights=has_signed_weights)


def random_design(rng, *, precision=None, dataflow=None, side=6):
    """Every parameter that has an RTL, at random; fixed PEs of random widths unless a name of `PRECISIONS` is given."""
    dataflow = dataflow or str(rng.choice(DATAFLOWS))
    is_dot, is_output = dataflow == "dot_product", dataflow == "output_stationary"
    rows, columns, pixels = int(rng.integers(1, side + 1)), int(rng.integers(1, side + 1)), int(rng.choice((1, 1, 2, 3)))
    options = {
        "grid_rows": rows, "grid_columns": columns, "grid_dataflow": dataflow, "grid_pixels": pixels,
        "grid_overlap": str(rng.choice(("full", "none"))), "grid_extra_stages": int(rng.integers(0, 4)),
        "grid_swap_spacing": int(rng.choice((0, 0, 3, 11))),
        "grid_reduction": str(rng.choice(("window_channels", "channels"))), "sums_double_buffered": bool(rng.integers(2)),
        "sums_preloads_bias": bool(rng.integers(4)), "sums_overflow": str(rng.choice(("wrap", "saturate")))}
    if precision is None:
        weight_bits, input_bits = (int(bits) for bits in rng.integers(2, 17, 2))
        options |= {"precision_weight_bits": weight_bits, "precision_input_bits": input_bits,
                    "grid_zero_points": str(rng.choice(("subtract", "fold_into_bias")))}
        widest = max(weight_bits, input_bits, 8)
    else:
        probe = described(precision, grid_rows=1, grid_columns=1, unit_lanes=1).pe_grid
        widest = max(probe.precision.widest_operand_bits, 8)
        if probe.precision.takes_wider_inputs:
            options["grid_zero_points"] = str(rng.choice(("subtract", "fold_into_bias")))
        if design_of(precision, grid_overlap="none").arithmetic.pairs > 1 and not is_dot:
            options["sums_overflow"] = "wrap"
    options["sums_bits"] = int(rng.choice((widest, max(widest, 12), 20, 32, 32)))
    if is_dot:
        options["grid_adder_tree_stages"] = int(rng.integers(1, 6))
    else:
        options |= {f"grid_registers_per_{way}_hop": int(rng.choice((0, 1, 1, 2, 3))) for way in ("row", "column")}
    if is_output:
        options["grid_drain"] = str(rng.choice(("rows", "columns")))
    elif rng.integers(3) == 0:
        options["grid_preload_cycles"] = int(rng.choice((0, 1, rows, rows + 2)))
    if not is_dot and not is_output and rng.integers(2):
        options["grid_partial_sum_bits"] = int(rng.integers(widest, 33))
    sideways = is_dot or options.get("grid_drain") == "columns"
    options |= unit_options(rng, str(rng.choice(DATAPATH_SCHEMES)), lanes=(rows if sideways else columns) * pixels)
    is_signed = precision is not None and PRECISIONS[precision]["kind"] in SIGNED
    return design_of(precision, has_requantizer=bool(rng.integers(5)), has_signed_inputs=bool(rng.integers(3)),
                     has_signed_weights=is_signed or bool(rng.integers(3)), **options)


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
    """Single blocks and, with two halves, pairs of them; uniform and extreme integers; each in a random mode."""
    cases = []
    for place in range(count):
        mode = random_mode(design, rng)
        sizes, values = random_sizes(design, rng, mode=mode, most=most), "extreme" if rng.integers(2) else "uniform"
        blocks = [random_block(design, rng, sizes, values, mode=mode)]
        if design.halves == 2 and place % 2:
            blocks.append(followed_by(design, rng, blocks[0], random_sizes(design, rng, mode=mode, most=most)))
        cases.append(case_of(f"case {place}", design, blocks))
    return cases


def block_of(design, seed, values="uniform", *, mode=None, **sizes):
    """A random block of these sizes, of a seed or a generator."""
    mode = mode or design.arithmetic.modes[0]
    return random_block(design, np.random.default_rng(seed), work_of(mode, **sizes), values, mode=mode)


def chain_of(design, seed, sizes, *, mode=None):
    """A case of blocks of these sizes behind one another, of a seed or a generator."""
    rng, mode = np.random.default_rng(seed), mode or design.arithmetic.modes[0]
    blocks = [block_of(design, rng, mode=mode, **sizes[0])]
    blocks += [followed_by(design, rng, blocks[0], work_of(mode, **others)) for others in sizes[1:]]
    return case_of("chain", design, blocks)


def seeded(seed, *, count=4, most=2.5, **options):
    """(design, cases) of a seed."""
    rng = np.random.default_rng(seed)
    design = random_design(rng, **options)
    return design, random_cases(design, rng, count=count, most=most)


def write_verilog(design, cases, folder):
    """grid.v, module `tested`, and its testbench bench.v."""
    (folder / "grid.v").write_text(verilog_of(design, name="tested", header=["a test"]))
    (folder / "bench.v").write_text(testbench_of(design, cases, name="tested", header=["a test"]))


def chained(seed, precision):
    """(design, [case]) of output-stationary folds of random lengths: some drain, some go on with a block's sums."""
    rng = np.random.default_rng(seed)
    design = random_design(rng, precision=precision, dataflow="output_stationary")
    mode = random_mode(design, rng)
    sizes = [{"positions": int(rng.integers(1, design.rows + 1)), "n": int(rng.integers(1, design.columns + 1)),
              "window": window, "k": window * int(rng.integers(1, 9)) * mode.pairs}
             for window in rng.choice((1, 1, 2), 5).tolist()]
    return design, [chain_of(design, rng, sizes, mode=mode)]


def run_verilog(design, cases, folder):
    """The written Verilog with its testbench in Icarus Verilog: its output. Skips where that is not installed."""
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")
    write_verilog(design, cases, folder)
    built = subprocess.run(["iverilog", "-g2012", "-Wall", "-o", folder / "run", folder / "grid.v", folder / "bench.v"],
                           capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return subprocess.run(["vvp", folder / "run"], capture_output=True, text=True, check=False)


def assert_verilog_passes(design, cases, folder):
    """All of it, each case in the cycles that it should take."""
    done = run_verilog(design, cases, folder)
    requests = sum(len(case.reads) for case in cases)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("PASS")] == [f"PASS: {len(cases)} cases, {requests} requests"]
    taken = [int(line.split()[2]) for line in lines if line.startswith("case ")]
    assert taken == [case.grid_cycles for case in cases]
