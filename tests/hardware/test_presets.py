"""The shipped accelerators and energy tables, held against the figures published for them."""

from __future__ import annotations

import pytest

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

PRESETS = ("edge_16x16", "ethos_u55_128", "gemmini_16x16", "nvdla_full", "nvdla_small", "scalesim_128x128", "tpu_v1",
           "whitepaper_4x4")


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
])
def test_preset_has_its_published_macs_per_cycle(name: str, macs_per_cycle: int) -> None:
    assert load_accelerator(name).peak_macs_per_cycle == macs_per_cycle


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
    assert load_energy_table("jouppi_7nm").unconfirmed == ("multiply", "add", "register", "sram", "dram")
    assert load_accelerator("tpu_v1").unconfirmed == ("leakage",)
