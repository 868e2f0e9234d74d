"""Accumulation equals a walk in Python's integers: values, events, order, for every grid and register."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics.accumulation import accumulate
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.register import Register


def kept_by(register: Register, value: int) -> int:
    half = 1 << (register.bits - 1)
    if register.overflow == "saturate":
        return max(-half, min(half - 1, value))
    return (value + half) % (2 * half) - half


def naive_output(products, held, order, accumulator, wires, place):
    """One output, product by product, as the contract of the machine words it."""
    events = []

    def add(register, value, addend, k, on_wires):
        exact = value + addend
        kept = kept_by(register, exact)
        if kept != exact:
            events.append((*place, k, on_wires, exact, kept))
        return kept

    k = 0
    if order.kind == "products":
        for k, product in enumerate(products):
            held = add(accumulator, held, product, k, False)
        return held, events
    for length in order.pieces:
        column = 0
        for product in products[k:k + length]:
            column = add(wires, column, product, k, True) if order.kind == "column_sums" else column + product
            k += 1
        held = add(accumulator, held, column, k - 1, False)
    return held, events


def naive(x, w, held, order, accumulator, wires):
    result, events = np.zeros_like(held), []
    for g, m, n in np.ndindex(held.shape):
        products = [int(a) * int(b) for a, b in zip(x[g, m], w[g, n], strict=True)]
        result[g, m, n], found = naive_output(products, int(held[g, m, n]), order, accumulator, wires, (g, m, n))
        events.extend(found)
    return result, events


def run(x, w, held, order, accumulator, wires):
    found = []
    result = accumulate(BlockProducts(x, w), held, order=order, accumulator=accumulator, wires=wires, told=found.append)
    return result, [tuple(column[i].item() if hasattr(column[i], "item") else column[i] for column in events)
                    for events in found for i in range(events.m.size)]


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(["products", "column_sums", "fold_sums"]))
    order = AdditionOrder(kind, tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n, bits = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.sampled_from([2, 4, 8, 16]))
    groups = draw(st.integers(1, 3))
    x = rng.integers(-(2**bits) + 1, 2**bits, (groups, m, order.length))
    w = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (groups, n, order.length))
    overflow = draw(st.sampled_from(["wrap", "saturate"]))
    accumulator = Register(draw(st.integers(max(3, bits), 2 * bits + 5)), overflow)
    wires = Register(draw(st.integers(max(3, bits), 2 * bits + 5)), overflow)
    held = rng.integers(accumulator.min, accumulator.max, (groups, m, n), endpoint=True)
    return x, w, held, order, accumulator, wires


@settings(max_examples=400, deadline=None)
@given(cases())
def test_values_and_events_equal_the_naive_walk(case):
    result, events = run(*case)
    expected, expected_events = naive(*case)
    np.testing.assert_array_equal(result, expected)
    assert sorted(events) == sorted(expected_events)


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("kind", ["products", "column_sums", "fold_sums"])
def test_64_bit_registers_and_32_bit_operands_are_exact(kind, overflow):
    rng = np.random.default_rng(5)
    x, w = rng.integers(-(2**31), 2**31, (1, 3, 9)), rng.integers(-(2**31), 2**31, (1, 2, 9))
    x[0, 0], w[0, 0] = -(2**31), -(2**31)
    case = (x, w, np.full((1, 3, 2), 2**62), AdditionOrder(kind, (4, 4, 1)), Register(64, overflow), Register(63, overflow))
    result, events = run(*case)
    expected, expected_events = naive(*case)
    assert result.tolist() == expected.tolist()
    assert sorted(events) == sorted(expected_events)
    assert events


def test_many_outputs_are_walked_in_parts_with_every_event():
    rng = np.random.default_rng(3)
    x, w = rng.integers(-128, 128, (3000, 40), dtype=np.int8), rng.integers(-127, 128, (20, 40), dtype=np.int8)
    order, register, wires = AdditionOrder("column_sums", (16, 16, 8)), Register(16, "wrap"), Register(18, "wrap")
    result, events = run(x[None], w[None], np.zeros((1, 3000, 20), np.int64), order, register, wires)
    exact = x.astype(np.int64) @ w.T.astype(np.int64)
    np.testing.assert_array_equal(result[0], (exact + 2**15) % 2**16 - 2**15)
    prefix = np.cumsum(x.astype(np.int64)[:, None, :] * w[None], axis=2)
    folds = np.stack([prefix[..., 15], prefix[..., 31] - prefix[..., 15], prefix[..., 39] - prefix[..., 31]], axis=2)
    turns = (np.cumsum(folds, axis=2) + 2**15) >> 16
    assert len(events) == np.count_nonzero(np.diff(turns, axis=2, prepend=0))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_no_partial_sum_in_any_order_leaves_the_range_of_its_parts(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-9, 10, (1, 3, 8)), rng.integers(-9, 10, (1, 2, 8))
    block = BlockProducts(x, w)
    low, high = (block.sums - block.magnitudes) / 2, (block.sums + block.magnitudes) / 2
    products = (x[:, :, None] * w[:, None])[..., rng.permutation(8)]
    sums = np.cumsum(products, axis=3)
    assert (sums.max(axis=3) <= high).all()
    assert (sums.min(axis=3) >= low).all()
    np.testing.assert_array_equal(high, np.where(products > 0, products, 0).sum(axis=3))
