"""Shifts to the right against fractions: random, tie and extreme values, int64 and beyond."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.rounding import shift_right

HALF = Fraction(1, 2)
EXACT = {
    "floor": math.floor,
    "truncate": math.trunc,
    "half_up": lambda v: math.floor(v + HALF),
    "half_away": lambda v: int(math.copysign(1, v)) * math.floor(abs(v) + HALF),
    "half_even": round,  # Python rounds fractions half to even
}
EXTREMES = [0, 1, -1, 2**31 - 1, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63), 2**63 - 2, -(2**63) + 1]


@pytest.mark.parametrize("rule", EXACT)
@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70), min_size=1), shift=st.integers(0, 70))
def test_a_shift_is_the_rounded_quotient(rule, values, shift):
    result = shift_right(values, shift, rule)
    assert result.tolist() == [EXACT[rule](Fraction(value, 2**shift)) for value in values]
    assert result.dtype == np.int64


@pytest.mark.parametrize("rule", EXACT)
@pytest.mark.parametrize("shift", [0, 1, 2, 30, 31, 32, 61, 62, 63, 64, 100])
def test_extremes_and_ties_round_exactly_at_every_shift(rule, shift):
    unit = 1 << shift
    ties = [(2 * odd + 1) * unit // 2 for odd in range(-4, 4)]
    values = EXTREMES + ties + [tie + 1 for tie in ties] + [tie - 1 for tie in ties]
    expected = [EXACT[rule](Fraction(value, unit)) for value in values]
    assert shift_right(values, shift, rule).tolist() == expected
    small = [value for value in values if -(2**63) <= value < 2**63]
    assert shift_right(np.array(small, dtype=np.int64), shift, rule).tolist() == [
        EXACT[rule](Fraction(value, unit)) for value in small]


@pytest.mark.parametrize("rule", EXACT)
def test_values_beyond_64_bits_are_exact(rule):
    values = [2**90 + 2**39, -(2**90) - 2**39, 3 * 2**39]
    assert shift_right(values, 40, rule).tolist() == [EXACT[rule](Fraction(value, 2**40)) for value in values]


def test_each_channel_has_its_own_shift():
    result = shift_right(np.array([[6, 6, 6], [-6, -6, -6]]), np.array([0, 1, 2]), "half_even")
    assert result.tolist() == [[6, 3, 2], [-6, -3, -2]]


@pytest.mark.parametrize("rule", EXACT)
@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.floats(-1e18, 1e18) | st.integers(-99, 99).map(lambda n: n / 2), min_size=1))
def test_a_float_rounds_as_its_exact_value_does(rule, values):
    assert [int(value) for value in round_float(values, rule)] == [EXACT[rule](Fraction(value)) for value in values]


@pytest.mark.parametrize("rule", EXACT)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_float_next_to_a_half_is_no_tie(rule, dtype):
    below, above = np.nextafter(dtype(0.5), dtype(0)), np.nextafter(dtype(0.5), dtype(1))
    values = np.array([below, -below, above, -above, 0.5, -0.5], dtype=dtype)
    result = round_float(values, rule)
    assert result.dtype == dtype
    assert result.tolist() == [EXACT[rule](Fraction(float(value))) for value in values]


def test_stochastic_rounding_hits_both_neighbours_in_proportion():
    rounded = shift_right(np.full(40_000, -13), 3, "stochastic", generator=np.random.default_rng(1))  # -1.625
    assert set(rounded.tolist()) == {-2, -1}
    assert abs(rounded.mean() + 1.625) < 4 * math.sqrt(0.375 * 0.625 / 40_000)
    real = round_float(np.full(40_000, -1.625), "stochastic", generator=np.random.default_rng(1))
    assert set(real.tolist()) == {-2.0, -1.0}
    assert abs(real.mean() + 1.625) < 4 * math.sqrt(0.375 * 0.625 / 40_000)


@settings(max_examples=60, deadline=None)
@given(value=st.integers(-(2**80), 2**80), shift=st.integers(0, 90), seed=st.integers(0, 9))
def test_stochastic_rounding_is_floor_or_ceiling_and_exact_on_integers(value, shift, seed):
    result = int(shift_right(value, shift, "stochastic", generator=np.random.default_rng(seed)))
    assert result in {math.floor(Fraction(value, 2**shift)), math.ceil(Fraction(value, 2**shift))}


def test_a_stochastic_result_is_the_comparison_with_the_generators_draw():
    values, shift = np.arange(-50, 50), 4
    draws = np.random.default_rng(3).integers(0, np.full(100, 16))
    expected = [value // 16 + (draw < value % 16) for value, draw in zip(values.tolist(), draws, strict=True)]
    assert shift_right(values, shift, "stochastic", generator=np.random.default_rng(3)).tolist() == expected


@pytest.mark.parametrize(("call", "message"), [
    (lambda: shift_right([1], -1, "floor"), "shift: expected a shift of at least 0, got -1"),
    (lambda: shift_right([1.5], 1, "floor"), "values: expected integers, got something else"),
    (lambda: shift_right(np.array([1.5]), 1, "floor"), "values: expected integers, got float64"),
    (lambda: shift_right([True], 1, "floor"), "values: expected integers, got something else"),
    (lambda: shift_right([1], 1, "up"),
     'rounding: expected one of floor, truncate, half_up, half_away, half_even, stochastic, got "up"'),
    (lambda: shift_right([1], 1, "stochastic"), "generator: expected a random generator for stochastic rounding, got none"),
    (lambda: round_float([math.nan], "floor"), "values: expected finite numbers, got NaN or infinity"),
    (lambda: round_float([math.inf], "half_up"), "values: expected finite numbers, got NaN or infinity"),
])
def test_what_cannot_be_rounded_is_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
