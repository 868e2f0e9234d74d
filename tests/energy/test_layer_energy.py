"""Breakdowns equal hand computations."""

from __future__ import annotations

import pytest

from accelsim.energy import layer_energy_pj, traffic_cost
from accelsim.energy.layer_energy import register_bits_per_mac
from accelsim.hardware import load_accelerator, with_changes
from accelsim.results.counts import Counts
from accelsim.results.energy_level import component_level
from accelsim.results.quantization_counts import QuantizationCounts

EDGE = load_accelerator("edge_16x16")
COUNTS = Counts(
    macs=1000, mac_weight_bits=8, mac_input_bits=4, accumulator_updates=100, requantized_outputs=10, vector_operations=7,
    buffer_read_bytes={"scratchpad": 300}, buffer_write_bytes={"scratchpad": 200}, dram_read_bytes={"weights": 100},
    dram_write_bytes={"outputs": 20}, dram_bus_bytes=192)


def test_breakdown_equals_the_hand_computation() -> None:
    energy = layer_energy_pj(COUNTS, EDGE, total_cycles=1600)
    # 512 KiB lies between Horowitz's 32 KiB (20 pJ) and 1 MiB (100 pJ): 5 ** (log2(C / 32 KiB) / 5) x 20.
    scratchpad_bit = 20 / 64 * 5 ** (4 / 5)
    accumulator_bit = 10 / 64  # a column's 2048 x 32 bits are 8 KiB: 10 pJ per 64 bits
    # 32 x 16 = 512 lies between 64 (0.2 pJ) and 1024 (3.1 pJ): log(512 / 64) / log(1024 / 64) = 3 / 4.
    scale = 0.2 * 15.5 ** (3 / 4)
    assert energy == pytest.approx({
        "multipliers": 1000 * 0.1,
        "adders": 1000 * 0.1,
        "registers": 1000 * (4 + 32) * 0.009,
        "accumulators": 100 * 2 * 32 * accumulator_bit,
        "requantizer": 10 * (scale + 2 * 0.1),
        "vector_unit": 7 * 0.3,
        "buffers.scratchpad": 500 * 8 * scratchpad_bit,
        "dram": 192 * 8 * 8,
        "leakage": 20e-3 * 2e-6 * 1e12,  # 20 mW for 1600 cycles of 1.25 ns
    })


def test_quantization_costs_by_hand() -> None:
    def more(**counts: int) -> dict[str, float]:
        found = layer_energy_pj(COUNTS, EDGE, total_cycles=0, quantization=QuantizationCounts(**counts))
        plain = layer_energy_pj(COUNTS, EDGE, total_cycles=0)
        return {component: found[component] - plain[component] for component in plain
                if found[component] != plain[component]}

    read = 32 * 10 / 64  # one accumulator of the 8 KiB lane
    # 32 x 8 = 256 lies between 64 (0.2 pJ) and 1024 (3.1 pJ), half way in the logarithm.
    correction = 0.2 * 15.5 ** (1 / 2) + 0.1
    assert more() == more(sum_macs=5) == {}  # those are among the counted MACs
    assert more(row_sum_additions=40) == pytest.approx({"adders": 40 * 0.1})
    assert more(corrected_sums=10) == pytest.approx({"accumulators": 10 * read, "requantizer": 10 * correction})
    assert more(rescaled_sums=30) == pytest.approx({"accumulators": 30 * 2 * read, "requantizer": 30 * 0.1})


def test_narrow_wires_and_subtracted_zero_points_change_the_energy_of_a_mac_alone() -> None:
    plain = layer_energy_pj(COUNTS, EDGE, total_cycles=0)
    wires = layer_energy_pj(COUNTS, with_changes(EDGE, {"pe_grid.partial_sum_bits": 20}), total_cycles=0)
    assert wires == pytest.approx(plain | {"adders": 1000 * 0.0625, "registers": 1000 * (4 + 20) * 0.009})
    subtracting = layer_energy_pj(COUNTS, with_changes(EDGE, {"pe_grid.zero_points": "subtract"}), total_cycles=0)
    assert subtracting == pytest.approx(plain | {
        "multipliers": 1000 * 0.2 * 5 / 8,  # 8 x 5 bits
        "registers": 1000 * (5 + 32) * 0.009})


def test_nothing_costs_nothing_and_every_component_is_there() -> None:
    energy = layer_energy_pj(Counts(), EDGE, total_cycles=0)
    assert set(energy.values()) == {0.0}
    assert [component_level(component) for component in energy] == [
        "grid", "grid", "grid", "accumulators", "vector", "vector", "buffers", "dram", "leakage"]


def test_every_buffer_is_a_component_of_its_own() -> None:
    energy = layer_energy_pj(Counts(buffer_read_bytes={"weight_fifo": 8}), load_accelerator("tpu_v1"), total_cycles=0)
    assert energy["buffers.unified_buffer"] == 0
    assert energy["buffers.weight_fifo"] == pytest.approx(64 * 20 / 64 * 5 ** (3 / 5))


@pytest.mark.parametrize(("dataflow", "bits"), [
    ("weight_stationary", 4 + 32), ("input_stationary", 8 + 32), ("output_stationary", 12 + 32), ("dot_product", 4 / 16)])
def test_registers_of_a_mac_are_those_of_what_moves(dataflow: str, bits: float) -> None:
    accelerator = with_changes(EDGE, {"pe_grid.dataflow": dataflow})
    assert register_bits_per_mac(accelerator, weight_bits=8, input_bits=4) == bits


def test_dram_energy_is_the_accelerators_own_or_else_the_tables() -> None:
    counts = Counts(dram_bus_bytes=8)
    assert layer_energy_pj(counts, EDGE, total_cycles=0)["dram"] == 64 * 8
    own = with_changes(EDGE, {"dram.energy": None})
    assert layer_energy_pj(counts, own, total_cycles=0)["dram"] == 1300


def test_relative_table_counts_macs() -> None:
    relative = with_changes(EDGE, {"energy": "eyeriss_relative", "dram.energy": None, "leakage": None})
    counts = Counts(macs=10, mac_weight_bits=16, mac_input_bits=16, dram_bus_bytes=2)
    energy = layer_energy_pj(counts, relative, total_cycles=1000)
    assert (energy["multipliers"], energy["adders"], energy["dram"], energy["leakage"]) == (10, 0, 200, 0)


def test_traffic_coefficients_are_those_of_the_layer_energy() -> None:
    traffic = traffic_cost(EDGE)
    one = layer_energy_pj(Counts(buffer_read_bytes={"scratchpad": 1}, dram_bus_bytes=1), EDGE, total_cycles=1)
    assert traffic.dram_pj_per_byte == one["dram"]
    assert dict(traffic.buffer_pj_per_byte) == {"scratchpad": one["buffers.scratchpad"]}
    assert traffic.idle_pj_per_cycle == one["leakage"]
