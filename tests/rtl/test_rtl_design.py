"""What has no RTL is refused in one line."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

from rtl import rtl_designs as designs

from accelsim.errors import HardwareError
from accelsim.rtl.design import GridDesign

RULES = ("tflite_double, tflite_micro, tflite_single, litert_optimized, tosa_single, tosa_double, nvdla, shift_floor, dyadic, "
         "power_of_two")


@pytest.mark.parametrize(("options", "message"), [
    ({"precision_weight_bits": 1}, "pe_grid.precision.weight_bits: expected 2 to 16 bits in RTL, got 1"),
    ({"precision_input_bits": 17}, "pe_grid.precision.input_bits: expected 2 to 16 bits in RTL, got 17"),
    ({"grid_trims_partial_folds": True},
     "pe_grid.trims_partial_folds: expected false in RTL, whose folds always cross the whole grid, got true"),
    ({"grid_row_sum_unit": True}, "pe_grid.row_sum_unit: expected false in RTL, which has no adders beside the grid, got true"),
    ({"unit_lanes": 5},
     "requantizer.lanes: expected at most 4 in RTL, one for each accumulator that can be read in a cycle, got 5"),
    *(({"unit_scheme": scheme}, f"requantizer.scheme: expected a rule with a datapath ({RULES}), got {scheme}")
      for scheme in ("float32_nearest_even", "float64_half_away", "litert_reference", "tflite_int16x8")),
])
def test_what_has_no_rtl_is_refused_by_name(options, message):
    with pytest.raises(HardwareError) as refused:
        GridDesign.of(designs.described(**options))
    assert str(refused.value) == message


def test_a_grid_without_requantizer_has_an_rtl_under_every_rule():
    assert designs.design_of(unit_scheme="float32_nearest_even", unit_lanes=9, has_requantizer=False).requantizer is None
