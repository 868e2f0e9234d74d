"""Folds, reads and additions against a walk over every product of a layer."""

import math
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_products import DATAFLOWS, gemm, place_product

from accelsim.hardware.pe_grid import PeGrid
from accelsim.mapping.fold import FoldRun, serial_fold_cycles, stream_timing
from accelsim.mapping.fold_plan import BlockShape, accumulator_updates, fold_runs, groups_per_fold, operand_reads
from accelsim.mapping.lowering import GemmWork

shapes = st.builds(
    gemm, groups=st.integers(1, 5), m=st.integers(1, 12), window=st.integers(1, 4), channels=st.integers(1, 9),
    n=st.integers(1, 9), sum_channels=st.integers(0, 1))
grids = st.builds(
    PeGrid, rows=st.integers(1, 6), columns=st.integers(1, 6), dataflow=st.sampled_from(DATAFLOWS),
    reduction=st.sampled_from(("window_channels", "channels")), pixels=st.integers(1, 3),
    trims_partial_folds=st.booleans())


def walk(grid: PeGrid, work: GemmWork, block: BlockShape):
    """Every product of the block, put into its fold by hand: (fold key in order) -> set of streamed steps, rows, columns."""
    per_fold = groups_per_fold(work, grid)
    folds = defaultdict(lambda: {"streamed": set(), "rows": set(), "columns": set()})
    weight_reads, input_reads, updates = set(), set(), set()
    for g in range(block.groups):
        pack, place = divmod(g, per_fold)
        for m in range(block.positions):
            for n in range(block.n + block.sum_channels):
                for k in range(block.k_first, block.k_first + block.k):
                    if grid.reduction == "channels":
                        segment, depth = divmod(k, work.channels)
                        if segment == block.k_first // work.channels:
                            depth -= block.k_first % work.channels
                    else:
                        segment, depth = 0, k - block.k_first
                    key, streamed, row, column = place_product(
                        grid, pack=pack, place=place, m=m, n=n, segment=segment, depth=depth)
                    fold = folds[key]
                    fold["streamed"].add(streamed)
                    fold["rows"].add(row)
                    fold["columns"].add(column)
                    if n < block.n:  # weights of ones are wired
                        weight_reads.add((key if grid.dataflow == "output_stationary" else key[:2] + key[2:], g, n, k))
                    input_reads.add((key, g, m, k))
                    updates.add((key, g, m, n))
    return folds, len(weight_reads), len(input_reads), len(updates)


@settings(max_examples=400, deadline=None)
@given(grids, shapes, st.data())
def test_folds_reads_and_additions_equal_a_walk_over_every_product(grid, work, data):
    groups = data.draw(st.integers(1, work.groups))
    n = work.n if groups > 1 else data.draw(st.integers(1, work.n))
    k_first = 0 if groups > 1 else data.draw(st.integers(0, work.k - 1))
    k = work.k if groups > 1 else data.draw(st.integers(1, work.k - k_first))
    sum_channels = work.sum_channels if groups > 1 else data.draw(st.integers(0, work.sum_channels))
    block = BlockShape(groups=groups, positions=work.m, n=n, k_first=k_first, k=k, sum_channels=sum_channels)
    folds, weight_reads, input_reads, updates = walk(grid, work, block)
    expected = []
    for key in sorted(folds):
        fold = folds[key]
        used = (len(fold["rows"]), len(fold["columns"])) if grid.trims_partial_folds else (grid.rows, grid.columns)
        expected.append((len(fold["streamed"]), *used))
    found = [(run.streamed, run.rows, run.columns) for run in fold_runs(grid, work, block) for _ in range(run.count)]
    assert found == expected
    assert operand_reads(grid, work, block) == (weight_reads, input_reads)
    assert accumulator_updates(grid, work, block) == updates
    assert block.macs == groups * work.m * (n + sum_channels) * k


@pytest.mark.parametrize("dataflow", DATAFLOWS[:3])
def test_a_serial_fold_costs_two_rows_plus_columns_plus_steps_minus_two_in_every_systolic_dataflow(dataflow):
    for rows, columns, steps in ((1, 1, 1), (4, 4, 9), (128, 32, 7), (3, 17, 1000)):
        grid = PeGrid(rows=rows, columns=columns, dataflow=dataflow, overlap="none")
        assert serial_fold_cycles(grid, FoldRun(1, steps, rows, columns)) == 2 * rows + columns + steps - 2


# Cycle counts measured on register-transfer-level designs of others: (rows, columns, steps) -> cycles of a tile, and the
# parameters that describe each design. Output stationary: sample RTL of SCALE-Sim's authors 2R + C + K - 1 and weight
# stationary 3R + C + M - 1 (two registers a row hop); abarajithan11/axis-systolic-array tiles * K + R + 2C.
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"dataflow": "output_stationary", "extra_stages": 1}, lambda r, c, t, tiles: tiles * t + 2 * r + c - 1),
        ({"dataflow": "output_stationary", "extra_stages": 2, "drain": "columns"},
         lambda r, c, t, tiles: tiles * t + r + 2 * c),
        ({"dataflow": "weight_stationary", "extra_stages": 2, "registers_per_row_hop": 2},
         lambda r, c, t, tiles: tiles * t + 3 * r + c - 1),
        ({"dataflow": "dot_product"}, lambda r, c, t, tiles: r + tiles * t + 1),
    ])
def test_parameters_describe_the_measured_designs(parameters, expected):
    for rows, columns, steps, tiles in ((4, 4, 20, 1), (4, 8, 33, 3), (16, 8, 64, 5)):
        grid = PeGrid(rows=rows, columns=columns, overlap="full", **parameters)
        timing = stream_timing(grid, [FoldRun(tiles, steps, rows, columns)])
        assert timing.total_cycles == expected(rows, columns, steps, tiles)


@settings(max_examples=200, deadline=None)
@given(grid=st.builds(PeGrid, rows=st.integers(1, 9), columns=st.integers(1, 9), dataflow=st.sampled_from(DATAFLOWS),
                      swap_spacing=st.integers(0, 20)),
       steps=st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_back_to_back_folds_start_as_soon_as_stream_preload_and_spacing_allow(grid, steps):
    """The published form for overlapped folds, written out over the list of streams."""
    hidden = max(grid.rows, grid.swap_spacing)
    starts = sum(max(t, hidden) for t in steps[:-1])
    r, c = grid.rows, grid.columns
    if grid.dataflow == "dot_product":
        expected = r + starts + steps[-1] + 1
    elif grid.dataflow == "output_stationary":  # the way out takes r cycles for each fold's results, one fold's at a time
        starts = sum(max(t, hidden, t + r - after) for t, after in pairwise(steps))
        expected = starts + steps[-1] + r + c - 2 + r
    else:
        expected = r + starts + steps[-1] + r + c - 2
    folds = [FoldRun(1, t, r, c) for t in steps]
    assert stream_timing(grid, folds).total_cycles == expected


def test_depthwise_groups_share_a_fold_block_diagonally():
    work = gemm(groups=64, m=4, window=3, channels=3, n=1)
    assert groups_per_fold(work, PeGrid(rows=32, columns=16, dataflow="weight_stationary")) == min(32 // 9, 16 // 1)
    assert groups_per_fold(work, PeGrid(rows=32, columns=16, dataflow="input_stationary")) == 32 // 9
    assert groups_per_fold(work, PeGrid(rows=32, columns=16, dataflow="dot_product")) == 1
    assert math.ceil(64 / 3) == sum(
        run.count for run in fold_runs(PeGrid(rows=32, columns=16, dataflow="weight_stationary"), work,
                                       BlockShape(groups=64, positions=4, n=1, k_first=0, k=9)))
