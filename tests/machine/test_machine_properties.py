"""What holds on every machine: the identities of the architecture page, on random machines, layers and tilings."""

import copy
from itertools import pairwise

import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import case_count

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import run_program
from accelsim.machine.identities import check_lower_bounds
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Program
from accelsim.mapping.vector_program import build_vector_program

#: Ways to make a machine better; none may make a layer slower.
IMPROVEMENTS = ("bandwidth", "read_latency", "write_latency", "port_width", "ports", "second_buffer", "second_accumulators",
                "queues", "requantizer_lanes", "vector_lanes", "larger_buffers", "issue")


def improved(description, what, factor):
    better = copy.deepcopy(description)
    dram, dma, buffers = better["dram"], better["dma"], better["memory"]["buffers"].values()
    if what == "bandwidth":
        dram["bandwidth"] = f"{int(dram['bandwidth'].split()[0]) * factor} GB/s"
    elif what in ("read_latency", "write_latency"):
        dram[what] = f"{int(dram[what].split()[0]) // factor} cycles"
    elif what == "queues":
        dma["queues"] += factor - 1
    elif what == "issue":
        dma["issue_cycles"] //= factor
    elif what == "requantizer_lanes":
        better["requantizer"]["lanes"] *= factor
    elif what == "vector_lanes":
        better["vector_unit"]["lanes"] *= factor
    elif what == "second_accumulators":
        better["accumulators"]["double_buffered"] = True
    for buffer in buffers:
        if what == "port_width":
            buffer["bytes_per_cycle"] *= factor
        elif what == "ports":
            buffer["ports"] *= factor
        elif what == "second_buffer":
            buffer["double_buffered"] = True
        elif what == "larger_buffers":
            buffer["capacity"] = f"{factor + 1} GiB"
    return better


def program_of(layer, tiling, accelerator):
    if tiling is None:
        return build_vector_program(layer, accelerator)
    return build_grid_program(layer, tiling, accelerator)


def cycles(accelerator, program):
    (run,), _ = run_program(accelerator, Program((program,)))
    return run.total_cycles


@settings(max_examples=case_count(1000), deadline=None)
@given(st.data())
def test_an_improvement_never_makes_a_layer_slower_under_the_same_tiling(data):
    description = data.draw(machines.descriptions())
    layer = data.draw(st.one_of(machines.grid_layers(), machines.grid_layers(), machines.vector_layers()))
    accelerator = Accelerator.model_validate(description)
    tiling = data.draw(machines.tilings(layer, accelerator)) if layer.is_on_grid else None
    what, factor = data.draw(st.sampled_from(IMPROVEMENTS)), data.draw(st.integers(2, 3))
    better = Accelerator.model_validate(improved(description, what, factor))
    program = program_of(layer, tiling, accelerator)
    better_program = program_of(layer, tiling, better)
    if tiling is None and [type(step) for step in program.steps] != [type(step) for step in better_program.steps]:
        return  # another memory balances its ranges otherwise: not the same mapping
    assert cycles(better, better_program) <= cycles(accelerator, program), what


@settings(max_examples=case_count(1000), deadline=None)
@given(st.data())
def test_every_run_keeps_the_identities(data):
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(st.one_of(machines.grid_layers(), machines.vector_layers()))
    tiling = data.draw(machines.tilings(layer, accelerator)) if layer.is_on_grid else None
    program = program_of(layer, tiling, accelerator)
    (run,), _ = run_program(accelerator, Program((program,)))  # identities 1 and 2 are checked inside
    assert run.counts.macs == layer.macs
    assert run.counts.vector_operations == layer.vector_operations
    assert run.counts.requantized_outputs == (layer.output.elements if layer.is_on_grid else 0)
    assert run.compute_cycles + sum(run.stall_cycles.values()) == run.total_cycles
    assert run.ideal_cycles <= run.compute_cycles
    check_lower_bounds(run, accelerator)


@settings(max_examples=case_count(200), deadline=None)
@given(st.data())
def test_round_robin_arbitration_finishes_and_keeps_the_identities(data):
    description = data.draw(machines.descriptions())
    description["dma"]["arbitration"] = "round_robin"
    accelerator = Accelerator.model_validate(description)
    layer = data.draw(machines.grid_layers())
    program = build_grid_program(layer, data.draw(machines.tilings(layer, accelerator)), accelerator)
    (run,), _ = run_program(accelerator, Program((program,)))
    assert run.counts.macs == layer.macs
    check_lower_bounds(run, accelerator)


@settings(max_examples=case_count(100), deadline=None)
@given(st.data())
def test_layers_follow_one_another_without_a_trace_of_each_other(data):
    accelerator = data.draw(machines.accelerators)
    kinds = {"a": machines.grid_layers, "b": machines.vector_layers, "c": machines.grid_layers}
    layers = [data.draw(kind(name)) for name, kind in kinds.items()]
    programs = [program_of(layer, data.draw(machines.tilings(layer, accelerator)) if layer.is_on_grid else None, accelerator)
                for layer in layers]
    alone = [cycles(accelerator, program) for program in programs]
    runs, _ = run_program(accelerator, Program(tuple(programs)))
    assert [run.total_cycles for run in runs] == alone
    assert [run.start_cycle for run in runs] == [sum(alone[:i]) for i in range(len(alone))]


@settings(max_examples=case_count(1000), deadline=None)
@given(st.data())
def test_recording_a_timeline_changes_nothing_and_equal_runs_are_equal(data):
    accelerator = data.draw(machines.accelerators)
    layer = data.draw(st.one_of(machines.grid_layers(), machines.vector_layers()))
    tiling = data.draw(machines.tilings(layer, accelerator)) if layer.is_on_grid else None
    program = Program((program_of(layer, tiling, accelerator),))
    recorded, timeline = run_program(accelerator, program, records_timeline=True)
    assert (recorded, None) == run_program(accelerator, program)
    assert (recorded, timeline) == run_program(accelerator, program, records_timeline=True)
    for unit in {span.unit for span in timeline.spans} - {"accumulators"}:
        spans = [span for span in timeline.spans if span.unit == unit]
        assert all(a.end_cycle <= b.start_cycle for a, b in pairwise(spans)), f"{unit} does two things at once"
