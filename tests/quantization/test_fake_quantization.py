"""Quantize and dequantize in one: every bit is that of QParams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.fake_quantization import fake_quantize

GRANULARITIES = [((), None, None), ((4,), 0, None), ((6,), -1, None), ((4, 2), 1, 4), ((2, 6), 0, 3)]


@settings(max_examples=300, deadline=None)
@given(bits=st.integers(1, 16), is_signed=st.booleans(), granularity=st.sampled_from(GRANULARITIES),
       dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 2**32), exponent=st.integers(-60, 60))
def test_every_bit_is_that_of_dequantize_after_quantize(bits, is_signed, granularity, dtype, seed, exponent):
    shape, axis, group_size = granularity
    generator, qtype = np.random.default_rng(seed), QType(bits, is_signed)
    scale = generator.uniform(0.5, 2, shape).astype(np.float32) * np.float32(2.0**exponent)
    grid = QParams(scale=scale, zero_point=generator.integers(qtype.min, qtype.max, shape, endpoint=True), qtype=qtype,
                   axis=axis, group_size=group_size)
    reach = generator.choice([0.1, 1, 3]) * 2.0 ** (bits + exponent)
    values = (generator.standard_normal((4, 6)) * reach).astype(dtype)
    values[generator.random((4, 6)) < 0.1] = 0
    values[0, 0], values[1, 1] = np.inf, -np.inf
    expected = grid.dequantize(grid.quantize(values), dtype=dtype)
    result = fake_quantize(values, grid)
    assert result.dtype == expected.dtype
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("rounding", ["floor", "half_away", "stochastic"])
def test_other_roundings_and_wide_types_are_those_of_qparams_too(rounding):
    values = np.random.default_rng(0).standard_normal(100)
    for qtype in (QType(8, True), QType(32, True)):
        grid = QParams(scale=1e-3, zero_point=5, qtype=qtype)
        expected = grid.dequantize(grid.quantize(values, rounding=rounding, generator=np.random.default_rng(1)))
        found = fake_quantize(values, grid, rounding=rounding, generator=np.random.default_rng(1))
        assert found.tolist() == expected.tolist()


def test_values_stay_as_they_were_and_integers_become_float64():
    values = np.array([1, 2, 3])
    result = fake_quantize(values, QParams(scale=2.0, zero_point=0, qtype=QType(8, True)))
    assert (result.dtype, result.tolist(), values.tolist()) == (np.float64, [0.0, 2.0, 4.0], [1, 2, 3])


@pytest.mark.parametrize(("values", "scale", "message"), [
    (np.array([0.0, np.nan]), 1.0, "values: expected numbers, got NaN"),
    (np.array([1.0], dtype=np.float32), 1e-60,
     "scale: expected scales that float32 can hold, got one that becomes 0 or infinite")])
def test_what_qparams_refuses_is_refused(values, scale, message):
    with pytest.raises(NumericsError) as caught:
        fake_quantize(values, QParams(scale=scale, zero_point=0, qtype=QType(8, True)))
    assert str(caught.value) == message
