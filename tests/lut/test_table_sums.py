"""A network takes the sum of its layers' rows, exactly, where layers are independent."""

import random

import pytest

from accelsim import MappingOptions, load_accelerator, load_network, simulate, with_changes
from accelsim.lut.assignment import assigned, own_assignment, uniform
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.operand_tensors import OperandTensors
from accelsim.lut.table_builder import build_table
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import MatMul, Softmax
from accelsim.workload.tensor import Tensor


def random_assignment(network, rng, *, weights, activations):
    """Any width for every weight; any for every tensor, the same for those that one layer of the vector unit reads."""
    parents = {}

    def root(name):
        while parents.setdefault(name, name) != name:
            name = parents[name]
        return name

    for layer in network.layers:
        tensors = OperandTensors.of(layer)
        first, *others = [tensor.name for tensor in tensors.inputs]
        for other in others:
            parents[root(other)] = root(first)
    widths = {}

    def width(tensor):
        return widths.setdefault(root(tensor.name), rng.choice(activations))

    found = {}
    for layer in network.layers:
        tensors = OperandTensors.of(layer)
        weight = None
        if tensors.weights is not None:
            weight = rng.choice(weights) if layer.weights is not None else width(tensors.weights)
        found[layer.name] = OperandBits(weight, width(tensors.inputs[0]), width(tensors.output))
    return found


def check(table, network, accelerator, assignment, options=None):
    result = simulate(accelerator, assigned(network, assignment), options=options)
    total = table.total(assignment)
    assert total.cycles == result.total_cycles
    assert total.energy_pj == result.total_energy_pj
    assert total.dram_bytes == result.dram_bytes
    assert total.macs == result.macs
    assert total.weight_bytes == assigned(network, assignment).weight_bytes
    assert total.microseconds(clock_hz=table.header.clock_hz) == result.latency_us
    assert total.buffer_peak_bytes == max(sum(layer.peak_buffer_bytes.values()) for layer in result.layers)
    for layer in result.layers:
        row = table.cost(layer.name, assignment[layer.name])
        assert (row.cycles, row.bound, row.compute_cycles, row.ideal_cycles, row.dram_cycles) == (
            layer.total_cycles, layer.bound, layer.compute_cycles, layer.ideal_cycles, layer.dram_cycles), layer.name
        if row.macs:
            assert (row.effective_weight_bits, row.effective_input_bits) == (
                layer.executed_weight_bits, layer.executed_input_bits)


@pytest.mark.parametrize(("name", "chip", "weights", "activations"), [
    ("mlperf_tiny_resnet8", "bitfusion_16x32", (3, 8), (4, 8)),
    ("mlperf_tiny_mobilenet", "ne16_gap9", (3, 8), (8,)),
    ("mlperf_tiny_dscnn", "stripes", (4,), (3, 8)),
])
def test_the_rows_of_random_assignments_add_up_to_the_network_simulated_whole(name, chip, weights, activations):
    network, accelerator, rng = load_network(name), load_accelerator(chip), random.Random(7)
    table = build_table(network, accelerator, weight_bits=weights, input_bits=activations)
    for _ in range(2):
        check(table, network, accelerator, random_assignment(network, rng, weights=weights, activations=activations))


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_the_sum_is_exact_under_every_objective_of_the_mapper(objective):
    network, accelerator = load_network("mlperf_tiny_autoencoder"), load_accelerator("bitfusion_16x32")
    options = MappingOptions(objective=objective)
    table = build_table(network, accelerator, weight_bits=[4], input_bits=[8], options=options)
    check(table, network, accelerator, dict.fromkeys(table.layers, OperandBits(4, 8, 8)), options)


def test_a_row_of_narrow_accumulators_is_what_an_accelerator_with_them_gives():
    network, accelerator = load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16")
    table = build_table(network, accelerator, weight_bits=[8], input_bits=[8], accumulator_bits=[20, 32])
    for bits in (20, 32):
        result = simulate(with_changes(accelerator, {"accumulators.bits": bits}), network)
        total = table.total(dict.fromkeys(table.layers, OperandBits(8, 8, 8, bits)))
        assert (total.cycles, total.energy_pj) == (result.total_cycles, result.total_energy_pj)


def test_a_product_of_two_activations_has_the_second_ones_bits_as_those_of_its_weights():
    q, k, s, p = Tensor("q", (64, 32), 8), Tensor("k", (32, 64), 8), Tensor("s", (64, 64), 8), Tensor("p", (64, 64), 8)
    scores = Layer("scores", MatMul(m=64, k=32, n=64), (q, k), s)
    network = Network("attention", (scores, Layer("softmax", Softmax((64, 64), 64), (s,), p)), ("p",))
    accelerator = load_accelerator("bitfusion_16x32")
    table = build_table(network, accelerator, weight_bits=[4, 8], input_bits=[2, 8])
    assignment = {"scores": OperandBits(4, 2, 8), "softmax": OperandBits(None, 8, 2)}
    widths = {tensor.name: tensor.bits for layer in assigned(network, assignment).layers
              for tensor in (*layer.inputs, layer.output)}
    assert widths == {"q": 2, "k": 4, "s": 8, "p": 2}
    check(table, network, accelerator, assignment)


def test_a_layer_of_a_dynamic_range_has_one_row_for_both_of_its_halves():
    x, w, y = Tensor("x", (64, 64), 8), Tensor("w", (64, 64), 8, is_constant=True), Tensor("y", (64, 64), 8)
    network = Network("net", (Layer("fc", MatMul(m=64, k=64, n=64), (x,), y, weights=w, has_dynamic_range=True),), ("y",))
    accelerator = load_accelerator("edge_16x16")
    table = build_table(network, accelerator, weight_bits=[8], input_bits=[8])
    result = simulate(accelerator, network)
    assert [layer.name for layer in result.layers] == ["fc", "fc.requantize"]
    total = table.total({"fc": OperandBits(8, 8, 8)})
    assert (total.cycles, total.energy_pj, total.macs) == (result.total_cycles, result.total_energy_pj, result.macs)


def test_a_network_assigned_its_own_bits_is_itself():
    for name in ("mlperf_tiny_resnet8", "vit_b16"):
        network = load_network(name, weight_bits=4)
        assert assigned(network, own_assignment(network)) == network
        assert uniform(network, weight_bits=4, activation_bits=8) == network
