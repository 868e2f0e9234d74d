"""The recurrences give what the machine gives, on any machine, layer and tiling."""

from dataclasses import replace

import pytest
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import case_count

from accelsim import MappingOptions, load_accelerator, load_network, with_changes
from accelsim.energy.traffic_energy import traffic_cost
from accelsim.lut.program_time import program_cycles
from accelsim.machine.controller import run_program
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.program import Program


def machine_cycles(accelerator, program):
    (run,), _ = run_program(accelerator, Program((program,)))
    return run.total_cycles


@settings(max_examples=case_count(300), deadline=None)
@given(data=st.data())
def test_a_random_program_takes_the_machines_cycles(data):
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(machines.grid_layers())
    tiling = data.draw(machines.tilings(layer, accelerator))
    program = build_grid_program(layer, tiling, accelerator)
    found = program_cycles(program, accelerator)
    assert found == machine_cycles(accelerator, program) or (found is None and accelerator.dma.issue_cycles > 0)


@pytest.mark.parametrize(("name", "chip", "changes"), [
    ("mlperf_tiny_resnet8", "bitfusion_16x32", {}),
    ("mlperf_tiny_mobilenet", "ne16_gap9", {}),
    ("mlperf_tiny_dscnn", "edge_16x16", {
        "memory.buffers.scratchpad.capacity": "8 KiB", "accumulators.double_buffered": False}),
    ("mlperf_tiny_dscnn", "edge_16x16", {"pe_grid.dataflow": "output_stationary"}),
    ("mlperf_tiny_autoencoder", "nvdla_small", {"dram.read_latency": "900 cycles"}),
])
def test_the_mappers_programs_take_the_machines_cycles(name, chip, changes):
    accelerator = with_changes(load_accelerator(chip), changes)
    mapper = Mapper(accelerator, MappingOptions(), traffic_cost(accelerator), lambda program: 0.0)
    seen = 0
    for layer in load_network(name, weight_bits=4 if chip != "nvdla_small" else 8).layers[:8]:
        if not layer.is_on_grid:
            continue
        for tiling in mapper.best_tilings(layer)[:3]:
            program = mapper.program(layer, tiling)
            assert program_cycles(program, accelerator) == machine_cycles(accelerator, program), (layer.name, tiling)
            seen += 1
    assert seen >= 6


@settings(max_examples=case_count(200), deadline=None)
@given(data=st.data())
def test_delayed_stores_are_timed_by_the_program_without_them(data):
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(machines.grid_layers())
    tiling = data.draw(machines.tilings(layer, accelerator))
    plain, delayed = (build_grid_program(layer, replace(tiling, store_lag=lag), accelerator) for lag in (0, 1))
    assert program_cycles(plain, accelerator, delays_stores=True) == program_cycles(delayed, accelerator)


def test_programs_beyond_the_recurrences_are_left_to_the_machine():
    accelerator = load_accelerator("edge_16x16")
    mapper = Mapper(accelerator, MappingOptions(), traffic_cost(accelerator), lambda program: 0.0)
    network = load_network("mlperf_tiny_dscnn")
    program = mapper.map(network.layers[0])
    assert program_cycles(program, with_changes(accelerator, {"dma.arbitration": "round_robin"})) is None
    vector = next(layer for layer in network.layers if not layer.is_on_grid)
    assert program_cycles(mapper.map(vector), accelerator) is None
