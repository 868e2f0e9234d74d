"""In Amaranth's simulator the RTL takes the tile engine's cycles and gives the simulator's integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_bench as bench
from rtl import rtl_designs as designs
from rtl import rtl_groups as groups

from accelsim.rtl.cases import case_of


@pytest.mark.parametrize("name", groups.names_of("amaranth"))
def test_random_grids_take_the_closed_forms_cycles_and_give_the_numerics_integers(name):
    bench.assert_equal(*groups.made("amaranth", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", groups.names_of("amaranth_slow"))
def test_more_random_grids_do_so_too(name):
    bench.assert_equal(*groups.made("amaranth_slow", name))


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_an_8_x_8_grid_does_so_too(dataflow):
    design = designs.design_of(grid_rows=8, grid_columns=8, grid_dataflow=dataflow, unit_lanes=8)
    bench.assert_equal(design, designs.random_cases(design, np.random.default_rng(8), count=1, most=1.5))


def test_a_16_x_16_grid_does_so_too():
    design = designs.design_of(grid_rows=16, grid_columns=16, unit_lanes=16)
    block = designs.block_of(design, 16, positions=9, k=20, n=18)
    bench.assert_equal(design, [case_of("four folds", design, [block])])


@pytest.mark.parametrize("options", [{"grid_dataflow": "weight_stationary", "grid_registers_per_row_hop": 2},
                                     {"grid_dataflow": "input_stationary", "grid_preload_cycles": 0},
                                     {"precision": "bit_serial_digits", "grid_dataflow": "weight_stationary"}])
def test_a_grid_of_many_rows_is_made_of_blocks_that_work_as_one(options):
    """40 rows, 5 blocks of 8."""
    design = designs.design_of(grid_rows=40, grid_columns=2, unit_lanes=2, **options)
    block = designs.block_of(design, 40, positions=3, k=70, n=3)
    bench.assert_equal(design, [case_of("folds", design, [block])])


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_sums_that_overflow_are_kept_as_the_registers_keep_them(dataflow, overflow):
    has_wires = dataflow in ("weight_stationary", "input_stationary")
    design = designs.design_of(grid_dataflow=dataflow, sums_bits=17, sums_overflow=overflow, has_requantizer=False,
                               **({"grid_partial_sum_bits": 15} if has_wires else {}))
    rng = np.random.default_rng(17)
    cases = [case_of("overflow", design, [designs.block_of(design, rng, "extreme", positions=6, k=11, n=5)])
             for _ in range(3)]
    assert min(case.overflow_count for case in cases) > 0
    bench.assert_equal(design, cases)


@pytest.mark.parametrize("bits", range(2, 17))
def test_every_operand_width_multiplies_exactly(bits):
    design = designs.design_of(precision_weight_bits=bits, precision_input_bits=18 - bits, sums_bits=40,
                               has_requantizer=False, grid_rows=2, grid_columns=2)
    block = designs.block_of(design, bits, "extreme", positions=3, k=4, n=3)
    case = case_of(f"{bits} by {18 - bits} bits", design, [block])
    assert case.overflow_count == 0
    bench.assert_equal(design, [case])


@pytest.mark.parametrize(("scheme", "rounding"), [
    *((scheme, None) for scheme in designs.DATAPATH_SCHEMES if scheme != "power_of_two"),
    *(("power_of_two", rounding) for rounding in designs.ROUNDINGS)])
def test_every_requantization_rule_gives_its_own_integers(scheme, rounding):
    options = {"unit_rounding": rounding} if rounding else {}
    design = designs.design_of(grid_dataflow="dot_product", grid_rows=4, grid_columns=2, unit_scheme=scheme,
                               precision_input_bits=9, sums_bits=32, **options)
    rng = np.random.default_rng(32)
    cases = [case_of("sums", design, [designs.block_of(design, rng, values, positions=24, k=2, n=8)])
             for values in ("uniform", "extreme", "uniform")]
    bench.assert_equal(design, cases)


def test_an_output_requested_a_cycle_before_its_fold_is_done_is_the_old_one():
    """The closed form is not too long by a cycle: the last sum is stored in the last cycle that it counts."""
    design, rng = designs.design_of(has_requantizer=False, sums_double_buffered=False), np.random.default_rng(1)
    old, new = (case_of("block", design, [designs.block_of(design, rng, positions=2, k=4, n=4)]) for _ in range(2))
    new = replace(new, reads=new.reads[-1:])
    last_cycle = new.grid_cycles - 1
    in_time, early = (bench.drive(design, [old, new], request_at={1: cycle})[1].results[-1][-1]
                      for cycle in (last_cycle, last_cycle - 1))
    assert old.reads[-1].expected[-1] != new.reads[-1].expected[-1]
    assert (in_time, early) == (new.reads[-1].expected[-1], old.reads[-1].expected[-1])
