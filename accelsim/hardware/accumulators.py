"""The registers that hold partial sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accelsim.hardware.quantity import Count, Spec
from accelsim.numerics.rule_names import Overflow

if TYPE_CHECKING:
    from accelsim.numerics.register import Register


class Accumulators(Spec):
    """A small memory of partial sums at the edge of the grid (A[n] in Figure 1 of the white paper), one lane per column
    (systolic) or per row (dot_product). An output block stays here until its last product is in."""

    bits: Annotated[int, Field(ge=8, le=64)] = 32
    """Width of a partial sum (8 to 64)."""
    overflow: Overflow = "wrap"
    """What a partial sum beyond that width becomes, here and on the wires between PEs: wrap (two's complement), saturate
    (the nearest end of the range), or error (the run stops there). It does not change the timing."""
    entries: Count
    """Partial sums per column of the grid (dot_product: per row), over both halves if double buffered (at least 1)."""
    preloads_bias: bool = True
    """Whether a block starts from its bias (Figure 1) or from zero, the bias then being added by the requantizer. It
    changes where the bias is added, not the timing."""
    double_buffered: bool = True
    """Whether the next block accumulates while the last is requantized; each block then has half of the entries."""

    @property
    def block_entries(self) -> int:
        """Entries per lane that one output block may fill."""
        return self.entries // 2 if self.double_buffered else self.entries

    @property
    def register(self) -> Register:
        """What one entry keeps of an exact sum."""
        return self.register_of(self.bits)

    def register_of(self, bits: int) -> Register:
        """A register of another width with the same overflow rule: the wires between PEs."""
        from accelsim.numerics.register import Register  # late: numpy takes longer to import than a description to check

        return Register(bits, self.overflow)
