"""Weights that are powers of two."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.step_cost import LayerForm, StepCost


class ShiftAddPrecision(PrecisionKind):
    """A PE with a shifter instead of a multiplier, for logarithmic weights +-2^e (Miyashita et al. 2016; Zhou et al. 2017,
    INQ): a weight's code is a sign and an exponent. Where a layer has weights of 0, one of the exponents stands for it. One
    MAC a cycle, at the hardware's widths."""

    kind: Literal["shift_add"]
    """Name of the precision kind."""
    weight_bits: Annotated[int, Field(ge=2, le=6)] = 4
    """Width of a weight's code, bits (2 to 6): one sign bit, the others choose among 2^(weight_bits - 1) shifts."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the inputs, bits (1 to 32)."""

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.weight_bits, self.input_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return (self.native_bits,)

    @property
    def shifts(self) -> int:
        """Distances among which the shifter chooses."""
        return 1 << (self.weight_bits - 1)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        return self.native_bits if fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits) else None

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()

    @property
    def takes_wider_inputs(self) -> bool:
        return True
