"""Binary, ternary and multi-bit binary weights against brute force over their scales, thresholds and codes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.quantization.nonuniform.binary import Binary
from accelsim.quantization.nonuniform.binary_code import BinaryCode, signs
from accelsim.quantization.nonuniform.ternary import Ternary


@st.composite
def weights(draw, largest=14):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, largest)))
    values = rng.normal(size=shape) * 10.0 ** draw(st.integers(-3, 3))
    return np.round(values, draw(st.integers(0, 6)))  # with ties and zeros


def channels_of(values, per_channel):
    return values.reshape(-1, values.shape[2]) if per_channel else values.reshape(1, -1)


def single_precision(values):
    """Squared error that scales rounded to float32 may add to a perfect fit."""
    return 1e-14 * float(np.sum(np.square(values)))


# XNOR-Net ------------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(weights(), st.booleans())
def test_alpha_is_the_mean_size_and_no_other_alpha_or_sign_is_better(values, per_channel):
    coded = Binary.fit(values, per_channel=per_channel)
    for row, decoded in zip(channels_of(values, per_channel), channels_of(coded.decode(), per_channel), strict=True):
        found = np.sum((row - decoded) ** 2)
        trials = np.linspace(0, 2 * np.abs(row).max(), 201)
        # For a given alpha the better sign is each weight's own.
        least = min(np.sum(np.minimum((row - alpha) ** 2, (row + alpha) ** 2)) for alpha in trials)
        assert found <= least * (1 + 1e-6) + single_precision(row)
        assert np.abs(decoded) == pytest.approx(np.mean(np.abs(row)), rel=1e-6, abs=1e-30)


# Ternary weight networks ---------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(weights(), st.booleans())
def test_ternary_weights_are_the_best_of_all_thresholds(values, per_channel):
    coded = Ternary.fit(values, per_channel=per_channel)
    for row, decoded in zip(channels_of(values, per_channel), channels_of(coded.decode(), per_channel), strict=True):
        sizes = np.abs(row)
        least = np.sum(sizes**2)
        for delta in [-1.0, *sizes]:
            above = sizes > delta
            if above.any():
                alpha = sizes[above].mean()
                least = min(least, np.sum((sizes - alpha * above) ** 2))
        assert np.sum((row - decoded) ** 2) == pytest.approx(least, rel=1e-5, abs=single_precision(row))


@settings(max_examples=100, deadline=None)
@given(weights(), st.booleans())
def test_the_papers_threshold_is_seven_tenths_of_the_mean_and_never_better(values, per_channel):
    coded = Ternary.fit(values, delta="mean", per_channel=per_channel)
    for row, codes, scale in zip(channels_of(values, per_channel), channels_of(coded.codes, per_channel),
                                 np.atleast_1d(coded.scale), strict=True):
        above = np.abs(row) > 0.7 * np.mean(np.abs(row))
        np.testing.assert_array_equal(codes, np.sign(row) * above)
        if above.any():
            assert scale == pytest.approx(np.abs(row)[above].mean(), rel=1e-6)
    best = Ternary.fit(values, per_channel=per_channel)
    assert best.squared_error(values) <= coded.squared_error(values) * (1 + 1e-6) + single_precision(values)


def test_the_papers_threshold_is_close_to_the_best_one_for_the_weights_that_it_was_derived_for():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(1, 1, 20000)), rng.uniform(-1, 1, (1, 1, 20000))):
        found, best = Ternary.fit(values, delta="mean"), Ternary.fit(values)
        assert best.sqnr_db(values) - 0.1 < found.sqnr_db(values) <= best.sqnr_db(values)


# Multi-bit codes -----------------------------------------------------------------------------------------------------------


def greedy_by_hand(row, bits):
    rest, alphas = [float(value) for value in row], []
    codes = [0] * len(rest)
    for plane in range(bits):
        alpha = math.fsum(abs(value) for value in rest) / len(rest)
        for place, value in enumerate(rest):
            codes[place] |= (value >= 0) << plane
            rest[place] = value - (alpha if value >= 0 else -alpha)
        alphas.append(alpha)
    return alphas, rest


@settings(max_examples=80, deadline=None)
@given(weights(), st.integers(1, 4))
def test_greedy_codes_are_the_residuals_signs_and_mean_sizes(values, bits):
    coded = BinaryCode.fit(values, bits=bits, method="greedy", alphas="channel")
    for row, alphas, decoded in zip(channels_of(values, True), coded.alphas, channels_of(coded.decode(), True), strict=True):
        expected, rest = greedy_by_hand(row, bits)
        scale = np.abs(row).max() + 1e-30
        np.testing.assert_allclose(alphas, sorted(expected, reverse=True), atol=1e-6 * scale)
        # A residual of exactly 0 in float64 may be a rounding error on either side in the sums above: its sign is free.
        if min(abs(value) for value in _residuals(row, expected)) > 1e-9 * scale:
            np.testing.assert_allclose(row - decoded, rest, atol=1e-5 * scale)


def _residuals(row, alphas):
    rest, seen = np.array(row, dtype=float), []
    for alpha in alphas:
        seen.extend(rest)
        rest = rest - np.where(rest >= 0, alpha, -alpha)
    return seen


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
def test_abc_net_shifts_the_sign_by_even_parts_of_the_deviation_and_regresses(bits):
    values = np.random.default_rng(bits).normal(0.3, 1.0, size=(1, 3, 400))
    coded = BinaryCode.fit(values, bits=bits, method="shifted", alphas="channel")
    for channel in range(3):
        row = values[0, channel]
        shifts = [-1 + i * 2 / (bits - 1) for i in range(bits)] if bits > 1 else [0.0]
        planes = np.array([np.where(row - row.mean() + shift * row.std() >= 0, 1.0, -1.0) for shift in shifts]).T
        alphas, *_rest = np.linalg.lstsq(planes, row, rcond=None)
        np.testing.assert_allclose(coded.decode()[0, channel], planes @ alphas, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(weights(), st.integers(1, 4), st.sampled_from(("tensor", "channel")))
def test_alternation_is_never_worse_than_its_greedy_start_and_leaves_every_weight_at_its_nearest_sum(values, bits, alphas):
    coded = BinaryCode.fit(values, bits=bits, alphas=alphas)
    start = BinaryCode.fit(values, bits=bits, method="greedy", alphas=alphas)
    assert coded.squared_error(values) <= start.squared_error(values) * (1 + 1e-5) + 10 * single_precision(values)
    levels = np.array([[alpha @ sign for sign in signs(bits)] for alpha in coded.alphas])
    rows, taken = (channels_of(part, alphas == "channel") for part in (values, coded.decode()))
    nearest = np.abs(rows[..., None] - levels[:, None]).min(axis=-1)
    np.testing.assert_allclose(np.abs(rows - taken), nearest, atol=1e-5 * (np.abs(values).max() + 1e-30))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_alternation_lowers_the_error_turn_by_turn(bits, monkeypatch):
    values = np.random.default_rng(bits).laplace(size=(1, 4, 600))
    errors = []
    for turns in range(12):
        monkeypatch.setattr("accelsim.quantization.nonuniform.binary_code._TURNS", turns)
        errors.append(BinaryCode.fit(values, bits=bits, alphas="channel").squared_error(values))
    # The alphas are rounded to float32 at the end.
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.95 * errors[0]


@pytest.mark.parametrize("method", ["greedy", "shifted", "alternating"])
def test_factors_of_channels_never_raise_the_error_turn_by_turn(method, monkeypatch):
    values = np.random.default_rng(7).laplace(size=(1, 8, 90)) * np.random.default_rng(8).lognormal(0, 0.5, (1, 8, 1))
    errors = []
    for turns in range(1, 6):
        monkeypatch.setattr("accelsim.quantization.nonuniform.channel_scales._TURNS", turns)
        errors.append(BinaryCode.fit(values, bits=3, method=method, alphas="shared").squared_error(values))
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_few_weights_come_close_to_the_best_of_all_codes(seed):
    """All (2^n)^K assignments, each with its least-squares alphas."""
    values = np.random.default_rng(seed).normal(size=(1, 1, 6))
    row, table = values[0, 0], signs(2)
    least = math.inf
    for assigned in itertools.product(range(4), repeat=6):
        planes = table[list(assigned)]
        alphas, *_rest = np.linalg.lstsq(planes, row, rcond=None)
        least = min(least, float(np.sum((row - planes @ alphas) ** 2)))
    greedy, found = (BinaryCode.fit(values, bits=2, method=method, alphas="channel").squared_error(values)
                     for method in ("greedy", "alternating"))
    assert least * (1 - 1e-6) <= found <= greedy * (1 + 1e-6)
    assert found <= 1.6 * least  # local optima of six weights


def test_the_order_of_methods_is_that_of_the_papers_and_every_bit_helps():
    values = np.random.default_rng(3).normal(size=(1, 32, 300)) * np.random.default_rng(4).lognormal(0, 0.5, (1, 32, 1))
    found = {(method, bits): BinaryCode.fit(values, bits=bits, method=method, alphas="channel").sqnr_db(values)
             for method in ("greedy", "shifted", "alternating") for bits in (1, 2, 3, 4)}
    for method in ("greedy", "shifted", "alternating"):
        decibels = [found[method, bits] for bits in (1, 2, 3, 4)]
        assert decibels == sorted(decibels)
    for bits in (2, 3, 4):
        assert found["shifted", bits] < found["greedy", bits] < found["alternating", bits]


def test_one_bit_is_xnor_nets_code():
    values = np.random.default_rng(5).normal(size=(2, 3, 40))
    for method in ("greedy", "alternating"):
        np.testing.assert_allclose(BinaryCode.fit(values, bits=1, method=method, alphas="channel").decode(),
                                   Binary.fit(values).decode(), rtol=1e-6)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_alphas_that_channels_share_lose_little_to_alphas_of_their_own_and_much_less_than_one_set_for_all(bits):
    """Channels of one distribution and different size: what one table with a scale a channel can still express."""
    rng = np.random.default_rng(bits)
    values = rng.normal(size=(1, 64, 576)) * rng.lognormal(0, 0.5, (1, 64, 1))
    own, shared, tensor = (BinaryCode.fit(values, bits=bits, alphas=alphas).sqnr_db(values)
                           for alphas in ("channel", "shared", "tensor"))
    assert own - 0.2 < shared <= own + 0.05
    assert tensor < shared - 1
