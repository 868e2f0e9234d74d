"""Floating point, the baseline of comparisons."""

from __future__ import annotations

from typing import Literal

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.step_cost import LayerForm, StepCost


class FloatPrecision(PrecisionKind):
    """A floating point multiplier and adder per PE: tensors of any width up to its own are multiplied as its numbers. It
    serves as the baseline of time, traffic and energy; a run that carries integers is refused."""

    kind: Literal["float"]
    """Name of the precision kind."""
    bits: Literal[16, 32] = 32
    """Width of both operands: 32, or 16 (half precision or bfloat16). The sum has the accumulators' width."""

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.bits, self.bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return (self.native_bits,)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        return self.native_bits if fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits) else None

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()

    def multiplies_floats(self, *, weight_bits: int, input_bits: int) -> bool:
        return True
