"""Every precision kind with a datapath: the tile engine's cycles and the simulator's integers, in every mode."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_bench as bench
from rtl import rtl_designs as designs
from rtl import rtl_groups as groups

from accelsim.rtl.cases import case_of
from accelsim.rtl.standard_cases import driven_modes


@pytest.mark.parametrize("name", groups.names_of("kinds"))
def test_random_grids_of_every_kind_take_the_closed_forms_cycles_and_give_the_numerics_integers(name):
    bench.assert_equal(*groups.made("kinds", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", groups.names_of("kinds_slow"))
def test_more_random_grids_of_every_kind_do_so_too(name):
    bench.assert_equal(*groups.made("kinds_slow", name))


@pytest.mark.parametrize("signs", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("precision", ["bit_fusion_8", "bit_fusion_4", "subword", "subword_passes", "bit_serial_both",
                                       "bit_serial_digits"])
def test_every_mode_multiplies_the_ends_of_its_ranges_exactly_with_and_without_signs(precision, signs):
    """Sums of one PE cannot overflow, so each is the exact one."""
    design = designs.design_of(precision, grid_dataflow="dot_product", grid_rows=2, grid_columns=2, sums_bits=48,
                               has_requantizer=False, has_signed_weights=signs[0], has_signed_inputs=signs[1])
    rng = np.random.default_rng(3)
    cases = [case_of(mode.text, design, [designs.block_of(design, rng, "extreme", mode=mode, positions=4, n=2,
                                                          k=2 * mode.pairs)]) for mode in driven_modes(design)]
    assert sum(case.overflow_count for case in cases) == 0
    bench.assert_equal(design, cases)


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
@pytest.mark.parametrize("precision", ["bit_serial_inputs", "shift_add", "ternary_wide", "codebook", "subword_passes"])
def test_sums_that_overflow_are_kept_as_the_registers_keep_them(precision, dataflow, overflow):
    wires = {"grid_partial_sum_bits": 16} if dataflow in ("weight_stationary", "input_stationary") else {}
    design = designs.design_of(precision, grid_dataflow=dataflow, sums_bits=16, sums_overflow=overflow,
                               has_requantizer=False, **wires)
    case = case_of("overflow", design, [designs.block_of(design, 17, "extreme", positions=5, k=23, n=5)])
    assert case.overflow_count > 0
    bench.assert_equal(design, [case])


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
@pytest.mark.parametrize("precision", ["bit_fusion_8", "subword"])
def test_sums_of_several_pairs_wrap_wherever_the_simulator_lets_them_wrap(precision, dataflow):
    design = designs.design_of(precision, grid_dataflow=dataflow, grid_rows=2, grid_columns=2, sums_bits=8,
                               has_requantizer=False)
    cases = [case_of(mode.text, design, [designs.block_of(design, 5, "extreme", mode=mode, positions=2, n=2,
                                                          k=5 * mode.pairs)]) for mode in design.arithmetic.modes[::2]]
    assert sum(case.overflow_count for case in cases) > 0
    bench.assert_equal(design, cases)


def test_a_depthwise_layer_has_fixed_cycles_of_its_own():
    design = designs.design_of("bit_serial_weights", grid_dataflow="output_stationary")
    plain, depthwise = (case_of("folds", design, [designs.block_of(design, 1, positions=4, k=k, n=1, groups=groups,
                                                                   window=window)])
                        for k, groups, window in ((3, 1, 1), (3, 2, 3)))
    assert [case.layer["is_depthwise"] for case in (plain, depthwise)] == [(0,), (1,)]
    bench.assert_equal(design, [plain, depthwise, plain])
    assert depthwise.grid_cycles - plain.grid_cycles == 7 - 3 + 7 + 3 * design.arithmetic.modes[0].cycles
