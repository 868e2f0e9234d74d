"""gemmlowp's functions: as accurate as 31 bits allow; bit for bit they are proved by the softmax and L2 tests on LiteRT."""

import math

import numpy as np

from accelsim.numerics.kernels.fixed_point import (
    exp_on_negative_values,
    inverse_square_root,
    leading_zeros,
    log_of_at_least_one,
    multiply_by_pot,
    one_over_one_plus_x,
    reciprocal,
)
from accelsim.numerics.kernels.softmax_table import look_up, softmax_table

UNIT = 2.0**31


def test_exp_is_right_to_six_digits_over_its_whole_range():
    rng = np.random.default_rng(0)
    raw = np.concatenate([-rng.integers(0, 2**31, 20000), [-1, -(2**24), -(2**26), -(2**31), 1 - 2**24]])
    error = exp_on_negative_values(raw) / UNIT - np.exp(raw / 2.0**26)
    assert np.abs(error).max() < 3e-7
    assert exp_on_negative_values(np.array([0])).tolist() == [2**31 - 1]


def test_one_over_one_plus_x_is_right_to_eight_digits():
    raw = np.random.default_rng(1).integers(0, 2**31, 20000)
    assert np.abs(one_over_one_plus_x(raw) / UNIT - 1 / (1 + raw / UNIT)).max() < 1e-8


def test_a_reciprocal_carries_its_exponent():
    raw = np.concatenate([2 ** np.arange(1, 31), np.random.default_rng(2).integers(1, 2**31, 5000)])
    mantissa, bits = reciprocal(raw, 12)
    real = raw / 2.0**19
    assert np.abs(mantissa / UNIT * 2.0**-bits * real - 1).max() < 2e-8


def test_the_inverse_square_root_is_right_to_five_digits_from_two_up():
    values = np.concatenate([np.arange(2, 300), 2 ** np.arange(2, 31), np.random.default_rng(3).integers(2, 2**31, 5000)])
    multiplier, shift = inverse_square_root(values)
    assert np.all((shift >= 0) & (multiplier < 2**31))
    assert np.abs(multiplier / UNIT * 2.0**-shift * np.sqrt(values) - 1).max() < 2e-5
    assert [part.tolist() for part in inverse_square_root(np.array([0, 1]))] == [[2**31 - 1] * 2, [0, 0]]


def test_the_logarithm_is_right_to_six_digits():
    raw = np.concatenate([[2**19], 2 ** np.arange(20, 31), np.random.default_rng(4).integers(2**19, 2**31, 5000)])
    logs = log_of_at_least_one(raw, input_bits=12, output_bits=5)
    assert np.abs(logs / 2.0**26 - np.log(raw / 2.0**19)).max() < 2e-6


def test_a_power_of_two_saturates_upward_and_rounds_half_away_downward():
    assert multiply_by_pot(np.array([2**30, -(2**30), -(2**31)]), 2).tolist() == [2**31 - 1, -(2**31), -(2**31)]
    assert multiply_by_pot(np.array([1, -1, 3, -3, 2]), -1).tolist() == [1, -1, 2, -2, 1]


def test_leading_zeros_are_those_of_a_32_bit_register():
    values = [0, 1, 2, 3, 255, 256, 2**30 - 1, 2**30, 2**31 - 1]
    assert leading_zeros(np.array(values)).tolist() == [32 - value.bit_length() for value in values]


def test_the_interpolated_table_is_off_by_four_units_at_most_of_a_tanh_over_8():
    table = softmax_table(np.tanh, input_scale=4 / 32768, input_zero_point=0, output_scale=1 / 32768)
    x = np.arange(-(2**15), 2**15)
    expected = [math.tanh(value * 4 / 32768) * 32768 for value in x]
    assert table.shape == (513,)
    assert np.abs(look_up(table, x) - expected).max() <= 4
