"""Where a real datapath and the closed forms could part, and where they do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_bench as bench
from rtl import rtl_designs as designs

from accelsim.rtl.cases import case_of
from accelsim.rtl.random_blocks import random_block, work_of
from accelsim.rtl.standard_cases import of_one_layer


def two_blocks(design, first, second):
    """A case of two output blocks back to back."""
    rng = np.random.default_rng(5)
    blocks = [random_block(design, rng, sizes) for sizes in (first, second)]
    return case_of("two blocks", design, [blocks[0], of_one_layer(blocks[1], blocks[0])])


def drain_wait_cycles(steps, drain):
    """By how much the last of output-stationary tiles of these lengths waits with its last operand.

    A tile's results may leave when it has streamed, and when the bus has been the tile's before for `drain` cycles.
    """
    starts = [0]
    for length, _ in pairwise(steps):
        starts.append(starts[-1] + max(length, drain))
    ends, free = [], 0
    for start, length in zip(starts, steps, strict=True):
        ends.append(max(start + length, free))
        free = ends[-1] + drain
    return ends[-1] - (starts[-1] + steps[-1])


@pytest.mark.parametrize("drain", ["rows", "columns"])
@pytest.mark.parametrize("lengths", [(9, 2), (2, 9), (9, 4), (9, 5), (5, 3), (3, 2), (2, 1), (6, 6)])
def test_a_short_output_stationary_fold_behind_a_longer_one_waits_for_the_bus(lengths, drain):
    """The closed form has no such wait: it is exact unless T of the last fold is below the drain and below the T before."""
    design = designs.design_of(grid_dataflow="output_stationary", grid_rows=5, grid_columns=3, unit_lanes=1, grid_drain=drain)
    case = two_blocks(design, *(work_of(positions=5, k=k, n=3) for k in lengths))
    wait = drain_wait_cycles(lengths, design.drain_slots)
    outcome = bench.drive(design, [case])[0]
    assert outcome.grid_cycles == case.grid_cycles + wait
    assert bench.wrong_outputs(case, outcome) == 0
    assert (wait > 0) == (lengths[1] < design.drain_slots and lengths[1] < lengths[0])


@pytest.mark.parametrize("overlap", ["full", "none"])
def test_pieces_of_k_of_one_output_stationary_tile_have_no_wait(overlap):
    """Kernel positions of 2 channels on 4 rows: pieces that stream less than the drain, drained once a tile."""
    design = designs.design_of(grid_dataflow="output_stationary", grid_reduction="channels", grid_overlap=overlap)
    case = two_blocks(design, work_of(positions=9, k=6, n=6, window=3), work_of(positions=9, k=6, n=6, window=3))
    outcome = bench.drive(design, [case])[0]
    assert outcome.grid_cycles == case.grid_cycles
    assert bench.wrong_outputs(case, outcome) == 0


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "dot_product"])
@pytest.mark.parametrize("lengths", [(9, 2), (2, 9), (9, 4), (1, 1), (3, 5)])
def test_stationary_folds_of_any_lengths_have_no_wait(dataflow, lengths):
    design = designs.design_of(grid_dataflow=dataflow, grid_rows=5, grid_columns=3, unit_lanes=1)
    is_input = dataflow == "input_stationary"
    case = two_blocks(design, *(work_of(positions=3 if is_input else t, k=5, n=t if is_input else 3) for t in lengths))
    outcome = bench.drive(design, [case])[0]
    assert outcome.grid_cycles == case.grid_cycles
    assert bench.wrong_outputs(case, outcome) == 0


@pytest.mark.parametrize(("n", "lanes", "requests"), [(4, 4, 6), (4, 2, 12), (3, 2, 12), (3, 4, 6)])
def test_a_read_takes_lanes_of_one_entry_so_that_left_over_lanes_take_requests_too(n, lanes, requests):
    """The tile engine packs outputs over the lanes: ceil(6 n / lanes) requests. A partial entry leaves lanes without work."""
    design = designs.design_of(unit_lanes=lanes, unit_latency_cycles=3)
    case = case_of("block", design, [random_block(design, np.random.default_rng(2), work_of(positions=6, k=4, n=n))])
    outcome = bench.drive(design, [case])[0]
    assert outcome.requantize_cycles == 3 + requests
    assert requests >= -(-6 * n // lanes)
    assert (requests == -(-6 * n // lanes)) == (n == 4)
