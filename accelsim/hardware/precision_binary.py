"""Weights of one bit, and of three values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.step_cost import LayerForm, StepCost


class BinaryPrecision(PrecisionKind):
    """Weights -1 and +1 (Rastegari et al. 2016, XNOR-Net): with one-bit inputs a product is an XNOR and a sum a popcount,
    with wider ones the weight chooses between adding and subtracting."""

    kind: Literal["binary"]
    """Name of the precision kind."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 1
    """Width of the inputs, bits (1 to 32): 1 is XNOR and popcount, more an adder that also subtracts."""

    @property
    def native_bits(self) -> tuple[int, int]:
        return 1, self.input_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return (self.native_bits,)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        return self.native_bits if fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits) else None

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()


class TernaryPrecision(PrecisionKind):
    """Weights -1, 0 and +1 in two bits (Li et al. 2016, ternary weight networks): one bit lets the input through, the other
    negates it; with inputs of two bits both operands are ternary (gated XNOR)."""

    kind: Literal["ternary"]
    """Name of the precision kind."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 2
    """Width of the inputs, bits (1 to 32)."""

    @property
    def native_bits(self) -> tuple[int, int]:
        return 2, self.input_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return (self.native_bits,)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        return self.native_bits if fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits) else None

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()
