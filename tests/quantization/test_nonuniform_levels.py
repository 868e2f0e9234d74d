"""Logarithmic weights and additive powers of two against their papers' formulas, weight by weight."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.quantization.nonuniform.additive_powers import AdditivePowers, term_exponents
from accelsim.quantization.nonuniform.power_of_two import PowerOfTwo

SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 12))


@st.composite
def weights(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    drawn = rng.normal(size=draw(SHAPES)) * 10.0 ** draw(st.integers(-3, 3))
    return drawn * (rng.random(drawn.shape) > draw(st.sampled_from((0.0, 0.3))))


def channels_of(values, per_channel):
    return values.reshape(-1, values.shape[2]) if per_channel else values.reshape(1, -1)


def inq(value, largest, powers):
    """INQ: levels 0 and 2^n2 .. 2^n1, n1 = floor(log2(4 s / 3)); beta where (alpha + beta) / 2 <= |w| < 3 beta / 2."""
    if largest == 0:
        return 0.0
    n1 = math.floor(math.log2(4 * largest / 3))
    levels = [0.0] + [2.0**n for n in range(n1 - powers + 1, n1 + 1)]
    for alpha, beta in itertools.pairwise(levels):
        if (alpha + beta) / 2 <= abs(value) < 1.5 * beta:
            return math.copysign(beta, value)
    assert abs(value) < levels[1] / 2
    return 0.0


def log_quant(value, largest, powers):
    """LogQuant: 2^clip(round(log2 |w|)), highest round(log2 of the largest weight); the lowest code is that of 0."""
    if value == 0:
        return 0.0
    highest = round(math.log2(largest))
    exponent = min(round(math.log2(abs(value))), highest)
    return math.copysign(2.0**exponent, value) if exponent > highest - powers else 0.0


@settings(max_examples=150, deadline=None)
@given(weights(), st.integers(2, 6), st.booleans(), st.sampled_from((("linear", inq), ("log", log_quant))), st.data())
def test_powers_of_two_are_those_of_inq_and_logquant(values, bits, per_channel, rule, data):
    domain, by_the_paper = rule
    powers = data.draw(st.sampled_from((2 ** (bits - 2), 2 ** (bits - 1) - 1)))  # INQ's, LogQuant's
    coded = PowerOfTwo.fit(values, bits=bits, domain=domain, per_channel=per_channel, magnitudes=powers)
    expected = [[by_the_paper(value, np.abs(row).max(), powers) for value in row]
                for row in channels_of(values, per_channel)]
    np.testing.assert_array_equal(coded.decode(), np.reshape(expected, values.shape))
    assert coded.codes.max() < 2**bits


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_each_domain_takes_the_nearest_level_in_its_own_sense(bits):
    values = np.random.default_rng(bits).normal(size=(1, 4, 500))
    for domain in ("linear", "log"):
        coded = PowerOfTwo.fit(values, bits=bits, domain=domain)
        levels = float(coded.scale) * 2.0 ** np.arange(coded.magnitudes)
        taken = np.abs(coded.decode())
        sizes = np.abs(values)
        if domain == "linear":
            candidates = np.concatenate([[0.0], levels])
            nearest = np.abs(sizes[..., None] - candidates).min(axis=-1)
            np.testing.assert_allclose(np.abs(sizes - taken), nearest, rtol=0, atol=1e-15)
        else:
            distance = np.abs(np.log2(sizes[..., None] / levels)).min(axis=-1)
            kept = taken > 0
            np.testing.assert_allclose(np.abs(np.log2(sizes[kept] / taken[kept])), distance[kept], rtol=0, atol=1e-12)
            assert np.all(sizes[~kept] < levels[0] / math.sqrt(2))
            assert np.abs(sizes[kept] / taken[kept] - 1)[sizes[kept] < levels[-1]].max() < math.sqrt(2) - 1


def test_linear_cuts_have_the_smaller_squared_error_and_logarithmic_ones_the_smaller_relative_error():
    values = np.random.default_rng(0).normal(size=(1, 16, 1000))
    linear, log = (PowerOfTwo.fit(values, bits=4, domain=domain) for domain in ("linear", "log"))
    # 0.46 dB on normal weights.
    assert log.sqnr_db(values) + 0.3 < linear.sqnr_db(values) < log.sqnr_db(values) + 0.7
    inside = (np.abs(values) > 8 * float(linear.scale)) & (np.abs(values) < 48 * float(linear.scale))
    worst = [np.abs(coded.decode() / values - 1)[inside].max() for coded in (linear, log)]
    assert worst[0] == pytest.approx(1 / 2, abs=0.01) or worst[0] == pytest.approx(1 / 3, abs=0.01)
    assert worst[1] < math.sqrt(2) - 1


@pytest.mark.parametrize(("fit", "bits"), [(PowerOfTwo, 3), (PowerOfTwo, 4), (AdditivePowers, 4), (AdditivePowers, 5)])
@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
def test_a_fitted_scale_is_within_one_per_cent_of_the_best_of_thousands(fit, bits, draw):
    rng = np.random.default_rng(bits)
    values = getattr(rng, draw)(size=(1, 3, 800))
    options = {"scale": "fitted"} if fit is PowerOfTwo else {"threshold": "fitted"}
    coded = fit.fit(values, bits=bits, per_channel=True, **options)
    shape = np.unique(np.abs(coded.lower().table if fit is AdditivePowers else 2.0 ** np.arange(coded.magnitudes)))
    levels = np.concatenate([[0.0], shape]) if shape[0] else shape
    for channel in range(3):
        sizes = np.abs(values[0, channel])
        error = np.sum((values - coded.decode())[0, channel] ** 2)
        trials = sizes.max() / levels[-1] * np.geomspace(1 / 20, 1.99, 2000)
        least = min(np.sum((sizes - trial * levels[_nearest(sizes / trial, levels)]) ** 2) for trial in trials)
        assert error <= 1.01 * least


def _nearest(values, levels):
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)


# Additive powers of two ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "k"), [(3, 1), (3, 2), (5, 1), (5, 2), (5, 4), (7, 2), (7, 3), (4, 3), (4, 1), (8, 1)])
def test_levels_are_the_papers_sums(bits, k):
    n = (bits - 1) // k
    terms = [[0.0] + [2.0 ** -(i + j * n) for j in range(2**k - 1)] for i in range(n)]
    sums = sorted(math.fsum(term) for term in itertools.product(*terms))
    assert len(set(sums)) == 2 ** (bits - 1)
    alpha = 3.0
    expected = np.array(sums) / sums[-1] * alpha
    values = np.concatenate([expected, -expected])
    coded = AdditivePowers.fit(values[None, None], bits=bits, term_bits=k)
    np.testing.assert_allclose(coded.decode()[0, 0], values, rtol=3e-7)  # the scale is a float32
    # Every weight is the nearest level, whatever lies between.
    between = np.random.default_rng(0).uniform(-alpha, alpha, (1, 1, 4000))
    between[0, 0, 0] = alpha
    coded = AdditivePowers.fit(between, bits=bits, term_bits=k)
    distances = np.abs(between[..., None] - np.concatenate([-expected, expected])).min(axis=-1)
    np.testing.assert_allclose(np.abs(coded.decode() - between), distances, atol=1e-6)


def test_the_papers_example_of_four_bits_of_magnitude():
    """Section 2.2: p_0 in {0, 2^0, 2^-2, 2^-4}, p_1 in {0, 2^-1, 2^-3, 2^-5}."""
    assert term_exponents(bits=5, term_bits=2) == ((0, 2, 4), (1, 3, 5))


@pytest.mark.parametrize(("bits", "halves"), [
    (4, [{0, 1 / 2, 1 / 4, 1 / 16}, {0, 1 / 8}]),
    (6, [{0, 1 / 2, 1 / 8, 1 / 64}, {0, 1 / 4, 1 / 16, 1 / 128}, {0, 1 / 32}]),
])
def test_odd_magnitudes_are_those_of_the_authors_code(bits, halves):
    """Bases that `build_power_value` of yhhhli/APoT_Quantization makes for 3 and 5 bits of magnitude."""
    assert [{0, *(2.0 ** -(e + 1) for e in term)} for term in term_exponents(bits=bits, term_bits=2)] == halves


def test_terms_add_up_to_the_weight_and_each_is_a_power_of_two():
    values = np.random.default_rng(1).normal(size=(2, 3, 20))
    for bits in range(2, 9):
        coded = AdditivePowers.fit(values, bits=bits, term_bits=2 if bits > 2 else 1, per_channel=True)
        terms = coded.terms()
        scales = np.reshape(coded.scale, (2, 3, 1))
        np.testing.assert_array_equal(terms.sum(axis=0) * scales, coded.decode())
        sizes = np.abs(terms)
        assert not np.any(sizes & (sizes - 1))


def test_more_bits_of_exponent_add_nothing_where_more_terms_do():
    """The rigid resolution that APoT was made against: logarithmic levels stop gaining, sums of two do not."""
    values = np.random.default_rng(2).normal(size=(1, 8, 2000))
    powers = [PowerOfTwo.fit(values, bits=bits, scale="fitted").sqnr_db(values) for bits in (4, 5, 6)]
    sums = [AdditivePowers.fit(values, bits=bits, threshold="fitted").sqnr_db(values) for bits in (4, 5, 6)]
    assert max(powers) - min(powers) < 0.1
    assert sums[0] > powers[0] + 1
    assert sums[1] > sums[0] + 3
    assert sums[2] > sums[1] + 3
