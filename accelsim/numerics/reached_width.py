"""How wide registers must be for the values that really occur, when nothing wraps or saturates on the way.

Only the number of bits counts, so few partial sums need a look: where a range of steps' negative and positive products alone
(see `BlockProducts`) stay within the bits already found, none of its sums can ask for more.
First all of K is bounded so, then fold by fold, and what is left is added up product by product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulation import parts_of
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.exact_product import as_integer_sums, exact_kind
from accelsim.numerics.integer_array import Integers, extremes, magnitude, magnitudes, total


def signed_bits(low: int, high: int) -> int:
    """The narrowest two's complement width that holds low..high.

    >>> signed_bits(-128, 0), signed_bits(0, 128), signed_bits(0, 0)
    (8, 9, 1)
    """
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


@dataclass(frozen=True, slots=True)
class ReachedWidth:
    """Bits that the values of some outputs need.

    Parameters
    ----------
    running_bits : accumulators and, in grids that have them, the wires between PEs, after each of their additions: at this
        width nothing overflows, one bit below something does. What the accumulator starts from counts.
    final_bits : the accumulator at the end.
    """

    running_bits: int = 1
    final_bits: int = 1

    def joined(self, other: ReachedWidth) -> ReachedWidth:
        """What both need."""
        return ReachedWidth(max(self.running_bits, other.running_bits), max(self.final_bits, other.final_bits))


def reached_width(block: BlockProducts, held: Integers, *, order: AdditionOrder,
                  known: ReachedWidth | None = None) -> ReachedWidth:
    """Widths that adding the products of a block to `held` needs, in the order of a grid, joined with `known`.

    Parameters
    ----------
    block : inputs (G, M, K) and weights (G, N, K).
    held : (G, M, N) or (G, 1, N): what the accumulators hold at the start: the bias, or 0.
    known : widths found elsewhere in the layer, which spare looking at narrower sums.

    Examples
    --------
    >>> block = BlockProducts(np.array([[[100, 100, -100]]]), np.array([[[1, 1, 1]]]))
    >>> reached_width(block, np.zeros((1, 1, 1), np.int64), order=AdditionOrder("products", (3,)))
    ReachedWidth(running_bits=9, final_bits=8)
    """
    found = _at_the_ends(held, block).joined(known or ReachedWidth())
    if block.bound + magnitude(held) < 1 << (found.running_bits - 1):
        return found
    # max(positive, negative) products of an output: (A + |S|) / 2.
    reach = np.abs(block.sums)
    reach += block.magnitudes
    widest = total(as_integer_sums(reach.max(axis=1)) >> 1, magnitudes(held).max(axis=1))
    channels = np.flatnonzero((widest >= 1 << (found.running_bits - 1)).any(axis=0))
    if not channels.size:
        return found
    block, held = block.chosen(channels), held[..., channels] if held.shape[2] > 1 else held
    start = held.astype(exact_kind(2 * (block.bound + magnitude(held))))
    wide = np.maximum(block.magnitudes + block.sums + 2 * np.maximum(start, 0),
                      block.magnitudes - block.sums + 2 * np.maximum(-start, 0)) >= 1 << found.running_bits
    # Few outputs are walked product by product, many all together and fold by fold.
    if np.count_nonzero(wide) * order.length < wide.size * len(order.runs):
        return _by_products(block, held, wide, order, found)
    return _by_folds(block, held, order, found)


def _at_the_ends(held: Integers, block: BlockProducts) -> ReachedWidth:
    """Widths of what the accumulators start from and end with."""
    if held.shape[1] > 1:
        final = signed_bits(*extremes(total(held, block.integers)))
    else:  # every position starts from the same
        low, high = (as_integer_sums(edge(axis=1, keepdims=True)) for edge in (block.sums.min, block.sums.max))
        final = signed_bits(extremes(total(held, low))[0], extremes(total(held, high))[1])
    return ReachedWidth(max(final, signed_bits(*extremes(held))), final)


def _by_products(block: BlockProducts, held: Integers, chosen: NDArray[np.bool_], order: AdditionOrder,
                 found: ReachedWidth) -> ReachedWidth:
    """The widths of some outputs, product by product."""
    bits, ends = found.running_bits, order.starts + np.asarray(order.pieces) - 1
    for part in parts_of(np.nonzero(chosen), order.length):
        before = np.broadcast_to(held, chosen.shape)[part]
        prefix = np.cumsum(block.addends(part, (0, order.length), before), axis=1)
        running = (prefix if order.kind == "products" else prefix[:, ends]) + before[:, None]
        bits = max(bits, signed_bits(*extremes(running)))
        if order.kind == "column_sums":
            fold_starts = np.concatenate([np.zeros_like(prefix[:, :1]), prefix[:, ends[:-1]]], axis=1)
            bits = max(bits, signed_bits(*extremes(prefix - np.repeat(fold_starts, order.pieces, axis=1))))
    return found.joined(ReachedWidth(running_bits=bits))


def _by_folds(block: BlockProducts, held: Integers, order: AdditionOrder, found: ReachedWidth) -> ReachedWidth:
    """The widths of all outputs, fold by fold."""
    running = held.astype(exact_kind(block.bound + magnitude(held)))
    bits = found.running_bits
    for run in order.runs:
        sums = block.run_sums(run)
        start, most = np.zeros((1, 1, 1), running.dtype), 0
        if order.kind == "products":
            start, most = running, magnitude(running)
        if order.kind != "fold_sums" and block.run_bound(run) + most >= 1 << (bits - 1):
            magnitudes = block.run_magnitudes(run)
            # In floats too: twice a number of the mantissa's width is exact.
            wide = np.maximum(magnitudes + sums + 2 * start, magnitudes - sums - 2 * start) >= 1 << bits
            for part in parts_of(np.nonzero(wide), run[1] - run[0]):
                before = as_integer_sums(np.broadcast_to(start, sums.shape)[part])
                addends = block.addends(part, run, before)
                bits = max(bits, signed_bits(*extremes(np.cumsum(addends, axis=1) + before[:, None])))
        running = running + sums
        bits = max(bits, signed_bits(int(running.min()), int(running.max())))
    return found.joined(ReachedWidth(running_bits=bits))
