"""Adders' registers: what an array of them keeps of exact sums, looked at in every clock."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register

#: Widest register, and largest product, of which int64 holds every sum.
_WIDEST_BITS, _LARGEST_PRODUCT = 62, 2**61


class Left(NamedTuple):
    """Sums that left their registers: where in the array, the exact values, and what was kept."""

    where: tuple[NDArray[np.intp], ...]
    exact: Integers
    kept: Integers


class Keeper:
    """Registers of one width in an array of this shape; "error" keeps what "wrap" does.

    Examples
    --------
    >>> keeper = Keeper(Register(8, "saturate"), (3,), np.dtype(np.int64))
    >>> sums = np.array([127, 128, -500])
    >>> left = keeper.keep(sums)
    >>> sums.tolist(), left.where[0].tolist(), left.exact.tolist()
    ([127, 127, -128], [1, 2], [128, -500])
    """

    def __init__(self, register: Register, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._register = Register(register.bits, "saturate" if register.overflow == "saturate" else "wrap")
        self._is_fast = dtype.kind == "i"
        self._half = np.int64(register.max + 1 if self._is_fast else 0)
        self._last = np.uint64(2 * register.max + 1)
        self._shifted = np.empty(shape, np.int64)
        self._unsigned = self._shifted.view(np.uint64)
        self._leaves = np.empty(shape, np.bool_)

    def holds(self, smallest: int, largest: int) -> bool:
        """Whether exact sums from the smallest to the largest all fit."""
        return bool(self._register.min <= smallest and largest <= self._register.max)

    def keep(self, sums: NDArray[Any]) -> Left | None:
        """Store exact sums in place; None if all of them fit."""
        if self._is_fast:
            # One comparison for both ends: what lies below the range is huge once it is unsigned.
            np.add(sums, self._half, out=self._shifted)
            np.greater(self._unsigned, self._last, out=self._leaves)
        else:
            self._leaves[...] = (sums > self._register.max) | (sums < self._register.min)
        if not np.count_nonzero(self._leaves):
            return None
        where = np.nonzero(self._leaves)
        exact = sums[where]
        kept = self._register.store(exact)
        sums[where] = kept
        return Left(where, exact, kept)


def kind_of(registers: tuple[Register, ...], *, largest_product: int, largest_start: int) -> np.dtype[Any]:
    """int64, or Python's integers where sums could be larger.

    Parameters
    ----------
    largest_product : of what is added in one clock.
    largest_start : of what registers are loaded with, before it has to fit.
    """
    is_small = (all(register.bits <= _WIDEST_BITS for register in registers) and largest_product < _LARGEST_PRODUCT
                and largest_start < 2 ** _WIDEST_BITS)
    return np.dtype(np.int64 if is_small else object)
