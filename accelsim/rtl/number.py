"""An integer on wires."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Number(NamedTuple):
    """Width and sign of an integer in two's complement."""

    bits: int
    is_signed: bool

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value.

        >>> Number(8, True).range, Number(8, False).range
        ((-128, 127), (0, 255))
        """
        if self.is_signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


def products_of(pairs: Iterable[tuple[tuple[int, int], tuple[int, int], int]]) -> Number:
    """The signed number that holds sums of products.

    Parameters
    ----------
    pairs : (range of one factor, range of the other, how many products are added).

    >>> products_of([((-128, 127), (-128, 127), 1)]), products_of([((0, 3), (0, 3), 4)])
    (Number(bits=16, is_signed=True), Number(bits=7, is_signed=True))
    """
    ends = [one * other * count for first, second, count in pairs for one in first for other in second]
    return signed_number(min(ends), max(ends))


def signed_number(low: int, high: int) -> Number:
    """The narrowest signed number with these values."""
    return Number(1 + max((-1 - low).bit_length() if low < 0 else 0, high.bit_length()), True)
