"""Matrix products of integers, exact, at the speed of floating-point hardware where that is exact too.

A sum of products is exact in float32 (float64) in whatever order it is added, if ``max|x| * sum_k |w_k| <= 2^24`` (2^53):
every partial sum is an integer within the mantissa. Beyond 2^53 the product is made in int64, beyond 2^63 in Python's
integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import INT64_MAX, Integers, magnitude, narrowed

_FLOAT32_EXACT, _FLOAT64_EXACT = 2**24, 2**53


def matrix_product(left: NDArray[Any], right: NDArray[Any]) -> Integers:
    """``left @ right^T`` of integers: (M, K) and (N, K) to (M, N), or (B, M, K) and (B, N, K) to (B, M, N).

    Returns
    -------
    int64; Python integers where a bound says that int64 might not hold them.

    Examples
    --------
    >>> matrix_product(np.array([[1, 2]], np.int8), np.array([[3, 4], [5, -6]], np.int8)).tolist()
    [[11, -7]]
    """
    bound = product_bound(left, right)
    if bound <= _FLOAT64_EXACT:
        return np.asarray(float_product(left, right, bound)).astype(np.int64)
    transposed = np.swapaxes(right, -1, -2)
    if bound <= INT64_MAX:
        return np.asarray(left.astype(np.int64) @ transposed.astype(np.int64))
    return narrowed(np.asarray(left.astype(object) @ transposed.astype(object), dtype=object))


def float_product(left: NDArray[Any], right: NDArray[Any], bound: int) -> NDArray[Any]:
    """The same, left in the float32 or float64 in which it was computed exactly; `bound` at most 2^53."""
    kind = np.float32 if bound <= _FLOAT32_EXACT else np.float64
    return np.asarray(left.astype(kind) @ np.swapaxes(right.astype(kind), -1, -2))


def product_bound(left: NDArray[Any], right: NDArray[Any]) -> int:
    """``max|x| * max_n sum_k |w_nk|``: no partial sum is larger in magnitude."""
    if not left.size or not right.size:
        return 0
    if right.dtype == object or magnitude(right) * right.shape[-1] > INT64_MAX:
        return magnitude(left) * magnitude(right) * int(right.shape[-1])
    largest = np.abs(right.astype(np.int64)).sum(axis=-1).max()
    return magnitude(left) * int(largest)
