"""Peak figures by hand."""

from __future__ import annotations

from accelsim.hardware import load_accelerator, summarize
from accelsim.hardware.summary import WidthSummary


def test_summary_of_the_edge_preset_by_hand() -> None:
    summary = summarize(load_accelerator("edge_16x16"))
    assert summary.macs_per_cycle == 256
    assert summary.peak_tops == 2 * 256 * 0.8e9 / 1e12
    assert summary.buffer_bytes == {"scratchpad": 512 * 1024}
    assert summary.accumulator_bytes == 2048 * 16 * 4
    assert (summary.accumulator_bits, summary.overflow, summary.partial_sum_bits) == (32, "wrap", 32)
    assert (summary.zero_points, summary.has_row_sum_unit) == ("fold_into_bias", False)
    assert summary.requantization_scheme == "tflite_double"
    assert summary.dram_bytes_per_cycle == 16.0
    assert summary.ridge_macs_per_byte == 16.0
    assert summary.unconfirmed == ()


def test_narrow_operands_run_at_the_width_of_a_fixed_multiplier_and_wide_ones_not_at_all() -> None:
    widths = summarize(load_accelerator("edge_16x16")).widths
    assert WidthSummary(4, 8, 8, 8, 256.0) in widths
    assert all(width.input_bits <= 8 for width in widths)


def test_unconfirmed_fields_of_the_energy_table_are_counted() -> None:
    assert summarize(load_accelerator("tpu_v1")).unconfirmed == ("leakage",)


def test_wires_have_a_width_only_where_partial_sums_travel() -> None:
    assert summarize(load_accelerator("gemmini_16x16")).partial_sum_bits == 20
    assert summarize(load_accelerator("nvdla_full")).partial_sum_bits is None


def test_accumulator_lanes_are_columns_or_rows_times_pixels() -> None:
    assert load_accelerator("tpu_v1").accumulator_lanes == 256
    assert load_accelerator("nvdla_full").accumulator_lanes == 32
    assert load_accelerator("ethos_u55_128").accumulator_lanes == 16
