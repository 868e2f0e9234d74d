"""The report says what asymmetric weights, several scales and dynamic ranges cost, with the machine's own counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accelsim import Layer, Network, Tensor, load_accelerator, simulate, with_changes
from accelsim.report.findings import findings
from accelsim.report.quantization_findings import quantization_findings
from accelsim.workload.operation import MatMul


def network(**flags):
    """Four positions, 64 products, 10 channels."""
    x, w, y = Tensor("x", (4, 64), 8), Tensor("w", (10, 64), 8, is_constant=True), Tensor("y", (4, 10), 8)
    return Network("net", (Layer("fc", MatMul(m=4, k=64, n=10), (x,), y, weights=w, **flags),))


def run(changes=None, **flags):
    return simulate(with_changes(load_accelerator("edge_16x16"), changes or {}), network(**flags))


def test_a_channel_of_ones_is_told_with_its_macs():
    result = run(has_asymmetric_weights=True)
    # 4 x 64 MACs beside 4 x 64 x 10: a part in 11; each of the 40 outputs is corrected.
    assert quantization_findings(result) == [
        "Weights with a zero point (1 layer) cost extra work: 256 MACs on the grid, 9.1 % of all, sum their inputs, and the "
        "requantizer corrects 40 accumulators by z_w times such a sum."]
    assert result.macs == 2560
    assert result.layers[0].counts.macs == 2816
    assert result.to_frame()["sum_macs"].tolist() == [256]


def test_a_row_sum_unit_is_told_with_its_additions():
    assert quantization_findings(run({"pe_grid.row_sum_unit": True}, has_asymmetric_weights=True)) == [
        "Weights with a zero point (1 layer) cost extra work: 256 additions beside the grid sum their inputs, and the "
        "requantizer corrects 40 accumulators by z_w times such a sum."]


def test_scale_groups_are_told_with_their_partial_sums():
    assert quantization_findings(run(weight_scale_groups=4)) == [
        "Several weight scales a channel (1 layer) send 120 partial sums through the requantizer before they are added."]


def test_a_dynamic_range_is_told_with_its_pass():
    result = run(has_dynamic_range=True)
    (sentence,) = quantization_findings(result)
    cycles = result.layers[1].total_cycles
    assert sentence.startswith("Output scales that are found during the run (1 layer) cost a second pass over the "
                               f"accumulators: {cycles:,} cycles, ")
    assert sentence in findings(result)


def test_reads_of_a_codebook_are_told_with_their_bytes():
    """640 weights of 8 bits, two to an index of 16 bits; an entry holds two of 12 bits."""
    result = run({"pe_grid.precision": {"kind": "codebook", "index_bits": 16, "vector_length": 2, "entry_bits": 12}})
    share = 100 * result.layers[0].energy_pj["codebook"] / result.total_energy_pj
    assert quantization_findings(result) == [
        "Weights come as indices: 320 reads of a table of 192 KiB, each an entry of 2 × 12 bits, bring 960 B into the grid "
        f"for {share:.1f} % of the energy."]
    assert result.to_frame()["codebook_reads"].tolist() == [320]
    assert result.to_frame()["dram_weight_bytes"].tolist() == [640]


@pytest.mark.parametrize("name", ["edge_16x16", "whitepaper_4x4"])
def test_symmetric_weights_with_one_scale_are_not_mentioned(name):
    result = replace(simulate(load_accelerator(name), network()))
    assert quantization_findings(result) == []
    assert "sum_macs" not in result.to_frame()
