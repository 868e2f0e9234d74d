"""Whole layers on machines of every precision kind: identities, published cycle rules, and what fewer bits save."""

import math

import numpy as np
import pytest
import random_machines as machines
import random_precisions as random
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelsim import load_network, simulate
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.machine.identities import check_lower_bounds
from accelsim.mapping.candidates import candidates
from accelsim.mapping.cost import CostModel
from accelsim.mapping.fold import FoldRun, stream_timing
from accelsim.mapping.fold_plan import BlockShape, fold_runs, groups_per_fold
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import executed_macs, lower
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import IN_DRAM
from accelsim.mapping.program import Compute, Program
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.operation import Convolution, MatMul

# Sharma et al. 2018 and hsharma35/bitfusion, bf_e_conf.ini: 16 x 32 fusion units at 500 MHz, buffers of 64, 32 and 16 KiB,
# 192 bits a cycle to memory. Reduction channel by channel, as its compute_cycles has it.
BIT_FUSION = Accelerator.model_validate({
    "schema_version": 1, "name": "bit_fusion", "clock": "500 MHz",
    "pe_grid": {"rows": 16, "columns": 32, "dataflow": "weight_stationary", "reduction": "channels",
                "precision": {"kind": "bit_fusion"}},
    "accumulators": {"entries": 4096}, "requantizer": {"lanes": 32}, "vector_unit": {"lanes": 32},
    "memory": {"buffers": {
        "weights": {"capacity": "64 KiB", "holds": ["weights"], "bytes_per_cycle": 2048},
        "inputs": {"capacity": "32 KiB", "holds": ["inputs"], "bytes_per_cycle": 256},
        "outputs": {"capacity": "16 KiB", "holds": ["outputs"], "bytes_per_cycle": 256}}},
    "dma": {"queues": 2, "burst": "64 B", "issue_cycles": 0}, "dram": {"bandwidth": "12 GB/s", "burst": "64 B"},
    "energy": load_accelerator("edge_16x16").energy.to_document()})


def mapper_of(accelerator, **options):
    def prove(program):
        (run,), _ = run_program(accelerator, Program((program,)))
        return run.total_cycles

    traffic = TrafficCost(dram_pj_per_byte=64.0, idle_pj_per_cycle=0.0,
                          buffer_pj_per_byte=dict.fromkeys(accelerator.memory.buffers, 1.0))
    return Mapper(accelerator, MappingOptions(**options), traffic, prove)


def with_bits(layer, weight_bits, input_bits):
    """The layer at other widths of its operands."""
    if layer.weights is None:
        streamed, stationary = layer.inputs
        return Layer(layer.name, layer.operation, (resized(streamed, input_bits), resized(stationary, weight_bits)),
                     layer.output)
    return Layer(layer.name, layer.operation, tuple(resized(tensor, input_bits) for tensor in layer.inputs), layer.output,
                 weights=resized(layer.weights, weight_bits), bias=layer.bias)


def resized(tensor, bits):
    return Tensor(tensor.name, tensor.shape, bits, is_constant=tensor.is_constant)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_run_keeps_the_identities_on_any_precision_kind(data):
    description = data.draw(machines.descriptions())
    document = data.draw(random.precisions)
    if document.get("pointwise"):
        description["pe_grid"]["rows"] = description["pe_grid"]["columns"] = 4
    if document["kind"] == "float":
        description["energy"] = load_accelerator("edge_16x16").energy.to_document()
    description["pe_grid"]["precision"] = document
    accelerator = Accelerator.model_validate(description)
    bits = data.draw(random.widths(accelerator.pe_grid.precision))
    layer = with_bits(data.draw(machines.grid_layers()), *bits)
    program = build_grid_program(layer, data.draw(machines.tilings(layer, accelerator)), accelerator)
    (run,), _ = run_program(accelerator, Program((program,)))  # identities 1 and 2 are checked inside
    assert run.counts.macs == layer.macs == executed_macs(layer, accelerator)
    assert run.ideal_cycles <= run.compute_cycles
    check_lower_bounds(run, accelerator, bits=bits)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_faster_mode_never_makes_a_layer_slower_under_the_same_tiling(data):
    """The same bytes at two speeds of the PEs: what fewer bits change beside the bytes themselves. The ports keep up, so
    that only the PEs count."""
    description = data.draw(machines.descriptions())
    for buffer in description["memory"]["buffers"].values():
        buffer["bytes_per_cycle"] = 1 << 20
    layer = data.draw(machines.grid_layers())
    slow, fast = sorted((data.draw(st.integers(0, 7)), data.draw(st.integers(0, 7))))
    widens, tiling, cycles = data.draw(st.sampled_from(("reduction", "channels"))), None, []
    for rate in (random.RATIOS[slow], random.RATIOS[fast]):
        mode = {"weight_bits": 8, "input_bits": 8, "macs_per_cycle": rate}
        description["pe_grid"]["precision"] = {"kind": "subword", "widens": widens, "modes": [mode]}
        accelerator = Accelerator.model_validate(description)
        tiling = tiling or data.draw(machines.tilings(layer, accelerator))
        (run,), _ = run_program(accelerator, Program((build_grid_program(layer, tiling, accelerator),)))
        cycles.append(run.total_cycles)
    assert cycles[1] <= cycles[0]


def test_the_lower_bound_is_that_of_the_layers_own_widths():
    layer = with_bits(conv("conv", 256, 32, 12), 4, 4)
    (run,), _ = run_program(BIT_FUSION, Program((mapper_of(BIT_FUSION).map(layer),)))
    assert run.total_cycles < layer.macs / 512  # faster than at the native widths
    with pytest.raises(AssertionError, match="conv: faster than the grid's peak"):
        check_lower_bounds(run, BIT_FUSION)
    check_lower_bounds(run, BIT_FUSION, bits=(4, 4))


# Bit Fusion's own rule -----------------------------------------------------------------------------------------------------


def bit_fusion_cycles(layer, bits):
    """hsharma35/bitfusion, simulator/accelerator.py, get_compute_cycles without im2col, group by group:
    b * ceil(oc / M) * ow * oh * kw * kh * ceil(ic / (N * factor)) with N = 16 and M = 32."""
    factor = int(8 / max(bits, 2)) ** 2
    operation = layer.operation
    if isinstance(operation, MatMul):
        return operation.batch * operation.m * math.ceil(operation.n / 32) * math.ceil(operation.k / (16 * factor))
    outputs, inputs = operation.out_channels // operation.groups, operation.in_channels // operation.groups
    pixels = math.prod(operation.out_shape[2:]) * operation.batch
    return (operation.groups * math.ceil(outputs / 32) * pixels * math.prod(operation.kernel)
            * math.ceil(inputs / (16 * factor)))


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_cycles_of_the_layers_of_alexnet_and_resnet18_follow_bit_fusions_rule(name, bits):
    """Cycles in which operands enter, in the programs that the mapper chooses; fills, drains, stalls are not in the rule."""
    mapper = mapper_of(BIT_FUSION, proved_candidates=1)
    compared = 0
    for layer in load_network(name, weight_bits=bits, input_bits=bits).layers:
        if not layer.is_on_grid:
            continue
        steps = [step for step in mapper.map(layer).steps if isinstance(step, Compute)]
        assert sum(step.timing.ideal_cycles for step in steps) == bit_fusion_cycles(layer, bits), layer.name
        compared += 1
    assert compared == {"alexnet": 8, "resnet18": 21}[name]


# What fewer bits save ------------------------------------------------------------------------------------------------------


def conv(name, channels, filters, size, kernel=3):
    operation = Convolution(batch=1, in_channels=channels, out_channels=filters, in_size=(size, size),
                            kernel=(kernel, kernel), pads=(kernel // 2,) * 4)
    return Layer(name, operation, (Tensor(f"{name}.x", (1, channels, size, size), 8),),
                 Tensor(f"{name}.y", operation.out_shape, 8),
                 weights=Tensor(f"{name}.w", (filters, channels, kernel, kernel), 8, is_constant=True))


#: Five layers of much work a byte, and three that mostly write 8-bit outputs.
BUSY = [conv("stem", 256, 32, 28), conv("body1", 256, 64, 28), conv("body2", 256, 96, 28), conv("body3", 256, 64, 20),
        conv("body4", 256, 32, 14)]
WRITING = [conv("expand1", 8, 1024, 28, 1), conv("expand2", 8, 1024, 20, 1), conv("expand3", 8, 1536, 20, 1)]


@pytest.fixture(scope="module")
def runs():
    return {bits: simulate(BIT_FUSION, Network("eight", tuple(with_bits(layer, bits, bits) for layer in (*BUSY, *WRITING))))
            for bits in (8, 4, 2)}


def test_cycles_fall_with_each_step_from_eight_to_two_bits_where_compute_bound(runs):
    for place in range(5):
        cycles = [runs[bits].layers[place].total_cycles for bits in (8, 4, 2)]
        assert [runs[bits].layers[place].bound for bits in (8, 4, 2)] == ["compute"] * 3
        assert cycles[0] > 3 * cycles[1]  # bytes alone would give 2, the bricks give 4
        assert cycles[1] > 3 * cycles[2]


def test_cycles_do_not_fall_where_memory_bound(runs):
    for place in range(5, 8):
        layers = [runs[bits].layers[place] for bits in (8, 4, 2)]
        assert [layer.bound for layer in layers] == ["memory"] * 3
        cycles = [layer.total_cycles for layer in layers]
        assert cycles[2] >= 0.97 * cycles[0]
        assert all(layer.total_cycles >= layer.counts.dram_bytes / BIT_FUSION.dram_bytes_per_cycle for layer in layers)


def test_the_whole_network_gets_faster_and_the_peaks_are_those_of_the_widths(runs):
    totals = [runs[bits].total_cycles for bits in (8, 4, 2)]
    assert totals[0] > totals[1] > totals[2]
    assert [runs[bits].layers[0].peak_macs_per_cycle for bits in (8, 4, 2)] == [512, 2048, 8192]
    assert all(0 < layer.utilization <= 1 for run in runs.values() for layer in run.layers)


def test_three_bits_cost_as_much_time_as_four_but_fewer_bytes(runs):
    three = simulate(BIT_FUSION, Network("eight", tuple(with_bits(layer, 3, 3) for layer in (*BUSY, *WRITING))))
    for narrow, wide in zip(three.layers, runs[4].layers, strict=True):
        assert (narrow.executed_weight_bits, narrow.executed_input_bits, narrow.runs_wider) == (4, 4, True)
        assert narrow.ideal_cycles == wide.ideal_cycles
        assert not wide.runs_wider
    for narrow, wide in zip(three.layers[5:], runs[4].layers[5:], strict=True):
        assert narrow.counts.dram_bytes < wide.counts.dram_bytes


def test_a_fixed_machine_computes_no_faster_with_fewer_bits():
    fixed = with_changes(BIT_FUSION, {"pe_grid.precision": {"kind": "fixed"}})
    layers = {bits: simulate(fixed, Network("one", (with_bits(BUSY[2], bits, bits),))).layers[0] for bits in (8, 4, 2)}
    assert len({layer.ideal_cycles for layer in layers.values()}) == 1
    gated = with_changes(fixed, {"pe_grid.precision": {"kind": "fixed", "gated": True}})
    narrow = simulate(gated, Network("one", (with_bits(BUSY[2], 4, 4),))).layers[0]
    assert narrow.total_cycles == layers[4].total_cycles
    assert narrow.energy_pj["multipliers"] == layers[4].energy_pj["multipliers"] / 4
    assert layers[4].runs_wider
    assert not narrow.runs_wider


@pytest.mark.parametrize(("kind", "bits"), [
    ({"kind": "bit_serial", "serial": "weights"}, ((8, 8), (4, 8), (2, 8), (1, 8))),
    ({"kind": "bit_serial", "serial": "inputs"}, ((8, 8), (8, 4), (8, 2), (8, 1))),
    ({"kind": "bit_serial", "serial": "both"}, ((8, 8), (4, 4), (2, 2), (1, 1))),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": "1/4"},
                                   {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 1},
                                   {"weight_bits": 2, "input_bits": 2, "macs_per_cycle": 4}]}, ((8, 8), (4, 4), (2, 2))),
])
def test_fewer_bits_take_fewer_cycles_and_less_energy_on_a_machine_that_scales(kind, bits):
    machine = with_changes(BIT_FUSION, {"pe_grid.precision": kind})
    layers = [simulate(machine, Network("one", (with_bits(BUSY[2], *pair),))).layers[0] for pair in bits]
    cycles = [layer.total_cycles for layer in layers]
    energy = [sum(layer.energy_pj[part] for part in ("multipliers", "adders", "registers")) for layer in layers]
    for falling in (cycles, energy):
        assert falling == sorted(falling, reverse=True)
        assert len(set(falling)) == len(falling)
    for layer, pair in zip(layers, bits, strict=True):
        assert layer.ideal_cycles * layer.peak_macs_per_cycle == layer.macs == BUSY[2].macs, pair


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_cost_model_counts_the_cycles_of_a_blocks_folds_on_any_precision_kind(data):
    """Whole blocks of a candidate: their folds in `fold_runs`, one after the other at the interval of equal folds."""
    description = data.draw(machines.descriptions())
    document = data.draw(random.precisions.filter(lambda kind: kind["kind"] != "float"))
    if document.get("pointwise"):
        description["pe_grid"]["rows"] = description["pe_grid"]["columns"] = 4
    description["pe_grid"] |= {"precision": document, "trims_partial_folds": False, "reduction": "window_channels"}
    accelerator = Accelerator.model_validate(description)
    grid, layer = accelerator.pe_grid, data.draw(machines.grid_layers())
    work = lower(with_bits(layer, *data.draw(random.widths(grid.precision))))
    every = candidates(work, grid)
    model = CostModel(work, accelerator, IN_DRAM, loads_inputs=True, traffic=mapper_of(accelerator).traffic)
    index = data.draw(st.integers(0, len(every) - 1))
    groups, images, rows, columns, n, k = every.tiles(index)
    assume(groups <= groups_per_fold(work, grid) or groups % groups_per_fold(work, grid) == 0)
    block = BlockShape(groups=groups, positions=images * rows * columns, n=n, k_first=0, k=k)
    expected = 0
    for run in fold_runs(grid, work, block):
        two = stream_timing(grid, [FoldRun(2, run.streamed, run.rows, run.columns)], model.cost)
        serial = stream_timing(grid, [FoldRun(1, run.streamed, run.rows, run.columns)], model.cost).stream_cycles
        expected += run.count * (serial if grid.overlap == "none" else two.last_start_cycles)
    assert model._step_cost(every.take(np.array([index])), np.array([n])).cycles[0] == expected


def test_indices_of_a_codebook_are_read_from_their_table_once_for_each_weight_that_enters_the_grid():
    """32 filters of 256 channels are loaded once into a weight stationary grid: 2 bits a weight, vectors of 4. A table of
    256 entries of 4 x 8 bits is 1 KiB, an eighth of Horowitz's 8 KiB (64 bits: 10 pJ): a bit costs 1 / sqrt(8) as much."""
    machine = with_changes(BIT_FUSION, {"pe_grid.precision": {"kind": "codebook", "index_bits": 8, "vector_length": 4}})
    layer = with_bits(conv("conv", 256, 32, 4, 1), 2, 8)
    result = simulate(machine, Network("one", (layer,))).layers[0]
    assert result.quantization.codebook_reads == 32 * 256 // 4
    assert (result.executed_weight_bits, result.executed_input_bits) == (8, 8)
    assert result.counts.dram_read_bytes["weights"] == 32 * 256 * 2 // 8
    assert result.energy_pj["codebook"] == pytest.approx(32 * 256 // 4 * 32 * 10 / 64 / math.sqrt(8))
