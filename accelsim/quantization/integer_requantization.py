"""Deployment on integers alone: the rule by which scales become multipliers and shifts (survey, arXiv 2103.13630, IV-A).

Under these rules a product of scales is an integer and a shift, computed before the run, and every operator has a formula
on integers or a table of integers. What is left out: `float32_nearest_even` and `float64_half_away`, which multiply floating
point numbers; `litert_reference` and `tflite_int16x8`, whose fully connected layers do; `litert_optimized`, whose softmax
does.

Dyadic numbers b / 2^c are HAWQ-V3's (Yao et al. 2021, arXiv 2011.10680). There all operands of an addition have the same
scale, so that one multiplier serves them all: where a policy states a rule and says nothing else, operands of additions and
parts of concatenations share a grid (`PlacementOptions`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from accelsim.hardware.quantity import Spec
from accelsim.hardware.requantizer import check_scheme_options
from accelsim.numerics.rule import Rule
from accelsim.numerics.rule_names import RepeatableRounding

IntegerScheme = Literal["dyadic", "power_of_two", "shift_floor", "tflite_double", "tflite_single", "tflite_micro", "nvdla",
                        "tosa_single", "tosa_double"]


class IntegerRequantization(Spec):
    """A requantization rule on integers alone, by name or with options: {scheme: shift_floor, multiplier_bits: 15}."""

    scheme: IntegerScheme
    """Name of the rule, as a requantizer of the machine has it."""
    rounding: RepeatableRounding | None = None
    """Scheme power_of_two only: how its shift rounds, half_up if left out."""
    multiplier_bits: Annotated[int | None, Field(ge=1, le=31)] = None
    """Scheme shift_floor only: width of its multiplier (1 to 31), 8 if left out."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, document: Any) -> Any:
        """A name alone."""
        return {"scheme": document} if isinstance(document, str) else document

    @model_validator(mode="after")
    def _check_combination(self) -> IntegerRequantization:
        check_scheme_options(self.scheme, rounding=self.rounding, multiplier_bits=self.multiplier_bits)
        return self

    @property
    def rule(self) -> Rule:
        """The scheme with its options."""
        return Rule(self.scheme, rounding=self.rounding, multiplier_bits=self.multiplier_bits)
