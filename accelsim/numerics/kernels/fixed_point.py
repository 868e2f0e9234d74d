"""Fixed-point functions of 32-bit registers, as gemmlowp and TFLite compute them: exp, 1 / (1 + x), log, 1 / sqrt.

A number of "i integer bits" is an int32 raw value r that means ``r * 2^(i - 31)``. The product of numbers of i and j integer
bits is `doubling_high_mul` of the raws and has i + j integer bits. Everything here takes and returns raw values as int64
arrays (their values within int32) of any shape, and rounds exactly where the sources round; the results are theirs bit for
bit.

Sources: google/gemmlowp@16e8662 `fixedpoint/fixedpoint.h`; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/common.h` (GetReciprocal, GetInvSqrtQuantizedMultiplierExp,
log_x_for_x_greater_than_or_equal_to_1).

Examples
--------
>>> raw = exp_on_negative_values(np.array([0, -(1 << 26)]))  # 0 and -1 with 5 integer bits
>>> (raw / 2.0**31).round(5).tolist()
[1.0, 0.36788]
"""

from __future__ import annotations

import numpy as np

from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers
from accelsim.numerics.rescale import doubling_high_mul, rounding_divide_by_pot

#: Integer bits of the argument of exp in TFLite's softmax and log-softmax. Source: softmax.h, kScaledDiffIntegerBits.
EXP_INTEGER_BITS = 5

#: exp(-1/8) and 1/3 with 0 integer bits. Source: fixedpoint.h, exp_on_interval_between_negative_one_quarter_and_0_excl.
_EXP_MINUS_EIGHTH, _ONE_THIRD = 1895147668, 715827883

#: exp(-2^k) with 0 integer bits, k = -2..4. Source: fixedpoint.h, GEMMLOWP_EXP_BARREL_SHIFTER.
_EXP_OF_POWERS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}

#: 48/17 and -32/17 with 2 integer bits: Newton's first guess of 1/x on 1/2..1. Source: fixedpoint.h,
#: one_over_one_plus_x_for_x_in_0_1.
_48_OVER_17, _MINUS_32_OVER_17 = 1515870810, -1010580540

#: ln 2, sqrt(1/2), sqrt(sqrt(1/2)), and the rational approximation's coefficients, 0 integer bits. Source: common.h,
#: log_x_for_x_greater_than_or_equal_to_1_impl.
_LOG_2, _SQRT_HALF, _FOURTH_ROOT_HALF = 1488522236, 1518500250, 1805811301
_ALPHA_N, _ALPHA_D, _ALPHA_I, _ALPHA_F = 117049297, 127690142, 1057819769, 638450708


def multiply_by_pot(raw: Integers, exponent: int) -> Integers:
    """SaturatingRoundingMultiplyByPOT: ``raw * 2^exponent``, saturated to int32 for exponent > 0, half away for < 0.

    >>> multiply_by_pot(np.array([2**30, -3]), 1).tolist(), multiply_by_pot(np.array([3, -3]), -1).tolist()
    ([2147483647, -6], [2, -2])
    """
    if exponent < 0:
        return rounding_divide_by_pot(raw, np.asarray(-exponent))
    return np.clip(np.left_shift(raw, exponent), INT32_MIN, INT32_MAX)


def rounding_half_sum(left: Integers, right: Integers | int) -> Integers:
    """RoundingHalfSum: ``(left + right) / 2``, half away from zero."""
    return rounding_divide_by_pot(left + right, np.asarray(1))


def exp_on_negative_values(raw: Integers, integer_bits: int = EXP_INTEGER_BITS) -> Integers:
    """exp(a) for a <= 0 with that many integer bits (at most 5), as a number with 0 integer bits.

    ``a = m - s`` with m in [-1/4, 0) and s a multiple of 1/4: a polynomial of degree 4 in m, then one product with exp(-2^k)
    for each bit of s. ``exp(0)`` is 2^31 - 1.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    within = (raw & (quarter - 1)) - quarter
    result = _exp_of_last_quarter(multiply_by_pot(within, integer_bits))
    remainder = within - raw
    for exponent, factor in _EXP_OF_POWERS.items():
        if integer_bits > exponent:
            is_set = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(is_set == 1, _times(result, factor), result)
    return np.where(raw == 0, INT32_MAX, result)


def _exp_of_last_quarter(raw: Integers) -> Integers:
    """exp(a) for a in [-1/4, 0), both with 0 integer bits: Taylor's series around -1/8, to the fourth power."""
    x = raw + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3, x4 = doubling_high_mul(x2, x), doubling_high_mul(x2, x2)
    tail = multiply_by_pot(_times(multiply_by_pot(x4, -2) + x3, _ONE_THIRD) + x2, -1)
    return _EXP_MINUS_EIGHTH + _times(x + tail, _EXP_MINUS_EIGHTH)


def one_over_one_plus_x(raw: Integers) -> Integers:
    """1 / (1 + x) for x in [0, 1), both with 0 integer bits: three steps of Newton's division on ``(1 + x) / 2``.

    >>> (one_over_one_plus_x(np.array([0, 2**30])) / 2.0**31).round(6).tolist()
    [1.0, 0.666667]
    """
    half_denominator = rounding_half_sum(raw, INT32_MAX)
    x = _48_OVER_17 + _times(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        rest = (1 << 29) - doubling_high_mul(half_denominator, x)
        x = x + multiply_by_pot(doubling_high_mul(x, rest), 2)
    return multiply_by_pot(x, 1)


def leading_zeros(raw: Integers) -> Integers:
    """Zero bits before the first one of 32; 32 for 0. Values 0..2^31 - 1.

    >>> leading_zeros(np.array([0, 1, 2**31 - 1])).tolist()
    [32, 31, 1]
    """
    # float64 holds every 32-bit integer, so frexp's exponent is exactly the number of bits.
    return 32 - np.frexp(raw.astype(np.float64))[1].astype(np.int64)


def reciprocal(raw: Integers, integer_bits: int) -> tuple[Integers, Integers]:
    """GetReciprocal: (r, b) with ``1 / x ~ r * 2^-31 * 2^-b``, b = bits of x above its binary point; x > 0."""
    headroom = leading_zeros(raw)
    return one_over_one_plus_x((raw << headroom) - (1 << 31)), integer_bits - headroom


def inverse_square_root(value: Integers) -> tuple[Integers, Integers]:
    """GetInvSqrtQuantizedMultiplierExp: (M, s) with ``1 / sqrt(value) ~ M * 2^-31 * 2^-s``, s >= 0; value in 0..2^31 - 1.

    Five steps of Newton's iteration from 1, with 3 integer bits. 0 and 1 give (2^31 - 1, 0).
    """
    value = np.asarray(value)
    quarters = np.maximum((4 - leading_zeros(value)) // 2, 0)  # divisions by 4 until below 2^29
    small = value >> (2 * quarters)
    pairs = (leading_zeros(np.maximum(small, 2)) - 1) // 2 - 1
    scaled = np.maximum(small, 2) << (2 * pairs)
    half = multiply_by_pot(scaled >> 1, -1)
    x = np.full_like(scaled, 1 << 28)
    for _ in range(5):
        cube = multiply_by_pot(doubling_high_mul(doubling_high_mul(x, x), x), 6)
        x = multiply_by_pot(_times(x, (1 << 28) + (1 << 27)) - doubling_high_mul(half, cube), 3)
    multiplier = _times(x, _SQRT_HALF)
    shift = 11 + quarters - pairs
    multiplier = multiplier << np.maximum(-shift, 0)
    is_tiny = value <= 1
    return np.where(is_tiny, INT32_MAX, multiplier), np.where(is_tiny, 0, np.maximum(shift, 0))


def log_of_at_least_one(raw: Integers, *, input_bits: int, output_bits: int) -> Integers:
    """ln(x) for x >= 1 with `input_bits` integer bits, with `output_bits` integer bits.

    ``x = r * 2^p`` with r near 1 (the better of two choices), ``ln x = p ln 2 + n(r) / d(r)``, a rational approximation.
    """
    wide = output_bits + 1
    quarter = multiply_by_pot(np.asarray(1 << 29), -wide)
    headroom_a = leading_zeros(raw)
    r_a = multiply_by_pot(_times(raw << (headroom_a - 1), _SQRT_HALF), 1)
    power_a = ((input_bits - headroom_a) << (31 - wide)) + quarter
    headroom_b = leading_zeros(_times(raw, _SQRT_HALF)) - 1
    r_b = np.minimum(raw << headroom_b, INT32_MAX)
    power_b = ((input_bits - headroom_b) << (31 - wide)) - quarter
    r, power = np.minimum(r_a, r_b), np.maximum(power_a, power_b)
    p, q = rounding_half_sum(r, _FOURTH_ROOT_HALF), 2 * (r - _FOURTH_ROOT_HALF)
    square = doubling_high_mul(q, q)
    numerator = doubling_high_mul(q, r) + _times(doubling_high_mul(q, square), _ALPHA_N)
    denominator = doubling_high_mul(p, _ALPHA_I + q + _times(square, _ALPHA_D)) + _times(q, _ALPHA_F)
    quotient = doubling_high_mul(multiply_by_pot(numerator, -wide), one_over_one_plus_x(denominator))
    return multiply_by_pot(_times(power, _LOG_2) + quotient, 1)


def _times(raw: Integers, factor: int) -> Integers:
    return doubling_high_mul(raw, np.asarray(factor, dtype=np.int64))
