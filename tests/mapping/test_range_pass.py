"""A dynamic range: the accumulators' way out and back, on chip where they fit."""

import pytest

from accelsim.errors import WorkloadError
from accelsim.hardware import load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.network_mapping import map_network
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.range_pass import with_range_passes
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.operation import Activation, Elementwise, MatMul

EDGE = load_accelerator("edge_16x16")


def network_of(*, m=20, k=64, n=48, is_dynamic=True, outputs=(), name="fc"):
    layer = Layer(name, MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), 8),), Tensor("y", (m, n), 8),
                  weights=Tensor("w", (n, k), 8, is_constant=True), fused=("relu",), has_dynamic_range=is_dynamic)
    return Network("net", (layer,), outputs)


def runs_of(network, accelerator, **options):
    def prove(program):
        return 0.0

    traffic = TrafficCost(dram_pj_per_byte=64.0, idle_pj_per_cycle=0.0,
                          buffer_pj_per_byte=dict.fromkeys(accelerator.memory.buffers, 1.0))
    mapper = Mapper(accelerator, MappingOptions(**options), traffic, prove)
    program = map_network(with_range_passes(network, accelerator), mapper)
    return program.layers, run_program(accelerator, program)[0]


def test_a_layer_with_a_dynamic_range_becomes_a_grid_layer_and_a_pass():
    network = network_of(outputs=("y",))
    fc, requantize = with_range_passes(network, with_changes(EDGE, {"accumulators.bits": 24})).layers
    accumulators = Tensor("y.accumulators", (20, 48), 24)
    assert (fc.name, fc.output, fc.fused, fc.has_dynamic_range) == ("fc", accumulators, (), False)
    assert requantize == Layer("fc.requantize", Activation("dynamic_quantize", (20, 48)), (accumulators,),
                               Tensor("y", (20, 48), 8), fused=("relu",))


def test_a_network_without_a_dynamic_range_is_the_same_and_a_second_time_changes_nothing():
    plain = network_of(is_dynamic=False)
    assert with_range_passes(plain, EDGE) is plain
    expanded = with_range_passes(network_of(), EDGE)
    assert with_range_passes(expanded, EDGE) is expanded


def test_names_that_collide_are_told():
    x = Tensor("y", (20, 48), 8)
    other = Layer("fc.requantize", Elementwise("add", (20, 48)), (x, x), Tensor("z", (20, 48), 8))
    network = Network("net", (*network_of().layers, other))
    with pytest.raises(WorkloadError) as caught:
        with_range_passes(network, EDGE)
    assert str(caught.value) == "fc.requantize: expected unique layer names, got 2 layers of this name"


def test_accumulators_stay_on_chip_where_they_fit_and_leave_at_their_own_width():
    outputs = 20 * 48
    (grid, requantize), (fc, second) = runs_of(network_of(), EDGE)
    assert (grid.placement.keeps_output, grid.region_bytes["outputs"]) == (True, 4 * outputs)
    assert requantize.placement.resident_inputs == {"y.accumulators"}
    # Written once and read once at 32 bits; the outputs are written, and read again by the DMA, at 8.
    assert (fc.counts.dram_write_bytes, fc.counts.buffer_write_bytes["scratchpad"]) == (
        {}, 20 * 64 + 64 * 48 + 4 * outputs)
    assert (second.counts.dram_read_bytes, second.counts.dram_write_bytes) == ({}, {"outputs": outputs})
    assert second.counts.buffer_read_bytes == {"scratchpad": (4 + 1) * outputs}
    assert second.counts.vector_operations == 3 * outputs  # scale, round, clamp


def test_accumulators_that_do_not_fit_go_through_dram():
    outputs = 20 * 48
    small = with_changes(EDGE, {"memory.buffers.scratchpad.capacity": "6 KiB"})  # half of it is less than 3840 B
    apart = with_changes(EDGE, {"memory.buffers": {
        name: {"capacity": "64 KiB", "holds": [name], "bytes_per_cycle": 16} for name in ("weights", "inputs", "outputs")}})
    for accelerator in (small, apart):
        (grid, requantize), (fc, second) = runs_of(network_of(), accelerator)
        assert not grid.placement.keeps_output
        assert not requantize.placement.resident_inputs
        assert fc.counts.dram_write_bytes == {"outputs": 4 * outputs}
        assert second.counts.dram_read_bytes == {"inputs": 4 * outputs}
        assert second.counts.dram_write_bytes == {"outputs": outputs}


def test_a_pass_on_chip_takes_the_vector_unit_three_operations_an_output():
    accelerator = with_changes(EDGE, {
        "vector_unit.lanes": 1, "dram.read_latency": "0 cycles", "dram.write_latency": "0 cycles",
        "dram.bandwidth": "1024 GB/s", "dma.issue_cycles": 0})
    (_, requantize), (_, second) = runs_of(network_of(), accelerator)
    ranges = len([step for step in requantize.steps if hasattr(step, "operations")])
    assert second.compute_cycles == 3 * 20 * 48 + ranges * EDGE.vector_unit.latency_cycles


def test_other_activations_stay_only_if_the_options_say_so():
    x, w, y = Tensor("x", (20, 64), 8), Tensor("w", (48, 64), 8, is_constant=True), Tensor("y", (20, 48), 8)
    fc = Layer("fc", MatMul(m=20, k=64, n=48), (x,), y, weights=w, has_dynamic_range=True)
    relu = Layer("relu", Activation("relu", (20, 48)), (y,), Tensor("z", (20, 48), 8))
    network = Network("net", (fc, relu))
    assert [layer.placement.keeps_output for layer in runs_of(network, EDGE)[0]] == [True, False, False]
    kept = runs_of(network, EDGE, keeps_activations=True)[0]
    assert [layer.placement.keeps_output for layer in kept] == [True, True, False]


@pytest.mark.parametrize("capacity", ["3 KiB", "6 KiB", "64 KiB"])
def test_a_dynamic_range_is_never_free(capacity):
    accelerator = with_changes(EDGE, {"memory.buffers.scratchpad.capacity": capacity})
    _, (static,) = runs_of(network_of(is_dynamic=False), accelerator)
    _, dynamic = runs_of(network_of(), accelerator)
    assert sum(run.total_cycles for run in dynamic) > static.total_cycles
    assert sum(run.counts.dram_bytes for run in dynamic) >= static.counts.dram_bytes
    assert [run.counts.macs for run in dynamic] == [static.counts.macs, 0]
