"""The definitions of utilization, on numbers that can be checked by eye."""

from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult


def layer(**changes):
    values = {
        "name": "conv", "kind": "conv", "shape": "", "unit": "pe_grid", "mapping": "", "weight_bits": 8, "input_bits": 8,
        "output_bits": 8, "start_cycle": 100, "end_cycle": 300, "ideal_cycles": 120, "compute_cycles": 150,
        "stall_cycles": {"weights": 50}, "steps": 4, "dram_cycles": 90, "peak_buffer_bytes": {},
        "counts": Counts(macs=120 * 64, dram_read_bytes={"weights": 100, "inputs": 20}, dram_write_bytes={"outputs": 8}),
        "energy_pj": {"dram": 3.0, "multipliers": 4.0}, "peak_macs_per_cycle": 256}
    return LayerResult(**(values | changes))


def test_utilization_is_spatial_times_temporal():
    result = layer()
    assert result.total_cycles == 200
    assert result.spatial_utilization == 64 / 256  # a quarter of the grid while it takes in operands
    assert result.temporal_utilization == 120 / 200
    assert result.utilization == (120 * 64) / (256 * 200)


def test_a_layer_is_memory_bound_when_the_bus_is_busy_for_longer_than_the_unit():
    assert layer().bound == "compute"
    assert layer(dram_cycles=151).bound == "memory"


def test_operational_intensity_counts_all_dram_bytes():
    assert layer().macs_per_dram_byte == 120 * 64 / 128
    assert layer(counts=Counts(macs=5)).macs_per_dram_byte == 0


def test_energy_is_the_sum_of_its_components():
    assert layer().total_energy_pj == 7.0


def test_energy_by_level_adds_up_to_energy_by_component():
    from accelsim import load_accelerator, load_network, simulate

    result = simulate(load_accelerator("tpu_v1"), load_network("mlperf_tiny_autoencoder"))
    levels = result.energy_by_level_pj
    assert set(levels) == {"grid", "accumulators", "buffers", "dram", "vector", "leakage"}
    buffers = result.energy_pj["buffers.unified_buffer"] + result.energy_pj["buffers.weight_fifo"]
    assert abs(levels["buffers"] - buffers) < 1e-9 * buffers
    assert abs(sum(levels.values()) - result.total_energy_pj) < 1e-9 * result.total_energy_pj
