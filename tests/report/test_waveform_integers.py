"""The integers of the step that a waveform shows: those that a run brings there, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import quantized_layers
import quantized_models as models
import random_machines as machines
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim import load_accelerator, load_network, load_quantized_network, plan, simulate, with_changes
from accelsim.errors import HardwareError, NumericsError, WorkloadError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.stepped.model_step import model_step
from accelsim.machine.stepped.random_step import random_step
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.program import Compute, Program
from accelsim.mapping.tiling import Tiling
from accelsim.report.shown_step import shown_step
from accelsim.workload.input_values import samples
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import MatMul
from accelsim.workload.tensor import Tensor

EDGE = load_accelerator("edge_16x16")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A quantized network, and two samples."""
    folder, described = tmp_path_factory.mktemp("model"), models.convolutional()
    return load_quantized_network(models.quantized(described, folder, form="QDQ")), np.stack(described.samples(2, seed=3))


@st.composite
def cases(draw):
    """A random quantized layer on a random machine, in a random tiling; registers so wide that nothing overflows."""
    layer = draw(machines.grid_layers())
    network, arrays = draw(quantized_layers.quantized_networks(layer))
    description = draw(machines.descriptions())
    description["accumulators"] |= {"bits": 40, "preloads_bias": True}
    description["pe_grid"]["zero_points"] = draw(st.sampled_from(("fold_into_bias", "subtract")))
    description["requantizer"]["scheme"] = "power_of_two"
    accelerator = Accelerator.model_validate(description)
    program = build_grid_program(layer, draw(machines.tilings(layer, accelerator)), accelerator)
    assume(sum(isinstance(step, Compute) for step in program.steps) <= 12)
    return accelerator, layer, network, arrays, program


@settings(max_examples=20, deadline=None)
@given(cases())
def test_every_tile_together_makes_the_layer_by_its_definition(case):
    accelerator, layer, network, arrays, program = case
    definition = quantized_layers.Definition(layer, network.layers[layer.name].kernel, arrays)
    sample, count = samples(network, arrays)[0], sum(isinstance(step, Compute) for step in program.steps)
    accumulated, outputs = {}, {}
    for tile in range(count):
        step = model_step(accelerator, Program((program,)), network, sample, layer=layer.name, tile=tile,
                          rule=accelerator.rule, source="")
        assert (step.tile, step.tiles, step.remark) == (tile, count, "")
        ranges, held = (step.step.groups, step.step.m, step.step.n), step.run().held
        for index in np.ndindex(step.layout.outputs):
            place = tuple(first + number for (first, _), number in zip(ranges, index, strict=True))
            group, m, n = index
            start = step.start[group, 0 if step.start.shape[1] == 1 else m, n]
            assert start == accumulated.get(place, start), "a tile goes on where the one before ended"
            accumulated[place] = held[index]
            assert held[index] == start + int(step.inputs[group, m].astype(object) @ step.weights[group, n])
            if step.outputs is not None:
                outputs[place] = step.outputs[index]
        for values, register in ((step.inputs, step.input_register), (step.weights, step.weight_register)):
            low, high = (-(1 << (register.bits - 1)), (1 << (register.bits - 1)) - 1) if register.is_signed else (
                0, (1 << register.bits) - 1)
            assert low <= values.min()
            assert values.max() <= high
    natural = program.position_order.natural if program.position_order is not None else np.asarray
    placed = {(group, int(natural(np.array(m))), n): (group, m, n) for group, m, n in accumulated}
    for group, m, n, _ in definition.outputs():
        place = placed[group, m, n]
        assert accumulated[place] == definition.exact(group, m, n)
        assert outputs[place] == definition.requantized(accumulated[place], definition.channel(group, n)[2])


def test_a_layer_deep_in_a_network_gets_what_a_run_brings_there(model):
    network, arrays = model
    chip, told = with_changes(EDGE, {"pe_grid.dataflow": "output_stationary"}), {}
    simulate(chip, network, inputs={"x": arrays}, told=lambda sample, name, output: told.setdefault((sample, name), output))
    program, sample = plan(chip, network.network), samples(network, {"x": arrays})[1]
    for name in ("deep", "wide", "fc"):
        steps = next(layer.steps for layer in program.layers if layer.layer == name)
        made = [model_step(chip, program, network, sample, layer=name, tile=tile, rule=chip.rule, source="").outputs
                for tile in range(sum(isinstance(step, Compute) for step in steps))]
        found = np.concatenate([part.reshape(-1) for part in made if part is not None])
        assert sorted(found.tolist()) == sorted(told[1, name].reshape(-1).tolist())


def test_the_step_tells_where_its_integers_come_from(model):
    network, arrays = model
    step = shown_step(EDGE, network, layer="fc", inputs={"x": arrays}, file="x.npz", sample=1)
    assert step.source == "integers of sample 1 of x.npz"
    assert step.title == f"{network.network.name}, fc, tile 0 of 1 on edge_16x16"
    assert shown_step(EDGE, network, layer="fc", seed=5).source == "random integers of seed 5, at the layer's widths"


def test_a_run_that_an_overflow_ends_is_shown_up_to_there(model):
    network, arrays = model
    chip = with_changes(EDGE, {"accumulators.bits": 12, "accumulators.overflow": "error"})
    with pytest.raises(NumericsError) as caught:
        simulate(chip, network, inputs={"x": arrays})
    step = shown_step(chip, network, layer="stem", inputs={"x": arrays})
    assert step.remark == f"the run ends here: {caught.value}"
    assert step.outputs is None
    told = int(re.search(r"of (-?\d+) does not fit", step.remark)[1])
    assert told in step.run().events.exact  # and the registers show it
    with pytest.raises(NumericsError) as before:
        shown_step(chip, network, layer="deep", inputs={"x": arrays})
    assert str(before.value) == str(caught.value)


@pytest.mark.parametrize(("options", "problem"), [
    ({"layer": "steam"}, 'NAME: expected the name of a layer, got "steam" (did you mean stem?)'),
    ({"layer": "zzzz"}, 'NAME: expected the name of a layer, got "zzzz" (it has stem, deep, point, sum, wide and 8 more)'),
    ({"layer": "sum"}, "sum: expected a layer on the PE grid, got one that the vector unit executes (elementwise)"),
    ({"layer": "fc", "tile": 1}, "fc: expected tile 0, its one compute step, got 1"),
    ({"layer": "fc", "tile": -1}, "fc: expected tile 0, its one compute step, got -1"),
    ({"layer": "fc", "sample": 2}, "x.npz: expected sample 0 to 1 of the inputs, got 2"),
    ({"layer": "fc", "inputs": {"x": np.zeros((2, 2))}},
     "x.npz: x: expected the shape [1, 3, 16, 16], or [samples, 1, 3, 16, 16], got [2, 2]"),
])
def test_what_the_model_does_not_have_is_refused_in_one_line(model, options, problem):
    network, arrays = model
    with pytest.raises(WorkloadError) as caught:
        shown_step(EDGE, network, **({"inputs": {"x": arrays}, "file": "x.npz"} | options))
    assert str(caught.value) == problem.replace("NAME", network.network.name)


def test_inputs_of_a_network_without_integers_are_refused():
    with pytest.raises(WorkloadError) as caught:
        shown_step(EDGE, load_network("mlperf_tiny_dscnn"), layer="conv1", inputs={"x": np.zeros(3)})
    assert str(caught.value) == ("mlperf_tiny_dscnn: expected a network with integers for a run with inputs, got shapes and "
                                 "widths alone")


@pytest.mark.parametrize("options", [MappingOptions(), MappingOptions(objective="energy", keeps_activations=True)])
def test_the_step_is_that_of_the_network_s_program(options):
    network = load_network("mlperf_tiny_resnet8")
    for mapped in plan(EDGE, network, options=options).layers:
        computes = [step for step in mapped.steps if isinstance(step, Compute)]
        if computes:
            shown = shown_step(EDGE, network, layer=mapped.layer, tile=len(computes) - 1, options=options)
            assert (shown.step, shown.tiles) == (computes[-1], len(computes))


def product(weights, inputs, bits=8):
    """A network of one matrix product of these widths."""
    layer = Layer("fc", MatMul(m=3, k=20, n=6), (Tensor("x", (3, 20), inputs),), Tensor("y", (3, 6), bits),
                  weights=Tensor("w", (6, 20), weights, is_constant=True))
    return Network("net", (layer,), outputs=("y",))


def test_floating_point_has_no_registers_to_show():
    chip = with_changes(EDGE, {"pe_grid.precision": {"kind": "float", "bits": 16}})
    with pytest.raises(HardwareError) as caught:
        shown_step(chip, product(8, 8), layer="fc")
    assert str(caught.value) == ("pe_grid.precision: expected a PE that multiplies integers of 8/8 bits, whose registers "
                                 "can be shown, got floating point")


@pytest.mark.parametrize(("precision", "widths", "registers", "weights"), [
    ({"kind": "fixed", "gated": True}, (4, 4), (8, 8), range(-8, 8)),
    ({"kind": "bit_fusion"}, (3, 3), (4, 4), range(-4, 4)),
    ({"kind": "binary", "input_bits": 8}, (1, 8), (2, 8), (-1, 1)),
    ({"kind": "ternary", "input_bits": 4}, (2, 4), (2, 4), (-1, 0, 1)),
    ({"kind": "shift_add"}, (3, 8), (5, 8), (-8, -4, -2, -1, 1, 2, 4, 8)),
    ({"kind": "codebook", "index_bits": 4, "entry_bits": 6}, (4, 8), (6, 8), range(-32, 32)),
    ({"kind": "bit_serial", "serial": "weights"}, (5, 8), (5, 8), range(-16, 16)),
])
def test_random_weights_are_numbers_that_the_pe_has_and_registers_are_its_own(precision, widths, registers, weights):
    chip = with_changes(EDGE, {"pe_grid.precision": precision})
    step = shown_step(chip, product(*widths), layer="fc")
    assert (step.weight_register.bits, step.input_register.bits) == registers
    assert set(step.weights.reshape(-1).tolist()) <= set(weights)
    assert len(set(step.weights.reshape(-1).tolist())) > 1


def test_inputs_whose_zero_point_is_subtracted_have_one_bit_more():
    chip = with_changes(EDGE, {"pe_grid.zero_points": "subtract"})
    assert shown_step(chip, product(8, 8), layer="fc").input_register.bits == 9


def test_random_integers_are_those_of_the_seed():
    one, same, other = (shown_step(EDGE, product(8, 8), layer="fc", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.inputs, same.inputs)
    assert np.any(one.inputs != other.inputs)


def test_random_outputs_fill_their_type():
    """The scale lets the largest accumulator just fit."""
    step = shown_step(EDGE, product(8, 8), layer="fc")
    largest = int(np.abs(step.run().held).max())
    shift = largest.bit_length() - 7
    assert np.abs(step.outputs.astype(np.int64) - step.run().held / 2**shift).max() <= 1
    assert 63 <= np.abs(step.outputs.astype(np.int64)).max() <= 128


def test_accumulators_that_wait_for_a_range_leave_as_they_are():
    layer = replace(product(8, 8).layers[0], has_dynamic_range=True)
    step = shown_step(EDGE, Network("net", (layer,), outputs=("y",)), layer="fc")
    assert step.work.output_bits == 32
    np.testing.assert_array_equal(step.outputs, step.run().held)


def test_accumulators_beyond_the_rule_s_register_have_no_outputs():
    wide = {"pe_grid.precision.weight_bits": 24, "pe_grid.precision.input_bits": 24, "accumulators.bits": 60}
    step = shown_step(with_changes(EDGE, wide), product(24, 24), layer="fc")
    assert step.outputs is None
    assert step.remark.startswith("no outputs: accumulators of tflite_double: expected -2147483648..2147483647, got ")


def test_a_block_of_which_more_scales_follow_has_no_outputs_yet():
    layer = replace(product(8, 8).layers[0], weight_scale_groups=2)
    steps = [shown_step(EDGE, Network("net", (layer,), outputs=("y",)), layer="fc", tile=tile) for tile in (0, 1)]
    assert [(step.requantizes, step.outputs is None) for step in steps] == [(True, True), (True, False)]


def test_later_steps_of_a_block_start_from_what_the_earlier_ones_leave():
    layer = product(8, 8).layers[0]
    chip = with_changes(EDGE, {"accumulators.bits": 18, "accumulators.overflow": "saturate"})
    tiling = Tiling(groups=1, images=1, rows=3, columns=1, n=6, k=8, order="weights_outer", weight_scope="layer",
                    input_scope="block")
    program = build_grid_program(layer, tiling, chip)
    steps = [random_step(chip, "net", layer, program, tile=tile, seed=1) for tile in range(3)]
    assert [(step.step.k, step.is_held, step.requantizes) for step in steps] == [
        ((0, 8), False, False), ((8, 16), True, False), ((16, 20), True, True)]
    # Drawn at once for all of K, the inputs of a later step are other numbers, so the sums are those of its own draw.
    rng, numbers = np.random.default_rng(1), np.arange(-128, 128)
    inputs, weights = rng.choice(numbers, (1, 3, 16)), rng.choice(numbers, (1, 6, 16))
    np.testing.assert_array_equal(steps[1].inputs, inputs[..., 8:])
    sums = np.matmul(inputs[..., :8], weights[..., :8].swapaxes(1, 2))
    np.testing.assert_array_equal(steps[1].start, np.clip(sums, -2**17, 2**17 - 1))
