"""What asymmetric weights and scale groups cost on the grid, against closed forms and on random machines."""

from dataclasses import replace

import pytest
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import case_count

from accelsim.errors import MappingError
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.machine.identities import check_lower_bounds
from accelsim.mapping.candidates import candidates
from accelsim.mapping.cost import CostModel
from accelsim.mapping.fold_plan import accumulator_entries
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import executed_macs, lower
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import IN_DRAM
from accelsim.mapping.program import Compute, Load, Program, Requantize, Store
from accelsim.mapping.tiling import Tiling
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.results.quantization_counts import QuantizationCounts
from accelsim.workload import Layer, Tensor
from accelsim.workload.operation import Convolution, MatMul


def accelerator_of(*, dataflow="weight_stationary", overlap="none", requantizer_lanes=4, **grid):
    """A 4x4 grid whose memory never makes it wait for long."""
    return Accelerator.model_validate({
        "schema_version": 1, "name": "tiny", "clock": "1 GHz",
        "pe_grid": {"rows": 4, "columns": 4, "dataflow": dataflow, "overlap": overlap, **grid},
        "accumulators": {"entries": 256}, "requantizer": {"lanes": requantizer_lanes, "latency_cycles": 2},
        "vector_unit": {"lanes": 4},
        "memory": {"buffers": {"scratchpad": {"capacity": "64 KiB", "holds": ["weights", "inputs", "outputs"],
                                              "bytes_per_cycle": 64, "ports": 4}}},
        "dma": {"queues": 2}, "dram": {"bandwidth": "64 GB/s"}, "energy": load_accelerator("edge_16x16").energy})


def matmul(m, k, n, **flags):
    return Layer("fc", MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), 8),), Tensor("y", (m, n), 8),
                 weights=Tensor("w", (n, k), 8, is_constant=True), **flags)


def run_of(layer, accelerator, tiling):
    program = build_grid_program(layer, tiling, accelerator)
    (run,), _ = run_program(accelerator, Program((program,)))
    return program, run


def whole(layer):
    work = lower(layer)
    return Tiling(groups=work.groups, images=work.images, rows=work.rows.out_size, columns=work.columns.out_size, n=work.n,
                  k=work.k)


def ceil(a, b):
    return -(-a // b)


#: Cycles of m x k by k x n on the 4x4 grid, one fold of 2R + C + T - 2 (dot_product: R + T + 1) after the other.
SERIAL = {
    "weight_stationary": lambda m, k, n: ceil(k, 4) * ceil(n, 4) * (2 * 4 + 4 + m - 2),
    "input_stationary": lambda m, k, n: ceil(k, 4) * ceil(m, 4) * (2 * 4 + 4 + n - 2),
    "output_stationary": lambda m, k, n: ceil(m, 4) * ceil(n, 4) * (2 * 4 + 4 + k - 2),
    "dot_product": lambda m, k, n: ceil(k, 4) * ceil(n, 4) * (4 + m + 1),
}


@pytest.mark.parametrize("dataflow", SERIAL)
@pytest.mark.parametrize("n", [3, 4, 8])
def test_asymmetric_weights_cost_the_cycles_and_macs_of_one_more_channel(dataflow, n):
    accelerator = accelerator_of(dataflow=dataflow)
    layer = matmul(6, 10, n, has_asymmetric_weights=True)
    program, run = run_of(layer, accelerator, whole(layer))
    assert run.compute_cycles == SERIAL[dataflow](6, 10, n + 1)
    assert run.counts.macs == executed_macs(layer, accelerator) == 6 * 10 * (n + 1)
    assert program.quantization == QuantizationCounts(sum_macs=60, corrected_sums=6 * n)
    _, plain = run_of(matmul(6, 10, n), accelerator, whole(layer))
    assert plain.compute_cycles == SERIAL[dataflow](6, 10, n)
    # Weights of ones are neither loaded nor stored, and their sums do not become outputs.
    assert (run.counts.dram_read_bytes, run.counts.dram_write_bytes) == (
        plain.counts.dram_read_bytes, plain.counts.dram_write_bytes)
    assert run.counts.requantized_outputs == plain.counts.requantized_outputs == 6 * n
    additions = 1 if dataflow == "output_stationary" else 3  # one, or one for each fold of K
    assert run.counts.accumulator_updates - plain.counts.accumulator_updates == 6 * additions


def test_a_row_sum_unit_takes_no_time_and_adds_every_input_once_for_each_channel_block():
    layer = matmul(6, 10, 8, has_asymmetric_weights=True)
    summing, plain = accelerator_of(row_sum_unit=True), accelerator_of()
    for n, blocks in ((8, 1), (4, 2)):
        tiling = replace(whole(layer), n=n)
        program, run = run_of(layer, summing, tiling)
        _, symmetric = run_of(matmul(6, 10, 8), plain, tiling)
        assert run == symmetric
        assert executed_macs(layer, summing) == layer.macs == run.counts.macs
        assert program.quantization == QuantizationCounts(row_sum_additions=6 * 10 * blocks, corrected_sums=6 * 8)


def test_only_the_first_channel_block_of_a_position_has_the_channel_of_ones():
    layer = matmul(6, 8, 8, has_asymmetric_weights=True)
    program, run = run_of(layer, accelerator_of(), replace(whole(layer), rows=3, n=4, k=4))
    computes = [step for step in program.steps if isinstance(step, Compute)]
    assert [(step.m, step.n, step.sum_channels) for step in computes if step.is_first] == [
        ((0, 3), (0, 4), 1), ((0, 3), (4, 8), 0), ((3, 6), (0, 4), 1), ((3, 6), (4, 8), 0)]
    assert sum(step.macs for step in computes) == run.counts.macs == 6 * 8 * 9
    assert "g[0:1] m[0:3] n[0:4] k[0:4]: 6 cycles of operands, first of its block, with the sums of the inputs" in str(
        Program((program,)))


def test_every_group_of_a_depthwise_layer_has_its_own_channel_of_ones():
    operation = Convolution(batch=1, in_channels=8, out_channels=8, in_size=(4, 4), kernel=(2, 2), groups=8)
    layer = Layer("dw", operation, (Tensor("x", (1, 8, 4, 4), 8),), Tensor("y", operation.out_shape, 8),
                  weights=Tensor("w", (8, 1, 2, 2), 8, is_constant=True), has_asymmetric_weights=True)
    # 8x4: two groups of four rows and, with their sums, two columns each share a fold; without them no more fit either.
    _, run = run_of(layer, accelerator_of(rows=8), whole(layer))
    assert run.compute_cycles == 4 * (2 * 8 + 4 + 9 - 2)
    # 16x4: four groups fit by their rows, but with their sums two by their columns.
    _, run = run_of(layer, accelerator_of(rows=16), whole(layer))
    assert run.compute_cycles == 4 * (2 * 16 + 4 + 9 - 2)
    _, plain = run_of(replace(layer, has_asymmetric_weights=False), accelerator_of(rows=16), whole(layer))
    assert plain.compute_cycles == 2 * (2 * 16 + 4 + 9 - 2)
    assert run.counts.macs == 2 * plain.counts.macs


@pytest.mark.parametrize("dataflow", SERIAL)
@pytest.mark.parametrize(("groups", "lengths"), [(1, [14]), (2, [7, 7]), (3, [5, 5, 4]), (7, [2] * 7), (14, [1] * 14)])
def test_folds_end_at_scale_groups_and_each_partial_sum_passes_the_requantizer(dataflow, groups, lengths):
    accelerator = accelerator_of(dataflow=dataflow)
    layer = matmul(6, 14, 3, weight_scale_groups=groups)
    program, run = run_of(layer, accelerator, whole(layer))
    assert [step.k[1] - step.k[0] for step in program.steps if isinstance(step, Compute)] == lengths
    assert run.compute_cycles == sum(SERIAL[dataflow](6, length, 3) for length in lengths)
    assert run.counts.requantized_outputs == groups * 6 * 3
    assert program.quantization == QuantizationCounts(rescaled_sums=(groups - 1) * 6 * 3)
    assert run.counts.macs == executed_macs(layer, accelerator) == layer.macs
    assert run.counts.dram_write_bytes == {"outputs": 18}


def test_a_requantizer_slower_than_the_grid_sets_the_pace_of_scale_groups():
    layer = matmul(8, 40, 4, weight_scale_groups=10)
    accelerator = accelerator_of(overlap="full", requantizer_lanes=1)
    program, run = run_of(layer, accelerator, whole(layer))
    # 160 B of weights: bus 0..3; 320 B of inputs: bus 3..8 (one request of 64 B a cycle); the weights shift in 3..7. The
    # first group streams 8..16 and is complete 6 cycles later. Then 10 times 8 x 4 sums, and 32 B are stored.
    assert [step.tile_bytes for step in program.steps if isinstance(step, Load)] == [160, 320]
    assert run.total_cycles == 8 + 8 + 6 + 10 * (2 + 32) + 1
    # Groups 3 to 10 wait for one of the two halves of the accumulators: the third from 24 on, the last until 8 groups are
    # through. The tails of streams are compute, and nothing waits for room for outputs.
    assert set(run.stall_cycles) == {"weights", "activations", "requantizer", "drain"}
    assert run.stall_cycles["requantizer"] > 100
    _, plain = run_of(matmul(8, 40, 4), accelerator, whole(layer))
    assert plain.total_cycles == 8 + 10 * 8 + 6 + (2 + 32) + 1


def test_loads_are_those_of_the_tiling_and_not_cut_at_scale_groups():
    layer = matmul(6, 24, 3, weight_scale_groups=6)
    program, _ = run_of(layer, accelerator_of(), replace(whole(layer), k=12))
    kinds = ["rescale" if isinstance(step, Requantize) and not step.has_outputs else type(step).__name__.lower()
             for step in program.steps]
    group = ["compute", "rescale"]
    assert kinds == ["load"] * 4 + group * 5 + ["compute", "requantize", "store"]
    assert [step.ranges[2] for step in program.steps if isinstance(step, Load) and step.operand == "weights"] == [
        (0, 12), (12, 24)]
    assert "rescale block 4: 18 partial sums" in str(Program((program,)))


def test_tiles_smaller_than_a_scale_group_do_not_cross_its_end():
    layer = matmul(6, 20, 3, weight_scale_groups=2)
    program, _ = run_of(layer, accelerator_of(), replace(whole(layer), k=4))
    computes = [step for step in program.steps if isinstance(step, Compute)]
    assert [step.k for step in computes] == [(0, 4), (4, 8), (8, 10), (10, 14), (14, 18), (18, 20)]
    assert [step.is_first for step in computes] == [True, False, False, True, False, False]
    assert [step.is_last for step in computes] == [False, False, True, False, False, True]
    assert [step.block for step in computes] == [0, 0, 0, 1, 1, 1]


def test_sums_of_scale_groups_are_corrected_one_by_one():
    layer = matmul(6, 14, 3, weight_scale_groups=2, has_asymmetric_weights=True)
    program, run = run_of(layer, accelerator_of(), whole(layer))
    assert run.counts.macs == 6 * 14 * 4
    assert program.quantization == QuantizationCounts(sum_macs=84, corrected_sums=2 * 18, rescaled_sums=18)


@st.composite
def quantized_layers(draw):
    """A random grid layer, asymmetric or with scale groups, or both."""
    layer = draw(machines.grid_layers())
    steps = layer.reduction_length
    length = draw(st.integers(1, steps))
    return replace(layer, has_asymmetric_weights=draw(st.booleans()), weight_scale_groups=ceil(steps, length))


@settings(max_examples=case_count(400), deadline=None)
@given(st.data())
def test_quantization_costs_keep_every_identity(data):
    description = data.draw(machines.descriptions())
    description["pe_grid"]["row_sum_unit"] = data.draw(st.booleans())
    accelerator = Accelerator.model_validate(description)
    layer = data.draw(quantized_layers())
    tiling = data.draw(machines.tilings(layer, accelerator))
    program, run = run_of(layer, accelerator, tiling)  # identities 1 and 2 are checked inside
    assert run.counts.macs == executed_macs(layer, accelerator)
    assert run.counts.macs - layer.macs == program.quantization.sum_macs
    assert run.counts.requantized_outputs == layer.output.elements * layer.weight_scale_groups
    stored = sum(step.tile_bytes for step in program.steps if isinstance(step, Store))
    assert stored == run.counts.dram_write_bytes["outputs"]
    check_lower_bounds(run, accelerator)


@settings(max_examples=case_count(400), deadline=None)
@given(st.data())
def test_quantization_costs_never_make_a_layer_faster_where_ports_keep_up(data):
    description = data.draw(machines.descriptions())
    description["pe_grid"]["row_sum_unit"] = data.draw(st.booleans())
    for buffer in description["memory"]["buffers"].values():
        buffer["bytes_per_cycle"] = 4096
    accelerator = Accelerator.model_validate(description)
    layer = data.draw(quantized_layers())
    tiling = data.draw(machines.tilings(layer, accelerator))
    _, run = run_of(layer, accelerator, tiling)
    plain = replace(layer, has_asymmetric_weights=False)
    assert run.total_cycles >= run_of(plain, accelerator, tiling)[1].total_cycles
    has_same_loads = tiling.k >= lower(layer).scale_group_length
    if has_same_loads and not accelerator.pe_grid.trims_partial_folds:  # folds of even sizes can trim more
        plain = replace(layer, weight_scale_groups=1)
        assert run.total_cycles >= run_of(plain, accelerator, tiling)[1].total_cycles


def mapper_of(accelerator):
    def prove(program):
        (run,), _ = run_program(accelerator, Program((program,)))
        return run.total_cycles

    traffic = TrafficCost(dram_pj_per_byte=64.0, idle_pj_per_cycle=0.0,
                          buffer_pj_per_byte=dict.fromkeys(accelerator.memory.buffers, 1.0))
    return Mapper(accelerator, MappingOptions(), traffic, prove)


@settings(max_examples=case_count(200), deadline=None)
@given(st.data())
def test_the_mapper_finds_room_for_sums_and_scale_groups(data):
    description = data.draw(machines.descriptions())
    for buffer in description["memory"]["buffers"].values():
        buffer["capacity"] = f"{data.draw(st.integers(40, 4000))} B"
    description["accumulators"]["entries"] = data.draw(st.integers(2, 64))
    accelerator = Accelerator.model_validate(description)
    layer = data.draw(quantized_layers())
    try:
        tiling = mapper_of(accelerator).tiling(layer)
    except MappingError:
        return
    program, run = run_of(layer, accelerator, tiling)
    for buffer in accelerator.memory.buffers.values():
        assert sum(program.region_bytes[operand] for operand in buffer.holds) <= buffer.capacity_bytes
    assert run.counts.macs == executed_macs(layer, accelerator)
    work = lower(layer)
    if work.sum_channels:
        positions = work.images * work.rows.out_size * work.columns.out_size
        assert tiling.n >= work.n or tiling.positions >= positions or tiling.order == "inputs_outer"
        entries = accumulator_entries(accelerator.pe_grid, work, groups=tiling.groups, positions=tiling.positions,
                                      n=min(tiling.n, work.n) + 1)
        assert entries <= accelerator.accumulators.block_entries


@settings(max_examples=case_count(400), deadline=None)
@given(st.data())
def test_the_cost_model_reserves_the_room_and_counts_the_steps_of_quantized_layers(data):
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(quantized_layers())
    mapper, work = mapper_of(accelerator), lower(layer)
    every = candidates(work, accelerator.pe_grid, is_fine=data.draw(st.booleans()))
    estimate = CostModel(work, accelerator, IN_DRAM, loads_inputs=True, traffic=mapper.traffic).estimate(every)
    index = data.draw(st.integers(0, len(every) - 1))
    program = build_grid_program(layer, every.tiling(index), accelerator)
    for name, buffer in accelerator.memory.buffers.items():
        assert sum(program.region_bytes[operand] for operand in buffer.holds) <= int(estimate.region_bytes[name][index])
    assert int(estimate.steps[index]) == sum(isinstance(step, Compute) for step in program.steps)


def test_k_ranges_that_scale_groups_shift_across_kernel_positions_get_the_room_of_a_whole_window():
    """Scale groups of 3 over 4 channels: ranges of 2 begin at 0, 2, 3, 5, ..., and the one at 3 has two kernel positions."""
    operation = Convolution(batch=1, in_channels=4, out_channels=1, in_size=(3, 3), kernel=(3, 2), stride=(1, 1),
                            pads=(1, 1, 1, 1))
    layer = Layer("conv", operation, (Tensor("x", (1, 4, 3, 3), 8),), Tensor("y", operation.out_shape, 8),
                  weights=Tensor("w", (1, 4, 3, 2), 8, is_constant=True), weight_scale_groups=8)
    edge, work = load_accelerator("edge_16x16"), lower(layer)
    every = candidates(work, edge.pe_grid, is_fine=True)
    traffic = TrafficCost(dram_pj_per_byte=1.0, idle_pj_per_cycle=0.0, buffer_pj_per_byte={"scratchpad": 1.0})
    reserved = CostModel(work, edge, IN_DRAM, loads_inputs=True, traffic=traffic).estimate(every).region_bytes["scratchpad"]
    shifted = [index for index in range(len(every)) if every.tiling(index).k == 2]
    assert shifted
    for index in shifted:
        program = build_grid_program(layer, every.tiling(index), edge)
        assert sum(program.region_bytes.values()) <= reserved[index]


def test_the_choice_for_a_quantized_layer_is_within_a_twentieth_of_the_best_of_all_candidates():
    edge = with_changes(load_accelerator("edge_16x16"), {
        "memory.buffers.scratchpad.capacity": "24 KiB", "accumulators.entries": 512})
    for layer in (matmul(60, 128, 48, has_asymmetric_weights=True), matmul(60, 128, 35, weight_scale_groups=4),
                  matmul(60, 96, 48, weight_scale_groups=3, has_asymmetric_weights=True)):
        chosen = run_of(layer, edge, mapper_of(edge).tiling(layer))[1]
        every = candidates(lower(layer), edge.pe_grid)
        best = None
        for tiling in (every.tiling(index) for index in range(len(every))):
            program = build_grid_program(layer, tiling, edge)
            entries = tiling.positions * ceil(tiling.n + layer.has_asymmetric_weights, 16)
            if sum(program.region_bytes.values()) > 24 * 1024 or entries > 256:
                continue
            (run,), _ = run_program(edge, Program((program,)))
            best = run.total_cycles if best is None else min(best, run.total_cycles)
        assert chosen.total_cycles <= 1.05 * best
