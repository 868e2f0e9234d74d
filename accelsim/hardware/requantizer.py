"""The unit that turns accumulators into output integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from accelsim.hardware.quantity import Count, Spec
from accelsim.numerics.rule_names import RepeatableRounding, SchemeName

if TYPE_CHECKING:
    from accelsim.numerics.rule import Rule


class Requantizer(Spec):
    """Multiplies, shifts, rounds and clamps `lanes` accumulators a cycle (Figure 2 of the white paper)."""

    lanes: Count
    """Outputs a cycle (at least 1)."""
    latency_cycles: Annotated[int, Field(ge=0)] = 0
    """Cycles from an accumulator's reading to its output's writing (at least 0)."""
    scheme: SchemeName = "tflite_double"
    """Name of the rounding rule. It does not change the timing."""
    rounding: RepeatableRounding | None = None
    """Scheme power_of_two only: how its shift rounds, half_up if left out. There is no stochastic rounding here, since equal
    runs give equal integers."""
    multiplier_bits: Annotated[int | None, Field(ge=1, le=31)] = None
    """Scheme shift_floor only: width of its multiplier (1 to 31), 8 if left out."""

    @model_validator(mode="after")
    def _check_combination(self) -> Requantizer:
        check_scheme_options(self.scheme, rounding=self.rounding, multiplier_bits=self.multiplier_bits)
        return self

    @property
    def rule(self) -> Rule:
        """The scheme with its options."""
        from accelsim.numerics.rule import Rule  # late: numpy takes longer to import than a description to check

        return Rule(self.scheme, rounding=self.rounding, multiplier_bits=self.multiplier_bits)


def check_scheme_options(scheme: str, *, rounding: str | None, multiplier_bits: int | None) -> None:
    """That a requantization scheme has the options that are stated for it.

    Raises
    ------
    ValueError : it has not; the message begins with the option's name.
    """
    if rounding is not None and scheme != "power_of_two":
        raise ValueError(f"rounding: expected scheme power_of_two for a rounding of its own, got {scheme}")
    if multiplier_bits is not None and scheme != "shift_floor":
        raise ValueError(f"multiplier_bits: expected scheme shift_floor for a multiplier width, got {scheme}")
