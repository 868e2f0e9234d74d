"""How wide registers must be for the values that really occur, when nothing wraps or saturates on the way.

Only the number of bits counts, so most partial sums need no look: an output whose negative and positive products alone
(`accumulation.partial_sum_range`) stay within the bits already found cannot ask for more. The others are added up product by
product, widest range first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulation import partial_sum_range
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.exact_product import matrix_product
from accelsim.numerics.integer_array import Integers, extremes, magnitude, total

#: Products that are added up at once: 4 MB of int32.
_CHUNK_PRODUCTS = 2**20


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


def reached_width(inputs: NDArray[Any], weights: NDArray[Any], held: Integers, *, order: AdditionOrder,
                  known: ReachedWidth | None = None, products: Integers | None = None) -> ReachedWidth:
    """Widths that adding ``inputs @ weights^T`` to `held` needs, in the order of a grid, joined with `known`.

    Parameters
    ----------
    inputs, weights : integers (G, M, K) and (G, N, K).
    held : (G, M, N), or a shape that broadcasts to it: what the accumulators hold at the start: the bias, or 0.
    known : widths found elsewhere in the layer, which spare looking at narrower sums.
    products : ``inputs @ weights^T``, if it is there already.

    Examples
    --------
    >>> x, w = np.array([[[100, 100, -100]]]), np.array([[[1, 1, 1]]])
    >>> reached_width(x, w, np.zeros(1, np.int64), order=AdditionOrder("products", (3,)))
    ReachedWidth(running_bits=9, final_bits=8)
    """
    products = matrix_product(inputs, weights) if products is None else products
    final = signed_bits(*extremes(total(held, products)))
    found = ReachedWidth(max(final, signed_bits(*extremes(held))), final).joined(known or ReachedWidth())
    low, high = partial_sum_range(inputs, weights, products)
    reach = np.maximum(np.maximum(held, 0) + high, -(np.minimum(held, 0) + low) - 1)
    size, held = max(1, _CHUNK_PRODUCTS // max(1, weights.shape[2])), np.broadcast_to(held, products.shape)
    for g, m, n in _widest_first(reach, found.running_bits, size):
        if int(reach[g[0], m[0], n[0]]) < 1 << (found.running_bits - 1):
            break  # no output from here on could need more bits
        found = found.joined(_walked(inputs[g, m], weights[g, n], held[g, m, n], order))
    return found


def _widest_first(reach: Integers, bits: int, size: int) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Indices of the outputs whose partial sums may need more than `bits`, `size` at a time."""
    flat = reach.ravel()
    places = np.flatnonzero(flat >= 1 << (bits - 1))
    places = places[np.argsort(-flat[places], kind="stable")]
    for first in range(0, places.size, size):
        yield np.unravel_index(places[first:first + size], reach.shape)


def _walked(inputs: NDArray[Any], weights: NDArray[Any], held: Integers, order: AdditionOrder) -> ReachedWidth:
    """The widths of some outputs, each addition looked at."""
    bound = magnitude(inputs) * magnitude(weights) * inputs.shape[1] + magnitude(held)
    kind = np.int32 if bound < 2**30 else np.int64 if bound < 2**62 else object
    prefix = np.cumsum(inputs.astype(kind) * weights.astype(kind), axis=1, dtype=kind)
    start = held.astype(kind)[:, None]
    if order.kind == "products":
        return ReachedWidth(running_bits=signed_bits(*extremes(prefix + start)))
    ends = order.starts + np.asarray(order.pieces) - 1
    running = signed_bits(*extremes(prefix[:, ends] + start))
    if order.kind == "fold_sums":
        return ReachedWidth(running_bits=running)
    before = np.concatenate([np.zeros_like(prefix[:, :1]), prefix[:, ends[:-1]]], axis=1)
    columns = signed_bits(*extremes(prefix - np.repeat(before, order.pieces, axis=1)))
    return ReachedWidth(running_bits=max(running, columns))
