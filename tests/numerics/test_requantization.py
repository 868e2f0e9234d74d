"""Every rule against its source's own text, written with Python integers and fractions only."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization

INT32 = range(-(2**31), 2**31)
INT8, INT32_TYPE = QType(8, True), QType(32, True)
HALF = Fraction(1, 2)


class UndefinedError(Exception):
    """The source's own arithmetic overflows, or its requirements fail."""


def in_int32(value):
    if value not in INT32:
        raise UndefinedError
    return value


# --- the sources' text, step by step ---------------------------------------------------------------------------------

def frexp(scale):
    """(q, e) with scale = q * 2^e and 1/2 <= q < 1, of an exact fraction."""
    q, e = Fraction(scale), 0
    while q >= 1:
        q, e = q / 2, e + 1
    while q < HALF:
        q, e = q * 2, e - 1
    return q, e


def quantize_multiplier(scale, *, is_single_build=False):
    q, e = frexp(scale)
    m = math.floor(q * 2**31 + HALF)  # round(): half away, of a positive number
    if m == 2**31:
        m, e = m // 2, e + 1
    if e < -31:
        m, e = 0, 0
    if is_single_build and e > 30:
        m, e = 2**31 - 1, 30
    return m, e


def divide_like_c(a, b):
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def gemmlowp_srdhm(a, b):
    if a == b == -(2**31):
        return 2**31 - 1
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return divide_like_c(a * b + nudge, 2**31)


def gemmlowp_rdbpot(x, exponent):
    mask = 2**exponent - 1
    return (x >> exponent) + int((x & mask) > (mask >> 1) + (x < 0))


def half_up(value):
    return math.floor(value + HALF)


def tflite_double(a, scale):
    m, e = quantize_multiplier(scale)
    return gemmlowp_rdbpot(gemmlowp_srdhm(in_int32(a << max(e, 0)), m), max(-e, 0))


def litert_optimized(a, scale):
    m, e = quantize_multiplier(scale)
    return half_up(Fraction(gemmlowp_srdhm(in_int32(a << max(e, 0)), m), 2 ** max(-e, 0)))


def tflite_single(a, scale):
    m, e = quantize_multiplier(scale, is_single_build=True)
    t = 31 - e
    return in_int32((a * m + (1 << (t - 1))) >> t)


def tflite_int16x8(a, scale):
    m, e = quantize_multiplier(scale)
    reduced = (m + (1 << 15)) >> 16 if m < 0x7FFF0000 else 0x7FFF
    t = 15 - e
    return in_int32((a * reduced + (1 << (t - 1))) >> t)


def tosa(a, scale, *, is_double):
    q, e = frexp(scale)
    m = half_up(q * 2**31)
    if m == 2**31:
        m, e = m // 2, e + 1
    shift = 31 - e
    if shift > 62:
        m, shift = m >> min(31, shift - 62), 62
    if not -(1 << (shift - 1)) <= a < 1 << (shift - 1):
        raise UndefinedError
    rounding = 1 << (shift - 1)
    if is_double and shift > 31:
        rounding += 2**30 if a >= 0 else -(2**30)
    return in_int32((a * m + rounding) >> shift)


def nvdla(a, scale):
    q, e = frexp(scale)
    m = round(q * 2**15)
    if m == 2**15:
        m, e = m // 2, e + 1
    value = Fraction(a * m) / Fraction(2) ** (15 - e)
    rounded = (1 if value >= 0 else -1) * half_up(abs(value))
    return max(-(2**16), min(2**16 - 1, rounded))


def significant(value, bits):
    """The fraction rounded to so many significant bits, half even (normal numbers)."""
    if value == 0:
        return Fraction(0)
    _, e = frexp(abs(value))
    unit = Fraction(2) ** (e - bits)
    return round(value / unit) * unit


def float32_nearest_even(a, scale):
    return round(significant(significant(Fraction(a), 24) * significant(Fraction(scale), 24), 24))


def float64_half_away(a, scale):
    value = significant(Fraction(a) * Fraction(scale), 53)
    return (1 if value >= 0 else -1) * half_up(abs(value))


def shift_floor(a, scale):
    q, e = frexp(scale)
    m = round(q * 2**8)
    if m == 2**8:
        m, e = m // 2, e + 1
    return math.floor(Fraction(a * m) / Fraction(2) ** (8 - e))


def dyadic(a, scale):
    q, e = frexp(scale)
    return round(Fraction(a * half_up(q * 2**31)) / Fraction(2) ** (31 - e))


REFERENCES = {
    "tflite_double": tflite_double, "tflite_micro": tflite_double, "litert_reference": tflite_double,
    "litert_optimized": litert_optimized, "tflite_single": tflite_single, "tflite_int16x8": tflite_int16x8,
    "nvdla": nvdla, "float32_nearest_even": float32_nearest_even, "float64_half_away": float64_half_away,
    "shift_floor": shift_floor, "dyadic": dyadic,
    "tosa_single": lambda a, scale: tosa(a, scale, is_double=False),
    "tosa_double": lambda a, scale: tosa(a, scale, is_double=True),
}


def check(unit, scheme, rows, scales):
    """The unit's outputs for rows of one accumulator per scale are the text's; what the text leaves undefined is refused."""
    try:
        exact = [[REFERENCES[scheme](a, s) for a, s in zip(row, scales, strict=True)] for row in rows]
    except UndefinedError:
        with pytest.raises(NumericsError):
            unit.requantize(rows)
        return
    result = unit.requantize(rows)
    assert result.tolist() == [[clamped(value, unit.zero_point, unit.qtype) for value in row] for row in exact]
    assert result.dtype == unit.qtype.dtype


def clamped(value, zero_point, qtype):
    return max(qtype.min, min(qtype.max, value + zero_point))


# --- random, tie and extreme inputs ----------------------------------------------------------------------------------

SCALES = st.floats(2.0**-20, 0.999) | st.integers(1, 20).map(lambda n: 2.0**-n) | st.sampled_from(
    [1 - 2.0**-53, 0.5 - 2.0**-54, 0.5 + 2.0**-53, 1 - 2.0**-32, 1 - 2.0**-33, 1 - 2.0**-16, 1 - 2.0**-9, 3 * 2.0**-9])
ACCUMULATORS = st.integers(-(2**31), 2**31 - 1) | st.integers(-5000, 5000) | st.sampled_from(
    [-(2**31), 2**31 - 1, -(2**31) + 1, 2**24 + 1, -(2**24) - 1, 0])


@pytest.mark.parametrize("scheme", REFERENCES)
@settings(max_examples=50, deadline=None)
@given(scales=st.lists(SCALES, min_size=3, max_size=3),
       rows=st.lists(st.tuples(*[ACCUMULATORS] * 3), min_size=1, max_size=6),
       qtype=st.sampled_from([INT8, QType(8, False), QType(16, True), QType(4, False), QType(1, True), INT32_TYPE]),
       data=st.data())
def test_a_rule_is_its_sources_text(scheme, scales, rows, qtype, data):
    zero_point = data.draw(st.integers(qtype.min, qtype.max))
    unit = Requantization.of(scheme, scales, zero_point=zero_point, qtype=qtype)
    check(unit, scheme, np.array(rows, dtype=np.int32).tolist(), scales)


@pytest.mark.parametrize("scheme", REFERENCES)
@pytest.mark.parametrize("qtype", [INT8, QType(16, False), INT32_TYPE])
def test_random_scales_and_accumulators_of_all_magnitudes(scheme, qtype):
    # hypothesis likes simple scales; these have all their bits, and outputs large enough to show the last of them.
    rng = np.random.default_rng(7)
    scales = rng.uniform(0.5, 1, 60) * 2.0 ** -rng.integers(1, 14, 60)
    rows = (rng.uniform(-1, 1, (12, 60)) * 2.0 ** rng.uniform(0, 29.9, (12, 60))).astype(int).tolist()
    check(Requantization.of(scheme, scales, zero_point=qtype.min + 100, qtype=qtype), scheme, rows, scales.tolist())


@pytest.mark.parametrize("scheme", REFERENCES)
@pytest.mark.parametrize("exponent", [*range(34), 40, 47])
def test_ties_and_extremes_at_every_shift(scheme, exponent):
    scale = 2.0**-exponent
    unit = 2**exponent
    near = [unit * odd // 2 + delta for odd in (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5) for delta in (-1, 0, 1)]
    near += [INT32[0], INT32[0] + 1, INT32[-1], INT32[-1] - 1]
    for multiple in (1.0, 0.75, 1 - 2.0**-30):
        requantization = Requantization.of(scheme, scale * multiple, zero_point=-7, qtype=QType(16, True))
        for a in near:
            if a in INT32:
                check(requantization, scheme, [[a]], [scale * multiple])


@pytest.mark.parametrize("scheme", REFERENCES)
@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0, 100.0, 2.0**6])
def test_scales_from_one_upward(scheme, scale):
    values = [-1000, -3, -1, 0, 1, 2, 999]
    unit = Requantization.of(scheme, scale, zero_point=0, qtype=INT32_TYPE)
    assert unit.requantize(values).tolist() == [REFERENCES[scheme](a, scale) for a in values]


@pytest.mark.parametrize("rounding", ["floor", "truncate", "half_up", "half_away", "half_even"])
@pytest.mark.parametrize("exponent", [-3, 0, 1, 5, 31, 62, 80])
def test_power_of_two_takes_any_rounding(rounding, exponent):
    exact = {"floor": math.floor, "truncate": math.trunc, "half_up": half_up, "half_even": round,
             "half_away": lambda v: half_up(v) if v >= 0 else -half_up(-v)}[rounding]
    unit = Requantization.of("power_of_two", 2.0**-exponent, zero_point=3, qtype=INT32_TYPE, rounding=rounding)
    values = [-(2**63), 2**63 - 1, *range(-99, 99)]
    expected = [clamped(exact(a / Fraction(2) ** exponent), 3, INT32_TYPE) for a in values]
    assert unit.requantize(values).tolist() == expected


def test_power_of_two_rounds_stochastically_from_the_generator():
    unit = Requantization.of("power_of_two", 0.25, zero_point=0, qtype=INT8, rounding="stochastic")
    draws = np.random.default_rng(5).integers(0, np.full(40, 4)).tolist()
    expected = [a // 4 + (draw < a % 4) for a, draw in zip(range(-20, 20), draws, strict=True)]
    assert unit.requantize(np.arange(-20, 20), generator=np.random.default_rng(5)).tolist() == expected


@pytest.mark.parametrize("scheme", ["shift_floor", "dyadic"])
def test_accumulators_of_64_bits_are_exact_where_the_rule_has_them(scheme):
    values = [-(2**63), 2**63 - 1, 2**62 + 12345, -(2**40) - 1]
    for scale in (2.0**-57 * 1.3, 2.0**-30, 0.3):
        unit = Requantization.of(scheme, scale, zero_point=1, qtype=INT32_TYPE)
        check(unit, scheme, [[a] for a in values], [scale])


def test_int16x8_takes_48_bits_and_no_more():
    unit = Requantization.of("tflite_int16x8", 2.0**-30 * 1.1, zero_point=0, qtype=INT32_TYPE)
    values = [-(2**47), 2**47 - 1, 2**40 + 7]
    assert unit.requantize(values).tolist() == [tflite_int16x8(a, 2.0**-30 * 1.1) for a in values]
    with pytest.raises(NumericsError, match="accumulators of tflite_int16x8: expected -140737488355328"):
        unit.requantize([2**47])


def test_given_integers_are_used_as_they_stand():
    unit = Requantization.of_integers("shift_floor", multiplier=[7, 255], shift=[3, 9], addend=[-5, 100], zero_point=0,
                                      qtype=QType(8, False))
    rows = [[a, 2 * a] for a in range(-50, 200)]
    assert unit.requantize(rows).tolist() == [
        [max(0, min(255, (x * 7 - 5) >> 3)), max(0, min(255, (y * 255 + 100) >> 9))] for x, y in rows]
    converter = Requantization.of_integers("nvdla", multiplier=-3, shift=1, zero_point=0, qtype=INT8)
    assert converter.requantize([-1, 1, 3]).tolist() == [2, -2, -5]


def test_a_fused_activation_is_the_clamp():
    relu6 = Requantization.of("tflite_single", 0.5, zero_point=-10, qtype=INT8, clamp_min=-10, clamp_max=20)
    assert relu6.requantize([-100, -1, 0, 30, 1000]).tolist() == [-10, -10, -10, 5, 20]


# --- where the rules differ ----------------------------------------------------------------

def outputs(scheme, values, scale, zero_point=0, qtype=INT8, operator="conv"):
    return Requantization.of(scheme, scale, zero_point=zero_point, qtype=qtype, operator=operator).requantize(values)


def test_litert_rounds_fully_connected_layers_in_doubles_and_convolutions_twice():
    values = np.arange(-4000, 4000)
    rules = ("tflite_double", "tflite_single", "float64_half_away")
    double, single, away = (outputs(rule, values, 2.0**-5) for rule in rules)
    assert len({double.tobytes(), single.tobytes(), away.tobytes()}) == 3
    for operator, expected in (("conv", double), ("depthwise", double), ("fully_connected", away)):
        assert np.array_equal(outputs("litert_reference", values, 2.0**-5, operator=operator), expected)
        assert np.array_equal(outputs("tflite_micro", values, 2.0**-5, operator=operator), double)
    assert np.array_equal(outputs("tflite_int16x8", values, 2.0**-5, operator="fully_connected"), away)


def test_nvdla_delivers_its_34_bit_accumulators_saturated_to_32():
    values = np.array([2**33 - 1, 2**31, 2**31 - 1, -(2**31), -(2**31) - 1, -(2**33)])
    found = outputs("nvdla", values, 2.0**-20, qtype=QType(16, True))
    assert found.tolist() == [2**11] * 3 + [-(2**11)] * 3


def test_the_zero_point_comes_after_the_rounding():
    # Accumulators -9..9, scale 1/2, z = 1: rint(v + z) differs on every tie, 10 of 19; with z = 0 on none.
    values = np.arange(-9, 10)
    for zero_point, differing in ((1, 10), (0, 0)):
        ours = outputs("float32_nearest_even", values, 0.5, zero_point)
        assert np.sum(ours != np.rint(values * 0.5 + zero_point)) == differing


@pytest.mark.parametrize(("scheme", "other"), [("tosa_double", "tflite_double"), ("tosa_single", "tflite_single")])
def test_tosa_is_tflite_wherever_both_are_defined(scheme, other):
    rng = np.random.default_rng(2)
    scales = np.concatenate([2.0 ** rng.uniform(-20, -0.1, 500), 2.0 ** -np.arange(1.0, 21)])
    small = np.arange(-20, 20)[:, None] * np.ones(520, dtype=int)
    values = np.concatenate([rng.integers(-(2**17), 2**17, (400, 520)), small])
    assert np.array_equal(outputs(scheme, values, scales, qtype=INT32_TYPE),
                          outputs(other, values, scales, qtype=INT32_TYPE))


def test_double_and_single_rounding_differ_at_the_measured_rate():
    # facts: acc uniform in +-2^17, s log-uniform 2^-12..2^-5: 0.438 % before the clamp, 0.061 % after int8;
    # s = 2^-3..2^-10: 3.11 %. Of n outputs the standard deviation is below sqrt(rate / n).
    rng = np.random.default_rng(4)
    n = 1_000_000
    values = rng.integers(-(2**17), 2**17, (n // 1000, 1000))
    scales = 2.0 ** rng.uniform(-12, -5, 1000)
    for qtype, rate in ((INT32_TYPE, 0.00438), (INT8, 0.00061)):
        double, single = (outputs(scheme, values, scales, qtype=qtype) for scheme in ("tflite_double", "tflite_single"))
        assert np.max(np.abs(double.astype(int) - single)) == 1
        assert abs(np.mean(double != single) / rate - 1) < 0.15
    powers = 2.0 ** -np.repeat(np.arange(3.0, 11), 125)
    double, single = (outputs(scheme, values, powers, qtype=INT32_TYPE) for scheme in ("tflite_double", "tflite_single"))
    assert abs(np.mean(double != single) / 0.0311 - 1) < 0.05


def test_floor_differs_from_rounding_on_half_of_the_outputs():
    rng = np.random.default_rng(5)
    values = rng.integers(-(2**17), 2**17, 200_000)
    scale = 181 * 2.0**-15  # eight bits hold it, so that only the rounding differs
    floor, single = (outputs(scheme, values, scale, qtype=INT32_TYPE) for scheme in ("shift_floor", "tflite_single"))
    assert abs(np.mean(floor != single) - 0.5) < 0.01
    assert np.all(single - floor <= 1)
    assert np.all(floor <= single)


# --- what is refused -------------------------------------------------------------------------------------------------

def made(scheme="tflite_double", scale=0.5, **given):
    return Requantization.of(scheme, scale, **{"zero_point": 0, "qtype": INT8} | given)


def registers(scheme, **given):
    return Requantization.of_integers(scheme, **{"multiplier": 1, "shift": 2, "zero_point": 0, "qtype": INT8} | given)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: made(scale=math.nan), "scale: expected a finite number above 0, got nan"),
    (lambda: made(scale=[0.5, 0.0]), "scale: expected a finite number above 0, got 0.0"),
    (lambda: made(scale=[[0.5]]), "scale: expected one scale or a list, one a channel, got shape (1, 1)"),
    (lambda: made(scale=2.0**30), "scale: expected a scale below 2^30, got 1073741824.0"),
    (lambda: made("tflite_int16x8", 2.0**7), "scale: expected a scale below 2^7, got 128.0"),
    (lambda: made("power_of_two", [0.5, 0.3]), "scale: expected a power of two, got 0.3"),
    (lambda: made("float32_nearest_even", 1e-60), "scale: expected a finite number above 0, got 0.0"),
    (lambda: made("nvdla", 2.0**-60), "nvdla shift: expected 0..63, got 74"),
    (lambda: made("tosa_single", 2.0**30), "tosa_single shift: expected 2..62, got 0"),
    (lambda: made(zero_point=200), "zero_point: expected -128..127, got 200"),
    (lambda: made(clamp_max=128), "clamp_max: expected -128..127, got 128"),
    (lambda: made(clamp_min=5, clamp_max=4), "clamp_min: expected clamp_min <= clamp_max, got 5 > 4"),
    (lambda: made(rounding="floor"), "rounding: expected none with tflite_double, got floor"),
    (lambda: made(multiplier_bits=8), "multiplier_bits: expected none with tflite_double, got 8"),
    (lambda: made("shift_floor", multiplier_bits=32), "multiplier_bits: expected 1 to 31 bits, got 32"),
    (lambda: made(operator="pool"), 'operator: expected one of conv, depthwise, fully_connected, got "pool"'),
    (lambda: registers("nvdla", multiplier=2**15), "nvdla multiplier: expected -32768..32767, got 32768"),
    (lambda: registers("tflite_single", addend=1), "addend: expected none with tflite_single, got 1"),
    (lambda: registers("tflite_single", multiplier=[1, 2], shift=[1, 2, 3]),
     "multiplier: expected one value, or lists of one length, got shapes (2,) and (3,)"),
    (lambda: made().requantize([2**31]), "accumulators of tflite_double: expected -2147483648..2147483647, got 2147483648"),
    (lambda: made().requantize([0.5]), "accumulators: expected integers, got something else"),
    (lambda: made(scale=[0.5, 0.5]).requantize([1, 2, 3]),
     "accumulators: expected 2 channels in the last dimension, got shape (3,)"),
    (lambda: made(scale=4.0).requantize([2**30]),
     "accumulator * scale: expected -2147483648..2147483647, got 8589934592"),
    (lambda: made("tosa_single", 2.0**28).requantize([-3]),
     "accumulator: expected -2^(shift-1) <= accumulator < 2^(shift-1), which TOSA requires, got one outside"),
])
def test_what_a_rule_does_not_define_is_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
