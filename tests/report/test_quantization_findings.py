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


@pytest.mark.parametrize("name", ["edge_16x16", "whitepaper_4x4"])
def test_symmetric_weights_with_one_scale_are_not_mentioned(name):
    result = replace(simulate(load_accelerator(name), network()))
    assert quantization_findings(result) == []
    assert "sum_macs" not in result.to_frame()
