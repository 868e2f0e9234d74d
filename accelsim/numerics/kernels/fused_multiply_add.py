"""The float32 operation ``a * b + c`` with one rounding, which numpy lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fused_multiply_add(a: Any, b: Any, c: Any) -> NDArray[np.float32]:
    """``float32(a * b + c)`` with one rounding, of float32 operands, as FMA instructions compute it.

    The product is exact in float64; the float64 sum is rounded to odd (its error, from Knuth's two-sum, decides the last
    bit), after which rounding to float32 is the one rounding: Boldo and Melquiond 2008, "Emulation of FMA and Correctly
    Rounded Sums: Proved Algorithms Using Rounding to Odd".

    >>> a, b, c = np.float32(1 + 2**-12), np.float32(1 + 2**-12), np.float32(-1)  # 2^-11 + 2^-24: 2^-24 survives
    >>> float(fused_multiply_add(a, b, c)) == 2**-11 + 2**-24, float(a * b + c) == 2**-11
    (True, True)
    """
    product = np.asarray(np.multiply(a, b, dtype=np.float64))
    addend = np.asarray(c, dtype=np.float64)
    total = np.asarray(product + addend)
    back = total - product
    error = (product - (total - back)) + (addend - back)
    is_even = (total.view(np.int64) & 1) == 0
    toward = np.where((error > 0) == (total > 0), 1, -1)
    odd = total.view(np.int64) + np.where((error != 0) & is_even, toward, 0)
    return np.asarray(odd.view(np.float64).astype(np.float32))
