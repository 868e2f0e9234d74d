"""real = scale * (q - zero_point), per tensor, channel and group."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType

INT8 = QType(8, True)


@settings(max_examples=80, deadline=None)
@given(bits=st.integers(1, 32), is_signed=st.booleans(), exponent=st.integers(-20, 20), data=st.data())
def test_quantizing_rounds_the_exact_quotient_then_adds_the_zero_point_then_saturates(bits, is_signed, exponent, data):
    qtype = QType(bits, is_signed)
    point = data.draw(st.integers(qtype.min, qtype.max))
    values = data.draw(st.lists(st.integers(-(2**36), 2**36).map(lambda n: n / 8), min_size=1))
    scale = 2.0**exponent  # exact quotients, so that ties are ties
    result = QParams(scale=scale, zero_point=point, qtype=qtype).quantize(values)
    expected = [max(qtype.min, min(qtype.max, round(Fraction(v) / Fraction(scale)) + point)) for v in values]
    assert result.tolist() == expected
    assert result.dtype == qtype.dtype


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 16), is_signed=st.booleans(), scale=st.floats(1e-30, 1e30), data=st.data())
def test_every_integer_survives_dequantize_then_quantize(bits, is_signed, scale, data):
    qtype = QType(bits, is_signed)
    integers = data.draw(st.lists(st.integers(qtype.min, qtype.max), min_size=1))
    params = QParams(scale=scale, zero_point=data.draw(st.integers(qtype.min, qtype.max)), qtype=qtype)
    assert params.quantize(params.dequantize(integers)).tolist() == integers


def test_a_tie_rounds_before_the_odd_zero_point_is_added():
    # torch.fake_quantize and ONNX: rint(v) + z. torch.quantize_per_tensor, rint(v + z), gives [-2, 0, 0, 2, 2, 4, 4].
    params = QParams(scale=1.0, zero_point=1, qtype=INT8)
    assert params.quantize(np.arange(-2.5, 4)).tolist() == [-1, -1, 1, 1, 3, 3, 5]


def test_infinities_and_huge_numbers_saturate():
    params = QParams(scale=1e-300, zero_point=5, qtype=QType(32, True))
    for rounding in ("floor", "truncate", "half_up", "half_away", "half_even"):
        assert params.quantize([-math.inf, -1e300, 1e300, math.inf], rounding=rounding).tolist() == [
            -(2**31), -(2**31), 2**31 - 1, 2**31 - 1]


def test_float32_is_divided_in_float32():
    x = np.array([0.35], dtype=np.float32)
    params = QParams(scale=float(np.float32(0.1)), zero_point=0, qtype=INT8)
    single = np.rint(x / np.float32(0.1))
    double = np.rint(x.astype(np.float64) / np.float64(np.float32(0.1)))
    assert single.tolist() != double.tolist()  # the two divisions disagree here, so the test can fail
    assert params.quantize(x).tolist() == single.tolist()
    assert params.quantize(x.astype(np.float64)).tolist() == double.tolist()


def test_the_scale_divides_and_its_inverse_does_not_multiply():
    x, scale = np.array([2.25], dtype=np.float32), np.float32(0.3)
    assert np.rint(x / scale).tolist() == [7.0]
    assert np.rint(x * (np.float32(1) / scale)).tolist() == [8.0]  # torch's rule
    assert QParams(scale=scale, zero_point=0, qtype=INT8).quantize(x).tolist() == [7]


def test_each_channel_and_each_group_uses_its_own_scale():
    rng = np.random.default_rng(0)
    q = rng.integers(-8, 8, (3, 7, 2))
    scale, point = rng.uniform(0.1, 2, 7), rng.integers(-8, 8, 7)
    for axis in (1, -2):
        params = QParams(scale=scale, zero_point=point, qtype=QType(4, True), axis=axis)
        expected = [[[scale[c] * (int(q[n, c, i]) - int(point[c])) for i in range(2)] for c in range(7)] for n in range(3)]
        assert params.dequantize(q).tolist() == expected
        assert params.quantize(np.array(expected)).tolist() == q.tolist()
    scale, point = rng.uniform(0.1, 2, (3, 3, 2)), rng.integers(-8, 8, (3, 3, 2))  # groups of 3, 3 and 1
    params = QParams(scale=scale, zero_point=point, qtype=QType(4, True), axis=1, group_size=3)
    expected = [[[scale[n, c // 3, i] * (int(q[n, c, i]) - int(point[n, c // 3, i])) for i in range(2)] for c in range(7)]
                for n in range(3)]
    assert params.dequantize(q).tolist() == expected


def test_equal_parameters_are_equal_and_hash_alike():
    one, same = (QParams(scale=[1.0, 2.0], zero_point=0, qtype=INT8, axis=0) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != QParams(scale=[1.0, 2.0], zero_point=1, qtype=INT8, axis=0)
    with pytest.raises(ValueError, match="read-only"):
        one.scale[0] = 3


def made(**given):
    return QParams(**{"scale": 1.0, "zero_point": 0, "qtype": INT8} | given)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: made(scale=math.nan), "scale: expected a finite number above 0, got nan"),
    (lambda: made(scale=math.inf), "scale: expected a finite number above 0, got inf"),
    (lambda: made(scale=0.0), "scale: expected a finite number above 0, got 0.0"),
    (lambda: made(scale=[1.0, -2.0], axis=0), "scale: expected a finite number above 0, got -2.0"),
    (lambda: made(scale="big"), "scale: expected numbers in a regular shape, got something else"),
    (lambda: made(scale=[], axis=0), "scale: expected at least one number, got none"),
    (lambda: made(scale=[1.0, 2.0]), "axis: expected an axis for scales of shape (2,), got none"),
    (lambda: made(axis=0), "scale: expected a list of scales, one a channel, got shape ()"),
    (lambda: made(group_size=2), "group_size: expected an axis and at least 1 element a group, got no axis"),
    (lambda: made(scale=[[1.0]], axis=0, group_size=0),
     "group_size: expected an axis and at least 1 element a group, got 0"),
    (lambda: made(zero_point=128), "zero_point: expected -128..127 (int8), got 128"),
    (lambda: made(zero_point=0.5), "zero_point: expected integers, got something else"),
    (lambda: made(scale=[1.0, 2.0], zero_point=[0, 1, 2], axis=0),
     "zero_point: expected one zero point, or (2,) like the scales, got (3,)"),
    (lambda: made(scale=[1.0, 2.0], axis=1).quantize(np.zeros((2, 3))),
     "scale: expected scales of shape (3,) for a tensor of shape (2, 3), got (2,)"),
    (lambda: made(scale=[1.0], axis=2).quantize(np.zeros((2, 3))),
     "axis: expected an axis of a tensor of shape (2, 3), got 2"),
    (lambda: made(scale=[[1.0]], axis=1, group_size=2).dequantize([[1, 2, 3]]),
     "scale: expected scales of shape (1, 2) for a tensor of shape (1, 3), got (1, 1)"),
    (lambda: made().quantize([math.nan]), "values: expected numbers, got NaN"),
    (lambda: made(scale=1e-300).quantize(np.float32([1])),
     "scale: expected scales that float32 can hold, got one that becomes 0 or infinite"),
    (lambda: made().dequantize([128]), "integers: expected -128..127 (int8), got 128..128"),
])
def test_wrong_parameters_are_told_in_one_line(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
