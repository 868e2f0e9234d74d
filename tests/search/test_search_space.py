"""Which widths are one decision, and what they cost by the table."""

from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import AccelsimError, SearchError
from accelsim.hardware.loader import load_accelerator
from accelsim.lut.assignment import assigned, check_layers
from accelsim.lut.table_builder import build_table
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.resolved_policy import resolved
from accelsim.search.problem import Problem
from accelsim.search.space import SearchSpace
from accelsim.search.space_options import SpaceOptions
from accelsim.search.table_costs import table_costs, uniform_costs
from accelsim.simulation import simulate
from accelsim.workload.onnx.graph import GraphInput, Node

DIGITS = Path(__file__).parents[2] / "workloads" / "digits"


@pytest.fixture(scope="module")
def digits():
    return fold_batch_norms(FloatModel.load(DIGITS / "digits.onnx"))[0]


def space_of(model, **options):
    return SearchSpace.of(model, place(model), SpaceOptions(**options))


def residual_network():
    """x -> a -> b, added to a, averaged, classified."""
    weight = np.ones((2, 2, 1, 1), np.float32)
    nodes = (Node("Conv", "a", ("x", "wa"), ("ya",)), Node("Conv", "b", ("ya", "wb"), ("yb",)),
             Node("Add", "sum", ("ya", "yb"), ("s",)), Node("GlobalAveragePool", "mean", ("s",), ("m",)),
             Node("Flatten", "flat", ("m",), ("f",)), Node("Gemm", "fc", ("f", "wc"), ("y",)))
    return FloatModel("net", nodes, {"wa": weight, "wb": weight, "wc": np.ones((2, 3), np.float32)},
                      {"x": GraphInput((1, 2, 4, 4), 1)}, ("y",))


def test_summands_are_one_width_and_pooling_keeps_its_inputs():
    space = space_of(residual_network())
    variables = {str(operand): name for operand, name in space.variable_of.items()}
    assert variables["yb activations"] == variables["ya activations"] == "ya activations"
    assert variables["s activations"] == "s activations"
    assert set(space.choices) == {"x activations", "a weights", "ya activations", "b weights", "s activations", "fc weights",
                                  "y activations"}
    # What pooling writes, and the view of it, is what the last layer reads.
    assert str(space.layers["mean"].output) == str(space.layers["fc"].inputs) == "s activations"


def test_first_and_last_weights_inputs_and_outputs_have_8_bits_by_default():
    space = space_of(residual_network())
    fixed = {name for name, choices in space.choices.items() if choices == (8,)}
    assert fixed == {"x activations", "a weights", "fc weights", "y activations"}
    assert space.choices["b weights"] == (2, 4, 8)


def test_fixed_widths_can_be_others_and_open():
    space = space_of(residual_network(), fixed={"first": 4, "b": 2, "s": 4, "inputs": 8})
    assert {name: choices[0] for name, choices in space.choices.items() if len(choices) == 1} == {
        "a weights": 4, "b weights": 2, "s activations": 4, "x activations": 8}


def test_joined_weights_are_as_wide_as_what_their_layer_reads():
    space = space_of(residual_network(), is_joined=True, fixed={})
    variables = {str(operand): name for operand, name in space.variable_of.items()}
    assert variables["a weights"] == variables["x activations"]
    assert variables["b weights"] == variables["ya activations"] == variables["yb activations"]
    assert variables["fc weights"] == variables["s activations"]


def test_ties_join_layers_and_keep_the_choices_that_all_have():
    space = space_of(residual_network(), ties=(("a", "b"),), fixed={"a": 4})
    assert space.variable_of[space.layers["b"].weights] == space.variable_of[space.layers["a"].weights]
    assert space.choices["a weights"] == (4,)


@pytest.mark.parametrize(("options", "line"), [
    ({"fixed": {"aa": 4}}, 'expected a layer or tensor of the network to be fixed, got "aa"'),
    ({"ties": (("a", "residual"),)}, 'expected a layer or tensor of the network to be tied, got "residual"'),
    ({"fixed": {"a": 4, "b": 8}, "ties": (("a", "b"),)},
     "a weights: expected one width, since they share it, got a weights 4 and b weights 8"),
    ({"weight_bits": (2,), "activation_bits": (8,), "is_joined": True, "fixed": {}},
     "x activations: expected a width that all of x activations, a weights may have, got none"),
    ({"weight_bits": ()}, "weight_bits: expected at least one width, got none"),
    ({"weight_bits": (0, 8)}, "weight_bits: expected 1 to 16 bits, got 0"),
    ({"fixed": {"first": 17}}, "first: expected 1 to 16 bits, got 17"),
])
def test_wrong_options_are_told_in_one_line(options, line):
    with pytest.raises(SearchError) as caught:
        space_of(residual_network(), **options)
    assert str(caught.value).startswith(line)


def test_an_assignment_gives_every_tensor_one_width(digits):
    space = space_of(digits)
    generator = np.random.default_rng(1)
    for _ in range(20):
        assignment = {name: int(generator.choice(choices)) for name, choices in space.choices.items()}
        bits = space.bits(assignment)
        check_layers(space.network, bits)
        # `assigned` refuses a tensor of two widths.
        network = assigned(space.network, bits)
        assert {layer.name: layer.output.bits for layer in network.layers} == {
            name: each.output_bits for name, each in bits.items()}


def test_a_policy_has_the_widths_of_its_assignment(digits):
    space, placement = space_of(digits), place(digits)
    generator = np.random.default_rng(2)
    assignment = {name: int(generator.choice(choices)) for name, choices in space.choices.items()}
    policy = space.policy(assignment, BitPolicy(), name="chosen")
    choices = resolved(policy, digits, placement)
    for operand, name in space.variable_of.items():
        found = choices.weights if operand.kind == "weights" else choices.activations
        assert found[operand.name].scheme.bits == assignment[name], operand


def test_costs_of_an_assignment_are_those_of_the_simulated_network(digits):
    chip, space = load_accelerator("bitfusion_16x32"), space_of(digits, weight_bits=(4, 8), activation_bits=(4, 8))
    table = build_table(space.network, chip, weight_bits=(4, 8), input_bits=(4, 8))
    costs = table_costs(space, table)
    problem = Problem(space.variables, costs, "latency", {})
    generator = np.random.default_rng(3)
    for _ in range(4):
        assignment = {name: int(generator.choice(choices)) for name, choices in space.choices.items()}
        bits = space.bits(assignment)
        result = simulate(chip, assigned(space.network, bits))
        row = problem.indices(assignment)
        assert problem.evaluate("latency", row)[0] == result.total_cycles
        assert problem.evaluate("energy", row)[0] == pytest.approx(result.total_energy_pj, rel=1e-12)
        assert problem.evaluate("traffic", row)[0] == result.dram_bytes
        assert problem.evaluate("bops", row)[0] == sum(
            layer.macs * (bits[layer.name].weight_bits or 0) * bits[layer.name].input_bits for layer in space.network.layers)
    assert uniform_costs(space, table)["latency"] == simulate(chip, space.network).total_cycles


def test_a_table_of_another_network_is_refused(digits):
    other = residual_network()
    space = space_of(other)
    table = build_table(space.network, load_accelerator("edge_16x16"), weight_bits=(8,), input_bits=(8,))
    with pytest.raises(AccelsimError, match="expected a table made for the network digits"):
        table_costs(space_of(digits), table)


def test_a_missing_row_is_told_with_its_layer():
    space = space_of(residual_network())
    table = build_table(space.network, load_accelerator("edge_16x16"), weight_bits=(8,), input_bits=(8,))
    with pytest.raises(AccelsimError) as caught:
        table_costs(space, table)
    assert str(caught.value).startswith("a: the table of net has no row at 8/8/2")


def test_accumulators_are_decisions_of_grid_layers_alone():
    space = space_of(residual_network(), accumulator_bits=(16, 24))
    assert [str(operand) for operand in space.variable_of if operand.kind == "accumulators"] == [
        "a accumulators", "b accumulators", "fc accumulators"]
    assert space.layers["sum"].accumulators is None
    assert space.bits(space.uniform(8))["a"].accumulator_bits == 16
