"""Positions that are numbered block by block, against a walk from block to block."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import quantized_layers
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import load_accelerator, with_changes
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import run_program
from accelsim.machine.sample_runs import run_samples
from accelsim.mapping.candidates import candidates, rectangles
from accelsim.mapping.cost import CostModel
from accelsim.mapping.fold_plan import position_lanes
from accelsim.mapping.footprint import Positions
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import GemmWork, lower
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.mapping.position_order import PositionOrder
from accelsim.mapping.program import Compute, Load, Program, Store
from accelsim.mapping.tiling import Tiling
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.numerics.axis import Axis
from accelsim.workload.input_values import samples
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution
from accelsim.workload.tensor import Tensor


def work_of(images, rows, columns, kernel=1):
    return GemmWork(groups=1, images=images, rows=Axis(rows + kernel - 1, rows, kernel),
                    columns=Axis(columns + kernel - 1, columns, kernel), channels=4, n=4, has_channel_groups=True,
                    weight_bits=8, input_bits=8, output_bits=8)


def conv(channels, filters, size, kernel=3, groups=1):
    operation = Convolution(batch=1, in_channels=channels, out_channels=filters, in_size=(size, size),
                            kernel=(kernel, kernel), pads=(kernel // 2,) * 4, groups=groups)
    return Layer("conv", operation, (Tensor("x", (1, channels, size, size), 8),), Tensor("y", operation.out_shape, 8),
                 weights=Tensor("w", (filters, channels // groups, kernel, kernel), 8, is_constant=True))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_numbers_follow_a_walk_from_block_to_block(images, rows, columns, block_rows, block_columns):
    walked, blocks = [], []
    for i in range(images):
        for p in range(0, rows, block_rows):
            for q in range(0, columns, block_columns):
                bottom, right = min(rows, p + block_rows), min(columns, q + block_columns)
                blocks.append((len(walked), Positions((i, i + 1), (p, bottom), (q, right))))
                walked += [(i * rows + y) * columns + x for y in range(p, bottom) for x in range(q, right)]
    order = PositionOrder(rows, columns, block_rows, block_columns)
    assert order.natural(np.arange(len(walked))).tolist() == walked
    ends = [first for first, _ in blocks[1:]] + [len(walked)]
    assert [order.block((first, end)) for (first, _), end in zip(blocks, ends, strict=True)] == [
        block for _, block in blocks]


def test_a_range_that_is_no_block_is_our_own_mistake():
    with pytest.raises(AssertionError, match=r"positions \(0, 5\) are no block"):
        PositionOrder(6, 6, 2, 2).block((0, 5))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_smallest_rectangle_needs_no_more_folds_than_any_other_that_fits_the_lanes(rows, columns, lanes):
    work = work_of(1, rows, columns, kernel=3)
    found = rectangles(work, lanes)
    if columns % lanes == 0 or lanes == 1 or rows == 1 or columns == 1:
        assert found == []
        return
    assert all(1 <= r <= rows and 1 <= q < columns for r, q in found)
    r, q = found[0]
    assert lanes % q == 0
    assert r == min(rows, lanes // q)
    fewest = min(-(-rows // r) * -(-columns // q) for q in range(1, columns) for r in range(2, rows + 1)
                 if r * q == lanes or (r == rows and lanes % q == 0 and r * q < lanes))
    assert -(-rows // r) * -(-columns // q) == fewest
    assert all(after in ((2 * r, q), (r, 2 * q)) for (r, q), after in pairwise(found))


def test_a_program_of_squares_covers_every_position_once_and_says_how_it_counts():
    layer, accelerator = conv(8, 4, 7), load_accelerator("ne16_gap9")
    tiling = Tiling(groups=1, images=1, rows=3, columns=3, n=4, k=72, input_scope="block")
    program = build_grid_program(layer, tiling, accelerator)
    assert program.position_order == PositionOrder(7, 7, 3, 3)
    assert "  m counts positions in blocks of 3 x 3" in list(program.lines())
    assert "m=3x3 n=4 k=72" in program.mapping
    blocks = [step.m for step in program.steps if isinstance(step, Compute)]
    assert blocks == [(0, 9), (9, 18), (18, 21), (21, 30), (30, 39), (39, 42), (42, 45), (45, 48), (48, 49)]
    assert [step.ranges[1] for step in program.steps if isinstance(step, Store)] == blocks
    # Halos overlap in rows and columns: 3 x 3 outputs see 5 x 5 inputs, less what lies outside the image of 7 x 7.
    seen = [4, 5, 2]  # of the three blocks along one axis, by hand: rows 0..3, 2..6, 5..6
    loads = [step.tile_bytes for step in program.steps if isinstance(step, Load) and step.operand == "inputs"]
    assert loads == [8 * rows * columns for rows in seen for columns in seen]


def test_blocks_of_whole_rows_count_as_ever():
    program = build_grid_program(conv(8, 4, 7), Tiling(groups=1, images=1, rows=3, columns=7, n=4, k=72),
                                 load_accelerator("ne16_gap9"))
    assert program.position_order is None
    assert not any("m counts" in line for line in program.lines())


def mapper_of(accelerator, **options):
    def prove(program):
        (run,), _ = run_program(accelerator, Program((program,)))
        return run.total_cycles

    traffic = TrafficCost(dram_pj_per_byte=64.0, idle_pj_per_cycle=0.0,
                          buffer_pj_per_byte=dict.fromkeys(accelerator.memory.buffers, 1.0))
    return Mapper(accelerator, MappingOptions(**options), traffic, prove)


NE16 = load_accelerator("ne16_gap9")
PLAIN = {"pe_grid.rows": 8, "pe_grid.columns": 8, "pe_grid.precision": {"kind": "fixed"}, "pe_grid.preload_cycles": None,
         "pe_grid.registers_per_row_hop": 1, "pe_grid.registers_per_column_hop": 1}
OUTPUTS = with_changes(NE16, PLAIN | {"pe_grid.dataflow": "output_stationary", "accumulators.entries": 8})
PIXELS = with_changes(NE16, PLAIN | {"pe_grid.dataflow": "dot_product", "pe_grid.pixels": 6, "accumulators.entries": 1})


@pytest.mark.parametrize(("accelerator", "lanes", "size", "in_rows", "in_rectangles"), [
    (NE16, 9, 12, 2 * 12, 4 * 4),     # 6 + 6 positions of a row, or squares of 3 x 3
    (OUTPUTS, 8, 12, 2 * 12, 6 * 3),  # 6 + 6, or 2 x 4
    (PIXELS, 6, 8, 2 * 8, 4 * 3),     # 4 + 4, or 2 x 3
], ids=["ne16", "output_stationary", "pixels"])
def test_rectangles_take_fewer_folds_where_rows_do_not_fill_the_lanes_and_accumulators_hold_one_fold(
        accelerator, lanes, size, in_rows, in_rectangles):
    layer = conv(32, 32, size)
    mapper = mapper_of(accelerator)
    assert position_lanes(accelerator.pe_grid) == lanes
    chosen = mapper.map(layer)
    assert len({step.m for step in chosen.steps if isinstance(step, Compute)}) == in_rectangles
    ratio = mapper.prove(chosen) / min(mapper.prove(program) for program in fastest_of_rows(mapper, layer))
    assert ratio == pytest.approx(in_rectangles / in_rows, abs=0.12)


def fastest_of_rows(mapper, layer):
    """Programs of the six best estimates of blocks that are whole rows or parts of one row."""
    work = lower(layer)
    every = candidates(work, mapper.accelerator.pe_grid)
    plain = every.take(~every.is_rectangle(work))
    estimate = CostModel(work, mapper.accelerator, IN_DRAM, loads_inputs=True, traffic=mapper.traffic).estimate(plain)
    fits = np.flatnonzero((estimate.region_bytes["l1"] <= 128 * 1024)
                          & (estimate.entries <= mapper.accelerator.accumulators.block_entries))
    best = fits[np.argsort(estimate.cycles[fits], kind="stable")][:6]
    return [build_grid_program(layer, plain.tiling(int(index)), mapper.accelerator) for index in best]


def shapes_proved(accelerator, layer):
    return {tiling.has_rectangles(lower(layer)) for tiling in mapper_of(accelerator).best_tilings(layer)}


def test_rectangles_are_proved_alone_beside_the_others_or_not_at_all():
    """As they promise a third less, a twentieth less, or nothing."""
    assert shapes_proved(NE16, conv(64, 64, 12)) == {True}
    assert shapes_proved(NE16, conv(384, 256, 13)) == {False, True}
    assert shapes_proved(NE16, conv(64, 64, 18)) == {False}  # rows of 18 already fill 9 lanes


@st.composite
def blocked_runs(draw, **registers):
    """A random machine and convolution with integers, under a tiling of rectangles and one of whole rows with equal K."""
    layer = draw(machines.grid_layers().filter(lambda layer: layer.kind == "conv" and min(lower(layer).columns.out_size,
                                                                                         lower(layer).rows.out_size) > 1))
    network, arrays = draw(quantized_layers.quantized_networks(layer))
    description, work = draw(machines.descriptions()), lower(layer)
    description["accumulators"] |= registers
    description["requantizer"]["scheme"] = "power_of_two"
    accelerator = Accelerator.model_validate(description)
    rows = Tiling(groups=1, images=1, rows=draw(st.integers(2, work.rows.out_size)), columns=work.columns.out_size,
                  n=draw(st.integers(1, work.n)), k=draw(st.integers(1, work.k)),
                  input_scope=draw(st.sampled_from(("slice", "block"))), store_lag=draw(st.integers(0, 1)))
    rectangles = replace(rows, columns=draw(st.integers(1, work.columns.out_size - 1)))
    placement = draw(st.sampled_from((IN_DRAM, Placement(frozenset({layer.streamed.name})), Placement(keeps_output=True))))

    def run(tiling):
        program = build_grid_program(layer, tiling, accelerator, placement)
        assert (program.position_order is None) == (tiling is rows)
        return run_samples(accelerator, Program((program,)), network, samples(network, arrays), rule=accelerator.rule,
                           tiles_always=True, event_limit=10**6)

    return layer, run(rows), run(rectangles)


@settings(max_examples=30, deadline=None)
@given(blocked_runs(bits=40))
def test_rectangles_give_the_same_integers_tile_by_tile(runs):
    layer, rows, rectangles = runs
    np.testing.assert_array_equal(rows.outputs["y"], rectangles.outputs["y"])
    assert rectangles.values[layer.name].widths == rows.values[layer.name].widths


@settings(max_examples=25, deadline=None)
@given(blocked_runs(bits=10, overflow="saturate"))
def test_rectangles_overflow_at_the_same_outputs_and_steps(runs):
    layer, rows, rectangles = runs
    np.testing.assert_array_equal(rows.outputs["y"], rectangles.outputs["y"])
    first, second = (run.values[layer.name].overflows for run in (rows, rectangles))
    assert (first.count, first.outputs_hit, first.by_channel) == (second.count, second.outputs_hit, second.by_channel)
    assert _what(first) == _what(second)


def _what(overflows):
    """What overflowed where, without cycles and PEs."""
    return sorted((event.coordinate, event.place, event.step, event.exact, event.kept) for event in overflows.first)
