"""Energy and area of each precision kind, by hand from published numbers."""

from __future__ import annotations

import math

import pytest
import random_precisions as random
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.energy import estimate_area, layer_energy_pj
from accelsim.energy.addition import additions_pj, tree_lanes
from accelsim.energy.layer_energy import register_bits_per_mac
from accelsim.energy.multiplication import multiplication_pj
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.results.counts import Counts
from accelsim.results.quantization_counts import QuantizationCounts

EDGE = load_accelerator("edge_16x16")
#: Horowitz: multiplications of 8 and 32 bits, additions of 8, 16 and 32 bits, by the law of their widths.
MULTIPLY_8, MULTIPLY_32, ADD_32 = 0.2, 3.1, 0.1


def on(precision: dict[str, object], **changes: object) -> Accelerator:
    return with_changes(EDGE, {"pe_grid.precision": precision} | {key.replace("__", "."): value
                                                                  for key, value in changes.items()})


def mac_pj(accelerator: Accelerator, weight_bits: int, input_bits: int) -> dict[str, float]:
    """Grid energy of one MAC of a layer of these widths."""
    executed = accelerator.pe_grid.precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
    assert executed is not None
    counts = Counts(macs=1, mac_weight_bits=executed[0], mac_input_bits=executed[1])
    energy = layer_energy_pj(counts, accelerator, total_cycles=0)
    return {part: energy[part] for part in ("multipliers", "adders", "registers")}


def add(bits: float) -> float:
    """Horowitz, linear between 0.03 pJ (8 bits), 0.05 (16) and 0.1 (32), in proportion below 8."""
    if bits <= 8:
        return 0.03 * bits / 8
    return 0.03 + 0.02 * (bits - 8) / 8 if bits <= 16 else 0.05 + 0.05 * (bits - 16) / 16


# Published machines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "published"), [((8, 8), 0.5599), ((8, 4), 0.280), ((4, 8), 0.280), ((4, 4), 0.140),
                                                ((2, 2), 0.0350)])
def test_bricks_cost_what_their_synthesis_says(bits: tuple[int, int], published: float) -> None:
    """hsharma35/bitfusion, results/systolic_array_synth.csv: a PE of 16 bricks with its accumulation, 45 nm, energy a cycle
    over the MACs of a cycle. Horowitz's multiplication and addition times the tax reproduce it within two percent."""
    energy = mac_pj(on({"kind": "bit_fusion"}), *bits)
    assert energy["multipliers"] + energy["adders"] == pytest.approx(published, rel=0.02)


def test_composability_costs_at_eight_bits_and_pays_at_four() -> None:
    """The same synthesis: a fixed 8-bit PE 0.2977 pJ, so that bricks break even between 8 and 4 bits."""
    fixed = mac_pj(on({"kind": "fixed"}), 4, 4)
    bricks = {bits: mac_pj(on({"kind": "bit_fusion"}), bits, bits) for bits in (8, 4)}
    plain = fixed["multipliers"] + fixed["adders"]
    assert plain == pytest.approx(0.2977, rel=0.01)
    assert bricks[8]["multipliers"] + bricks[8]["adders"] == pytest.approx(0.5599 / 0.2977 * plain)
    assert bricks[4]["multipliers"] + bricks[4]["adders"] < plain


def test_bricks_take_the_area_of_their_synthesis() -> None:
    """1733.1 um2 against 687.6 of a fixed 8-bit PE."""
    fixed, bricks = estimate_area(on({"kind": "fixed"})), estimate_area(on({"kind": "bit_fusion"}))
    for part in ("multipliers", "adders"):
        assert bricks.um2[part] == pytest.approx(fixed.um2[part] * 1733.1 / 687.6)


def test_passes_multiply_the_energy_of_bricks() -> None:
    eight, sixteen = (mac_pj(on({"kind": "bit_fusion"}), bits, bits) for bits in (8, 16))
    for part in ("multipliers", "adders"):
        assert sixteen[part] == pytest.approx(4 * eight[part])


def test_floating_point_costs_what_horowitz_measured() -> None:
    half = mac_pj(on({"kind": "float", "bits": 16}, accumulators__bits=16), 8, 8)
    single = mac_pj(on({"kind": "float", "bits": 32}), 8, 8)
    assert (half["multipliers"], half["adders"]) == (1.1, 0.4)
    assert (single["multipliers"], single["adders"]) == (3.7, 0.9)
    assert estimate_area(on({"kind": "float", "bits": 32})).um2["multipliers"] == 256 * 7700
    assert estimate_area(on({"kind": "float", "bits": 32})).um2["adders"] == 256 * 4184


# By hand -------------------------------------------------------------------------------------------------------------------


def test_gated_multipliers_switch_as_many_cells_as_their_operands_have() -> None:
    gated = on({"kind": "fixed", "gated": True})
    assert mac_pj(gated, 4, 2)["multipliers"] == pytest.approx(MULTIPLY_8 * 4 * 2 / 64)
    assert mac_pj(on({"kind": "fixed"}), 4, 2)["multipliers"] == MULTIPLY_8
    assert mac_pj(gated, 4, 2)["registers"] == pytest.approx((2 + 32) * 0.009)


def test_modes_cost_the_multiplication_of_their_widths_and_a_share_of_the_addition() -> None:
    modes = [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
             {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 4},
             {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": "1/4"}]
    four = mac_pj(on({"kind": "subword", "modes": modes, "overhead": "3/2"}), 4, 4)
    assert four["multipliers"] == pytest.approx(1.5 * MULTIPLY_8 / 4)
    assert four["adders"] == pytest.approx((3 * add(9) + ADD_32) / 4)  # a tree of three adders, then the partial sum
    assert four["registers"] == pytest.approx((4 + 32 / 4) * 0.009)
    sixteen = mac_pj(on({"kind": "subword", "modes": modes}), 16, 16)
    assert sixteen["multipliers"] == pytest.approx(MULTIPLY_8 * 15.5 ** math.log(4, 16))  # between 8 and 32 bits
    assert sixteen["adders"] == pytest.approx(4 * ADD_32)  # one in each pass
    channels = mac_pj(on({"kind": "subword", "modes": modes, "widens": "channels"}), 4, 4)
    assert (channels["adders"], channels["registers"]) == pytest.approx((ADD_32, (4 / 4 + 32) * 0.009))


def test_floating_point_modes_of_a_tensor_core_cost_floating_point() -> None:
    modes = [{"weight_bits": 16, "input_bits": 16, "macs_per_cycle": 1, "is_float": True},
             {"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2}]
    core = on({"kind": "subword", "modes": modes})
    assert mac_pj(core, 16, 16)["multipliers"] == 1.1
    assert mac_pj(core, 16, 16)["adders"] == 0.9  # 32-bit accumulators
    assert mac_pj(core, 8, 8)["multipliers"] == MULTIPLY_8


#: 8 ANDs of a NAND2 and an inverter; 686 NAND2 are the 8 x 8-bit multiplier (yosys).
AND_ROW = MULTIPLY_8 * 8 * 1.5 / 686


def test_serial_weights_cost_a_row_an_addition_and_a_register_each_cycle() -> None:
    serial = on({"kind": "bit_serial", "serial": "weights"})
    for bits in (8, 3):
        energy = mac_pj(serial, bits, 8)
        assert energy["multipliers"] == pytest.approx(bits * AND_ROW)
        assert energy["adders"] == pytest.approx(bits * (add(16) + 16 * 0.009) + ADD_32)  # 8 x 8 bits make 16


def test_serial_weights_behind_an_adder_tree_share_its_register() -> None:
    """NE16: no registers down the rows, so that 16 of them add in one tree."""
    tree = on({"kind": "bit_serial", "serial": "weights"}, pe_grid__registers_per_row_hop=0)
    assert tree_lanes(tree.pe_grid) == 16
    energy = mac_pj(tree, 8, 8)
    assert energy["adders"] == pytest.approx(8 * ((15 * add(9) + ADD_32) / 16 + 32 * 0.009 / 16))
    assert energy["registers"] == pytest.approx(8 * 0.009)  # the input alone hops


def test_serial_bits_of_both_operands_meet_in_one_and_gate() -> None:
    loom = on({"kind": "bit_serial", "serial": "both"})
    assert mac_pj(loom, 3, 5)["multipliers"] == pytest.approx(15 * AND_ROW / 8)
    double = on({"kind": "bit_serial", "serial": "both", "bits_per_cycle": 2})
    assert mac_pj(double, 4, 4)["multipliers"] == pytest.approx(4 * MULTIPLY_8 * 4 / 64)  # four 2 x 2-bit products


def test_logic_costs_its_gates() -> None:
    """yosys: an XNOR 4 NAND2, an AND 1.5, of the 686 of the 8 x 8-bit multiplier."""
    assert mac_pj(on({"kind": "binary"}), 1, 1)["multipliers"] == pytest.approx(MULTIPLY_8 * 4 / 686)
    assert mac_pj(on({"kind": "binary", "input_bits": 8}), 1, 8)["multipliers"] == pytest.approx(MULTIPLY_8 * 32 / 686)
    assert mac_pj(on({"kind": "ternary", "input_bits": 8}), 2, 8)["multipliers"] == pytest.approx(MULTIPLY_8 * 44 / 686)


def test_popcount_is_an_adder_tree_of_single_bits() -> None:
    xnor = on({"kind": "binary"}, pe_grid__dataflow="dot_product")
    assert mac_pj(xnor, 1, 1)["adders"] == pytest.approx((15 * add(2) + ADD_32) / 16)


def test_a_shifter_costs_its_stages() -> None:
    """Aladdin: a 32-bit shifter of 5 stages 0.417 pJ beside a multiplier of 12.68; 4-bit codes shift 8 bits by up to 7."""
    shift = mac_pj(on({"kind": "shift_add", "weight_bits": 4}), 4, 8)
    shifter = MULTIPLY_32 * 0.417 / 12.68 * (15 * 3) / (32 * 5)
    assert shift["multipliers"] == pytest.approx(shifter + MULTIPLY_8 * 15 * 4 / 686)
    assert shift["multipliers"] < mac_pj(on({"kind": "fixed", "gated": True}), 4, 8)["multipliers"]


def test_codebooks_cost_their_reads() -> None:
    """16 entries of 8 bits: 16 B, by the root law 0.044 of Horowitz's 8 KiB, which take 10 pJ for 64 bits."""
    table = on({"kind": "codebook", "index_bits": 4})
    energy = layer_energy_pj(Counts(), table, total_cycles=0, quantization=QuantizationCounts(codebook_reads=1000))
    assert energy["codebook"] == pytest.approx(1000 * 8 * 10 / 64 * math.sqrt(16 / 8192))
    assert "codebook" not in layer_energy_pj(Counts(), EDGE, total_cycles=0)
    assert estimate_area(table).um2["codebook"] == pytest.approx(16 * 8 * 0.83)
    assert mac_pj(table, 4, 8)["multipliers"] == MULTIPLY_8


def test_an_adder_tree_adds_products_and_one_partial_sum() -> None:
    tree = with_changes(EDGE, {"pe_grid.dataflow": "dot_product"})
    assert additions_pj(tree, weight_bits=8, input_bits=8) == pytest.approx((15 * add(17) + ADD_32) / 16)
    narrow = with_changes(tree, {"accumulators.bits": 16})  # no adder is wider than the sum's register
    assert additions_pj(narrow, weight_bits=8, input_bits=8) == pytest.approx(add(16))


def test_wires_without_registers_cost_none() -> None:
    wires = with_changes(EDGE, {"pe_grid.registers_per_row_hop": 0, "pe_grid.registers_per_column_hop": 0})
    assert register_bits_per_mac(wires, weight_bits=8, input_bits=8) == 0
    kept = with_changes(wires, {"pe_grid.dataflow": "output_stationary"})
    assert register_bits_per_mac(kept, weight_bits=8, input_bits=8) == 32


# Every kind ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(random.precisions, st.sampled_from(["weight_stationary", "output_stationary", "input_stationary", "dot_product"]),
       st.sampled_from([0, 1]), st.data())
def test_fewer_bits_never_take_more_energy(document, dataflow, hop, data):
    changes = {"pe_grid__dataflow": dataflow} if dataflow == "dot_product" else {
        "pe_grid__dataflow": dataflow, "pe_grid__registers_per_row_hop": hop}
    accelerator = on(document, **changes)
    bits = data.draw(random.widths(accelerator.pe_grid.precision))
    narrow = data.draw(st.integers(1, bits[0])), data.draw(st.integers(1, bits[1]))
    wide, less = mac_pj(accelerator, *bits), mac_pj(accelerator, *narrow)
    for part, energy in wide.items():
        assert 0 <= less[part] <= energy * (1 + 1e-12), part


@pytest.mark.parametrize("document", [
    {"kind": "fixed"}, {"kind": "bit_fusion", "fused_bits": 4}, {"kind": "bit_serial", "serial": "weights"},
    {"kind": "bit_serial", "serial": "both", "bits_per_cycle": 2}, {"kind": "binary"}, {"kind": "ternary"},
    {"kind": "shift_add"}, {"kind": "codebook"}, {"kind": "float"},
    {"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2}]}])
def test_every_kind_has_an_area_where_the_table_has_areas(document) -> None:
    areas = estimate_area(on(document))
    assert areas.omitted == {}
    assert all(area > 0 for area in areas.um2.values())
    assert set(estimate_area(with_changes(on(document), {"energy": "jouppi_7nm"})).um2) == set()


def test_costs_relative_to_a_mac_go_with_every_integer_kind() -> None:
    relative = with_changes(EDGE, {"energy": "eyeriss_relative", "dram.energy": None, "leakage": None})
    for document in ({"kind": "bit_fusion"}, {"kind": "bit_serial", "serial": "inputs"}, {"kind": "binary"}):
        precision = with_changes(relative, {"pe_grid.precision": document}).pe_grid.precision
        assert multiplication_pj(relative.energy, precision, weight_bits=1, input_bits=1) > 0
