"""Where a real datapath and the closed forms could part, and where they do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("amaranth")

from rtl import rtl_bench as bench
from rtl import rtl_designs as designs
from rtl import rtl_groups as groups

from accelsim.machine.stepped.step_run import clock_folds
from accelsim.mapping.fold import FoldRun
from accelsim.rtl.cases import case_of


def start_intervals(design, steps, cost=1, fixed=0):
    """From each fold's start to the next one's, of output-stationary folds of these steps: the contract."""
    cycles, drain = [fixed + cost * count for count in steps], design.drain_slots
    return [max(now, drain, design.grid.swap_spacing, now - following + drain)
            for now, following in pairwise(cycles)]


@pytest.mark.parametrize("drain", ["rows", "columns"])
@pytest.mark.parametrize("lengths", [(9, 2), (2, 9), (9, 4), (9, 5), (5, 3), (3, 2), (2, 1), (6, 6), (9, 1, 1),
                                     (1, 9, 1, 4)])
def test_the_start_of_an_output_stationary_fold_waits_until_its_results_find_the_bus_free(lengths, drain):
    design = designs.design_of(grid_dataflow="output_stationary", grid_rows=5, grid_columns=3, unit_lanes=1,
                               grid_drain=drain)
    case = designs.chain_of(design, 5, [{"positions": 5, "k": k, "n": 3} for k in lengths])
    bench.assert_equal(design, [case])
    assert case.grid_cycles == sum(start_intervals(design, lengths)) + lengths[-1] + design.tail_cycles


@pytest.mark.parametrize("name", groups.names_of("chains"))
def test_chains_of_unequal_output_stationary_folds_take_the_closed_forms_cycles(name):
    """Random lengths, several shorter than the drain; folds that drain, and pieces that go on with a block's sums."""
    bench.assert_equal(*groups.made("chains", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", groups.names_of("chains_slow"))
def test_more_chains_do_so_too(name):
    bench.assert_equal(*groups.made("chains_slow", name))


@pytest.mark.parametrize("overlap", ["full", "none"])
def test_the_closed_form_that_cases_are_held_to_is_the_stepped_registers_own_time(overlap):
    design = designs.design_of(grid_dataflow="output_stationary", grid_overlap=overlap)
    lengths = (9, 1, 2, 7, 3)
    case = designs.chain_of(design, 1, [{"positions": 4, "k": k, "n": 4} for k in lengths])
    assert case.grid_cycles == clock_folds(design.grid, [FoldRun(1, k, 4, 4) for k in lengths]).total_cycles


@pytest.mark.parametrize("dataflow", designs.DATAFLOWS)
@pytest.mark.parametrize("precision", ["fixed", "bit_serial_both", "subword_passes"])
def test_a_source_that_is_slow_at_times_gets_the_same_integers(dataflow, precision):
    """Bubbles between the beats of both channels, also within a short fold behind a long one."""
    rng = np.random.default_rng(7)
    design = designs.design_of(precision, grid_dataflow=dataflow)
    mode = design.arithmetic.modes[-1]
    case = designs.chain_of(design, rng, [{"positions": m, "k": k, "n": n} for m, k, n in ((4, 9, 4), (4, 1, 4), (3, 2, 2))],
                            mode=mode)
    outcome, = bench.drive(design, [case], is_offered=lambda: rng.random() < 0.5)
    assert bench.wrong_outputs(case, outcome) == 0
    assert outcome.grid_cycles > case.grid_cycles


@pytest.mark.parametrize("overlap", ["full", "none"])
def test_pieces_of_k_of_one_output_stationary_tile_keep_to_the_same_rule(overlap):
    """Kernel positions of 2 channels on 4 rows: pieces that stream less than the drain, drained once a tile."""
    design = designs.design_of(grid_dataflow="output_stationary", grid_reduction="channels", grid_overlap=overlap)
    bench.assert_equal(design, [designs.chain_of(design, 5, [{"positions": 9, "k": 6, "n": 6, "window": 3}] * 2)])


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "dot_product"])
@pytest.mark.parametrize("lengths", [(9, 2), (2, 9), (9, 4), (1, 1), (3, 5), (7, 1, 1, 3)])
def test_stationary_folds_of_any_lengths_follow_one_another_without_a_wait(dataflow, lengths):
    design = designs.design_of(grid_dataflow=dataflow, grid_rows=5, grid_columns=3, unit_lanes=1)
    is_input = dataflow == "input_stationary"
    case = designs.chain_of(design, 5, [{"positions": 3 if is_input else t, "k": 5, "n": t if is_input else 3}
                                        for t in lengths])
    bench.assert_equal(design, [case])


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "dot_product"])
@pytest.mark.parametrize("cycles", [0, 1, 3, 7])
def test_operands_from_banks_take_the_grids_own_number_of_cycles(dataflow, cycles):
    design = designs.design_of(grid_dataflow=dataflow, grid_rows=5, grid_columns=3, unit_lanes=1, grid_preload_cycles=cycles)
    case = designs.chain_of(design, 3, [{"positions": m, "k": 11, "n": n} for m, n in ((4, 5), (1, 2), (6, 3))])
    bench.assert_equal(design, [case])


@pytest.mark.parametrize(("n", "lanes", "requests"), [(4, 4, 6), (4, 2, 12), (3, 2, 12), (3, 4, 6)])
def test_a_read_takes_lanes_of_one_entry_so_that_left_over_lanes_take_requests_too(n, lanes, requests):
    """The tile engine packs outputs over the lanes, ceil(6 n / lanes) requests. A partial entry leaves lanes idle."""
    design = designs.design_of(unit_lanes=lanes, unit_latency_cycles=3)
    case = case_of("block", design, [designs.block_of(design, 2, positions=6, k=4, n=n)])
    outcome, = bench.drive(design, [case])
    assert outcome.requantize_cycles == 3 + requests
    assert requests >= -(-6 * n // lanes)
    assert (requests == -(-6 * n // lanes)) == (n == 4)
