"""The registers of the stepped grid against the closed forms, the naive additions and the fold schedule.

Random grids of every dataflow with all parameters, random shapes (groups, partial folds, kernel positions, channels of ones)
and random integers in narrow registers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.fold import folds
from accelsim.machine.stepped.step_run import clock_folds, run_step
from accelsim.machine.stepped.stepped_times import measured
from accelsim.mapping.fold import FoldRun, fold_starts, preload_cycles, serial_fold_cycles, stream_timing, tail_cycles
from accelsim.mapping.fold_plan import BlockShape, fold_runs, step_cost
from accelsim.mapping.fold_schedule import FoldSchedule, addition_order
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics import accumulation
from accelsim.numerics.axis import Axis
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.register import Register

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")

# One pair of operands a step and cycle; several of one sum; several cycles and fixed ones; several channels.
PRECISIONS = ({"kind": "fixed"}, {"kind": "bit_fusion"},
              {"kind": "bit_serial", "serial": "weights", "bits_per_cycle": 3, "overhead_cycles": 2},
              {"kind": "subword", "widens": "channels", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                                                 {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 3}]})


@st.composite
def grids(draw, largest=6):
    dataflow = draw(st.sampled_from(DATAFLOWS))
    precision = draw(st.sampled_from((PRECISIONS[0], PRECISIONS[0], *PRECISIONS)))
    is_tree, is_own = dataflow == "dot_product", dataflow == "output_stationary"
    hops = st.just(1) if is_tree else st.sampled_from((1, 1, 2, 3, 0))
    return PeGrid.model_validate({
        "rows": draw(st.integers(1, largest)), "columns": draw(st.integers(1, largest)), "dataflow": dataflow,
        "reduction": draw(st.sampled_from(("window_channels", "channels"))), "pixels": draw(st.integers(1, 3)),
        "overlap": draw(st.sampled_from(("none", "full"))), "registers_per_row_hop": draw(hops),
        "registers_per_column_hop": draw(hops), "extra_stages": draw(st.integers(0, 3)),
        "adder_tree_stages": draw(st.integers(1, 4)) if is_tree else 1,
        "drain": draw(st.sampled_from(("rows", "columns"))) if is_own else "rows",
        "swap_spacing": draw(st.sampled_from((0, 0, 5, 20))),
        "trims_partial_folds": draw(st.sampled_from((False, False, True))),
        "preload_cycles": None if is_own else draw(st.sampled_from((None, None, None, 0, 1, 4))), "precision": precision})


class Step(NamedTuple):
    """A step of some work on some grid."""

    grid: PeGrid
    work: GemmWork
    block: BlockShape

    @property
    def runs(self) -> list[FoldRun]:
        return [FoldRun(1, run.streamed, run.rows, run.columns) for run in fold_runs(*self) for _ in range(run.count)]

    @property
    def cost(self) -> StepCost:
        return step_cost(self.grid, self.work)


@st.composite
def steps(draw):
    m, window, groups = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    bits = draw(st.sampled_from(((8, 8), (4, 4), (2, 8))))
    work = GemmWork(groups=groups, images=1, rows=Axis(m + window - 1, m, kernel=window), columns=Axis(1, 1),
                    channels=draw(st.integers(1, 9)), n=draw(st.integers(1, 9)), has_channel_groups=True,
                    weight_bits=bits[0], input_bits=bits[1], output_bits=8, sum_channels=draw(st.integers(0, 1)))
    groups = draw(st.integers(1, groups))
    if groups > 1:  # several groups come with all of n and k
        return Step(draw(grids()), work, BlockShape(groups, m, work.n, 0, work.k, work.sum_channels))
    first = draw(st.integers(0, work.k - 1))
    block = BlockShape(1, m, draw(st.integers(1, work.n)), first, draw(st.integers(1, work.k - first)),
                       draw(st.integers(0, work.sum_channels)))
    return Step(draw(grids()), work, block)


def starts_by_hand(grid, runs, cost):
    """(starts, cycles from the first start to the last result) of folds, from what each keeps occupied."""
    starts, ends, now = [], [], 0
    for before, fold in pairwise([None, *runs]):
        tail = tail_cycles(grid, rows=fold.rows, columns=fold.columns)
        if grid.overlap == "none":
            starts.append(now + preload_cycles(grid, rows=fold.rows))
            now += serial_fold_cycles(grid, fold, cost)
            ends.append(now)
            continue
        now += interval_by_hand(grid, before, fold, cost) if before is not None else 0
        starts.append(now)
        ends.append(now + cost.fixed_cycles + fold.streamed * cost.cycles + tail)
    return starts, max(ends)


def interval_by_hand(grid, before, fold, cost):
    """From a fold's start to the next one's: its stream, the next load, the spacing; and on the way out,

    * where sums go down the columns, the next fold's first sum follows the last one of this fold,
    * output stationary, the drain lines bring sums in and out one PE a cycle, and the PEs' drain registers are free again.
    """
    last, own = (cost.fixed_cycles + run.streamed * cost.cycles for run in (before, fold))
    needs = [last, preload_cycles(grid, rows=fold.rows), grid.swap_spacing]
    if grid.has_column_sums:
        first = cost.fixed_cycles + cost.cycles
        needs.append(last + (before.rows - fold.rows) * grid.registers_per_row_hop + 1 - first)
    elif grid.dataflow == "output_stationary":
        hop, out, following = ((grid.registers_per_row_hop, before.rows, fold.rows) if grid.drain == "rows" else
                               (grid.registers_per_column_hop, before.columns, fold.columns))
        needs += [out, following, last - own + min(out, following), last - own + out + (out - following) * hop]
    return max(needs)


@settings(max_examples=400, deadline=None)
@given(steps())
def test_the_list_of_folds_is_the_plan_of_the_mapping(step):
    found = [(fold.streamed, fold.rows, fold.columns) for fold in folds(*step)]
    assert found == [(run.streamed, run.rows, run.columns) for run in step.runs]


@settings(max_examples=300, deadline=None)
@given(steps())
def test_cycles_of_every_fold_and_of_the_step_are_the_closed_forms(step):
    grid, runs, cost = step.grid, step.runs, step.cost
    run, timing = clock_folds(grid, runs, cost), stream_timing(grid, runs, cost)
    assert [fold.first_operand for fold in run.folds] == fold_starts(grid, runs, cost)
    assert measured(grid, runs, cost, run) == timing
    assert run.total_cycles == timing.total_cycles
    for fold, times in zip(runs, run.folds, strict=True):
        assert times.last_operand - times.start + 1 == cost.stream_cycles(fold.streamed)
        assert times.last_result - times.last_operand == tail_cycles(grid, rows=fold.rows, columns=fold.columns)
        assert times.start - times.load >= preload_cycles(grid, rows=fold.rows)


@settings(max_examples=300, deadline=None)
@given(steps())
def test_one_fold_by_itself_takes_its_serial_cycles(step):
    fold = step.runs[-1]
    assert clock_folds(step.grid, [fold], step.cost).total_cycles == serial_fold_cycles(step.grid, fold, step.cost)


@settings(max_examples=300, deadline=None)
@given(grids(), st.data())
def test_folds_that_get_into_each_other_s_way_wait_exactly_so_long(grid, data):
    """Folds of any lengths and sizes in any order, as of successive steps."""
    cost = data.draw(st.sampled_from((StepCost(), StepCost(cycles=3), StepCost(cycles=2, fixed_cycles=4))))
    size = st.builds(FoldRun, st.just(1), st.integers(1, 12), st.integers(1, grid.rows), st.integers(1, grid.columns))
    whole = st.builds(FoldRun, st.just(1), st.integers(1, 12), st.just(grid.rows), st.just(grid.columns))
    runs = data.draw(st.lists(size if grid.trims_partial_folds else whole, min_size=1, max_size=9))
    run = clock_folds(grid, runs, cost)
    starts, end = starts_by_hand(grid, runs, cost)
    assert [fold.start for fold in run.folds] == starts
    assert 1 + max(fold.last_result for fold in run.folds) == end
    assert [fold.first_operand for fold in run.folds] == fold_starts(grid, runs, cost)
    assert run.total_cycles == stream_timing(grid, runs, cost).total_cycles


@pytest.mark.parametrize(("grid", "folds_of", "intervals"), [
    # 8 rows, then 2: the first sum of the second fold would pass the last ones of the first, 6 hops further down.
    (PeGrid(rows=8, columns=2, dataflow="weight_stationary", trims_partial_folds=True), [(4, 8, 2), (4, 2, 2), (4, 8, 2)],
     [10, 8]),
    # 20 steps, then 1: the results of both would leave at once; 8 rows of drain registers stand between them.
    (PeGrid(rows=8, columns=2, dataflow="output_stationary"), [(20, 8, 2), (1, 8, 2), (20, 8, 2)], [27, 8]),
])
def test_a_short_fold_behind_a_long_one_waits_for_the_way_out(grid, folds_of, intervals):
    found = clock_folds(grid, [FoldRun(1, *fold) for fold in folds_of]).folds
    assert [later.start - earlier.start for earlier, later in pairwise(found)] == intervals


class Case(NamedTuple):
    """A step with integers and registers."""

    step: Step
    inputs: np.ndarray
    weights: np.ndarray
    start: np.ndarray
    is_held: bool
    accumulator: Register
    wires: Register


@st.composite
def cases(draw, widths=(8, 10, 13, 16, 20), largest=7):
    """`largest`: operands reach 2^largest, or what the layer's widths hold if these are narrower than 8 bits."""
    step, overflow = draw(steps()), draw(st.sampled_from(("wrap", "saturate", "error")))
    accumulator, wires = (Register(draw(st.sampled_from(widths)), overflow) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    block, is_held = step.block, draw(st.booleans())
    ends = [1 << (largest if bits == 8 else bits - 1) for bits in (step.work.input_bits, step.work.weight_bits)]
    inputs = rng.integers(-ends[0], ends[0], (block.groups, block.positions, block.k))
    weights = rng.integers(-ends[1], ends[1], (block.groups, block.channels, block.k))
    low, high = (accumulator.min, accumulator.max) if is_held else (-300, 300)
    shape = (block.groups, block.positions if is_held else 1, block.channels)
    return Case(step, inputs, weights, rng.integers(low, high, shape, endpoint=True), is_held, accumulator, wires)


def by_addition(case, lag=0):
    """(accumulators, events with place and cycle) of `numerics.accumulation` and the fold schedule."""
    step, events = case.step, []
    shape = (step.block.groups, step.block.positions, step.block.channels)
    held = np.broadcast_to(case.start if case.is_held else accumulation.preloaded(case.start, case.accumulator), shape)
    kept = accumulation.accumulate(
        BlockProducts(case.inputs, case.weights), held.astype(np.int64), order=addition_order(*step),
        accumulator=case.accumulator, wires=case.wires, told=events.append)
    if not case.is_held:
        g, m, n = np.nonzero(np.broadcast_to(case.accumulator.overflows(case.start), shape))
        exact = case.start[g, 0, n]
        events.append(accumulation.Overflows(g, m, n, np.full(g.size, -1), np.zeros(g.size, np.bool_), exact,
                                             accumulation.preloaded(exact, case.accumulator)))
    schedule = FoldSchedule(*step, lag)
    found = [(*part, *schedule.places(part.group, part.m, part.n, part.k, part.on_wires)) for part in events]
    return kept, sorted(tuple(int(value) for value in event) for part in found for event in zip(*part, strict=True))


def by_registers(case, delays=()):
    run = run_step(*case.step, inputs=case.inputs, weights=case.weights, start=case.start, is_held=case.is_held,
                   accumulator=case.accumulator, wires=case.wires, delays=delays)
    return run, sorted(tuple(int(value) for value in event) for event in zip(*run.events[:10], strict=True))


def without_cycles(events):
    return sorted(event[:9] for event in events)


@settings(max_examples=400, deadline=None)
@given(cases(), st.sampled_from((0, 0, 7, 40)))
def test_integers_and_every_overflow_are_those_of_the_naive_additions(case, lag):
    """Coordinate, step, register, exact and kept value one by one; and PE and cycle, ports that slow the stream included."""
    runs = case.step.runs
    delays = [lag * number // max(1, len(runs) - 1) for number in range(len(runs))]
    kept, expected = by_addition(case, lag)
    run, found = by_registers(case, delays)
    np.testing.assert_array_equal(run.held, kept)
    assert found == expected
    for number, cycle in zip(run.events.fold, run.events.cycle, strict=True):
        assert run.folds[number].start <= cycle <= run.folds[number].last_result


@settings(max_examples=60, deadline=None)
@given(cases((48, 62, 63, 64), 31))
def test_registers_as_wide_as_int64_keep_exact_values(case):
    kept, expected = by_addition(case)
    run, found = by_registers(case)
    np.testing.assert_array_equal(run.held, kept)
    assert without_cycles(found) == without_cycles(expected)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_cycles_do_not_depend_on_integers_nor_on_where_the_accumulators_start(case):
    run, _ = by_registers(case)
    assert run.folds == clock_folds(case.step.grid, case.step.runs, case.step.cost).folds
