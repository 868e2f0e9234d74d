"""I-BERT's functions: equal to the paper's algorithms in Python's integers, and as near the real functions as it says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.ibert import (
    FINEST_ERF,
    FINEST_EXP,
    IntegerGeluKernel,
    i_erf,
    i_exp,
    i_gelu,
    i_polynomial,
    i_softmax,
    i_sqrt,
    refined,
)
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

INT8, UINT8, INT16 = QType(8, True), QType(8, False), QType(16, True)
SCALES = [0.3, 0.1, 0.02, 1e-3, 2.0**-14]


def polynomial(q, scale, a, b, c):
    """Algorithm 1, one integer."""
    return (q + math.floor(b / scale)) ** 2 + math.floor(c / (a * scale * scale))


def exponential(q, scale):
    """Algorithm 3, I-EXP, one integer; the exponent of the shift ends at 30."""
    ln2 = math.floor(math.log(2) / scale)
    q = max(q, -30 * ln2)
    z = -q // ln2
    return polynomial(q + z * ln2, scale, 0.3585, 1.353, 0.344) >> z


def error_function(q, scale):
    """Algorithm 2, I-ERF, one integer."""
    sign = (q > 0) - (q < 0)
    return sign * polynomial(min(abs(q), math.floor(1.769 / scale)), scale, -0.2888, -1.769, 1.0)


@pytest.mark.parametrize("scale", SCALES)
def test_i_exp_is_algorithm_3_in_big_integers(scale):
    values = np.concatenate([-np.arange(3000), -np.random.default_rng(0).integers(0, 2**40, 500)])
    ours, out_scale = i_exp(values, scale)
    assert ours.tolist() == [exponential(int(q), scale) for q in values]
    assert out_scale == 0.3585 * scale * scale


@pytest.mark.parametrize("scale", SCALES)
def test_i_erf_and_i_gelu_are_algorithm_2_in_big_integers(scale):
    values = np.concatenate([np.arange(-2000, 2001), np.random.default_rng(1).integers(-(2**30), 2**30, 500)])
    ours, out_scale = i_erf(values, scale)
    assert ours.tolist() == [error_function(int(q), scale) for q in values]
    assert out_scale == -0.2888 * scale * scale
    gelu, gelu_scale = i_gelu(values, scale * math.sqrt(2))
    inner = scale * math.sqrt(2) / math.sqrt(2)
    one = math.floor(1 / (-0.2888 * inner * inner))
    assert gelu.tolist() == [-int(q) * (error_function(int(q), inner) + one) for q in values]
    assert gelu_scale == pytest.approx(scale * math.sqrt(2) * 0.2888 * inner * inner / 2, rel=1e-15)


def test_products_beyond_63_bits_stay_exact():
    values = np.array([2**21, -(2**21)])
    ours, _ = i_gelu(values, 2.0**-20)
    inner = 2.0**-20 / math.sqrt(2)
    one = math.floor(1 / (-0.2888 * inner * inner))
    assert ours.tolist() == [-int(q) * (error_function(int(q), inner) + one) for q in values]
    assert max(abs(value) for value in ours.tolist()) > 2**63


def test_i_softmax_is_algorithm_3_in_big_integers():
    rows = np.random.default_rng(2).integers(-(2**15), 2**15, (20, 9))
    for scale in (0.01, 1e-3, 2.0**-14):
        shift = max(0, polynomial(0, scale, 0.3585, 1.353, 0.344).bit_length() - 16)
        for row, ours in zip(rows.tolist(), i_softmax(rows, scale).tolist(), strict=True):
            e = [exponential(q - max(row), scale) >> shift for q in row]
            assert ours == [value * (2**32 // sum(e)) for value in e]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_i_sqrt_is_the_floor_of_the_root(values):
    assert i_sqrt(np.array(values)).tolist() == [math.isqrt(value) for value in values]


def test_i_sqrt_beside_every_kind_of_square():
    roots = [1, 2, 3, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 3037000499]
    values = [root * root + step for root in roots for step in (-1, 0, 1)]
    assert i_sqrt(np.array([*values, 2**63 - 1, 0])).tolist() == [math.isqrt(value) for value in [*values, 2**63 - 1, 0]]


@pytest.mark.parametrize(("bits", "bound"), [(12, 2.2e-3), (16, 2.2e-3), (20, 2.13e-3)])
def test_i_exp_is_within_the_bound_that_its_table_states(bits, bound):
    values = -np.arange(0, 25 * 2**bits, max(1, 2**bits // 1000))
    ours, scale = i_exp(values, 2.0**-bits)
    assert np.abs(ours * scale - np.exp(values * 2.0**-bits)).max() < bound


@pytest.mark.parametrize("bits", [10, 16])
def test_i_gelu_is_within_the_bound_that_its_table_states(bits):
    values = np.arange(-6 * 2**bits, 6 * 2**bits, max(1, 2**bits // 500))
    real = values * 2.0**-bits
    ours, scale = i_gelu(values, 2.0**-bits)
    expected = real / 2 * (1 + np.array([math.erf(x / math.sqrt(2)) for x in real]))
    assert np.abs(ours.astype(np.float64) * scale - expected).max() < 1.9e-2


def test_i_erf_is_within_the_bound_that_its_table_states():
    values = np.arange(-3 * 2**16, 3 * 2**16, 97)
    ours, scale = i_erf(values, 2.0**-16)
    assert np.abs(ours * scale - [math.erf(q * 2.0**-16) for q in values]).max() < 9.7e-2


@pytest.mark.parametrize("scale", [0.5, 0.1, 0.02])
def test_refinement_makes_8_bit_inputs_as_accurate_as_fine_ones(scale):
    values = -np.arange(256)
    fine, fine_scale, shift = refined(values, scale, finest=FINEST_EXP)
    assert FINEST_EXP / 2 < fine_scale <= FINEST_EXP
    assert np.array_equal(fine >> shift, values)
    ours, out_scale = i_exp(fine, fine_scale)
    assert np.abs(ours * out_scale - np.exp(values * scale)).max() < 2.2e-3
    coarse, coarse_scale = i_exp(values, scale)
    assert np.abs(coarse * coarse_scale - np.exp(values * scale)).max() > 3e-3


@pytest.mark.parametrize("rule", ["dyadic", "shift_floor", "litert_reference", "float32_nearest_even", "tosa_double"])
@pytest.mark.parametrize(("x", "y"), [
    (QParams(scale=0.05, zero_point=0, qtype=INT8), QParams(scale=0.04, zero_point=-100, qtype=INT8)),
    (QParams(scale=0.03, zero_point=128, qtype=UINT8), QParams(scale=0.02, zero_point=10, qtype=UINT8)),
    (QParams(scale=0.0003, zero_point=-5, qtype=INT8), QParams(scale=0.0003, zero_point=0, qtype=INT8)),
    (QParams(scale=2e-4, zero_point=0, qtype=INT16), QParams(scale=2e-4, zero_point=0, qtype=INT16))])
def test_the_gelu_kernel_is_near_gelu_under_every_rule(rule, x, y):
    values = np.arange(x.qtype.min, x.qtype.max + 1, 1 if x.qtype.bits == 8 else 37).astype(x.qtype.dtype)
    ours = IntegerGeluKernel(x, y).run([values], Rule(rule))
    real = x.dequantize(values)
    expected = real / 2 * (1 + np.array([math.erf(number / math.sqrt(2)) for number in real]))
    clamped = np.clip(expected / float(y.scale) + int(y.zero_point), y.qtype.min, y.qtype.max)
    # The rounding of the output; shift_floor: a whole unit, and 8 bits of multiplier.
    rounding = 1 + np.abs(clamped - int(y.zero_point)) / 128 if rule == "shift_floor" else 0.501
    assert ours.dtype == y.qtype.dtype
    assert np.all(np.abs(ours - clamped) <= 1.95e-2 / float(y.scale) + rounding)


def test_the_gelu_kernel_keeps_every_product_within_32_bits():
    for scale in (1e-4, 0.003, 0.05, 1.0):
        for bits, count in ((8, 255), (16, 65535)):
            products, _ = i_gelu(np.array([-count, count]), scale, finest=FINEST_ERF, factor_bits=30 - bits)
            assert np.abs(products).max() < 2**31


@pytest.mark.parametrize(("make", "message"), [
    (lambda: i_exp(np.array([1]), 0.1), "values: expected -9223372036854775807..0, got 1"),
    (lambda: i_exp(np.array([-1]), 0.7), "scale: expected a scale of at most ln 2, got 0.7"),
    (lambda: i_erf(np.array([1]), 1.8), "scale: expected a scale of at most 1.769, got 1.8"),
    (lambda: i_polynomial(np.array([2**32]), 1.0, a=1.0, b=0.0, c=0.0),
     "scale: expected a polynomial within 63 bits, got an argument of 4294967296"),
    (lambda: refined(np.array([2**50]), 1.0, finest=2.0**-20),
     "values: expected at most 63 bits after a shift to the left by 20, got more"),
    (lambda: i_sqrt(np.array([-1])), "values: expected 0..9223372036854775807, got -1"),
    (lambda: i_sqrt(np.array([2**63])), "values: expected 0..9223372036854775807, got 9223372036854775808"),
    (lambda: i_softmax(np.zeros((1, 2**16 + 1), np.int64), 0.1), "axis: expected at most 65536 elements a row, got 65537"),
    (lambda: IntegerGeluKernel(QParams(scale=0.1, zero_point=0, qtype=QType(17, True)),
                               QParams(scale=0.1, zero_point=0, qtype=INT8)),
     "input: expected at most 16 bits, got int17"),
    (lambda: IntegerGeluKernel(QParams(scale=0.1, zero_point=0, qtype=INT8),
                               QParams(scale=[0.1], zero_point=0, qtype=INT8, axis=0)),
     "output: expected one scale, got a list along axis 0"),
])
def test_what_has_no_exact_result_is_refused_in_one_line(make, message):
    with pytest.raises(NumericsError) as error:
        make()
    assert str(error.value) == message
