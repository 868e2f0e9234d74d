"""A two's complement register of 1 to 64 bits: what it keeps of an exact sum that does not fit.

::

    wrap       ((x + 2^(P-1)) mod 2^P) - 2^(P-1)
    saturate   min(max(x, -2^(P-1)), 2^(P-1) - 1)
    error      refused

An overflow event is an exact value outside the range, judged on the sum of what the register kept before and the addend; the
caller adds, exactly, and stores after each addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers, as_integers, narrowed, require_range
from accelsim.numerics.rule_names import Overflow as Overflow


@dataclass(frozen=True, slots=True)
class Register:
    """The register of an accumulator, or the wires between PEs.

    Parameters
    ----------
    bits : P, 1 to 64.
    overflow : what happens to a value that does not fit.

    Raises
    ------
    NumericsError : a width outside 1..64; an unknown overflow rule.

    Examples
    --------
    >>> Register(8, "wrap").store([127, 128, -129]).tolist(), Register(8, "saturate").store([127, 128, -129]).tolist()
    ([127, -128, 127], [127, 127, -128])
    >>> Register(8, "wrap").overflows([127, 128, -129]).tolist()
    [0, 1, -1]
    """

    bits: int
    overflow: Overflow

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 1 <= self.bits <= 64:
            raise NumericsError(f"expected a width of 1 to 64 bits, got {self.bits!r}", field="bits")
        if self.overflow not in get_args(Overflow):
            raise NumericsError(f'expected one of {", ".join(get_args(Overflow))}, got "{self.overflow}"', field="overflow")

    @property
    def min(self) -> int:
        """``-2^(P-1)``."""
        return -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        """``2^(P-1) - 1``."""
        return (1 << (self.bits - 1)) - 1

    def overflows(self, values: ArrayLike) -> NDArray[np.int8]:
        """1 where an exact value lies above the range, -1 where below, 0 where it fits; the shape of `values`."""
        x = as_integers(values)
        return np.asarray(x > self.max).astype(np.int8) - np.asarray(x < self.min).astype(np.int8)

    def store(self, values: ArrayLike) -> Integers:
        """What the register keeps of exact values of any size: int64, the shape of `values`.

        Raises
        ------
        NumericsError : under "error", a value that does not fit.
        """
        x = as_integers(values)
        if self.overflow == "error":
            require_range(x, self.min, self.max, f"{self.bits}-bit register")
            return x
        if self.overflow == "saturate":
            return narrowed(np.asarray(np.clip(x, self.min, self.max)))
        if x.dtype != object:
            # The upper bits leave to the left, the sign comes back from the right; nothing needs more than int64.
            lost = 64 - self.bits
            return np.right_shift(np.left_shift(x, lost), lost)
        modulus = 1 << self.bits
        kept = [(int(value) - self.min) % modulus + self.min for value in x.flat]
        return np.array(kept, dtype=np.int64).reshape(x.shape)
