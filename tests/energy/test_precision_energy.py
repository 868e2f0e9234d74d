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
from accelsim.energy.multiplication import multiplication_pj, shifter_area_um2, shifter_pj
from accelsim.hardware import Accelerator, ShiftAddPrecision, load_accelerator, with_changes
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


# hsharma35/bitfusion, results/systolic_array_synth.csv: (energy a cycle, area) of PEs of bricks, and of fixed ones.
SYNTHESIZED = {4: ((0.1569, 431.5), (0.1202, 282.2)), 8: ((0.5599, 1733.1), (0.2977, 687.6)),
               16: ((2.3324, 7492.4), (0.9474, 2203.2))}


@pytest.mark.parametrize(("fused", "error"), [(4, 0.26), (8, 0.02), (16, 0.07)])
def test_bricks_of_every_size_cost_more_than_a_fixed_pe_by_what_their_synthesis_says(fused: int, error: float) -> None:
    """The tax is exact; the fixed PEs themselves are Horowitz's, off by a fourth at 4 bits with 32-bit sums."""
    bricks = on({"kind": "bit_fusion", "fused_bits": fused, "weight_bits": 16, "input_bits": 16})
    fixed = on({"kind": "fixed", "weight_bits": fused, "input_bits": fused})
    (energy, area), (fixed_energy, fixed_area) = SYNTHESIZED[fused]
    found, plain = mac_pj(bricks, fused, fused), mac_pj(fixed, fused, fused)
    for part in ("multipliers", "adders"):
        assert found[part] / plain[part] == pytest.approx(energy / fixed_energy)
        assert estimate_area(bricks).um2[part] / estimate_area(fixed).um2[part] == pytest.approx(area / fixed_area)
    assert found["multipliers"] + found["adders"] == pytest.approx(energy, rel=error)
    halves = mac_pj(bricks, fused // 2, fused // 2)
    assert halves["multipliers"] + halves["adders"] == pytest.approx(energy / 4, rel=error)


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
    assert four["adders"] == pytest.approx((3 * add(8) + ADD_32) / 4)  # a tree of three adders, then the partial sum
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
    assert mac_pj(on({"kind": "subword", "modes": modes, "overhead": 2}), 16, 16)["multipliers"] == 2.2
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


def test_two_products_of_one_bit_in_a_pe_share_its_registers() -> None:
    serial = on({"kind": "bit_serial", "serial": "weights", "weight_bits": 2, "input_bits": 1, "one_bit_reduction": 2})
    assert mac_pj(serial, 2, 1)["adders"] == pytest.approx(2 * (add(3) + 3 * 0.009) + ADD_32)
    assert mac_pj(serial, 1, 1)["adders"] == pytest.approx((add(1) + add(3) + 3 * 0.009 + ADD_32) / 2)


def test_serial_weights_behind_an_adder_tree_share_its_register() -> None:
    """NE16: no registers down the rows, so that 16 of them add in one tree."""
    tree = on({"kind": "bit_serial", "serial": "weights"}, pe_grid__registers_per_row_hop=0)
    assert tree_lanes(tree.pe_grid) == 16
    energy = mac_pj(tree, 8, 8)
    assert energy["adders"] == pytest.approx(8 * ((15 * add(8) + ADD_32) / 16 + 32 * 0.009 / 16))
    assert energy["registers"] == pytest.approx(8 * 0.009)  # the input alone hops


def test_serial_bits_of_both_operands_meet_in_one_and_gate() -> None:
    loom = on({"kind": "bit_serial", "serial": "both"})
    assert mac_pj(loom, 3, 5)["multipliers"] == pytest.approx(15 * AND_ROW / 8)
    double = on({"kind": "bit_serial", "serial": "both", "bits_per_cycle": 2})
    assert mac_pj(double, 4, 4)["multipliers"] == pytest.approx(4 * MULTIPLY_8 * 4 / 64)  # four 2 x 2-bit products


def test_serial_bits_of_both_operands_are_summed_in_two_registers() -> None:
    """Loom: one for the bits of a weight with one bit of the input, the other once for each bit of the input."""
    alone = mac_pj(on({"kind": "bit_serial", "serial": "both"}), 3, 5)["adders"]
    assert alone == pytest.approx(15 * (add(8) + 8 * 0.009) + 5 * (add(16) + 16 * 0.009) + ADD_32)
    tree = on({"kind": "bit_serial", "serial": "both"}, pe_grid__dataflow="dot_product")  # 16 products of 8 bits: 12 bits
    each = 15 * (15 * add(1) + add(12) + 12 * 0.009) + 5 * (ADD_32 + 32 * 0.009)
    assert mac_pj(tree, 3, 5)["adders"] == pytest.approx(each / 16)


def test_serial_machines_take_more_energy_than_parallel_multipliers_of_the_same_peak_as_their_authors_say() -> None:
    """Whole chips: Stripes 1.92 times as fast and 1.57 times as efficient (Judd et al. 2016, abstract), Loom 4.38 and 3.54
    (arXiv 1706.07853, abstract), so 1.22 and 1.24 times the power; its variant with two bits a cycle is more efficient."""
    def whole(preset: str, **changes: object) -> float:
        return sum(mac_pj(with_changes(load_accelerator(preset), dict(changes)), 16, 16).values())

    parallel = {"pe_grid.precision": {"kind": "fixed", "weight_bits": 16, "input_bits": 16}}
    assert 1.92 / 1.57 < whole("stripes") / whole("stripes", **parallel) < 1.25 * 1.92 / 1.57
    assert 4.38 / 3.54 < whole("loom") / whole("loom", **parallel) < 7
    assert whole("loom", **{"pe_grid.precision.bits_per_cycle": 2}) < whole("loom")


def test_logic_costs_its_gates() -> None:
    """yosys: an XNOR 4 NAND2, an AND 1.5, of the 686 of the 8 x 8-bit multiplier."""
    assert mac_pj(on({"kind": "binary"}), 1, 1)["multipliers"] == pytest.approx(MULTIPLY_8 * 4 / 686)
    assert mac_pj(on({"kind": "binary", "input_bits": 8}), 1, 8)["multipliers"] == pytest.approx(MULTIPLY_8 * 32 / 686)
    assert mac_pj(on({"kind": "ternary", "input_bits": 8}), 2, 8)["multipliers"] == pytest.approx(MULTIPLY_8 * 44 / 686)


def test_popcount_is_an_adder_tree_of_single_bits() -> None:
    xnor = on({"kind": "binary"}, pe_grid__dataflow="dot_product")
    assert mac_pj(xnor, 1, 1)["adders"] == pytest.approx((15 * add(1) + ADD_32) / 16)


def test_a_shifter_costs_its_stages() -> None:
    """Aladdin: a 32-bit shifter of 5 stages 0.417 pJ beside a multiplier of 12.68; 4-bit codes shift 8 bits by up to 7."""
    shift = mac_pj(on({"kind": "shift_add", "weight_bits": 4}), 4, 8)
    shifter = MULTIPLY_32 * 0.417 / 12.68 * (15 * 3) / (32 * 5)
    assert shift["multipliers"] == pytest.approx(shifter + MULTIPLY_8 * 15 * (4 + 1.5) / 686)
    assert shift["multipliers"] < mac_pj(on({"kind": "fixed", "gated": True}), 4, 8)["multipliers"]


def test_a_shifter_of_eight_bits_costs_about_what_others_published() -> None:
    """You et al., "ShiftAddNet", NeurIPS 2020: a shift of 8 bits takes 0.024 pJ and 34 um2 in 45 nm, as quoted by Xue et al.
    ("Multiplication-Free Parallelizable Spiking Neurons"), beside Horowitz's 0.2 pJ and 282 um2 of a multiplication."""
    precision, table = ShiftAddPrecision(kind="shift_add", weight_bits=4), EDGE.energy
    assert shifter_pj(table, precision, input_bits=8) == pytest.approx(0.024, rel=0.2)
    assert shifter_area_um2(table, precision, input_bits=8) == pytest.approx(34, rel=0.15)
    assert shifter_area_um2(table, precision, input_bits=8) == pytest.approx(3495 * 250 / 6350 * (15 * 3) / (32 * 5))


def test_binary_and_ternary_macs_cost_as_much_less_than_bytes_as_a_chip_with_all_three_says() -> None:
    """BrainTTA (arXiv 2211.11331, abstract): 35, 67 and 405 fJ an operation at one bit, ternary and 8 bits, memories and
    control included; arithmetic alone saves more."""
    tree = {"pe_grid__dataflow": "dot_product", "pe_grid__columns": 32}
    binary, ternary, byte = (sum(mac_pj(on(precision, **tree), *bits).values()) for precision, bits in (
        ({"kind": "binary"}, (1, 1)), ({"kind": "ternary"}, (2, 2)), ({"kind": "fixed"}, (8, 8))))
    assert 1 < ternary / binary == pytest.approx(67 / 35, rel=0.1)
    assert byte / binary > 405 / 35


def test_codebooks_cost_their_reads() -> None:
    """16 entries of 8 bits: 16 B, by the root law 0.044 of Horowitz's 8 KiB, which take 10 pJ for 64 bits."""
    table = on({"kind": "codebook", "index_bits": 4})
    energy = layer_energy_pj(Counts(), table, total_cycles=0, quantization=QuantizationCounts(codebook_reads=1000))
    assert energy["codebook"] == pytest.approx(1000 * 8 * 10 / 64 * math.sqrt(16 / 8192))
    assert "codebook" not in layer_energy_pj(Counts(), EDGE, total_cycles=0)
    assert estimate_area(table).um2["codebook"] == pytest.approx(16 * 8 * 0.83)
    assert mac_pj(table, 4, 8)["multipliers"] == MULTIPLY_8


def test_shifted_products_are_added_at_their_whole_width() -> None:
    """8 bits shifted by up to 7 are 15; negating is the adder's carry."""
    tree = on({"kind": "shift_add", "weight_bits": 4}, pe_grid__dataflow="dot_product")
    assert mac_pj(tree, 4, 8)["adders"] == pytest.approx((15 * add(15) + ADD_32) / 16)
    for document, bits, product in (({"kind": "ternary", "input_bits": 8}, (2, 8), 8),
                                    ({"kind": "codebook", "entry_bits": 6}, (4, 8), 14)):
        tree = on(document, pe_grid__dataflow="dot_product")
        assert mac_pj(tree, *bits)["adders"] == pytest.approx((15 * add(product) + ADD_32) / 16)


def test_an_adder_tree_adds_products_and_one_partial_sum() -> None:
    tree = with_changes(EDGE, {"pe_grid.dataflow": "dot_product"})
    assert additions_pj(tree, weight_bits=8, input_bits=8) == pytest.approx((15 * add(16) + ADD_32) / 16)
    narrow = with_changes(tree, {"accumulators.bits": 12})  # no adder is wider than the sum's register
    assert additions_pj(narrow, weight_bits=8, input_bits=8) == pytest.approx(add(12))
    subtracting = with_changes(tree, {"pe_grid.zero_points": "subtract"})  # 8 x 9 bits
    assert additions_pj(subtracting, weight_bits=8, input_bits=8) == pytest.approx((15 * add(17) + ADD_32) / 16)


#: (products, their bits) -> gates of a binary tree of adders, in NAND2; a 32-bit adder has 306. Yosys 0.70:
#: ``synth -flatten -noalumacc -noabc; abc -g NAND -script +strash;dc2;map``, an inverter as half a NAND.
TREES = {(16, 1): 145, (36, 1): 364.5, (128, 1): 1471.5, (16, 2): 296.5, (16, 8): 1118, (16, 16): 2239.5, (16, 17): 2385}


@pytest.mark.parametrize(("products", "bits"), TREES)
def test_trees_have_the_gates_of_as_many_adders_of_the_products_width(products: int, bits: int) -> None:
    law = (products - 1) * bits * 306 / 32
    assert law == pytest.approx(TREES[products, bits], rel=0.06 if products == 16 else 0.18)
    assert law <= 1.05 * TREES[products, bits]


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


#: Dally and Han: adders of 8, 16 and 32 bits; linear between, in proportion below.
def add_um2(bits: float) -> float:
    if bits <= 8:
        return 36 * bits / 8
    return 36 + 31 * (bits - 8) / 8 if bits <= 16 else 67 + 70 * (bits - 16) / 16


#: A multiplier of 8 bits, and a gate of its 686 (yosys).
BYTE_UM2, GATE_UM2 = 282, 282 / 686
TREE = {"pe_grid__dataflow": "dot_product"}


@pytest.mark.parametrize(("document", "changes", "multiplier", "adder"), [
    ({"kind": "fixed"}, {}, BYTE_UM2, add_um2(32)),
    ({"kind": "fixed", "gated": True, "weight_bits": 4}, TREE, BYTE_UM2 / 2, (15 * add_um2(12) + add_um2(32)) / 16),
    ({"kind": "codebook", "entry_bits": 8}, {"pe_grid__registers_per_row_hop": 0}, BYTE_UM2,
     (15 * add_um2(16) + add_um2(32)) / 16),
    ({"kind": "binary"}, TREE, 4 * GATE_UM2, (15 * add_um2(1) + add_um2(32)) / 16),
    ({"kind": "ternary", "input_bits": 8}, {}, 8 * 5.5 * GATE_UM2, add_um2(32)),
    ({"kind": "bit_serial", "serial": "weights"}, {}, 8 * 1.5 * GATE_UM2, add_um2(16) + add_um2(32)),
    ({"kind": "bit_serial", "serial": "weights", "weight_bits": 1, "one_bit_reduction": 2}, {}, 8 * 1.5 * GATE_UM2,
     add_um2(8) + add_um2(9) + add_um2(32)),
    ({"kind": "shift_add", "weight_bits": 4}, {**TREE, "pe_grid__zero_points": "subtract"},
     3495 * 250 / 6350 * (16 * 3) / (32 * 5) + 16 * 5.5 * GATE_UM2, (15 * add_um2(16) + add_um2(32)) / 16),
    ({"kind": "bit_serial", "serial": "weights"}, {"pe_grid__zero_points": "subtract"}, 9 * 1.5 * GATE_UM2,
     add_um2(16) + add_um2(32)),
    ({"kind": "bit_serial", "serial": "both"}, TREE, 1.5 * GATE_UM2, (15 * add_um2(1) + add_um2(32) + add_um2(12)) / 16),
    # Four products of 4 bits and their sum, or one of 8 bits; three adders of 8 bits and the partial sum's, or that alone.
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                   {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 4}]}, {},
     BYTE_UM2, 3 * add_um2(8) + add_um2(32)),
    # As many accumulations as output channels.
    ({"kind": "subword", "widens": "channels", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                                         {"weight_bits": 4, "input_bits": 8, "macs_per_cycle": 2}]}, {},
     BYTE_UM2, 2 * add_um2(32)),
    # Passes go through the one multiplier and adder; 32-bit floating point is an eighth of a unit.
    ({"kind": "subword", "overhead": 2, "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                                  {"weight_bits": 8, "input_bits": 16, "macs_per_cycle": "1/2"},
                                                  {"weight_bits": 32, "input_bits": 32, "macs_per_cycle": "1/8",
                                                   "is_float": True}]}, {}, 2 * 7700 / 8, 4184 / 8),
    ({"kind": "float", "bits": 32}, TREE, 7700, 4184),
    ({"kind": "bit_fusion"}, TREE, BYTE_UM2 * 1733.1 / 687.6, (15 * add_um2(16) + add_um2(32)) / 16 * 1733.1 / 687.6),
])
def test_area_of_a_pe_by_hand(document, changes, multiplier: float, adder: float) -> None:
    areas = estimate_area(on(document, **changes)).um2
    assert areas["multipliers"] == pytest.approx(256 * multiplier)
    assert areas["adders"] == pytest.approx(256 * adder)


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
