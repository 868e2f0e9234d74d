"""Rounding and binarizing by chance: right on average, repeatable, certain where nothing is left to chance."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.stochastic import binarize_stochastically, hard_sigmoid, quantize_stochastically

DRAWS = 40_000
#: Deviations of a mean that one of the tests' means exceeds with a chance of 6e-7.
DEVIATIONS = 5


@pytest.mark.parametrize("zero_point", [0, 3])
@pytest.mark.parametrize("value", [-7.9, -1.0, -0.51, -0.001, 0.0, 0.25, 0.5, 2.0, 3.999])
def test_the_mean_of_rounded_values_is_the_value(value, zero_point):
    """Of x between q and q + 1: q + 1 with chance x - q, so the mean has a deviation of sqrt(p (1 - p) / draws)."""
    grid = QParams(scale=0.5, zero_point=zero_point, qtype=QType(8, True))
    integers = quantize_stochastically(np.full(DRAWS, value), grid, generator=np.random.default_rng(11))
    floor = int(np.floor(value / 0.5))
    chance = value / 0.5 - floor
    assert set(np.unique(integers)) <= {floor + zero_point, floor + 1 + zero_point}
    found = grid.dequantize(integers).mean()
    assert abs(found - value) <= DEVIATIONS * 0.5 * np.sqrt(chance * (1 - chance) / DRAWS) + 1e-12


def test_the_variance_is_that_of_a_coin():
    grid = QParams(scale=1.0, zero_point=0, qtype=QType(8, True))
    values = np.repeat([0.1, 0.5, 0.8], DRAWS)
    integers = quantize_stochastically(values, grid, generator=np.random.default_rng(12)).reshape(3, -1)
    np.testing.assert_allclose(integers.var(axis=1), [0.09, 0.25, 0.16], rtol=0.05)


def test_nearest_rounding_is_biased_where_chance_is_not():
    """Many small steps of a tenth: to nearest all of them are lost, by chance their sum survives."""
    grid = QParams(scale=1.0, zero_point=0, qtype=QType(8, True))
    values = np.full(DRAWS, 0.1)
    assert grid.quantize(values).sum() == 0
    total = quantize_stochastically(values, grid, generator=np.random.default_rng(13)).sum()
    assert abs(total - 4000) <= DEVIATIONS * np.sqrt(DRAWS * 0.09)


def test_values_on_the_grid_and_beyond_it_leave_nothing_to_chance():
    grid = QParams(scale=0.25, zero_point=0, qtype=QType(4, True))
    values = np.arange(-8, 8) * 0.25
    for seed in range(20):
        integers = quantize_stochastically([*values, 1e9, -np.inf], grid, generator=np.random.default_rng(seed))
        np.testing.assert_array_equal(integers, [*range(-8, 8), 7, -8])


def test_channels_round_by_their_own_scales():
    grid = QParams(scale=[1.0, 10.0], zero_point=0, qtype=QType(8, True), axis=0)
    values = np.repeat([[2.5], [25.0]], DRAWS, axis=1)
    integers = quantize_stochastically(values, grid, generator=np.random.default_rng(14))
    np.testing.assert_allclose(integers.mean(axis=1), [2.5, 2.5], atol=DEVIATIONS * 0.5 / np.sqrt(DRAWS))


def test_plus_one_comes_with_the_chance_of_the_hard_sigmoid():
    values = np.array([-3.0, -1.0, -0.75, -0.2, 0.0, 0.4, 0.9, 1.0, 2.0])
    drawn = binarize_stochastically(np.repeat(values[:, None], DRAWS, axis=1), generator=np.random.default_rng(15))
    assert drawn.dtype == np.int8
    assert set(np.unique(drawn)) == {-1, 1}
    chance = np.minimum(np.maximum((values + 1) / 2, 0), 1)
    np.testing.assert_array_equal(hard_sigmoid(values), chance)
    deviation = np.sqrt(chance * (1 - chance) / DRAWS)
    assert np.all(np.abs((drawn == 1).mean(axis=1) - chance) <= DEVIATIONS * deviation)
    # Between -1 and 1 the mean is the value itself.
    inside = np.abs(values) <= 1
    assert np.all(np.abs(drawn.mean(axis=1) - values)[inside] <= 2 * DEVIATIONS * deviation[inside])


def test_neighbours_are_drawn_independently():
    drawn = binarize_stochastically(np.zeros(DRAWS), generator=np.random.default_rng(16)).astype(float)
    for lag in (1, 2, 7):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) <= DEVIATIONS / np.sqrt(DRAWS)


def test_the_same_state_of_the_generator_gives_the_same_integers():
    grid = QParams(scale=0.3, zero_point=1, qtype=QType(8, False))
    values = np.random.default_rng(0).uniform(-1, 50, (7, 11))
    for draw in (lambda rng: quantize_stochastically(values, grid, generator=rng),
                 lambda rng: binarize_stochastically(values / 50, generator=rng)):
        first, again, other = (draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        assert np.any(first != other)
        assert first.shape == values.shape


def test_what_is_not_a_number_is_refused():
    with pytest.raises(NumericsError) as caught:
        binarize_stochastically([0.5, np.nan], generator=np.random.default_rng(0))
    assert str(caught.value) == "values: expected numbers, got NaN"
    with pytest.raises(NumericsError) as caught:
        quantize_stochastically([np.nan], QParams(scale=1.0, zero_point=0, qtype=QType(8, True)),
                                generator=np.random.default_rng(0))
    assert str(caught.value) == "values: expected numbers, got NaN"
