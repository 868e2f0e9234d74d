"""What the registers show clock by clock: tiny grids by hand, and the requantizer's lanes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.requantizer import Requantizer
from accelsim.machine.stepped.requantizer_lanes import clock_requantizer
from accelsim.machine.stepped.step_run import run_step
from accelsim.mapping.fold_plan import BlockShape
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis
from accelsim.numerics.register import Register

WIDE = Register(32, "wrap")
X, W, BIAS = [[1, 2], [3, 4]], [[5, 6], [7, 8]], [10, 20]  # (m, k), (n, k), (n,): the outputs are 27 43 / 49 73
OUTPUTS = [27, 43, 49, 73]


class Recorder:
    """Keeps chosen registers of every clock as lists."""

    def __init__(self, *names):
        self.names, self.clocks, self.seen = names, [], []

    def clock(self, cycle, registers):
        assert cycle == len(self.clocks)
        self.seen.append(registers)
        self.clocks.append(tuple(registers[name].squeeze().tolist() for name in self.names))


def run(grid, *names):
    work = GemmWork(groups=1, images=1, rows=Axis(2, 2), columns=Axis(1, 1), channels=2, n=2, has_channel_groups=False,
                    weight_bits=8, input_bits=8, output_bits=8)
    recorder = Recorder(*names)
    done = run_step(grid, work, BlockShape(1, 2, 2, 0, 2), inputs=np.array([X]), weights=np.array([W]),
                    start=np.array([[BIAS]]), is_held=False, accumulator=WIDE, wires=WIDE, recorder=recorder)
    assert done.held.reshape(-1).tolist() == OUTPUTS
    assert len(recorder.clocks) == done.clocks
    return done, recorder


def test_weight_stationary_sums_march_down_two_columns():
    done, recorder = run(PeGrid(rows=2, columns=2, dataflow="weight_stationary"), "token", "streamed", "sum", "accumulators")
    assert done.origin == 2
    assert recorder.clocks == [
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [0, 10, 20, 10, 20]),  # row 0 of the weights enters
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [0, 10, 20, 10, 20]),  # row 1
        ([[1, 0], [0, 0]], [[1, 0], [0, 0]], [[5, 0], [0, 0]], [0, 10, 20, 10, 20]),
        ([[2, 1], [1, 0]], [[3, 1], [2, 0]], [[15, 7], [17, 0]], [0, 27, 20, 10, 20]),
        ([[0, 2], [2, 1]], [[0, 3], [4, 2]], [[0, 21], [39, 23]], [0, 27, 43, 49, 20]),
        ([[0, 0], [0, 2]], [[0, 0], [0, 4]], [[0, 0], [0, 53]], [0, 27, 43, 49, 73]),
    ]


def test_weights_come_down_a_row_a_clock_and_swap_as_the_first_operand_passes():
    grid = PeGrid(rows=2, columns=2, dataflow="weight_stationary")
    _, recorder = run(grid, "loading_row", "loading", "shadow", "stationary")
    assert recorder.clocks == [
        ([[1, 0], [0, 0]], [[5, 0], [0, 0]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]),
        ([[2, 1], [1, 0]], [[6, 7], [5, 0]], [[5, 7], [0, 0]], [[0, 0], [0, 0]]),
        ([[0, 2], [2, 1]], [[0, 8], [6, 7]], [[5, 7], [6, 0]], [[5, 0], [0, 0]]),
        ([[0, 0], [0, 2]], [[0, 0], [0, 8]], [[5, 7], [6, 8]], [[5, 7], [6, 0]]),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[5, 7], [6, 8]], [[5, 7], [6, 8]]),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[5, 7], [6, 8]], [[5, 7], [6, 8]]),
    ]


def test_output_stationary_sums_start_from_the_bias_and_leave_the_last_row_first():
    done, recorder = run(PeGrid(rows=2, columns=2, dataflow="output_stationary"), "token", "sum", "accumulators")
    assert done.origin == 0
    assert recorder.clocks == [
        ([[1, 0], [0, 0]], [[15, 0], [0, 0]], [0, 10, 20, 10, 20]),
        ([[2, 1], [1, 0]], [[27, 27], [25, 0]], [0, 10, 20, 10, 20]),
        ([[0, 2], [2, 1]], [[27, 43], [49, 41]], [0, 10, 20, 10, 20]),
        ([[0, 0], [0, 2]], [[27, 43], [49, 73]], [0, 10, 20, 49, 20]),  # row 1 of column 0
        ([[0, 0], [0, 0]], [[27, 43], [49, 73]], [0, 27, 20, 49, 73]),  # row 0 of column 0, row 1 of column 1
        ([[0, 0], [0, 0]], [[27, 43], [49, 73]], [0, 27, 43, 49, 73]),
    ]


def test_adder_trees_give_a_matrix_vector_product_a_clock_and_two_stages_later_it_is_in():
    grid = PeGrid(rows=2, columns=2, dataflow="dot_product", adder_tree_stages=2)
    done, recorder = run(grid, "token", "sum", "accumulators")
    assert done.origin == 2
    assert recorder.clocks[2:] == [
        (1, [17, 23], [0, 10, 20, 10, 20]), (2, [39, 53], [0, 10, 20, 10, 20]),
        (0, [0, 0], [0, 27, 43, 10, 20]), (0, [0, 0], [0, 27, 43, 49, 73])]


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "dot_product"])
def test_a_recorder_gets_the_same_arrays_in_every_clock(dataflow):
    _, recorder = run(PeGrid(rows=2, columns=3, dataflow=dataflow))
    first = recorder.seen[0]
    for registers in recorder.seen:
        assert registers.keys() == first.keys()
        assert all(array is first[name] for name, array in registers.items())


def test_a_row_of_lanes_enters_the_requantizer_in_each_clock_and_leaves_it_after_its_latency():
    recorder = Recorder("reading_place", "writing_place")
    done = clock_requantizer(Requantizer(lanes=2, latency_cycles=2), np.array([7, 8, 9]), recorder=recorder)
    assert recorder.clocks == [([1, 2], [0, 0]), ([3, 0], [0, 0]), ([0, 0], [1, 2]), ([0, 0], [3, 0])]
    assert (done.outputs.tolist(), done.cycles) == ([7, 8, 9], 4)


@given(st.integers(1, 9), st.integers(0, 6), st.integers(1, 60))
def test_the_requantizer_takes_its_latency_and_a_clock_for_each_row_of_lanes(lanes, latency, count):
    outputs = np.arange(count, dtype=np.int8)
    done = clock_requantizer(Requantizer(lanes=lanes, latency_cycles=latency), outputs)
    assert done.outputs.tolist() == outputs.tolist()
    assert done.cycles == latency + -(-count // lanes)
