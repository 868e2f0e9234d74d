"""Multipliers composed of 2-bit bricks."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.step_cost import LayerForm, StepCost

# Sharma et al., "Bit Fusion", ISCA 2018 (arXiv 1712.01507), section II: a BitBrick multiplies 2-bit operands.
BRICK_BITS = 2


class BitFusionPrecision(PrecisionKind):
    """A PE of 2-bit multipliers that fuse to the operands' widths (Bit Fusion, Sharma et al., ISCA 2018).

    With F = `fused_bits`, a PE has (F/2)^2 bricks. Operands of w and a bits are rounded up to w', a' among 2, 4, 8, ..., F;
    then the PE takes floor(F/a') * floor(F/w') pairs of operands of one sum in a cycle. The operands of a grid's row widen
    with it: a layer with too few reduction steps does not gain. Operands above F bits take ceil(w/F) * ceil(a/F) passes.
    """

    kind: Literal["bit_fusion"]
    """Name of the precision kind."""
    fused_bits: Literal[4, 8, 16] = 8
    """Width of the operands for which all bricks of a PE fuse into one multiplier: 4, 8 or 16."""
    weight_bits: Annotated[int, Field(ge=1, le=32)] = 16
    """Widest weights, bits (1 to 32); above fused_bits in passes."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 16
    """Widest inputs, bits (1 to 32); above fused_bits in passes."""

    @model_validator(mode="after")
    def _check_limits(self) -> BitFusionPrecision:
        for name, bits in (("weight_bits", self.weight_bits), ("input_bits", self.input_bits)):
            if bits < self.fused_bits:
                raise ValueError(f"{name}: expected at least the {self.fused_bits} bits of fused_bits, got {bits}")
        return self

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.fused_bits, self.fused_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return ((self.weight_bits, self.input_bits),)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """Rounded up to the widths to which bricks fuse, or to whole passes.

        Examples
        --------
        >>> bricks = BitFusionPrecision(kind="bit_fusion")
        >>> bricks.executed_bits(weight_bits=3, input_bits=5), bricks.executed_bits(weight_bits=1, input_bits=9)
        ((4, 8), (2, 16))
        """
        if not fits(self.limits[0], weight_bits=weight_bits, input_bits=input_bits):
            return None
        return self._rounded(weight_bits), self._rounded(input_bits)

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        """Pairs of operands side by side, and passes.

        Examples
        --------
        >>> bricks = BitFusionPrecision(kind="bit_fusion")
        >>> [int(bricks.macs_per_pe_cycle(weight_bits=bits, input_bits=bits)) for bits in (8, 4, 3, 2)]
        [1, 4, 4, 16]
        >>> bricks.step_cost(weight_bits=16, input_bits=16).cycles
        4
        """
        weight, given, fused = self._rounded(weight_bits), self._rounded(input_bits), self.fused_bits
        pairs = max(1, fused // weight) * max(1, fused // given)
        passes = -(-weight // fused) * -(-given // fused)
        return StepCost(cycles=passes, reduction=Fraction(pairs))

    def _rounded(self, bits: int) -> int:
        """Up to a power of two of bricks, or to whole passes."""
        if bits > self.fused_bits:
            return -(-bits // self.fused_bits) * self.fused_bits
        rounded = BRICK_BITS
        while rounded < bits:
            rounded *= 2
        return rounded
