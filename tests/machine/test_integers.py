"""Integers that travel through the machine equal the layer's definition, and the naive walk where registers overflow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import quantized_layers
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import case_count

from accelsim import load_accelerator, simulate, with_changes
from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import run_program
from accelsim.machine.sample_runs import run_samples
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import lower
from accelsim.mapping.program import Compute, Program, Requantize
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.input_values import samples
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import MatMul
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork
from accelsim.workload.tensor import Tensor


def described(draw, *, bits, overflow="wrap", partial_sum_bits=None):
    """A random accelerator with these registers."""
    description = draw(machines.descriptions())
    description["accumulators"] |= {"bits": bits, "overflow": overflow, "preloads_bias": draw(st.booleans())}
    description["requantizer"]["scheme"] = "power_of_two"
    grid = description["pe_grid"]
    grid |= {"zero_points": draw(st.sampled_from(("subtract", "fold_into_bias"))), "row_sum_unit": draw(st.booleans())}
    if partial_sum_bits and grid["dataflow"] in ("weight_stationary", "input_stationary"):
        grid["partial_sum_bits"] = partial_sum_bits
    return Accelerator.model_validate(description)


def run(accelerator, network, arrays, program, **options):
    return run_samples(accelerator, program, network, samples(network, arrays), rule=accelerator.rule, **options)


@st.composite
def cases(draw, bits, **registers):
    layer = draw(machines.grid_layers())
    is_asymmetric = layer.weights is not None and draw(st.booleans())
    network, arrays = draw(quantized_layers.quantized_networks(layer, asymmetric_weights=is_asymmetric))
    kernel = network.layers[layer.name].kernel
    if layer.weights is not None:
        layer = replace(layer, has_asymmetric_weights=kernel.has_asymmetric_weights)
        network = replace(network, network=replace(network.network, layers=(layer,)))
    accelerator = described(draw, bits=bits if isinstance(bits, int) else draw(bits), **registers)
    tiling = draw(machines.tilings(layer, accelerator))
    return accelerator, layer, network, arrays, Program((build_grid_program(layer, tiling, accelerator),))


@settings(max_examples=case_count(150), deadline=None)
@given(st.data())
def test_outputs_equal_the_definition_tile_by_tile_and_at_once(data):
    accelerator, layer, network, arrays, program = data.draw(cases(bits=40))
    definition = quantized_layers.Definition(layer, network.layers[layer.name].kernel, arrays)
    tiled = run(accelerator, network, arrays, program, tiles_always=True)
    whole = run(accelerator, network, arrays, program)
    np.testing.assert_array_equal(tiled.outputs["y"], whole.outputs["y"])
    for group, m, n, place in definition.outputs():
        expected = definition.requantized(definition.exact(group, m, n), definition.channel(group, n)[2])
        assert whole.outputs["y"][0][place] == expected
    assert whole.values[layer.name].is_proven
    assert tiled.values[layer.name].widths == whole.values[layer.name].widths
    assert tiled.values[layer.name].overflows.count == 0


@settings(max_examples=case_count(60), deadline=None)
@given(st.data())
def test_cycles_are_the_same_with_and_without_integers(data):
    accelerator, _, network, arrays, program = data.draw(cases(bits=12))
    without, _ = run_program(accelerator, program)
    assert run(accelerator, network, arrays, program).runs == without


def kept_by(bits, overflow, value):
    half = 1 << (bits - 1)
    return max(-half, min(half - 1, value)) if overflow == "saturate" else (value + half) % (2 * half) - half


def naive_output(accelerator, definition, group, m, n, k_ranges):
    """(accumulator, row sum, events) of one output, one addition after the other as the contract of the machine words it."""
    grid, registers, kernel = accelerator.pe_grid, accelerator.accumulators, definition.kernel
    zero, (bias, point, _) = int(kernel.input.zero_point), definition.channel(group, n)
    folds = grid.zero_points == "fold_into_bias" and kernel.weights is not None
    pairs = list(definition.pairs(group, m, n))
    seen = [((zero if x is None else x) if folds else 0 if x is None else x - zero) for x, _ in pairs]
    own = 0 if kernel.weights is not None else point
    if folds:
        bias += sum(-zero * (w - point) for _, w in pairs)
    sums = {"n": (bias if registers.preloads_bias else 0, [w - own for _, w in pairs]), "ones": (0, [1] * len(pairs))}
    is_asymmetric = kernel.weights is not None and kernel.has_asymmetric_weights
    channels = ["n", "ones"] if is_asymmetric else ["n"]
    exact_sums = grid.row_sum_unit
    results, events = {}, []
    for channel in channels:
        start, weights = sums[channel]
        if channel == "ones" and exact_sums:
            results[channel] = sum(seen)
            continue

        def add(bits, held, addend, k, place, channel=channel):
            exact = held + addend
            kept = kept_by(bits, registers.overflow, exact)
            if kept != exact:
                events.append(("row_sum" if channel == "ones" else place, k, exact, kept))
            return kept

        held = add(registers.bits, 0, start, -1, "bias")
        for k0, k1 in k_ranges:
            for pieces in cut(grid, k0, k1, definition):
                column = 0
                for k in pieces:
                    product = seen[k] * weights[k]
                    if grid.dataflow == "output_stationary":
                        held = add(registers.bits, held, product, k, "accumulator")
                    elif grid.dataflow == "dot_product":
                        column += product
                    else:
                        column = add(accelerator.partial_sum_bits, column, product, k, "wires")
                if grid.dataflow != "output_stationary":
                    held = add(registers.bits, held, column, pieces[-1], "accumulator")
        results[channel] = held
    total = results["n"] + (0 if registers.preloads_bias else bias)
    if is_asymmetric:
        total -= point * results["ones"]
    return total, events


def cut(grid, k0, k1, definition):
    """The K steps of each fold."""
    lanes = {"weight_stationary": grid.rows, "input_stationary": grid.rows, "dot_product": grid.columns,
             "output_stationary": 10**9}[grid.dataflow]
    channels = definition.layer.operation.in_channels // definition.layer.operation.groups if hasattr(
        definition.layer.operation, "in_channels") else 10**9
    folds = []
    for k in range(k0, k1):
        crosses = grid.reduction == "channels" and k % channels == 0
        if not folds or crosses or len(folds[-1]) == lanes:
            folds.append([])
        folds[-1].append(k)
    return folds


@settings(max_examples=case_count(200), deadline=None)
@given(st.data(), st.sampled_from(("wrap", "saturate")))
def test_overflowing_registers_equal_the_naive_walk_of_the_dataflow(data, overflow):
    bits = data.draw(st.integers(8, 13))
    wires = data.draw(st.sampled_from((None, 8, 10, 16)))
    accelerator, layer, network, arrays, program = data.draw(cases(bits=bits, overflow=overflow, partial_sum_bits=wires))
    found = run(accelerator, network, arrays, program, event_limit=10**6)
    definition = quantized_layers.Definition(layer, network.layers[layer.name].kernel, arrays)
    steps = [step for step in program.layers[0].steps if isinstance(step, Compute)]
    k_ranges = [step.k for step in steps if step.block == 0]
    expected, hit, channels = [], 0, {}
    row_sums = {}
    for group, m, n, place in definition.outputs():
        total, events = naive_output(accelerator, definition, group, m, n, k_ranges)
        assert found.outputs["y"][0][place] == definition.requantized(total, definition.channel(group, n)[2])
        own = [(place, *event) for event in events if event[0] != "row_sum"]
        hit += bool(events)
        expected += own
        row_sums[group, m] = [event for event in events if event[0] == "row_sum"]
        channel = group * lower(layer).n + n
        channels[channel] = channels.get(channel, 0) + len(own)
    overflows = found.values[layer.name].overflows
    assert sorted((e.coordinate, e.place, e.step, e.exact, e.kept)
                  for e in overflows.first if e.place != "row_sum") == sorted(expected)
    assert overflows.outputs_hit == hit
    assert {c: count for c, count in overflows.by_channel.items() if c >= 0} == {c: n for c, n in channels.items() if n}
    assert overflows.count == sum(overflows.by_fold.values()) == sum(overflows.by_place.values()) == len(overflows.first)
    assert overflows.by_place.get("row_sum", 0) == sum(len(events) for events in row_sums.values())


@settings(max_examples=case_count(60), deadline=None)
@given(st.data())
def test_wrapping_registers_give_the_same_integers_whatever_the_mapping(data):
    """Sums modulo 2^P do not depend on the order, as long as the wires are as wide as the accumulators."""
    accelerator, layer, network, arrays, program = data.draw(cases(bits=12))
    definition = quantized_layers.Definition(layer, network.layers[layer.name].kernel, arrays)
    kernel = definition.kernel
    found = run(accelerator, network, arrays, program)
    if (kernel.weights is not None and kernel.has_asymmetric_weights) or not accelerator.accumulators.preloads_bias:
        return  # what is added behind the accumulator is not modulo 2^P
    for group, m, n, place in definition.outputs():
        wrapped = kept_by(12, "wrap", definition.exact(group, m, n))
        assert found.outputs["y"][0][place] == definition.requantized(wrapped, definition.channel(group, n)[2])


@settings(max_examples=case_count(60), deadline=None)
@given(st.data())
def test_a_later_sample_overflows_where_and_when_it_does_alone(data):
    accelerator, layer, network, arrays, program = data.draw(cases(bits=9, partial_sum_bits=9))
    alone = run(accelerator, network, arrays, program, event_limit=10**6)
    zeros = {name: np.zeros_like(array) + int(item.qparams.zero_point)
             for (name, array), item in zip(arrays.items(), network.inputs, strict=True)}
    both = run(accelerator, network, {name: np.stack([zeros[name], arrays[name]]) for name in arrays}, program,
               event_limit=10**6)
    np.testing.assert_array_equal(both.outputs["y"][1], alone.outputs["y"][0])
    assert both.runs == alone.runs
    later = [event._replace(sample=0) for event in both.values[layer.name].overflows.first if event.sample]
    assert later == list(alone.values[layer.name].overflows.first)


@settings(max_examples=case_count(80), deadline=None)
@given(st.data(), st.sampled_from(("wrap", "saturate")))
def test_a_tried_width_tells_what_an_accelerator_of_that_width_gives(data, overflow):
    accelerator, layer, network, arrays, program = data.draw(cases(bits=10, overflow=overflow))
    narrow = run(accelerator, network, arrays, program)
    tried = run(accelerator, network, arrays, program, trial_bits=(64, 10))
    wide, trial = tried.values[layer.name].trials
    assert (wide.bits, wide.events, wide.wrong_outputs) == (64, 0, 0)
    found = narrow.values[layer.name].overflows
    assert (trial.bits, trial.outputs, trial.outputs_hit) == (10, found.outputs, found.outputs_hit)
    assert trial.events == found.count
    errors = np.abs(narrow.outputs["y"].astype(int) - tried.outputs["y"].astype(int))
    assert (trial.wrong_outputs, trial.largest_error) == (np.count_nonzero(errors), errors.max())
    reached = tried.values[layer.name].widths.running_bits
    assert (trial.events == 0) == (reached <= 10)


def test_an_overflow_that_the_accelerator_forbids_names_layer_value_and_width():
    x, w, y = Tensor("x", (1, 2), 8), Tensor("w", (1, 2), 8, is_constant=True), Tensor("y", (1, 1), 8)
    layer = Layer("fc", MatMul(m=1, k=2, n=1), (x,), y, weights=w)
    kind = QParams(scale=1.0, zero_point=0, qtype=QType(8, True))
    kernel = GridKernel(weights=np.array([[[1, 1]]]), bias=np.array([1000]), input=kind, weight=kind, output=kind,
                        clamp_min=-128, clamp_max=127)
    network = QuantizedNetwork(
        Network("net", (layer,), outputs=("y",)), {"fc": QuantizedLayer(kernel, ((1, 2),), (1, 1), kind)},
        (ModelInput("x", "x", (1, 2), kind),), (ModelOutput("y", "y", (1, 1), kind),), rule=Rule("power_of_two"))
    registers = {"accumulators.bits": 8, "accumulators.overflow": "error"}
    accelerator = with_changes(load_accelerator("whitepaper_4x4"), registers)
    with pytest.raises(NumericsError) as caught:
        simulate(accelerator, network, inputs={"x": np.array([[1, 2]])}, rounding="model")
    assert str(caught.value) == ("fc: a partial sum of 1000 does not fit into 8 bits, and the accelerator's "
                                 "accumulators.overflow is error")


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_program_that_skips_or_repeats_a_block_is_caught(data):
    accelerator, _, network, arrays, program = data.draw(cases(bits=40))
    steps = program.layers[0].steps
    requantized = next(step for step in steps if isinstance(step, Requantize))
    computes = [step for step in steps if isinstance(step, Compute) and step.block == requantized.block]
    wrong = replace(program.layers[0], steps=tuple(
        step._replace(m=(step.m[0], step.m[1] - 1)) if step in computes and step.m[1] - step.m[0] > 1 else step
        for step in steps))
    if wrong.steps == steps:
        return
    with pytest.raises((AssertionError, ValueError)):
        run(accelerator, network, arrays, Program((wrong,)), tiles_always=True)
