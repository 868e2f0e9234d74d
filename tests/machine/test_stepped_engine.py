"""Whole layers and networks with the stepped engine: the same cycles, integers and overflows as with the tile engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import quantized_layers
import quantized_models as models
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import load_accelerator, load_network, plan, simulate, with_changes
from accelsim.cli.main import main
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import run_program
from accelsim.machine.sample_runs import run_samples
from accelsim.machine.stepped.step_run import clock_folds
from accelsim.machine.stepped.stepped_times import SteppedTimes
from accelsim.machine.values.grid_layer import block_shape
from accelsim.mapping.fold_plan import fold_runs, step_cost
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Compute, Program
from accelsim.mapping.tiling import Tiling
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.input_values import samples
from accelsim.workload.layer import Layer
from accelsim.workload.load import load_quantized_network
from accelsim.workload.network import Network
from accelsim.workload.operation import Convolution
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork
from accelsim.workload.tensor import Tensor

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")


@st.composite
def runs(draw):
    """A random layer with integers on a random machine, in a random tiling; narrow registers."""
    layer = draw(machines.grid_layers())
    is_asymmetric = layer.weights is not None and draw(st.booleans())
    network, arrays = draw(quantized_layers.quantized_networks(layer, asymmetric_weights=is_asymmetric))
    if layer.weights is not None:
        layer = replace(layer, has_asymmetric_weights=network.layers[layer.name].kernel.has_asymmetric_weights)
        network = replace(network, network=replace(network.network, layers=(layer,)))
    description = draw(machines.descriptions())
    description["accumulators"] |= {"bits": draw(st.sampled_from((10, 13, 40))), "preloads_bias": draw(st.booleans()),
                                    "overflow": draw(st.sampled_from(("wrap", "saturate")))}
    description["requantizer"]["scheme"] = "power_of_two"
    accelerator = Accelerator.model_validate(description)
    program = build_grid_program(layer, draw(machines.tilings(layer, accelerator)), accelerator)
    return accelerator, layer, network, arrays, program


@settings(max_examples=150, deadline=None)
@given(runs())
def test_a_random_layer_takes_the_same_cycles_and_gives_the_same_integers_and_events(case):
    accelerator, layer, network, arrays, program = case
    given_samples = samples(network, arrays)
    options = {"rule": accelerator.rule, "event_limit": 10**6}
    tile = run_samples(accelerator, Program((program,)), network, given_samples, tiles_always=True, **options)
    times = SteppedTimes(accelerator, [layer])
    stepped = run_samples(accelerator, Program((program,)), network, given_samples, times=times, **options)
    np.testing.assert_array_equal(stepped.outputs["y"], tile.outputs["y"])
    found, expected = (ran.values[layer.name].overflows for ran in (stepped, tile))
    assert replace(found, first=()) == replace(expected, first=())
    assert stepped.values[layer.name].widths == tile.values[layer.name].widths
    assert stepped.runs == tile.runs
    assert sorted(found.first) == sorted(expected.first)


@settings(max_examples=100, deadline=None)
@given(runs())
def test_steps_back_to_back_start_as_one_run_of_all_their_folds_does(case):
    """The machine asks for one step at a time, and for the distance between two; one run of the registers sees them all."""
    accelerator, layer, _, _, program = case
    grid, times = accelerator.pe_grid, SteppedTimes(accelerator, [layer])
    work = times.work(layer.name)
    steps = [step for step in program.steps if isinstance(step, Compute)][:12]
    folds = [fold_runs(grid, work, block_shape(step)) for step in steps]
    whole = clock_folds(grid, [run for runs_of_step in folds for run in runs_of_step], step_cost(grid, work)).folds
    start, number, ends = whole[0].start if grid.overlap == "full" else 0, 0, []
    for place, (step, runs_of_step) in enumerate(zip(steps, folds, strict=True)):
        timing, count = times.timing(layer.name, step), sum(run.count for run in runs_of_step)
        of_step = whole[number:number + count]
        if grid.overlap == "full":
            assert of_step[0].start == start
            assert of_step[-1].start == start + timing.last_start_cycles
        end = start + timing.stream_cycles + timing.tail_cycles
        assert 1 + max(fold.last_result for fold in of_step) == end
        ends.append(end)
        if place + 1 < len(steps):
            start += timing.last_start_cycles + times.next_start_cycles(layer.name, step, steps[place + 1])
        number += count


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_layer_of_hundreds_of_folds_is_the_same_from_its_first_event_to_its_last_store(dataflow):
    operation = Convolution(batch=1, in_channels=32, out_channels=64, in_size=(12, 12), kernel=(3, 3), pads=(1, 1, 1, 1))
    layer = Layer("conv", operation, (Tensor("x", (1, 32, 12, 12), 8),), Tensor("y", operation.out_shape, 8),
                  weights=Tensor("w", (64, 32, 3, 3), 8, is_constant=True))
    network, arrays = seeded(layer)
    chip = with_changes(load_accelerator("edge_16x16"), {
        "pe_grid.rows": 8, "pe_grid.columns": 8, "pe_grid.dataflow": dataflow, "accumulators.bits": 18,
        "memory.buffers.scratchpad.capacity": "1 MiB", "requantizer.scheme": "power_of_two"})
    tiling = Tiling(groups=1, images=1, rows=6, columns=12, n=32, k=144)
    program = build_grid_program(layer, tiling, chip)
    times = SteppedTimes(chip, [layer])
    work = times.work("conv")
    steps = [step for step in program.steps if isinstance(step, Compute)]
    assert sum(run.count for step in steps for run in fold_runs(chip.pe_grid, work, block_shape(step))) >= 288
    given_samples = samples(network, arrays)
    options = {"rule": chip.rule, "event_limit": 10**6}
    tile = run_samples(chip, Program((program,)), network, given_samples, tiles_always=True, **options)
    stepped = run_samples(chip, Program((program,)), network, given_samples, times=times, **options)
    assert stepped.runs == tile.runs
    np.testing.assert_array_equal(stepped.outputs["y"], tile.outputs["y"])
    found, expected = (ran.values["conv"].overflows for ran in (stepped, tile))
    assert found.count > 1000
    assert sorted(found.first) == sorted(expected.first)
    assert replace(found, first=()) == replace(expected, first=())


def seeded(layer):
    """A network of one layer with integers that are always the same."""
    rng, shape = np.random.default_rng(5), layer.output.shape
    grid = QParams(scale=0.5, zero_point=0, qtype=QType(8, True))
    kernel = GridKernel(weights=rng.integers(-128, 128, (1, 64, 288)), bias=rng.integers(-999, 999, 64), input=grid,
                        weight=grid, output=QParams(scale=512.0, zero_point=3, qtype=QType(8, True)), clamp_min=-128,
                        clamp_max=127)
    x = layer.inputs[0].shape
    network = QuantizedNetwork(
        Network("net", (layer,), outputs=("y",)), {layer.name: QuantizedLayer(kernel, (x,), shape, kernel.output)},
        (ModelInput("x", "x", x, grid),), (ModelOutput("y", "y", shape, kernel.output),), rule=Rule("power_of_two"))
    return network, {"x": rng.integers(-128, 128, x).astype(np.int8)}


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_network_without_integers_gives_the_same_result(dataflow):
    chip = with_changes(load_accelerator("edge_16x16"), {"pe_grid.dataflow": dataflow})
    network = load_network("mlperf_tiny_dscnn")
    told = []
    stepped = simulate(chip, network, engine="stepped", estimated=told.append)
    assert stepped.to_dict() == simulate(chip, network).to_dict()
    assert len(told) == 1
    assert told[0].clocks > 0
    assert told[0].seconds == told[0].clocks / told[0].clocks_per_second


@pytest.mark.parametrize("bits", [32, 14])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_network_with_integers_gives_the_same_result(tmp_path, dataflow, bits):
    model = models.convolutional()
    network = load_quantized_network(models.quantized(model, tmp_path, form="QOperator"))
    chip = with_changes(load_accelerator("whitepaper_4x4"), {
        "pe_grid.dataflow": dataflow, "pe_grid.adder_tree_stages": 1, "accumulators.bits": bits})
    inputs = {"x": np.stack(model.samples(2, seed=3))}
    tile, stepped = (simulate(chip, network, inputs=inputs, rounding="model", engine=engine, event_limit=10**6)
                     for engine in ("tile", "stepped"))
    assert stepped.to_dict() == tile.to_dict()
    assert any(layer.values.overflows.count for layer in tile.layers) == (bits == 14)
    for mine, other in zip(stepped.layers, tile.layers, strict=True):
        assert mine.values == other.values
    for name, output in tile.outputs.items():
        np.testing.assert_array_equal(stepped.outputs[name], output)


def test_a_run_without_integers_clocks_each_step_once(monkeypatch):
    """Steps of the same folds take the same cycles, so a large network needs no more than its different steps."""
    chip, network = load_accelerator("edge_16x16"), load_network("mlperf_tiny_resnet8")
    times, program = SteppedTimes(chip, network.layers), plan(chip, network)
    estimate = times.estimate(program, samples=0)
    counted = []
    original = clock_folds

    def counting(*arguments, **options):
        run = original(*arguments, **options)
        counted.append(run.clocks)
        return run

    monkeypatch.setattr("accelsim.machine.stepped.stepped_times.clock_folds", counting)
    run_program(chip, program, times=times)
    assert 0 < sum(counted) <= 2 * estimate.clocks


def test_the_command_tells_beforehand_how_long_it_takes_and_prints_the_same(capsys):
    outputs = []
    for engine in ("tile", "stepped"):
        assert main(["simulate", "mlperf_tiny_dscnn", "edge_16x16", "--engine", engine, "--json"]) == 0
        outputs.append(capsys.readouterr())
    assert outputs[0].out == outputs[1].out
    assert outputs[0].err == ""
    assert outputs[1].err.startswith("stepped engine: ")
    assert " clock cycles to move the registers through, about " in outputs[1].err


@pytest.mark.parametrize(("arguments", "message"), [
    (["simulate", "resnet50", "--engine", "gates"], "--engine: expected tile or stepped, got gates"),
    (["simulate", "net.onnx", "--engine", "stepped", "--inputs", "x.npz", "--check", "litert"],
     "--check: expected --engine tile, which gives the same integers, got stepped"),
])
def test_mistakes_are_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"accelsim: {message}\n"
