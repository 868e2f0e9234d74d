"""The unit that turns accumulators into output integers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.quantity import Count, Spec

#: Rules by which accumulators become output integers; each names the software or hardware that computes so.
Scheme = Literal[
    "tflite_double", "tflite_single", "litert_reference", "tflite_micro", "tflite_int16x8", "litert_optimized", "nvdla",
    "float32_nearest_even", "shift_floor", "dyadic", "power_of_two", "tosa_single", "tosa_double",
]


class Requantizer(Spec):
    """Multiplies, shifts, rounds and clamps `lanes` accumulators a cycle (Figure 2 of the white paper)."""

    lanes: Count
    """Outputs a cycle (at least 1)."""
    latency_cycles: Annotated[int, Field(ge=0)] = 0
    """Cycles from an accumulator's reading to its output's writing (at least 0)."""
    scheme: Scheme = "tflite_double"
    """Name of the rounding rule. It does not change the timing."""
