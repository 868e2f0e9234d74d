"""The width at which no partial sum can overflow, from the weights alone.

Per output channel, whatever the order of additions and wherever the sum is cut into folds,

    bound = |b'| + sum_k |w_k| * max|x'|        and no overflow at P bits if bound <= 2^(P-1) - 1,

with b' and x' what the machine really adds in its zero-point mode: each partial sum is a sum over a subset of these terms.
Column sums between PEs satisfy the same without b'. A2Q's L1 bound (Colbert et al. 2023) is the case b' = 0, z = 0. The
bound is sufficient, not tight: the most negative value -2^(P-1) is not used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers, as_integers, narrowed, product, total


def accumulator_bound(weights: ArrayLike, *, largest_input: int, bias: ArrayLike = 0) -> Integers:
    """``|b'| + sum_k |w_k| * max|x'|`` per channel, exact.

    Parameters
    ----------
    weights : integers (C, K): output channels by reduction steps.
    largest_input : max|x'|, at least 0; for int8 inputs under ``subtract``, max(|-128 - z|, |127 - z|).
    bias : b', () or (C,).

    Returns
    -------
    Integers (C,).

    Raises
    ------
    NumericsError : weights without two dimensions, a negative magnitude, biases of another length.

    Examples
    --------
    >>> bound = accumulator_bound([[3, -4], [0, 1]], largest_input=128, bias=[-10, 0])
    >>> bound.tolist(), bits_for(bound).tolist()
    ([906, 128], [11, 9])
    """
    w, b = as_integers(weights, "weights"), as_integers(bias, "bias")
    if w.ndim != 2:
        raise NumericsError(f"expected weights of shape (channels, steps), got {w.shape}", field="weights")
    if b.ndim and b.shape != w.shape[:1]:
        raise NumericsError(f"expected one bias a channel, ({w.shape[0]},), got {b.shape}", field="bias")
    if largest_input < 0:
        raise NumericsError(f"expected at least 0, got {largest_input}", field="largest_input")
    sums = np.array([_sum_of_magnitudes(row) for row in w], dtype=object)
    terms = product(narrowed(sums), as_integers(largest_input, "largest_input"))
    magnitudes = np.asarray(np.abs(np.asarray(b.astype(object))), dtype=object)
    return total(np.broadcast_to(narrowed(magnitudes), terms.shape), terms)


def bits_for(bounds: ArrayLike) -> NDArray[np.int64]:
    """The smallest P with ``bound <= 2^(P-1) - 1``: the bound's bits and a sign."""
    array = as_integers(bounds)
    return np.array([int(bound).bit_length() + 1 for bound in array.flat], dtype=np.int64).reshape(array.shape)


def _sum_of_magnitudes(row: Integers) -> int:
    """sum |w_k|. Below 2^31 each, uint64 holds 2^33 of them; larger ones are summed as Python integers."""
    if row.dtype != object and row.size and row.min() >= -(2**31) and row.max() < 2**31:
        return int(np.abs(row).sum(dtype=np.uint64))
    return sum(abs(int(weight)) for weight in row)
