"""The widths reached equal those of a look at every partial sum, and are the ones at which overflow begins."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics.accumulation import accumulate
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.reached_width import ReachedWidth, reached_width
from accelsim.numerics.register import Register


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(["products", "column_sums", "fold_sums"]))
    order = AdditionOrder(kind, tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([2, 9, 130, 40_000]))
    x = rng.integers(-top, top, (2, draw(st.integers(1, 6)), order.length))
    w = rng.integers(-top, top, (2, draw(st.integers(1, 5)), order.length))
    return x, w, rng.integers(-top, top, (2, 1, w.shape[1])), order


def bits_of(values):
    bits = 1
    while min(values) < -(2 ** (bits - 1)) or max(values) > 2 ** (bits - 1) - 1:
        bits += 1
    return bits


@settings(max_examples=300, deadline=None)
@given(cases())
def test_widths_equal_those_of_every_partial_sum(case):
    x, w, bias, order = case
    running, wires, final = [0], [0], [0]
    for g, m, n in np.ndindex(2, x.shape[1], w.shape[1]):
        value, k = int(bias[g, 0, n]), 0
        running.append(value)
        for length in order.pieces:
            column = 0
            for product in (int(a) * int(b) for a, b in zip(x[g, m, k:k + length], w[g, n, k:k + length], strict=True)):
                column += product
                wires.append(column)
                running.extend([value + column] if order.kind == "products" else [])
            value, k = value + column, k + length
            running.append(value)
        final.append(value)
    expected = ReachedWidth(bits_of(running + wires if order.kind == "column_sums" else running), bits_of(final))
    assert reached_width(BlockProducts(x, w), bias, order=order) == expected


@settings(max_examples=200, deadline=None)
@given(cases())
def test_nothing_overflows_at_the_widths_reached_and_something_does_one_bit_below(case):
    x, w, bias, order = case
    reached = reached_width(BlockProducts(x, w), bias, order=order)

    def overflows(bits):
        found = []
        held = np.broadcast_to(bias, (2, x.shape[1], w.shape[1]))
        register = Register(bits, "wrap")
        accumulate(BlockProducts(x, w), held, order=order, told=found.append, accumulator=register, wires=register)
        return sum(events.m.size for events in found)

    assert overflows(reached.running_bits) == 0
    if reached.running_bits > bits_of([0, *bias.ravel().tolist()]):  # below, the bias itself does not fit
        assert overflows(reached.running_bits - 1) > 0
