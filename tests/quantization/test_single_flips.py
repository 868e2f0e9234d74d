"""Single flips: they end where no flip helps, and know the error that they have reached."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding_problems import rounding_problem

from accelsim.quantization.clip import NO_CLIP, RELU, Clip
from accelsim.quantization.rounding.channel_part import parts_of
from accelsim.quantization.rounding.single_flips import SingleFlips


def start_of(problem, seed):
    """Weights rounded up or down by chance, and what flips each to its other neighbour; two channels' first is fixed."""
    grid = problem.weight_grid
    down = np.clip(np.floor(problem.weights / grid.scale), grid.lowest, grid.highest - 1)
    is_up = np.random.default_rng(seed).random(down.shape) < 0.5
    flips = np.where(is_up, -grid.scale, grid.scale)
    flips[:, :2, 0] = 0
    return grid.scale * (down + is_up), flips


def errors_of(problem, weights):
    return problem.channel_errors_of(weights, problem.bias)


def searched(problem, weights, flips):
    """The search, and the weights (G, N, K) that it ended with."""
    (part,) = parts_of(problem, order=np.arange(problem.inputs.shape[1]), is_whole=True)
    search = SingleFlips(part, weights.astype(np.float32), flips.astype(np.float32)).run()
    return search, weights + flips * search.is_flipped


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 3), bits=st.integers(3, 6), levels=st.sampled_from([None, 8]),
       kind=st.sampled_from(["tensor", "channel", "block"]))
def test_without_activation_no_flip_is_left_that_lowers_a_channels_error(seed, groups, bits, levels, kind):
    problem = rounding_problem(seed, groups=groups, channels=3, depth=9, rows=80, bits=bits, kind=kind, input_levels=levels)
    weights, flips = start_of(problem, seed)
    search, ended = searched(problem, weights, flips)
    reached = errors_of(problem, ended)
    assert np.all(reached <= errors_of(problem, weights) * (1 + 1e-5))
    assert not np.any(search.is_flipped[:, :2, 0])
    left = flips * np.where(search.is_flipped, -1, 1)
    for k in range(9):
        other = ended.copy()
        other[:, :, k] += left[:, :, k]
        assert np.all(errors_of(problem, other) >= reached * (1 - 1e-4))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 3), clip=st.sampled_from([NO_CLIP, RELU, Clip(low=0.0, high=0.2)]))
def test_the_error_that_it_names_is_the_error_of_the_weights_that_it_ends_with(seed, groups, clip):
    problem = rounding_problem(seed, groups=groups, channels=3, depth=9, rows=80, bits=4, clip=clip)
    weights, flips = start_of(problem, seed)
    search, ended = searched(problem, weights, flips)
    assert search.errors == pytest.approx(errors_of(problem, ended), rel=1e-3)
    assert np.all(search.errors <= errors_of(problem, weights) * (1 + 1e-5))


def test_behind_an_activation_most_channels_end_where_no_flip_helps():
    settled, improvable = 0, 0
    for seed in range(20):
        problem = rounding_problem(seed, channels=6, depth=9, rows=200, clip=RELU)
        weights, flips = start_of(problem, seed)
        search, ended = searched(problem, weights, flips)
        reached, least = errors_of(problem, ended), np.full((1, 6), np.inf)
        for k in range(9):
            other = ended.copy()
            other[:, :, k] += (flips * np.where(search.is_flipped, -1, 1))[:, :, k]
            least = np.minimum(least, errors_of(problem, np.where(flips != 0, other, ended)))
        settled += np.count_nonzero(least >= reached * (1 - 1e-4))
        improvable += np.count_nonzero(least < reached * (1 - 1e-4))
    # Measured: 105 and 15. Flips that would help, and were expected not to, are what the second-order change misses.
    assert settled > 4 * improvable > 0
