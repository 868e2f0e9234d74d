"""Multipliers that split into narrower ones, by a list of modes."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.quantity import Ratio, Spec
from accelsim.hardware.step_cost import LayerForm, StepCost


class SubwordMode(Spec):
    """One way in which a PE multiplies."""

    weight_bits: Annotated[int, Field(ge=1, le=32)]
    """Width of the weights in this mode, bits (1 to 32)."""
    input_bits: Annotated[int, Field(ge=1, le=32)]
    """Width of the inputs in this mode, bits (1 to 32)."""
    macs_per_cycle: Ratio
    """MACs of one PE in a cycle: a whole number, or 1/2, 1/3, 1/4, ... where a step takes so many cycles."""
    is_float: bool = False
    """Whether this mode multiplies floating point numbers."""

    @model_validator(mode="after")
    def _check_rate(self) -> SubwordMode:
        if 1 not in (self.macs_per_cycle.numerator, self.macs_per_cycle.denominator):
            raise ValueError("macs_per_cycle: expected a whole number or one over a whole number, "
                             f"got {self.macs_per_cycle}")
        return self

    @property
    def bits(self) -> tuple[int, int]:
        return self.weight_bits, self.input_bits


class SubwordPrecision(PrecisionKind):
    """A multiplier with a few modes, each with a throughput of its own: tensor cores (int8, int4, int1), DVAFS multipliers
    (Moons et al. 2017), passes over an 8-bit multiplier (TPU v1 at 8x16 and 16x16 bits).

    A layer runs in the fastest mode that its operands fit; of several equally fast ones in that of the fewest partial
    products. A mode of p MACs a cycle takes p pairs of operands at once, one of 1/q MACs a pair in q cycles.
    """

    kind: Literal["subword"]
    """Name of the precision kind."""
    modes: Annotated[tuple[SubwordMode, ...], Field(strict=False)]
    """The modes, at least one; the first is the native one, for which peaks are stated. A faster mode may not be the wider
    one."""
    widens: Literal["reduction", "channels"] = "reduction"
    """Whose the products of a step are: one sum's, so that more reduction steps fit on the grid (tensor cores), or those of
    several output channels (GAP8's convolution engine: one, two or four output maps at 16, 8 or 4-bit weights)."""

    overhead: Ratio = Field(default=1, validate_default=True)
    """Factor by which a multiplication costs more energy and area than a fixed multiplier of the mode's widths (at least 1):
    what splitting costs. 1 leaves it out."""

    @model_validator(mode="after")
    def _check_modes(self) -> SubwordPrecision:
        if not self.modes:
            raise ValueError("modes: expected at least 1 in the list, got none")
        if self.overhead < 1:
            raise ValueError(f"overhead: expected at least 1, got {self.overhead}")
        seen: set[tuple[int, int]] = set()
        for index, mode in enumerate(self.modes):
            if mode.bits in seen:
                raise ValueError(f"modes.{index}: expected one mode for each pair of widths, got {_text(mode)} again")
            seen.add(mode.bits)
            for other in self.modes:
                if other.macs_per_cycle < mode.macs_per_cycle and _cells(other) < _cells(mode):
                    raise ValueError(f"modes.{index}.macs_per_cycle: expected at most the {other.macs_per_cycle} of the "
                                     f"narrower mode {_text(other)}, got {mode.macs_per_cycle}")
        return self

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.modes[0].bits

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        pairs = [mode.bits for mode in self.modes]
        return tuple(pair for pair in pairs
                     if not any(pair != other and pair[0] <= other[0] and pair[1] <= other[1] for other in pairs))

    def mode(self, *, weight_bits: int, input_bits: int) -> SubwordMode | None:
        """The mode in which operands of these widths run."""
        fitting = [mode for mode in self.modes if fits(mode.bits, weight_bits=weight_bits, input_bits=input_bits)]
        return min(fitting, key=lambda mode: (-mode.macs_per_cycle, _cells(mode)), default=None)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        mode = self.mode(weight_bits=weight_bits, input_bits=input_bits)
        return None if mode is None else mode.bits

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        mode = self.mode(weight_bits=weight_bits, input_bits=input_bits)
        assert mode is not None, "operands that do not fit have no cost"
        products, cycles = mode.macs_per_cycle.numerator, mode.macs_per_cycle.denominator
        if self.widens == "channels":
            return StepCost(cycles=cycles, channels=products)
        return StepCost(cycles=cycles, reduction=Fraction(products))

    @property
    def stated_bits(self) -> tuple[tuple[int, int], ...]:
        return tuple(mode.bits for mode in self.modes)

    def multiplies_floats(self, *, weight_bits: int, input_bits: int) -> bool:
        mode = self.mode(weight_bits=weight_bits, input_bits=input_bits)
        return mode is not None and mode.is_float


def _cells(mode: SubwordMode) -> int:
    """Partial-product bits of one multiplication."""
    return mode.weight_bits * mode.input_bits


def _text(mode: SubwordMode) -> str:
    return f"{mode.weight_bits}/{mode.input_bits}"
