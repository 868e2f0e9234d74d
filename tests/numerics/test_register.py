"""Wrapping, saturating and refusing registers against Python integers, and the bound under which none of it happens."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.accumulator_bound import accumulator_bound, bits_for
from accelsim.numerics.register import Register


def wrapped(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@settings(max_examples=200, deadline=None)
@given(bits=st.integers(1, 64), values=st.lists(st.integers(-(2**70), 2**70) | st.integers(-300, 300), min_size=1))
def test_a_register_wraps_or_saturates_like_exact_integers(bits, values):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert Register(bits, "wrap").store(values).tolist() == [wrapped(value, bits) for value in values]
    assert Register(bits, "saturate").store(values).tolist() == [max(low, min(high, value)) for value in values]
    assert Register(bits, "wrap").overflows(values).tolist() == [(value > high) - (value < low) for value in values]
    small = [value for value in values if -(2**63) <= value < 2**63]
    kept = Register(bits, "wrap").store(np.array(small, dtype=np.int64))
    assert kept.tolist() == [wrapped(value, bits) for value in small]


def test_an_error_register_refuses_what_it_cannot_hold():
    assert Register(8, "error").store([-128, 127]).tolist() == [-128, 127]
    with pytest.raises(NumericsError) as caught:
        Register(8, "error").store([0, 128])
    assert str(caught.value) == "8-bit register: expected -128..127, got 128"


@settings(max_examples=100, deadline=None)
@given(weights=st.lists(st.integers(-4, 4), min_size=1, max_size=4), bias=st.integers(-20, 20), largest=st.integers(0, 3))
def test_no_order_and_no_inputs_leave_the_bounds_width_and_some_reach_the_bound(weights, bias, largest):
    bound = int(accumulator_bound([weights], largest_input=largest, bias=bias)[0])
    register = Register(int(bits_for(bound)), "error")
    reached = 0
    for inputs in itertools.product((-largest, largest), repeat=len(weights)):
        for order in itertools.permutations(zip(weights, inputs, strict=True)):
            value = bias
            for weight, x in order:
                value = int(register.store(value + weight * x))
            reached = max(reached, abs(value))
    assert reached == bound
    assert bound == 0 or bound > 2 ** (int(bits_for(bound)) - 2) - 1  # one bit less would not be proven


def test_bounds_beyond_64_bits_are_exact():
    weights = np.full((2, 3), -(2**63), dtype=np.int64)
    assert accumulator_bound(weights, largest_input=2**32, bias=[1, -(2**63)]).tolist() == [3 * 2**95 + 1, 3 * 2**95 + 2**63]
    assert accumulator_bound(np.full((1, 9), -128), largest_input=255).tolist() == [9 * 128 * 255]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Register(65, "wrap"), "bits: expected a width of 1 to 64 bits, got 65"),
    (lambda: Register(8, "ignore"), 'overflow: expected one of wrap, saturate, error, got "ignore"'),
    (lambda: accumulator_bound([1, 2], largest_input=1), "weights: expected weights of shape (channels, steps), got (2,)"),
    (lambda: accumulator_bound([[1]], largest_input=-1), "largest_input: expected at least 0, got -1"),
    (lambda: accumulator_bound([[1]], largest_input=1, bias=[1, 2]), "bias: expected one bias a channel, (1,), got (2,)"),
])
def test_impossible_registers_and_bounds_are_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
