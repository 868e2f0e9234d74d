"""One integer multiplier of a fixed size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.step_cost import LayerForm, StepCost


class FixedPrecision(PrecisionKind):
    """One multiplier of a fixed size per PE: narrower operands are sign-extended, move fewer bytes and compute no faster."""

    kind: Literal["fixed"] = "fixed"
    """Name of the precision kind."""
    weight_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the multiplier's weight operand, bits (1 to 32)."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the multiplier's input operand, bits (1 to 32)."""
    gated: bool = False
    """Whether the upper part of the multiplier stands still under narrower operands, which then switch only as much energy
    as a multiplier of their own widths (dynamic accuracy scaling, Moons et al., DATE 2017). The gates that hold the rest
    still are left out."""

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.weight_bits, self.input_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return ((self.weight_bits, self.input_bits),)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """The multiplier's widths; with `gated` the operands' own, since the rest of it stands still."""
        if not fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits):
            return None
        return (weight_bits, input_bits) if self.gated else self.native_bits

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()

    @property
    def takes_wider_inputs(self) -> bool:
        return True
