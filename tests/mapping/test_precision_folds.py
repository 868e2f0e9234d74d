"""Folds of PEs that take several pairs of operands, several channels or several cycles a step, against slow references."""

from collections import defaultdict

import pytest
import random_precisions as random
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.mapping.fold import FoldRun, fold_starts, stream_timing
from accelsim.mapping.fold_plan import (
    BlockShape,
    accumulator_entries,
    accumulator_updates,
    channel_lanes,
    fold_runs,
    groups_per_fold,
    operand_reads,
    position_lanes,
    reduction_lanes,
    step_cost,
)
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")


def gemm(*, groups, m, window, channels, n, bits, sum_channels=0):
    return GemmWork(groups=groups, images=1, rows=Axis(m + window - 1, m, kernel=window), columns=Axis(1, 1),
                    channels=channels, n=n, has_channel_groups=True, weight_bits=bits[0], input_bits=bits[1], output_bits=8,
                    sum_channels=sum_channels)


@st.composite
def cases(draw):
    """(grid, work): any precision kind, widths that it takes, and a layer."""
    precision = draw(random.precisions)
    least = 4 if precision.get("pointwise") else 1  # a quarter of the reduction lanes is at least one
    grid = PeGrid(rows=draw(st.integers(least, 6)), columns=draw(st.integers(least, 6)),
                  dataflow=draw(st.sampled_from(DATAFLOWS)), pixels=draw(st.integers(1, 3)),
                  reduction=draw(st.sampled_from(("window_channels", "channels"))),
                  trims_partial_folds=draw(st.booleans()), overlap=draw(st.sampled_from(("none", "full"))),
                  swap_spacing=draw(st.integers(0, 9)), extra_stages=draw(st.integers(0, 2)),
                  precision=precision)
    work = gemm(groups=draw(st.integers(1, 5)), m=draw(st.integers(1, 10)), window=draw(st.integers(1, 4)),
                channels=draw(st.integers(1, 9)), n=draw(st.integers(1, 9)), bits=draw(random.widths(grid.precision)),
                sum_channels=draw(st.integers(0, 1)))
    return grid, work


def block_of(data, work):
    groups = data.draw(st.integers(1, work.groups))
    if groups > 1:
        return BlockShape(groups=groups, positions=work.m, n=work.n, k_first=0, k=work.k, sum_channels=work.sum_channels)
    k_first = data.draw(st.integers(0, work.k - 1))
    return BlockShape(groups=1, positions=work.m, n=data.draw(st.integers(1, work.n)), k_first=k_first,
                      k=data.draw(st.integers(1, work.k - k_first)),
                      sum_channels=data.draw(st.integers(0, work.sum_channels)))


def walk(grid, work, block):
    """Every product of the block, put by hand into its fold, PE and streamed step: fold key in order -> what it uses."""
    cost, per_fold = step_cost(grid, work), groups_per_fold(work, grid)
    depth_lanes, lanes = reduction_lanes(grid, cost), channel_lanes(grid, cost)
    folds = defaultdict(lambda: {"streamed": set(), "rows": set(), "columns": set()})
    weights, inputs, updates = set(), set(), set()
    for g in range(block.groups):
        pack, place = divmod(g, per_fold)
        for m in range(block.positions):
            for n in range(block.n + block.sum_channels):
                for k in range(block.k_first, block.k_first + block.k):
                    segment, depth = segment_of(grid, work, block, k)
                    key, step, row, column = where(grid, cost, depth_lanes, lanes, pack=pack, place=place, m=m, n=n,
                                                   segment=segment, depth=depth)
                    for name, what in (("streamed", step), ("rows", row), ("columns", column)):
                        folds[key][name].add(what)
                    if n < block.n:
                        weights.add((key if grid.dataflow == "output_stationary" else key[:2] + key[2:], g, n, k))
                    inputs.add((key, g, m, k))
                    updates.add((key, g, m, n))
    return folds, len(weights), len(inputs), len(updates)


def segment_of(grid, work, block, k):
    if grid.reduction != "channels":
        return 0, k - block.k_first
    segment, depth = divmod(k, work.channels)
    return segment, depth - (block.k_first % work.channels if segment == block.k_first // work.channels else 0)


def where(grid, cost, depth_lanes, lanes, *, pack, place, m, n, segment, depth):
    """(fold key, streamed step, row slot, column slot); slots are lanes, of which a PE has several."""
    if grid.dataflow == "output_stationary":
        rows = grid.rows * grid.pixels
        key = (pack, m // rows, n // lanes, segment)
        return key, depth, (m % rows) // grid.pixels, n % lanes
    if grid.dataflow == "input_stationary":
        columns = grid.columns * grid.pixels
        key = (pack, m // columns, segment, depth // depth_lanes)
        return key, (place, n // cost.channels), (place, depth % depth_lanes), (m % columns) // grid.pixels
    key = (pack, n // lanes, segment, depth // depth_lanes)
    reduction, channel = (place, depth % depth_lanes), (place, n % lanes)
    if grid.dataflow == "dot_product":
        return key, m // grid.pixels, channel, reduction
    return key, m // grid.pixels, reduction, channel


@settings(max_examples=500, deadline=None)
@given(cases(), st.data())
def test_folds_reads_and_additions_equal_a_walk_over_every_product(case, data):
    grid, work = case
    block, cost = block_of(data, work), step_cost(grid, work)
    folds, weights, inputs, updates = walk(grid, work, block)
    expected = []
    for key in sorted(folds):
        fold = folds[key]
        streamed = len(fold["streamed"])
        if grid.dataflow == "output_stationary":  # K is time: a PE takes several of its steps at once, or one in several
            streamed = pes_of(streamed, cost)
        expected.append((streamed, *used_pes(grid, cost, fold)))
    found = [(run.streamed, run.rows, run.columns) for run in fold_runs(grid, work, block) for _ in range(run.count)]
    assert found == expected
    assert operand_reads(grid, work, block) == (weights, inputs)
    assert accumulator_updates(grid, work, block) == updates


def used_pes(grid, cost, fold):
    """(rows, columns) of PEs that a fold's lanes lie in."""
    if not grid.trims_partial_folds:
        return grid.rows, grid.columns
    rows, columns = len(fold["rows"]), len(fold["columns"])
    if grid.dataflow == "output_stationary":
        return rows, min(columns, grid.columns)
    if grid.dataflow == "input_stationary":
        return pes_of(rows, cost), columns
    if grid.dataflow == "dot_product":
        return min(rows, grid.rows), pes_of(columns, cost)
    return pes_of(rows, cost), min(columns, grid.columns)


def pes_of(lanes, cost):
    """Smallest number of PEs (or of steps of a PE) with so many lanes together."""
    pes = 0
    while pes * cost.reduction < lanes:
        pes += 1
    return pes


# Time ----------------------------------------------------------------------------------------------------------------------


class WayOut:
    """Where results are on their way out of the grid, and when: sums leave a column (or the PEs of a row) one behind the
    other, an earlier fold's before a later one's."""

    def __init__(self, grid):
        self.grid, self.latest = grid, {}

    def of(self, fold, entered):
        """(place, cycle) of every result of a fold whose steps enter at the given cycles."""
        grid = self.grid
        if grid.has_column_sums:  # each step's sum leaves at the bottom of the fold's rows
            return [("out", cycle + (fold.rows - 1) * grid.registers_per_row_hop) for cycle in entered]
        if grid.dataflow != "output_stationary":
            return []
        hop, length = ((grid.registers_per_row_hop, fold.rows) if grid.drain == "rows" else
                       (grid.registers_per_column_hop, fold.columns))
        places = []
        for pe in range(length):  # a PE's sum is ready `hop` after its neighbour's, then passes the others' registers
            for register in range(pe, length):
                places.append((register, entered[-1] + register * hop + (register - pe)))
            places.append(("out", entered[-1] + (length - 1) * hop + (length - 1 - pe)))
        return places

    def is_free(self, places):
        return all(cycle > self.latest.get(place, -1) for place, cycle in places)

    def take(self, places):
        for place, cycle in places:
            self.latest[place] = max(cycle, self.latest.get(place, -1))


def clocked(grid, folds, cost):
    """(starts of the streams, cycle of the last result, busy cycles) of folds, cycle by cycle.

    One loader fills the shadow registers, which are free once the fold before has started; one streamer lets a fold's fixed
    cycles pass and then takes in a step every `cost.cycles`; a fold starts once its results will find their way out free.
    Output stationary, the lines at the PEs are kept for as long as results need to leave, or the next sums to come in.
    Counted from the first cycle of the loader.
    """
    folds = [FoldRun(1, run.streamed, run.rows, run.columns) for run in folds for _ in range(run.count)]
    starts, now, busy, finish, way = [], 0, 0, 0, WayOut(grid)
    loaded_at = before = 0
    for index, fold in enumerate(folds):
        load = 0
        if grid.dataflow != "output_stationary":
            load = fold.rows if grid.preload_cycles is None else grid.preload_cycles
        if index == 0 or grid.overlap == "none":
            loaded_at = finish + load
        else:
            begun = starts[-1] - cost.fixed_cycles
            loaded_at = begun + load  # the shadow registers became free as the last fold started
            now = max(now, begun + grid.swap_spacing, begun + max(before, lines(grid, fold)))
        now, before = max(now, loaded_at), lines(grid, fold)
        while not way.is_free(places := way.of(fold, entering(fold, now, cost))):
            now += 1
        way.take(places)
        starts.append(now + cost.fixed_cycles)
        for _ in range(cost.fixed_cycles):
            now += 1
        for _ in range(fold.streamed):
            for _ in range(cost.cycles):
                now += 1
                busy += 1
        tail = grid.adder_tree_stages if grid.dataflow == "dot_product" else (
            (fold.rows - 1) * grid.registers_per_row_hop + (fold.columns - 1) * grid.registers_per_column_hop)
        finish = max(finish, now + tail + grid.extra_stages + lines(grid, fold))
        if grid.overlap == "none":
            now = finish
    return starts, finish, busy


def entering(fold, start, cost):
    """Cycle at whose end each step of a fold has entered the first PE."""
    return [start + cost.fixed_cycles + (step + 1) * cost.cycles - 1 for step in range(fold.streamed)]


def lines(grid, fold):
    """Cycles for which an output stationary grid needs its drain lines for a fold."""
    if grid.dataflow != "output_stationary":
        return 0
    return fold.rows if grid.drain == "rows" else fold.columns


@settings(max_examples=400, deadline=None)
@given(grid=st.builds(PeGrid, rows=st.integers(1, 6), columns=st.integers(1, 6), dataflow=st.sampled_from(DATAFLOWS),
                      overlap=st.sampled_from(("none", "full")), swap_spacing=st.integers(0, 20),
                      extra_stages=st.integers(0, 2)),
       cost=st.builds(StepCost, cycles=st.integers(1, 9), fixed_cycles=st.integers(0, 9)),
       preload=st.none() | st.integers(0, 12), hops=st.tuples(st.integers(0, 2), st.integers(0, 2)),
       drain=st.sampled_from(("rows", "columns")),
       folds=st.lists(st.builds(FoldRun, st.integers(1, 2), st.integers(1, 12), st.integers(1, 6), st.integers(1, 6)),
                      min_size=1, max_size=6))
def test_steps_of_several_cycles_and_fixed_cycles_take_what_a_clock_counts(grid, cost, preload, hops, drain, folds):
    changes = {"registers_per_row_hop": hops[0], "registers_per_column_hop": hops[1]}
    if grid.dataflow == "dot_product":
        changes = {}
    changes |= {"drain": drain} if grid.dataflow == "output_stationary" else {"preload_cycles": preload}
    grid = PeGrid.model_validate({**grid.to_document(), **changes})
    starts, finish, busy = clocked(grid, folds, cost)
    timing = stream_timing(grid, folds, cost)
    assert timing.total_cycles == finish
    assert timing.ideal_cycles == busy
    shift = timing.preload_cycles if grid.overlap == "full" else 0
    assert [start + shift for start in fold_starts(grid, folds, cost)] == starts


@settings(max_examples=500, deadline=None)
@given(cases(), st.data())
def test_fewer_bits_never_make_a_block_slower(case, data):
    grid, work = case
    block = block_of(data, work)
    narrow = (data.draw(st.integers(1, work.weight_bits)), data.draw(st.integers(1, work.input_bits)))
    less = gemm(groups=work.groups, m=work.m, window=work.rows.kernel, channels=work.channels, n=work.n, bits=narrow,
                sum_channels=work.sum_channels)
    slow = stream_timing(grid, fold_runs(grid, work, block), step_cost(grid, work))
    fast = stream_timing(grid, fold_runs(grid, less, block), step_cost(grid, less))
    assert fast.ideal_cycles <= slow.ideal_cycles
    assert fast.stream_cycles <= slow.stream_cycles
    assert fast.total_cycles <= slow.total_cycles


@settings(max_examples=300, deadline=None)
@given(cases(), st.data())
def test_no_block_is_faster_than_the_peak_at_its_widths(case, data):
    grid, work = case
    block = block_of(data, work)
    peak = grid.peak_macs_per_cycle(weight_bits=work.weight_bits, input_bits=work.input_bits)
    timing = stream_timing(grid, fold_runs(grid, work, block), step_cost(grid, work))
    assert timing.ideal_cycles * peak >= block.macs


@settings(max_examples=300, deadline=None)
@given(cases(), st.data())
def test_accumulators_hold_the_entries_that_a_walk_over_the_outputs_counts(case, data):
    """A fold's channels lie in its PEs in turn, its positions in turn over the pixels; exact for as many groups as a fold
    holds, and room for all of them is kept for fewer."""
    grid, work = case
    per_fold, lanes = groups_per_fold(work, grid), channel_lanes(grid)
    groups, m = data.draw(st.integers(1, min(per_fold, work.groups))), data.draw(st.integers(1, work.m))
    n = work.n + work.sum_channels
    entries = accumulator_entries(grid, work, groups=groups, positions=m, n=n)
    used = defaultdict(int)
    for g in range(groups):
        for position in range(m):
            for channel in range(n):
                if grid.dataflow == "input_stationary":
                    used[position % position_lanes(grid)] += 1
                else:
                    used[((g % per_fold) * n + channel) % lanes, position % grid.pixels] += 1
    assert entries >= max(used.values())
    if groups == per_fold:
        assert entries == max(used.values())


# Published machines --------------------------------------------------------------------------------------------------------

NE16 = PeGrid.model_validate({
    "rows": 144, "columns": 9, "dataflow": "input_stationary", "overlap": "none", "registers_per_row_hop": 0,
    "registers_per_column_hop": 0, "preload_cycles": 0,
    "precision": {"kind": "bit_serial", "serial": "weights", "overhead_cycles": 45, "depthwise_overhead_cycles": 61,
                  "pointwise": {"reduction": "1/9", "overhead_cycles": 33}}})


@pytest.mark.parametrize(("weight_bits", "macs_per_cycle"), [(8, 137.8), (4, 239.7), (2, 380.5)])
def test_ne16_reaches_in_steady_state_what_its_performance_model_says(weight_bits, macs_per_cycle):
    """pulp-platform/dory, Ne16PerfModel.py: a 3x3 step of 16 channels, 32 output channels and 9 positions takes
    39 + 6 + 32 * bits cycles. Model against model."""
    work = GemmWork(groups=1, images=1, rows=Axis(38, 36, kernel=3), columns=Axis(38, 36, kernel=3), channels=64, n=32,
                    has_channel_groups=True, weight_bits=weight_bits, input_bits=8, output_bits=8)
    block = BlockShape(groups=1, positions=work.m, n=32, k_first=0, k=work.k)
    timing = stream_timing(NE16, fold_runs(NE16, work, block), step_cost(NE16, work))
    steps = (36 // 3) * (36 // 3) * (64 // 16)
    assert timing.total_cycles == steps * (39 + 6 + 32 * weight_bits)
    assert work.macs / timing.total_cycles == pytest.approx(macs_per_cycle, abs=0.05)


@pytest.mark.parametrize("weight_bits", [2, 5, 8])
def test_ne16_runs_one_by_one_kernels_at_70_macs_a_cycle_at_any_weight_width(weight_bits):
    work = GemmWork(groups=1, images=1, rows=Axis(36, 36), columns=Axis(36, 36), channels=64, n=32, has_channel_groups=True,
                    weight_bits=weight_bits, input_bits=8, output_bits=8)
    block = BlockShape(groups=1, positions=work.m, n=32, k_first=0, k=work.k)
    timing = stream_timing(NE16, fold_runs(NE16, work, block), step_cost(NE16, work))
    assert timing.total_cycles == (36 * 36 // 9) * (64 // 16) * (19 + 6 + 2 + 6 + 32)
    assert work.macs / timing.total_cycles == pytest.approx(70.9, abs=0.05)


def test_ne16_runs_sixteen_depthwise_channels_in_a_step():
    """The same model's depthwise step: 31 + (6 + 16) + 2 + 6 + 16 * bits."""
    work = GemmWork(groups=32, images=1, rows=Axis(14, 12, kernel=3), columns=Axis(14, 12, kernel=3), channels=1, n=1,
                    has_channel_groups=True, weight_bits=4, input_bits=8, output_bits=8)
    block = BlockShape(groups=32, positions=work.m, n=1, k_first=0, k=9)
    timing = stream_timing(NE16, fold_runs(NE16, work, block), step_cost(NE16, work))
    assert timing.total_cycles == (12 * 12 // 9) * 2 * (31 + 22 + 2 + 6 + 16 * 4)


@pytest.mark.parametrize("name", ["window_channels", "channels"])
def test_a_layer_with_too_few_reduction_steps_does_not_gain(name):
    """16 channels fill the 16 rows of 8-bit PEs; at 4 bits the rows hold 64."""
    grid = PeGrid.model_validate({"rows": 16, "columns": 32, "dataflow": "weight_stationary", "reduction": name,
                                  "precision": {"kind": "bit_fusion"}})

    def ideal(bits, channels):
        work = gemm(groups=1, m=100, window=1, channels=channels, n=32, bits=(bits, bits))
        block = BlockShape(groups=1, positions=100, n=32, k_first=0, k=channels)
        return stream_timing(grid, fold_runs(grid, work, block), step_cost(grid, work)).ideal_cycles

    assert [ideal(bits, 16) for bits in (8, 4, 2)] == [100, 100, 100]
    assert [ideal(bits, 64) for bits in (8, 4, 2)] == [400, 100, 100]
    assert [ideal(bits, 256) for bits in (8, 4, 2)] == [1600, 400, 100]
