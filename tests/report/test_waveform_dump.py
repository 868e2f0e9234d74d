"""Waveforms of compute steps, read back by a reader of their own: they show what the registers hold, clock by clock."""

from __future__ import annotations

import re

import numpy as np
import pytest
import random_machines as machines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from value_dump import Dump

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.stepped.random_step import random_step
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Compute
from accelsim.report.waveform import requantizer_clocks, step_clocks, write_waveform
from accelsim.report.waveform_size import expected_bytes
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution, MatMul
from accelsim.workload.tensor import Tensor

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

#: One pair of operands a step; several of one sum; several cycles and fixed ones; several channels.
PRECISIONS = ({"kind": "fixed"}, {"kind": "fixed"},
              {"kind": "bit_fusion", "weight_bits": 8, "input_bits": 8},
              {"kind": "bit_serial", "serial": "weights", "bits_per_cycle": 3, "overhead_cycles": 2},
              {"kind": "subword", "widens": "channels", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                                                 {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 3}]})

#: A PE's signals and the registers that they show.
REGISTERS = {
    "weight_stationary": {"input": "streamed", "weight": "stationary", "weight_shadow": "shadow",
                          "weight_loading": "loading", "loading_row": "loading_row", "operand": "token",
                          "partial_sum": "sum"},
    "input_stationary": {"weight": "streamed", "input": "stationary", "input_shadow": "shadow", "input_loading": "loading",
                         "loading_row": "loading_row", "operand": "token", "partial_sum": "sum"},
    "output_stationary": {"input": "streamed", "weight": "streamed_down", "operand": "token", "partial_sum": "sum",
                          "drain": "draining", "start_shadow": "shadow", "start_loading": "loading",
                          "loading_row": "loading_row"},
    "dot_product": {"input": "streamed", "weight": "stationary", "weight_shadow": "shadow", "weight_loading": "loading",
                    "loading_row": "loading_row"},
}


class Kept:
    """Copies of a step's registers, clock by clock."""

    def __init__(self, step):
        self.clocks = []
        self.run = step.run(self)

    def clock(self, cycle, registers):
        assert cycle == len(self.clocks)
        self.clocks.append({name: array.copy() for name, array in registers.items()})


@st.composite
def layers(draw):
    """A few hundred products."""
    inputs, weights = draw(st.sampled_from((2, 4, 8))), draw(st.sampled_from((1, 4, 8)))
    if draw(st.booleans()):
        m, k, n = (draw(st.integers(1, top)) for top in (6, 9, 7))
        return Layer("layer", MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), inputs),), Tensor("y", (m, n), inputs),
                     weights=Tensor("w", (n, k), weights, is_constant=True), bias=Tensor("b", (n,), 32, is_constant=True),
                     has_asymmetric_weights=draw(st.booleans()))
    groups = draw(st.integers(1, 3))
    operation = Convolution(
        batch=1, in_channels=groups * draw(st.integers(1, 2)), out_channels=groups * draw(st.integers(1, 2)),
        in_size=(3, draw(st.integers(1, 3))), kernel=(2, 1), stride=(1, 1), pads=(0, 0, 1, 0), groups=groups)
    weights_of = Tensor("w", (operation.out_channels, operation.in_channels // groups, 2, 1), weights, is_constant=True)
    return Layer("layer", operation, (Tensor("x", (1, operation.in_channels, *operation.in_size), inputs),),
                 Tensor("y", operation.out_shape, inputs), weights=weights_of)


@st.composite
def steps(draw, bits=(10, 13, 40)):
    """A tile of a random layer on a random machine, with random integers."""
    layer, description = draw(layers()), draw(machines.descriptions())
    description["accumulators"] |= {"bits": draw(st.sampled_from(bits)),
                                    "overflow": draw(st.sampled_from(("wrap", "saturate", "error")))}
    grid = description["pe_grid"]
    grid["rows"], grid["columns"], kind = draw(st.integers(1, 4)), draw(st.integers(1, 4)), grid["dataflow"]
    if kind != "dot_product":
        grid |= {name: draw(st.sampled_from((1, 1, 2, 0))) for name in ("registers_per_row_hop", "registers_per_column_hop")}
    if kind == "output_stationary":
        grid["drain"] = draw(st.sampled_from(("rows", "columns")))
    else:
        grid["preload_cycles"] = draw(st.sampled_from((None, None, 0, 1, 4)))
    grid["precision"] = draw(st.sampled_from(PRECISIONS))
    accelerator = Accelerator.model_validate(description)
    program = build_grid_program(layer, draw(machines.tilings(layer, accelerator)), accelerator)
    count = sum(isinstance(step, Compute) for step in program.steps)
    tile, seed = draw(st.integers(0, count - 1)), draw(st.integers(0, 99))
    return random_step(accelerator, "net", layer, program, tile=tile, seed=seed)


def written(step, folder, **options):
    write_waveform(step, folder / "step.vcd", **options)
    return Dump(folder / "step.vcd")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dumps")


def signals_of(dump, step):
    """(name, register, index) of every signal that shows a register."""
    kind = step.accelerator.pe_grid.dataflow
    for name in dump.widths:
        match = re.fullmatch(r"grid\.row(\d+)\.pe(\d+)\.([a-z_]+?)(?:_p(\d+))?(?:_c(\d+))?(?:_q(\d+))?", name)
        tree = re.fullmatch(r"grid\.row(\d+)\.tree_sum(?:_p(\d+))?(?:_c(\d+))?", name)
        if match and match[3] != "overflow":
            row, column, (p, c, q) = int(match[1]), int(match[2]), (int(match[part] or 0) for part in (4, 5, 6))
            register = REGISTERS[kind][match[3]]
            places = {"token": (), "loading_row": (), "sum": (p * step.cost.channels + c,),
                      "draining": (p * step.cost.channels + c,)}
            planes = places.get(register, (p, c, q))
            if kind == "output_stationary" and register in ("shadow", "loading"):
                planes = (p * step.cost.channels + c,)
            at = (column,) if kind == "dot_product" and register == "streamed" else (row, column)
            yield name, register, (*planes, *at)
        elif tree:
            yield name, "sum", (int(tree[2] or 0) * step.cost.channels + int(tree[3] or 0), int(tree[1]))
        elif name == "grid.operand":
            yield name, "token", (0, 0)


@FEW
@given(step=steps())
def test_between_two_edges_stands_exactly_what_the_recorder_shows(step, folder):
    dump, kept = written(step, folder), Kept(step)
    edges, is_tree = dump.times[::2], step.accelerator.pe_grid.dataflow == "dot_product"
    found, own = list(signals_of(dump, step)), step.accelerator.pe_grid.dataflow == "output_stationary"
    passing = {"streamed", "streamed_down", "token"} | (set() if own else {"sum"})
    for name, register, index in found:
        has_held, read = False, dump.unsigned if register in ("token", "loading_row") else dump.signed
        for time, registers in zip(edges, kept.clocks, strict=False):
            value, token = read(name, time), registers["token"][(0, 0) if is_tree else index[-2:]]
            assert value in (None, registers[register][index]), name
            has_held = has_held or value is not None
            if register in passing:
                assert (value is not None) == (token > 0), name
            elif register in ("loading", "loading_row"):
                assert (value is not None) == (registers["loading_row"][index[-2:]] > 0), name
            elif register != "draining":  # memories keep what they hold
                assert has_held == (value is not None), name
                assert has_held or token <= 0 or register == "shadow", name
    shown = {register for _, register, _ in found}
    starts = {"shadow", "loading", "loading_row"}
    assert shown == set(kept.clocks[0]) - {"accumulators"} - (starts if own and not step.is_held else set())


def outputs_of(dump, step, time):
    """Accumulators by (group, m, n) as the layer counts."""
    for name in dump.widths:
        match = re.fullmatch(r"accumulators\.lane\d+\.(?:g(\d+)_)?m(\d+)_(?:n(\d+)|sum)", name)
        if match:
            channel = step.block.n if match[3] is None else int(match[3]) - step.step.n[0]
            yield (int(match[1] or 0) - step.step.groups[0] if match[1] else 0, int(match[2]) - step.step.m[0],
                   channel), dump.signed(name, time)


@FEW
@given(step=steps())
def test_accumulators_are_the_recorder_s_in_every_clock_and_all_are_full_in_the_end(step, folder):
    dump, kept = written(step, folder), Kept(step)
    for time, registers in zip(dump.times[::2], kept.clocks, strict=False):
        memory = registers["accumulators"][1:].reshape(step.layout.outputs)
        for place, value in outputs_of(dump, step, time):
            assert value in (None, memory[place])
    last = dict(outputs_of(dump, step, dump.times[-1]))
    assert [last[place] for place in np.ndindex(step.layout.outputs)] == kept.run.held.reshape(-1).tolist()


@FEW
@given(step=steps(bits=(40,)))
def test_the_last_accumulators_are_the_matrix_product_and_what_they_started_from(step, folder):
    inputs, weights = (array.astype(object) for array in (step.inputs, step.weights))
    expected = np.matmul(inputs, weights.swapaxes(1, 2)) + step.start.astype(object)
    dump = written(step, folder)
    for place, value in outputs_of(dump, step, dump.times[-1]):
        assert value == expected[place]


@FEW
@given(step=steps(bits=(9, 10)))
def test_overflow_pulses_are_the_step_s_events(step, folder):
    dump, run = written(step, folder), step.run()
    expected = {}
    events = (column.tolist() for column in (run.events.row, run.events.column, run.events.cycle))
    for row, column, cycle in zip(*events, strict=True):
        expected.setdefault(cycle + run.origin, []).append((row, column))
    is_tree, edges = step.accelerator.pe_grid.dataflow == "dot_product", dump.times[::2]
    pulses = {name: changes for name, changes in dump.changes.items() if name.endswith(".overflow")}
    for cycle, time in enumerate(edges[:-1]):
        found = set()
        for name in pulses:
            if dump.text(name, time) == "1":
                numbers = [int(number) for number in re.findall(r"\d+", name)]
                found.add(tuple(numbers) if name.startswith("grid") else (numbers[0], -1) if is_tree else (-1, numbers[0]))
        assert found == set(expected.get(cycle, []))
        assert dump.unsigned("overflow.count", time) == len(expected.get(cycle, []))
        assert dump.text("overflow.event", time) == str(int(cycle in expected))
        first = expected.get(cycle, [(-1, -1)])[0]
        assert (dump.unsigned("overflow.row", time), dump.unsigned("overflow.column", time)) == tuple(
            None if place < 0 else place for place in first)


@FEW
@given(step=steps())
def test_the_controller_s_signals_are_the_times_of_the_folds(step, folder):
    dump, run, grid = written(step, folder), step.run(), step.accelerator.pe_grid
    assert len(dump.times[::2]) - 1 == step_clocks(step) + requantizer_clocks(step)
    assert run.clocks == step_clocks(step)
    for cycle, time in enumerate(dump.times[:2 * run.clocks:2]):
        now = cycle - run.origin
        streaming = [number for number, fold in enumerate(run.folds) if fold.start <= now <= fold.last_operand]
        assert [dump.unsigned("controller.stream_fold", time)] == (streaming or [None])
        assert dump.unsigned("controller.cycle", time) == cycle
        fed = dump.text("controller.enters", time) == "1"
        if fed:  # its operand is at the grid's first PE in this clock
            fold, number = streaming[0], dump.unsigned("controller.stream_step", time)
            operand = "grid.operand" if grid.dataflow == "dot_product" else "grid.row00.pe00.operand"
            assert dump.unsigned(operand, time) == 1 + sum(other.streamed for other in step.folds[:fold]) + number
        if dump.unsigned("controller.load_fold", time) is not None and grid.preload_cycles is None:
            row = (0, 0) if grid.dataflow != "dot_product" else (dump.unsigned("controller.load_row", time), 0)
            entering = dump.unsigned(f"grid.row{row[0]:02d}.pe{row[1]:02d}.loading_row", time)
            assert entering == dump.unsigned("controller.load_row", time) + 1


@FEW
@given(step=steps(bits=(40,)))
def test_each_lane_reads_an_accumulator_and_writes_its_output_some_clocks_later(step, folder):
    dump, spec = written(step, folder), step.accelerator.requantizer
    lanes = [name.removesuffix(".output") for name in dump.widths if name.endswith(".output")]
    assert len(lanes) == (spec.lanes if step.requantizes else 0)
    read, made = {}, {}
    for cycle, time in enumerate(dump.times[:-1:2]):
        for lane in lanes:
            for end, found in (("accumulator", read), ("output", made)):
                place = dump.unsigned(f"{lane}.{end}_place", time)
                if place is not None:
                    found[place] = (cycle, dump.signed(f"{lane}.{end}", time))
    assert len(read) == len(made) == (step.block.outputs if step.requantizes else 0)
    for place, (cycle, value) in read.items():
        assert cycle == step_clocks(step) + (place - 1) // spec.lanes
        assert made[place][0] == cycle + spec.latency_cycles
        assert value == step.run().held[..., :step.block.n].reshape(-1)[place - 1]
        assert made[place][1] == (None if step.outputs is None else step.outputs.reshape(-1)[place - 1])


@FEW
@given(step=steps(), data=st.data())
def test_a_part_of_the_clocks_shows_the_same_as_the_whole(step, data, folder):
    whole, total = written(step, folder), step_clocks(step) + requantizer_clocks(step)
    first = data.draw(st.integers(0, total - 1))
    part = written(step, folder, clocks=(first, data.draw(st.integers(first + 1, total + 9))))
    assert set(part.times) <= set(whole.times)
    for name in part.widths:
        assert [part.text(name, time) for time in part.times[:-1]] == [whole.text(name, time) for time in part.times[:-1]]


@FEW
@given(step=steps())
def test_the_size_that_is_told_beforehand_is_about_right(step, folder):
    written(step, folder)
    total = step_clocks(step) + requantizer_clocks(step)
    assert 0.3 < expected_bytes(step, clocks=total, of=total) / (folder / "step.vcd").stat().st_size < 3
