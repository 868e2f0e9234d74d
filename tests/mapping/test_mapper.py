"""The mapper's choice fits and is close to the best there is; what fits nowhere is told in one line."""

from dataclasses import replace

import pytest
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import MappingError
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.mapping.candidates import candidates
from accelsim.mapping.cost import CostModel
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import lower
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import IN_DRAM
from accelsim.mapping.program import Program
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.workload import Layer, Tensor
from accelsim.workload.operation import Convolution, Elementwise, MatMul, Softmax


def mapper_of(accelerator, **options):
    def prove(program):
        (run,), _ = run_program(accelerator, Program((program,)))
        return run.total_cycles

    traffic = TrafficCost(dram_pj_per_byte=64.0, idle_pj_per_cycle=0.0,
                          buffer_pj_per_byte=dict.fromkeys(accelerator.memory.buffers, 1.0))
    return Mapper(accelerator, MappingOptions(**options), traffic, prove)


def matmul(m, k, n, bits=8):
    return Layer("fc", MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), bits),), Tensor("y", (m, n), bits),
                 weights=Tensor("w", (n, k), bits, is_constant=True))


def conv(channels, filters, size, kernel=3):
    operation = Convolution(batch=1, in_channels=channels, out_channels=filters, in_size=(size, size),
                            kernel=(kernel, kernel), pads=(kernel // 2,) * 4)
    return Layer("conv", operation, (Tensor("x", (1, channels, size, size), 8),), Tensor("y", operation.out_shape, 8),
                 weights=Tensor("w", (filters, channels, kernel, kernel), 8, is_constant=True))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_the_mapper_chooses_fits_into_its_buffers_and_runs(data):
    description = data.draw(machines.descriptions())
    for buffer in description["memory"]["buffers"].values():
        buffer["capacity"] = f"{data.draw(st.integers(40, 4000))} B"
    description["accumulators"]["entries"] = data.draw(st.integers(2, 64))
    accelerator = Accelerator.model_validate(description)
    layer = data.draw(st.one_of(machines.grid_layers(), machines.vector_layers()))
    try:
        program = mapper_of(accelerator).map(layer)
    except MappingError as error:
        told = str(error)
    else:
        told = None
    if told is not None:
        assert "needs at least" in told or "need at least" in told
        return
    for buffer in accelerator.memory.buffers.values():
        assert sum(program.region_bytes[operand] for operand in buffer.holds) <= buffer.capacity_bytes
    (run,), _ = run_program(accelerator, Program((program,)))
    assert all(peak <= accelerator.memory.buffers[name].capacity_bytes for name, peak in run.peak_buffer_bytes.items())
    assert run.counts.macs == layer.macs


SMALL_EDGE = with_changes(load_accelerator("edge_16x16"), {
    "memory.buffers.scratchpad.capacity": "24 KiB", "accumulators.entries": 512})


@pytest.mark.parametrize("layer", [conv(16, 32, 8), conv(64, 16, 10, 1), matmul(60, 150, 35), matmul(1, 512, 256)])
def test_the_choice_is_within_a_twentieth_of_the_best_of_all_candidates(layer):
    mapper = mapper_of(SMALL_EDGE)
    (chosen,), _ = run_program(SMALL_EDGE, Program((mapper.map(layer),)))
    every = candidates(lower(layer), SMALL_EDGE.pe_grid)
    best = None
    for tiling in (every.tiling(index) for index in range(len(every))):
        program = build_grid_program(layer, tiling, SMALL_EDGE)
        if sum(program.region_bytes.values()) > 24 * 1024 or tiling.positions * -(-tiling.n // 16) > 256:
            continue
        (run,), _ = run_program(SMALL_EDGE, Program((program,)))
        best = run.total_cycles if best is None else min(best, run.total_cycles)
    assert chosen.total_cycles <= 1.05 * best


@pytest.mark.parametrize("channels", [8, 16, 32])
def test_a_narrower_output_makes_no_small_layer_slower(channels):
    """A mapper that forgets how long blocks stay in the accumulators cuts it into small tiles, whose stores are shorter."""
    fused = load_accelerator("bitfusion_16x32")
    cycles = {}
    for bits in (8, 4, 2):
        layer = conv(channels, 64, 8, 1)
        narrow = replace(layer, inputs=tuple(replace(tensor, bits=4) for tensor in layer.inputs),
                         weights=replace(layer.weights, bits=4), output=replace(layer.output, bits=bits))
        (run,), _ = run_program(fused, Program((mapper_of(fused).map(narrow),)))
        cycles[bits] = run.total_cycles
    assert cycles[2] <= cycles[4] <= cycles[8]


def test_mapping_is_deterministic():
    layer = conv(32, 64, 20)
    assert mapper_of(SMALL_EDGE).map(layer) == mapper_of(SMALL_EDGE).map(layer)


def test_the_energy_objective_moves_no_more_bytes_than_the_latency_objective():
    layer = conv(64, 128, 28)

    def moved(objective):
        program = mapper_of(SMALL_EDGE, objective=objective, proved_candidates=1).map(layer)
        (run,), _ = run_program(SMALL_EDGE, Program((program,)))
        return run.counts.dram_bytes

    assert moved("energy") <= moved("latency")


def too_small(**changes):
    return with_changes(load_accelerator("edge_16x16"), {key.replace("__", "."): value for key, value in changes.items()})


def test_a_buffer_too_small_for_any_tile_is_named_with_the_bytes_that_it_needs():
    accelerator = too_small(memory__buffers__scratchpad__capacity="5 B")
    with pytest.raises(MappingError) as caught:
        mapper_of(accelerator).map(matmul(8, 64, 64))
    # Smallest tiles: 16 x 16 weights and 16 inputs, each twice; 16 outputs twice.
    assert str(caught.value) == "fc: its tiles of a full fold need at least 576 B in buffer scratchpad, which has 5 B"


def test_a_row_too_large_for_its_buffer_is_named():
    accelerator = too_small(memory__buffers__scratchpad__capacity="1 KiB")
    layer = Layer("attention", Softmax((4, 2048), 2048), (Tensor("x", (4, 2048), 8),), Tensor("y", (4, 2048), 8))
    with pytest.raises(MappingError) as caught:
        mapper_of(accelerator).map(layer)
    assert str(caught.value) == "attention: one row needs at least 8192 B in buffer scratchpad, which has 1024 B"


def test_operands_wider_than_the_multipliers_are_refused():
    with pytest.raises(MappingError) as caught:
        mapper_of(load_accelerator("edge_16x16")).map(matmul(8, 64, 64, bits=16))
    assert str(caught.value) == ("fc: expected operands of at most 8-bit weights and 8-bit inputs on edge_16x16, "
                                 "got 16 and 16")


def test_a_vector_layer_without_enough_room_is_cut_into_more_ranges():
    a, b, c = (Tensor(name, (1, 64, 32, 32), 8) for name in "abc")
    layer = Layer("add", Elementwise("add", (1, 64, 32, 32)), (a, b), c)
    program = mapper_of(too_small(memory__buffers__scratchpad__capacity="6 KiB")).map(layer)
    assert program.region_bytes["inputs"] + program.region_bytes["outputs"] <= 6 * 1024
    assert program.placement == IN_DRAM


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_room_that_the_cost_model_reserves_is_what_the_program_needs(data):
    """Never less; for elements of whole bytes and the mapper's own cuts never more than the last, smaller tiles leave."""
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(machines.grid_layers())
    mapper, work = mapper_of(accelerator), lower(layer)
    every = candidates(work, accelerator.pe_grid, is_fine=data.draw(st.booleans()))
    model = CostModel(work, accelerator, IN_DRAM, loads_inputs=True, traffic=mapper.traffic)
    index = data.draw(st.integers(0, len(every) - 1))
    program = build_grid_program(layer, every.tiling(index), accelerator)
    for name, buffer in accelerator.memory.buffers.items():
        reserved = int(model.estimate(every).region_bytes[name][index])
        assert sum(program.region_bytes[operand] for operand in buffer.holds) <= reserved


def test_tiles_smaller_than_a_fold_are_used_where_no_full_fold_fits():
    accelerator = too_small(memory__buffers__scratchpad__capacity="500 B")
    program = mapper_of(accelerator).map(matmul(8, 64, 64))  # full folds need 576 B
    assert sum(program.region_bytes.values()) <= 500


def test_fewer_bits_need_no_more_room():
    small = too_small(memory__buffers__scratchpad__capacity="600 B")
    for bits in range(8, 0, -1):
        program = mapper_of(small).map(matmul(8, 64, 64, bits=bits))
        assert sum(program.region_bytes.values()) <= 600
