"""Multipliers that take an operand bit by bit."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.quantity import Ratio, Spec
from accelsim.hardware.step_cost import LayerForm, StepCost


class PointwiseForm(Spec):
    """How kernels of one position run, where they run otherwise."""

    reduction: Ratio
    """Share of the reduction lanes that work, each on all bits of an operand at once: a step then takes one cycle at any
    width. NE16: 16 of 144, 1/9."""
    overhead_cycles: Annotated[int, Field(ge=0)] = 0
    """Fixed cycles of a fold (at least 0)."""


class BitSerialPrecision(PrecisionKind):
    """A PE that multiplies by the bits of one or both operands, one after the other: of the weights (UNPU, Lee et al., JSSC
    2019; NE16 of GAP9), of the inputs (Stripes, Judd et al., MICRO 2016) or of both (Loom, Sharify et al., DAC 2018).

    A streamed step takes ceil(bits / bits_per_cycle) cycles, multiplied over the serial operands, whose widths count as
    least_bits at least; the other operand is parallel and as wide as the hardware has it. Each fold has its fixed cycles on
    top.
    """

    kind: Literal["bit_serial"]
    """Name of the precision kind."""
    serial: Literal["weights", "inputs", "both"]
    """Which operands come bit by bit."""
    weight_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Widest weights, bits (1 to 32); the width of the weights' wires where they are not serial."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Widest inputs, bits (1 to 32); the width of the inputs' wires where they are not serial."""
    least_bits: Annotated[int, Field(ge=1, le=32)] = 1
    """Narrowest serial operands, bits (1 to 32, at most their widest); narrower ones are rounded up to it. NE16: 2."""
    bits_per_cycle: Annotated[int, Field(ge=1, le=8)] = 1
    """Bits of each serial operand that a cycle takes (1 to 8); widths are rounded up to multiples of it."""
    overhead_cycles: Annotated[int, Field(ge=0)] = 0
    """Fixed cycles of every fold, before its stream (at least 0). NE16: 45 for a 3x3 window."""
    depthwise_overhead_cycles: Annotated[int | None, Field(ge=0)] = None
    """Fixed cycles of a fold of a depthwise layer (at least 0); left out, overhead_cycles."""
    pointwise: PointwiseForm | None = None
    """How kernels of one position run if their bits lie side by side (NE16: at any weight width in the same time); left out,
    they run as any other."""
    one_bit_reduction: Ratio = Field(default=1, validate_default=True)
    """Factor by which the reduction lanes grow where every serial operand has one bit (UNPU: 4/3, since its tables then hold
    four inputs instead of three)."""

    @model_validator(mode="after")
    def _check_combination(self) -> BitSerialPrecision:
        for operand, widest in (("weights", self.weight_bits), ("inputs", self.input_bits)):
            if self.is_serial(operand) and self.least_bits > widest:
                raise ValueError(f"least_bits: expected at most the {widest} bits of the {operand}, got {self.least_bits}")
        if self.one_bit_reduction < 1:
            raise ValueError(f"one_bit_reduction: expected at least 1, got {self.one_bit_reduction}")
        if self.pointwise is not None and self.pointwise.reduction > 1:
            raise ValueError(f"pointwise.reduction: expected at most 1, got {self.pointwise.reduction}")
        return self

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.weight_bits, self.input_bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return ((self.weight_bits, self.input_bits),)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """Serial operands rounded up to whole cycles, a parallel one to its wires.

        Examples
        --------
        >>> stripes = BitSerialPrecision(kind="bit_serial", serial="inputs", weight_bits=16, input_bits=16)
        >>> stripes.executed_bits(weight_bits=8, input_bits=5)
        (16, 5)
        >>> BitSerialPrecision(kind="bit_serial", serial="weights", least_bits=2).executed_bits(weight_bits=1, input_bits=8)
        (2, 8)
        """
        if not fits(self.limits[0], weight_bits=weight_bits, input_bits=input_bits):
            return None
        return (self._rounded(weight_bits if self.is_serial("weights") else self.weight_bits, "weights"),
                self._rounded(input_bits if self.is_serial("inputs") else self.input_bits, "inputs"))

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        """Cycles of the serial bits, and the fixed cycles of the form.

        Examples
        --------
        >>> loom = BitSerialPrecision(kind="bit_serial", serial="both", weight_bits=16, input_bits=16)
        >>> loom.step_cost(weight_bits=3, input_bits=5).cycles
        15
        """
        if form == "pointwise" and self.pointwise is not None:
            return StepCost(reduction=self.pointwise.reduction, fixed_cycles=self.pointwise.overhead_cycles)
        serial = [self._rounded(bits, operand) for operand, bits in (("weights", weight_bits), ("inputs", input_bits))
                  if self.is_serial(operand)]
        reduction = self.one_bit_reduction if all(bits == 1 for bits in serial) else Fraction(1)
        fixed = self.overhead_cycles
        if form == "depthwise" and self.depthwise_overhead_cycles is not None:
            fixed = self.depthwise_overhead_cycles
        cycles = math.prod(bits // self.bits_per_cycle for bits in serial)
        return StepCost(cycles=cycles, reduction=reduction, fixed_cycles=fixed)

    def is_serial(self, operand: str) -> bool:
        """Whether "weights" or "inputs" come bit by bit."""
        return self.serial in (operand, "both")

    def macs_per_pe_cycle(self, *, weight_bits: int, input_bits: int) -> Fraction:
        """Of the form that is faster."""
        forms: tuple[LayerForm, ...] = ("window", "pointwise")
        costs = [self.step_cost(weight_bits=weight_bits, input_bits=input_bits, form=form) for form in forms]
        return max(cost.macs_per_cycle for cost in costs)

    @property
    def takes_wider_inputs(self) -> bool:
        return not self.is_serial("inputs")

    def _rounded(self, bits: int, operand: str) -> int:
        """Up to the least width and to whole cycles where the operand is serial."""
        if not self.is_serial(operand):
            return bits
        return -(-max(bits, self.least_bits) // self.bits_per_cycle) * self.bits_per_cycle
