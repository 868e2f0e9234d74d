"""Additions happen where and when a walk over every product puts them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_products import DATAFLOWS, gemm, place_product

from accelsim.hardware.pe_grid import PeGrid
from accelsim.mapping.fold import fold_starts
from accelsim.mapping.fold_plan import BlockShape, fold_runs, groups_per_fold
from accelsim.mapping.fold_schedule import FoldSchedule


@st.composite
def grids(draw):
    dataflow = draw(st.sampled_from(DATAFLOWS))
    is_systolic = dataflow != "dot_product"
    return PeGrid(
        rows=draw(st.integers(1, 9)), columns=draw(st.integers(1, 9)), dataflow=dataflow,
        reduction=draw(st.sampled_from(("window_channels", "channels"))), pixels=draw(st.integers(1, 3)),
        trims_partial_folds=draw(st.booleans()), overlap=draw(st.sampled_from(("none", "full"))),
        extra_stages=draw(st.integers(0, 2)), registers_per_row_hop=draw(st.integers(1, 2)) if is_systolic else 1,
        registers_per_column_hop=draw(st.integers(1, 2)) if is_systolic else 1,
        adder_tree_stages=1 if is_systolic else draw(st.integers(1, 3)))


@st.composite
def steps(draw):
    """A layer, and one compute step of it."""
    work = draw(st.builds(gemm, groups=st.integers(1, 4), m=st.integers(1, 7), window=st.integers(1, 3),
                          channels=st.integers(1, 4), n=st.integers(1, 4), sum_channels=st.integers(0, 1)))
    groups = draw(st.integers(1, work.groups))
    if groups > 1:  # several groups come with all of their channels and steps
        return work, BlockShape(groups, work.m, work.n, 0, work.k, work.sum_channels)
    k_first = draw(st.integers(0, work.k - 1))
    return work, BlockShape(1, work.m, draw(st.integers(1, work.n)), k_first, draw(st.integers(1, work.k - k_first)),
                            draw(st.integers(0, work.sum_channels)))


def walk(grid, work, block):
    """(group, m, n, k) of every product -> (fold, t, row, column), numbered from 0 in the fold."""
    per_fold, placed, members = groups_per_fold(work, grid), {}, {}
    for group, m, n, k in np.ndindex(block.groups, block.positions, block.channels, block.k):
        pack, place = divmod(group, per_fold)
        segment, depth = (0, k) if grid.reduction == "window_channels" else divmod(block.k_first + k, work.channels)
        if grid.reduction == "channels" and segment == block.k_first // work.channels:
            depth -= block.k_first % work.channels
        key, *place_in_fold = place_product(grid, pack=pack, place=place, m=m, n=n, segment=segment, depth=depth)
        placed[group, m, n, k] = key, place_in_fold
        for seen, value in zip(members.setdefault(key, (set(), set(), set())), place_in_fold, strict=True):
            seen.add(value)
    ranks = {key: [{value: i for i, value in enumerate(sorted(values))} for values in fold] for key, fold in members.items()}
    order = {key: i for i, key in enumerate(sorted(members))}
    return {product: (order[key], *(rank[value] for rank, value in zip(ranks[key], place, strict=True)))
            for product, (key, place) in placed.items()}


@settings(max_examples=300, deadline=None)
@given(grids(), steps())
def test_products_are_added_at_the_pe_and_cycle_of_a_walk(grid, step):
    work, block = step
    starts, products = fold_starts(grid, fold_runs(grid, work, block)), walk(grid, work, block)
    on_wires = np.full(len(products), grid.has_column_sums)
    found = FoldSchedule(grid, work, block).places(*np.array(list(products)).T, on_wires)
    for i, (fold, t, row, column) in enumerate(products.values()):
        cycle = starts[fold] + t
        if grid.dataflow == "dot_product":  # one accumulator a row, behind the adder tree
            expected = row, -1, cycle + grid.adder_tree_stages + grid.extra_stages
        else:
            expected = row, column, cycle + row * grid.registers_per_row_hop + column * grid.registers_per_column_hop
        assert (found.rows[i], found.columns[i], found.cycles[i]) == expected


@settings(max_examples=200, deadline=None)
@given(grids(), steps())
def test_the_last_addition_happens_in_the_last_cycle_before_the_results_are_out(grid, step):
    """Where all folds are as large as the grid; output stationary drains afterwards."""
    work, block = step
    grid = grid.model_copy(update={"trims_partial_folds": False})
    runs = fold_runs(grid, work, block)
    products = np.array(list(walk(grid, work, block))).T
    found = FoldSchedule(grid, work, block).places(*products, np.zeros(products.shape[1], np.bool_))
    end = fold_starts(grid, runs)[-1] + runs[-1].streamed
    if grid.dataflow == "dot_product":
        assert found.cycles.max() < end + grid.adder_tree_stages + grid.extra_stages
        return
    skew = (runs[-1].rows - 1) * grid.registers_per_row_hop + (runs[-1].columns - 1) * grid.registers_per_column_hop
    assert found.cycles.max() < end + skew + grid.extra_stages
