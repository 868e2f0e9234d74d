"""Which operand widths a PE multiplies, and how fast.

One model per kind, told apart by `kind`; each kind is data plus the pure functions below it. A grid's peak is
``rows * columns * pixels * macs_per_pe_cycle``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.quantity import Spec


class FixedPrecision(Spec):
    """One multiplier of a fixed size per PE: narrower operands are sign-extended, move fewer bytes and compute no faster."""

    kind: Literal["fixed"] = "fixed"
    """Name of the precision kind."""
    weight_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the multiplier's weight operand, bits (1 to 32)."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the multiplier's input operand, bits (1 to 32)."""

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """(weight, input) widths at which the PE really multiplies, or None for operands wider than it has."""
        if weight_bits > self.weight_bits or input_bits > self.input_bits:
            return None
        return self.weight_bits, self.input_bits

    def macs_per_pe_cycle(self, *, weight_bits: int, input_bits: int) -> Fraction:
        """MACs that one PE completes in a cycle at these operand widths."""
        return Fraction(1)


Precision = FixedPrecision
