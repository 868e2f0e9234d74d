"""Matrix products of integers, exact, at the speed of floating-point hardware where that is exact too.

A sum of products is exact in float32 (float64) in whatever order it is added, if ``max|x| * sum_k |w_k| <= 2^24`` (2^53):
every partial sum is an integer within the mantissa. Beyond 2^53 the product is made in int64, beyond 2^63 in Python's
integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.numerics.integer_array import INT64_MAX, Integers, magnitude, narrowed

_FLOAT32_EXACT, _FLOAT64_EXACT = 2**24, 2**53


def matrix_product(left: NDArray[Any], right: NDArray[Any]) -> Integers:
    """``left @ right^T`` of integers: (..., M, K) and (..., N, K) to (..., M, N).

    Returns
    -------
    int64; Python integers where a bound says that int64 might not hold them.

    Examples
    --------
    >>> matrix_product(np.array([[1, 2]], np.int8), np.array([[3, 4], [5, -6]], np.int8)).tolist()
    [[11, -7]]
    """
    return as_integer_sums(exact_product(left, right))


def exact_product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """The same in the type in which it was computed, without error: float32, float64, int64 or Python integers."""
    kind = exact_kind(product_bound(left, right))
    return np.asarray(left.astype(kind) @ np.swapaxes(right.astype(kind), -1, -2))


def as_integer_sums(values: NDArray[Any]) -> Integers:
    """Whole numbers of any type as int64, Python integers staying what they are where they need to."""
    return narrowed(values) if values.dtype == object else values.astype(np.int64, copy=False)


def exact_kind(bound: int) -> DTypeLike:
    """The fastest type in which sums of products stay exact, if no partial sum is larger than `bound` in magnitude.

    >>> [np.dtype(exact_kind(2**bits)).name for bits in (24, 53, 62, 63)]
    ['float32', 'float64', 'int64', 'object']
    """
    if bound <= _FLOAT32_EXACT:
        return np.float32
    if bound <= _FLOAT64_EXACT:
        return np.float64
    return np.int64 if bound <= INT64_MAX else object


def product_bound(left: NDArray[Any], right: NDArray[Any]) -> int:
    """``max|x| * max_n sum_k |w_nk|``: no partial sum is larger in magnitude."""
    if not left.size or not right.size:
        return 0
    if right.dtype == object or magnitude(right) * right.shape[-1] > INT64_MAX:
        return magnitude(left) * magnitude(right) * int(right.shape[-1])
    return magnitude(left) * int(np.max(magnitude_sums(right)))


def magnitude_sums(weights: NDArray[Any]) -> Integers:
    """``sum_k |w_k|`` of each row, (..., N)."""
    kind = exact_kind(magnitude(weights) * int(weights.shape[-1]))
    sums = np.abs(weights.astype(kind)).sum(axis=-1)
    return as_integer_sums(np.asarray(sums))
