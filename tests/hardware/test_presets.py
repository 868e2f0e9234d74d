"""The shipped accelerators and energy tables, held against the figures published for them."""

from __future__ import annotations

import pytest

from accelsim import load_network, simulate
from accelsim.hardware import (
    Accelerator,
    energy_table_names,
    load_accelerator,
    load_energy_table,
    preset_names,
    preset_path,
    summarize,
)
from accelsim.numerics.register import Register

PRESETS = ("a100_like", "bitfusion_16x32", "cortex_m55_like", "cortex_m7_like", "edge_16x16", "edge_tpu_like",
           "ethos_u55_128", "gap8_hwce_like", "gemmini_16x16", "loom", "ne16_gap9", "nvdla_full", "nvdla_small",
           "scalesim_128x128", "stripes", "t4_like", "titan_rtx_like", "tpu_v1", "unpu", "whitepaper_4x4", "xnor_like")
SMALL_NETWORKS = ("mlperf_tiny_autoencoder", "mlperf_tiny_dscnn", "mlperf_tiny_mobilenet", "mlperf_tiny_resnet8")


def test_presets_are_these() -> None:
    assert preset_names() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_preset_loads_under_its_own_name_and_survives_the_round_trip(name: str) -> None:
    accelerator = load_accelerator(name)
    assert accelerator.name == name
    assert accelerator == load_accelerator(preset_path(name)) == Accelerator.model_validate(accelerator.to_document())


def test_fingerprints_differ_between_presets_and_ignore_names() -> None:
    fingerprints = {load_accelerator(name).fingerprint for name in PRESETS}
    assert len(fingerprints) == len(PRESETS)
    toy = load_accelerator("whitepaper_4x4")
    assert toy.model_copy(update={"name": "other"}).fingerprint == toy.fingerprint


@pytest.mark.parametrize(("name", "macs_per_cycle"), [
    ("whitepaper_4x4", 16),        # Nagel et al. 2021, figure 1
    ("gemmini_16x16", 256),        # Configs.scala: 16x16 mesh
    ("tpu_v1", 65536),             # Jouppi et al. 2017, section 2
    ("nvdla_small", 64),           # nv_small.spec: 8 x 8
    ("nvdla_full", 2048),          # nv_full.spec: 64 x 32
    ("ethos_u55_128", 128),        # ethos-u-vela: 128 MACs a cycle
    ("scalesim_128x128", 16384),
    ("edge_16x16", 256),
    ("bitfusion_16x32", 512),      # bf_e_conf.ini: 16 x 32 units
    ("stripes", 4096),             # DaDianNao's multipliers: DNNsim, 16 tiles x 16 filters x 16 lanes
    ("loom", 128),                 # Sharify et al. 2018, abstract: 128 MACs of 16 x 16 bits a cycle
    ("cortex_m7_like", 2),         # WikiChip, Cortex-M55: "2x16-bit MACs/cycle in M7"
])
def test_preset_has_its_published_macs_per_cycle(name: str, macs_per_cycle: int) -> None:
    assert load_accelerator(name).peak_macs_per_cycle == macs_per_cycle


@pytest.mark.parametrize(("name", "weight_bits", "input_bits", "published_tops", "last_digit"), [
    ("t4_like", 32, 32, 8.1, 0.1),            # NVIDIA, T4: 8.1 TFLOPS FP32
    ("t4_like", 16, 16, 65, 1),               # 65 TFLOPS FP16
    ("t4_like", 8, 8, 130, 1),                # 130 TOPS INT8
    ("t4_like", 4, 4, 260, 1),                # 260 TOPS INT4
    ("titan_rtx_like", 32, 32, 16.3, 0.1),    # Tom's Hardware, 2018-12-03: 16.3 TFLOPS FP32
    ("titan_rtx_like", 16, 16, 130, 1),       # 130 tensor TFLOPS
    ("a100_like", 32, 32, 19.5, 0.1),         # glennklockwood.com, A100, dense
    ("a100_like", 16, 16, 312, 1),
    ("a100_like", 8, 8, 624, 1),
    ("a100_like", 4, 4, 1248, 1),
    ("a100_like", 1, 1, 4992, 16 * 0.5),      # 16 times 312, which is rounded itself
    ("unpu", 16, 16, 0.3456, 0.0001),         # Lee et al. 2019, abstract: 345.6 GOPS
    ("unpu", 1, 16, 7.372, 0.002),            # 7372 GOPS; 7372.8 cut off
    ("edge_tpu_like", 8, 8, 4, 1),            # coral.ai: 4 TOPS
    ("tpu_v1", 8, 8, 92, 1),                  # Jouppi et al. 2017, abstract: 92 TOPS
    ("tpu_v1", 8, 16, 92 / 2, 1 / 2),         # section 2: half the speed with one operand of 16 bits, a quarter with two
    ("tpu_v1", 16, 8, 92 / 2, 1 / 2),
    ("tpu_v1", 16, 16, 92 / 4, 1 / 4),
    ("cortex_m55_like", 8, 8, 16 * 0.4e-3, 1e-9),    # WikiChip: 8 MACs of 8 bits a cycle, at 400 MHz
    ("cortex_m55_like", 16, 16, 8 * 0.4e-3, 1e-9),
    ("cortex_m55_like", 32, 32, 4 * 0.4e-3, 1e-9),
])
def test_peak_is_the_published_one_within_its_last_digit(
    name: str, weight_bits: int, input_bits: int, published_tops: float, last_digit: float
) -> None:
    accelerator = load_accelerator(name)
    rate = accelerator.peak_macs_per_cycle_at(weight_bits=weight_bits, input_bits=input_bits)
    assert abs(2 * rate * accelerator.clock_hz / 1e12 - published_tops) < last_digit


def test_turing_doubles_from_fp16_to_int8_to_int4() -> None:
    """NVIDIA, Turing white paper: INT8 at twice and INT4 at four times the rate of FP16."""
    for name in ("t4_like", "titan_rtx_like"):
        rates = [load_accelerator(name).peak_macs_per_cycle_at(weight_bits=bits, input_bits=bits) for bits in (16, 8, 4)]
        assert rates == [rates[0], 2 * rates[0], 4 * rates[0]]


def test_serial_accelerators_speed_up_as_their_papers_say() -> None:
    """Over 16 x 16 bits: Stripes 16 / Pa (MICRO 2016), Loom 256 / (Pa * Pw) (DAC 2018), UNPU 16 / Pw (JSSC 2019)."""
    for name, exponents in (("stripes", (0, 1)), ("loom", (1, 1)), ("unpu", (1, 0))):
        accelerator = load_accelerator(name)
        for weight_bits, input_bits in ((16, 8), (8, 16), (8, 8), (4, 8), (5, 11)):
            speed_up = (16 / weight_bits) ** exponents[0] * (16 / input_bits) ** exponents[1]
            rate = accelerator.peak_macs_per_cycle_at(weight_bits=weight_bits, input_bits=input_bits)
            assert rate == pytest.approx(speed_up * accelerator.peak_macs_per_cycle)


def test_bit_fusion_takes_16_pairs_at_2_bits_and_3_bits_cost_as_4() -> None:
    """hsharma35/bitfusion, accelerator.py: int(8 / max(a, 2)) * int(8 / max(w, 2)) a unit."""
    accelerator = load_accelerator("bitfusion_16x32")
    for weight_bits in range(1, 9):
        for input_bits in range(1, 9):
            factor = int(8 / max(weight_bits, 2)) * int(8 / max(input_bits, 2))
            assert accelerator.peak_macs_per_cycle_at(weight_bits=weight_bits, input_bits=input_bits) == 512 * factor


def test_bit_fusion_has_its_simulators_buffers_and_memory_interface() -> None:
    accelerator = load_accelerator("bitfusion_16x32")
    assert {name: buffer.capacity_bytes for name, buffer in accelerator.memory.buffers.items() if name != "drain"} == {
        "ibuf": 32768, "wbuf": 65536}
    assert accelerator.accumulator_bytes == 16384
    assert accelerator.dram_bytes_per_cycle * 8 == 192


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("network", SMALL_NETWORKS)
def test_every_preset_runs_the_small_networks(name: str, network: str) -> None:
    bits = 1 if name == "xnor_like" else 8  # binary networks only
    result = simulate(load_accelerator(name), load_network(network, weight_bits=bits, input_bits=bits))
    assert result.layers
    assert all(0 < layer.ideal_cycles <= layer.compute_cycles <= layer.total_cycles for layer in result.layers)
    assert all(layer.spatial_utilization <= 1 for layer in result.layers if layer.unit == "pe_grid")


def test_tpu_v1_has_92_tops_4_mib_of_accumulators_and_24_mib_of_unified_buffer() -> None:
    summary = summarize(load_accelerator("tpu_v1"))
    assert summary.peak_tops == pytest.approx(91.75, abs=0.005)
    assert summary.accumulator_bytes == 4 * 2**20
    assert summary.buffer_bytes == {"unified_buffer": 24 * 2**20, "weight_fifo": 4 * 64 * 2**10}
    assert load_accelerator("tpu_v1").accumulators.block_entries == 2048


def test_gemmini_has_64_kib_of_accumulators_and_nvdla_its_convolution_buffers() -> None:
    assert load_accelerator("gemmini_16x16").accumulator_bytes == 64 * 2**10
    assert load_accelerator("nvdla_small").memory.buffers["cbuf"].capacity_bytes == 32 * 8 * 512
    assert load_accelerator("nvdla_full").memory.buffers["cbuf"].capacity_bytes == 16 * 64 * 512
    assert load_accelerator("nvdla_full").accumulators.bits == 34


def test_gemmini_wraps_on_20_bit_wires_nvdla_saturates_and_ethos_u_subtracts_the_zero_point() -> None:
    assert load_accelerator("gemmini_16x16").partial_sum_register == Register(20, "wrap")
    for name in ("nvdla_small", "nvdla_full"):
        assert load_accelerator(name).accumulators.register == Register(34, "saturate")
    assert load_accelerator("ethos_u55_128").pe_grid.zero_points == "subtract"


@pytest.mark.parametrize("name", PRESETS)
def test_buffers_feed_the_grid_at_full_rate(name: str) -> None:
    """A fold that fills grid and accumulators gets its operands while it streams, at every width."""
    accelerator = load_accelerator(name)
    grid, memory, streamed = accelerator.pe_grid, accelerator.memory, accelerator.accumulators.block_entries
    for width in summarize(accelerator).widths:
        cost = grid.precision.step_cost(weight_bits=width.weight_bits, input_bits=width.input_bits)
        depth = (grid.columns if grid.dataflow == "dot_product" else grid.rows) * cost.reduction
        channels = {"weight_stationary": grid.columns * cost.channels, "dot_product": grid.rows * cost.channels,
                    "input_stationary": streamed}[grid.dataflow]
        positions = (grid.columns if grid.dataflow == "input_stationary" else streamed) * grid.pixels
        needed = dict.fromkeys(memory.buffers, 0.0)
        needed[memory.home("inputs")] += float(depth * positions) * width.input_bits / 8
        needed[memory.home("weights")] += float(depth * channels) * width.weight_bits / 8
        for buffer_name, byte_count in needed.items():
            buffer = memory.buffers[buffer_name]
            assert buffer.bytes_per_cycle * buffer.ports * cost.stream_cycles(streamed) >= byte_count, width


@pytest.mark.parametrize("name", ["edge_16x16", "edge_tpu_like", "ethos_u55_128", "gemmini_16x16", "nvdla_full",
                                  "nvdla_small", "scalesim_128x128", "tpu_v1", "whitepaper_4x4"])
def test_buffers_feed_grids_that_preload_a_row_a_cycle(name: str) -> None:
    """Each cycle one operand per row (dot_product: column) and pixel, and one row of the weights of the next fold."""
    accelerator = load_accelerator(name)
    grid = accelerator.pe_grid
    streamed = (grid.columns if grid.dataflow == "dot_product" else grid.rows) * grid.pixels
    needed = dict.fromkeys(accelerator.memory.buffers, 0)
    needed[accelerator.memory.home("inputs")] += streamed
    needed[accelerator.memory.home("weights")] += grid.columns
    needed[accelerator.memory.home("outputs")] += accelerator.requantizer.lanes
    for buffer_name, byte_count in needed.items():
        buffer = accelerator.memory.buffers[buffer_name]
        assert buffer.bytes_per_cycle * buffer.ports >= byte_count


def test_energy_tables_load_under_their_own_names() -> None:
    assert energy_table_names() == ("eyeriss_relative", "horowitz_45nm", "jouppi_7nm")
    assert [load_energy_table(name).name for name in energy_table_names()] == list(energy_table_names())


def test_fields_whose_comment_says_from_memory_are_marked() -> None:
    for name in preset_names():
        unconfirmed = {path.split(".")[-1] for path in load_accelerator(name).unconfirmed}
        recalled = {line.split(":")[0].strip() for line in preset_path(name).read_text(encoding="utf-8").splitlines()
                    if "from memory" in line}
        assert recalled <= unconfirmed


def test_recalled_numbers_are_marked() -> None:
    assert load_energy_table("jouppi_7nm").unconfirmed == (
        "multiply", "add", "float_multiply", "float_add", "register", "sram", "dram")
    assert load_accelerator("tpu_v1").unconfirmed == ("leakage",)
