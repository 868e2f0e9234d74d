"""The type of a quantized number: a width, a sign, a range.

==============================  =====================  =======================
type                            range                  note
==============================  =====================  =======================
unsigned, b bits                0 .. 2^b - 1
signed, b bits                  -2^(b-1) .. 2^(b-1)-1  two's complement
signed restricted, b bits >= 2  -(2^(b-1)-1) .. -min   TFLite's int8 weights: -127..127
unsigned, 1 bit                 0 .. 1
signed, 1 bit                   -1 .. 0                two's complement, not the bipolar -1/+1 of binary networks
==============================  =====================  =======================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import as_integers, extremes


@dataclass(frozen=True, slots=True)
class QType:
    """An integer type of 1 to 32 bits that knows its range.

    Parameters
    ----------
    bits : width, 1 to 32.
    is_signed : two's complement if true.
    is_restricted : leave out the most negative value, so that the range is symmetric; signed types of 2 bits or more only.

    Raises
    ------
    NumericsError : a width outside 1..32; a restricted unsigned or 1-bit type.

    Examples
    --------
    >>> QType(8, True), QType(8, True, is_restricted=True).min, QType(4, False).max
    (QType(bits=8, is_signed=True, is_restricted=False), -127, 15)
    >>> QType(1, True).range_text, QType(1, False).range_text
    ('-1..0', '0..1')
    """

    bits: int
    is_signed: bool
    is_restricted: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 1 <= self.bits <= 32:
            raise NumericsError(f"expected a width of 1 to 32 bits, got {self.bits!r}", field="bits")
        if self.is_restricted and (not self.is_signed or self.bits == 1):
            found = f"{self.bits} bit signed" if self.is_signed else "unsigned"
            raise NumericsError(f"expected a signed type of at least 2 bits for a restricted range, got {found}",
                                field="is_restricted")

    @property
    def min(self) -> int:
        """Smallest value: ``-2^(b-1)`` (plus 1 if restricted), or 0 if unsigned."""
        return -(1 << (self.bits - 1)) + self.is_restricted if self.is_signed else 0

    @property
    def max(self) -> int:
        """Largest value: ``2^(b-1) - 1``, or ``2^b - 1`` if unsigned."""
        return (1 << (self.bits - self.is_signed)) - 1

    @property
    def range_text(self) -> str:
        """The range as errors and reports print it."""
        return f"{self.min}..{self.max}"

    @property
    def name(self) -> str:
        """``int8``, ``uint4``.

        >>> QType(4, False).name
        'uint4'
        """
        return f"{'int' if self.is_signed else 'uint'}{self.bits}"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest numpy integer type that holds every value.

        >>> QType(4, False).dtype, QType(17, True).dtype
        (dtype('uint8'), dtype('int32'))
        """
        container_bits = next(width for width in (8, 16, 32) if self.bits <= width)
        return np.dtype(f"{'int' if self.is_signed else 'uint'}{container_bits}")

    def clamp(self, values: ArrayLike) -> NDArray[Any]:
        """``min(max(x, self.min), self.max)`` in the type's own dtype: saturates, never wraps.

        Parameters
        ----------
        values : exact integers of any size and shape; floats are refused (round them first, by a named rule).

        >>> QType(4, True).clamp([-2**70, -3, 99])
        array([-8, -3,  7], dtype=int8)
        """
        return np.asarray(np.clip(as_integers(values), self.min, self.max)).astype(self.dtype)

    def holds(self, values: ArrayLike) -> bool:
        """Whether every value is in the range; true of no values at all.

        >>> QType(4, False).holds([0, 15]), QType(4, False).holds([16])
        (True, False)
        """
        array = as_integers(values)
        smallest, largest = extremes(array)
        return array.size == 0 or (self.min <= smallest and largest <= self.max)
