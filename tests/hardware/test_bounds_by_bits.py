"""Fewer bits on Bit Fusion: layers that the grid bounds get shorter with each step 8/8, 4/4, 2/2, layers that memory bounds
as far as their bytes do and no further; the report says which is which."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest

from accelsim import load_accelerator, load_network, simulate, with_changes
from accelsim.hardware import Accelerator
from accelsim.machine.controller import run_program
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Program
from accelsim.mapping.tiling import Tiling
from accelsim.report.block_diagram import draw_block_diagram
from accelsim.report.figures import FIGURES
from accelsim.report.html import report_page
from accelsim.results.network_result import NetworkResult
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import Convolution
from accelsim.workload.tensor import Tensor

BRICKS = load_accelerator("bitfusion_16x32")
SLOW = with_changes(BRICKS, {"dram.bandwidth": "100 MB/s"})
STEPS = (8, 4, 2)


def chain(*, bits: int, kernel: int) -> Network:
    """Eight convolutions of 256 to 256 channels, which 16 rows of 16 pairs of 2-bit operands hold exactly."""
    layers, given = [], Tensor("x", (1, 256, 14, 14), bits)
    for place in range(8):
        operation = Convolution(batch=1, in_channels=256, out_channels=256, in_size=(14, 14), kernel=(kernel, kernel),
                                pads=(kernel // 2,) * 4)
        output = Tensor(f"y{place}", operation.out_shape, bits)
        weights = Tensor(f"w{place}", (256, 256, kernel, kernel), bits, is_constant=True)
        layers.append(Layer(f"conv{place}", operation, (given,), output, weights=weights))
        given = output
    return Network("eight", tuple(layers))


@cache
def alexnet(bits: int) -> NetworkResult:
    return simulate(BRICKS, load_network("alexnet", weight_bits=bits, input_bits=bits))


def grid_layers(result: NetworkResult):
    return [layer for layer in result.layers if layer.unit == "pe_grid"]


def test_all_eight_layers_get_shorter_with_each_step_where_the_grid_is_the_limit() -> None:
    results = [simulate(BRICKS, chain(bits=bits, kernel=3)) for bits in STEPS]
    assert all(layer.bound == "compute" for result in results for layer in result.layers)
    for wide, narrow in pairwise(results):
        for before, after in zip(wide.layers, narrow.layers, strict=True):
            assert before.ideal_cycles == 4 * after.ideal_cycles  # Sharma et al. 2018: 4 pairs for one, at half the bits
            assert after.total_cycles < before.total_cycles / 3
    # 14 x 14 positions x 9 taps x 256 channels in 16 rows x 256 channels in 32 columns.
    assert results[0].layers[0].ideal_cycles == 14 * 14 * 9 * 16 * 8


def test_all_eight_layers_get_shorter_as_their_bytes_do_where_memory_is_the_limit() -> None:
    results = [simulate(SLOW, chain(bits=bits, kernel=1)) for bits in STEPS]
    assert all(layer.bound == "memory" for result in results for layer in result.layers)
    for wide, narrow in pairwise(results):
        for before, after in zip(wide.layers, narrow.layers, strict=True):
            assert before.ideal_cycles == 4 * after.ideal_cycles
            assert after.counts.dram_bytes < before.counts.dram_bytes
            assert before.total_cycles / after.total_cycles == pytest.approx(
                before.counts.dram_bus_bytes / after.counts.dram_bus_bytes, rel=0.001)
            assert after.total_cycles >= after.counts.dram_bus_bytes / SLOW.dram_bytes_per_cycle


def run(accelerator: Accelerator, layer: Layer, tiling: Tiling):
    (found,), _ = run_program(accelerator, Program((build_grid_program(layer, tiling, accelerator),)))
    return found


@pytest.mark.parametrize("bits", [4, 2])
def test_a_layer_bound_by_memory_takes_the_same_cycles_on_a_faster_grid_to_the_last_one(bits: int) -> None:
    """The same bytes under the same tiling: bricks that multiply 4 or 16 pairs at once, and multipliers of 8 bits."""
    layer = chain(bits=bits, kernel=1).layers[0]
    tiling = Tiling(groups=1, images=1, rows=7, columns=14, n=32, k=256, input_scope="block")
    for bandwidth, is_same in (("100 MB/s", True), ("12 GB/s", False)):
        bricks = with_changes(BRICKS, {"dram.bandwidth": bandwidth})
        fast = run(bricks, layer, tiling)
        slow = run(with_changes(bricks, {"pe_grid.precision": {"kind": "fixed"}}), layer, tiling)
        assert fast.counts.dram_bytes == slow.counts.dram_bytes
        assert slow.ideal_cycles == (8 // bits) ** 2 * fast.ideal_cycles
        assert (fast.total_cycles == slow.total_cycles) == is_same
        assert is_same or fast.total_cycles < slow.total_cycles


def rule(layer: Layer, bits: int) -> int:
    """hsharma35/bitfusion: groups of input channels that a fold takes, which alone depend on the bits."""
    operation = layer.operation
    channels = operation.in_channels if isinstance(operation, Convolution) else operation.k
    return -(-channels // (16 * (8 // bits) ** 2))


@pytest.mark.parametrize(("wide", "narrow"), [(8, 4), (4, 2)])
def test_alexnets_eight_layers_fall_by_bit_fusions_rule_or_by_their_bytes(wide: int, narrow: int) -> None:
    layers = {layer.name: layer for layer in load_network("alexnet").layers}
    pairs = list(zip(grid_layers(alexnet(wide)), grid_layers(alexnet(narrow)), strict=True))
    assert len(pairs) == 8
    for before, after in pairs:
        shorter = rule(layers[before.name], wide) / rule(layers[before.name], narrow)
        assert before.ideal_cycles == shorter * after.ideal_cycles
        assert after.total_cycles >= after.counts.dram_bytes / BRICKS.dram_bytes_per_cycle
        if before.bound == after.bound == "memory" and before.counts.dram_bytes < 2.1 * after.counts.dram_bytes:
            assert before.total_cycles / after.total_cycles == pytest.approx(
                before.counts.dram_bytes / after.counts.dram_bytes, rel=0.01)
        elif shorter > 1:
            assert after.total_cycles < before.total_cycles / 2
        else:  # 3 channels never fill 16 rows; 48 rows' worth of channels fill one fold of 64 as well as one of 256
            assert after.total_cycles == pytest.approx(after.ideal_cycles, rel=0.02)
    bounds = [after.bound for _, after in pairs]
    assert bounds[:3] == ["compute"] * 3
    assert bounds[5:] == ["memory"] * 3  # fully connected: every weight is used once


@pytest.mark.parametrize("bits", STEPS)
def test_the_report_says_which_layer_is_bound_by_what(bits: int) -> None:
    result = alexnet(bits)
    expected = {layer.name: "memory" if layer.dram_cycles > layer.compute_cycles else "compute" for layer in result.layers}
    assert set(expected.values()) == {"memory", "compute"}
    assert {row["layer"]: row["bound"] for row in result.rows()} == expected
    empty = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
    page = report_page(result, figures=dict.fromkeys(FIGURES, empty), diagram=draw_block_diagram(result.accelerator))
    rows = re.findall(r'<tr data-kind="[a-z_]+" title="([^;]+);.*?</tr>', page)
    shown = dict(re.findall(r'<tr data-kind="[a-z_]+" title="([^;]+);.*?<td data-key="(memory|compute)">\2</td>', page))
    assert rows == [layer.name for layer in result.layers]
    assert shown == expected
