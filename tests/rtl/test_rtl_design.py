"""What has no RTL is refused in one line."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

from rtl import rtl_designs as designs

from accelsim import load_accelerator, preset_names, with_changes
from accelsim.errors import HardwareError
from accelsim.rtl.design import GridDesign
from accelsim.rtl.verilog import verilog_of

RULES = ("tflite_double, tflite_micro, tflite_single, litert_optimized, tosa_single, tosa_double, nvdla, shift_floor, "
         "dyadic, power_of_two")
KINDS = "fixed, subword, bit_fusion, bit_serial, binary, ternary, shift_add, codebook"

FLOAT_MODES = "pe_grid.precision.modes: expected integer modes in RTL, got floating point ones"
NO_DATAPATH = f"requantizer.scheme: expected a rule with a datapath ({RULES}), got float32_nearest_even"

#: What the shipped presets are refused for; all others have an RTL.
REFUSED = {
    "a100_like": FLOAT_MODES, "t4_like": FLOAT_MODES, "titan_rtx_like": FLOAT_MODES, "gemmini_16x16": NO_DATAPATH,
    "cortex_m55_like": "pe_grid.precision.modes.2.weight_bits: expected 1 to 16 bits in RTL, got 32",
    "ne16_gap9": "pe_grid.precision.pointwise: expected none in RTL, whose PEs take all kernels bit by bit, got one",
    "unpu": "pe_grid.precision.one_bit_reduction: expected 1 in RTL, whose PEs take one pair of operands at every width, "
            "got 4/3",
}


@pytest.mark.parametrize(("options", "message"), [
    ({"precision_weight_bits": 1}, "pe_grid.precision.weight_bits: expected 2 to 16 bits in RTL, got 1"),
    ({"precision_input_bits": 17}, "pe_grid.precision.input_bits: expected 2 to 16 bits in RTL, got 17"),
    ({"grid_trims_partial_folds": True},
     "pe_grid.trims_partial_folds: expected false in RTL, whose folds always cross the whole grid, got true"),
    ({"grid_row_sum_unit": True},
     "pe_grid.row_sum_unit: expected false in RTL, which has no adders beside the grid, got true"),
    ({"unit_lanes": 5},
     "requantizer.lanes: expected at most 4 in RTL, one for each accumulator that can be read in a cycle, got 5"),
    *(({"unit_scheme": scheme}, f"requantizer.scheme: expected a rule with a datapath ({RULES}), got {scheme}")
      for scheme in ("float32_nearest_even", "float64_half_away", "litert_reference", "tflite_int16x8")),
])
def test_what_has_no_rtl_is_refused_by_name(options, message):
    with pytest.raises(HardwareError) as refused:
        GridDesign.of(designs.described(**options))
    assert str(refused.value) == message


@pytest.mark.parametrize(("precision", "options", "message"), [
    ({"kind": "float", "bits": 16}, {}, f"pe_grid.precision.kind: expected integer PEs ({KINDS}) in RTL, got float"),
    ({"kind": "subword", "modes": [*designs.modes((8, 8, 1)), {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": "1/2",
                                                              "is_float": True}]}, {}, FLOAT_MODES),
    ({"kind": "subword", "modes": designs.modes((2, 3, 1), (5, 5, "1/7"))}, {},
     "pe_grid.precision.modes.1.macs_per_cycle: expected a rate for which 5/5 bits can be cut into passes in RTL, got 1/7"),
    ({"kind": "subword", "widens": "channels", "modes": designs.modes((8, 8, 2), (4, 8, 3))}, {},
     "pe_grid.precision.modes: expected channels that divide the 3 of the fastest mode in RTL, got 2, 3"),
    ({"kind": "bit_fusion", "weight_bits": 32}, {}, "pe_grid.precision.weight_bits: expected 1 to 16 bits in RTL, got 32"),
    ({"kind": "bit_fusion"}, {"sums_overflow": "saturate"},
     "accumulators.overflow: expected wrap in RTL of bit_fusion PEs, which add the products of several pairs at once, where "
     "the simulator saturates behind each of them, got saturate"),
    ({"kind": "bit_serial", "serial": "weights", "one_bit_reduction": "3/2"}, {},
     "pe_grid.precision.one_bit_reduction: expected 1 in RTL, whose PEs take one pair of operands at every width, got 3/2"),
    ({"kind": "bit_serial", "serial": "inputs", "weight_bits": 1}, {},
     "pe_grid.precision.weight_bits: expected 2 to 16 bits in RTL, got 1"),
    ({"kind": "ternary", "input_bits": 17}, {}, "pe_grid.precision.input_bits: expected 1 to 16 bits in RTL, got 17"),
    ({"kind": "shift_add", "input_bits": 1}, {}, "pe_grid.precision.input_bits: expected 2 to 16 bits in RTL, got 1"),
    ({"kind": "codebook", "entry_bits": 32}, {}, "pe_grid.precision.entry_bits: expected 2 to 16 bits in RTL, got 32"),
])
def test_precisions_that_have_no_rtl_are_refused_by_name(precision, options, message):
    chip = with_changes(designs.described(**options), {"pe_grid.precision": precision})
    with pytest.raises(HardwareError) as refused:
        GridDesign.of(chip)
    assert str(refused.value) == message


def test_saturating_sums_of_several_pairs_have_an_rtl_where_a_tree_adds_them_exactly():
    assert designs.design_of("bit_fusion_8", grid_dataflow="dot_product", sums_overflow="saturate").arithmetic.pairs == 16


@pytest.mark.parametrize("precision", ["binary", "ternary", "shift_add"])
def test_weights_whose_code_has_a_sign_cannot_be_unsigned(precision):
    with pytest.raises(HardwareError) as refused:
        designs.design_of(precision, has_signed_weights=False)
    assert str(refused.value) == (f"pe_grid.precision.kind: expected signed weights in RTL of {precision} PEs, whose codes "
                                  "have a sign, got unsigned ones")


def test_a_grid_without_requantizer_has_an_rtl_under_every_rule():
    assert designs.design_of(unit_scheme="float32_nearest_even", unit_lanes=9, has_requantizer=False).requantizer is None


@pytest.mark.parametrize("preset", preset_names())
def test_presets_have_an_rtl_or_are_refused_for_what_has_none(preset):
    chip = load_accelerator(preset)
    if preset not in REFUSED:
        assert GridDesign.of(chip).arithmetic.modes
        return
    with pytest.raises(HardwareError) as refused:
        GridDesign.of(chip)
    assert str(refused.value) == REFUSED[preset]


def test_a_grid_that_is_too_wide_for_a_module_is_refused():
    """Stripes: 256 x 16 weights of 16 bits from the banks of their PEs."""
    with pytest.raises(HardwareError) as refused:
        verilog_of(GridDesign.of(load_accelerator("stripes")), name="stripes_top", header=[])
    assert str(refused.value) == "pe_grid: expected a grid with at most 65534 bits of inputs of the top in RTL, got 81740"
