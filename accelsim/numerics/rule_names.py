"""The names of rules, as descriptions and models write them. Without numpy, so that a description is checked quickly.

What each does stands in `scheme`, `rounding` and `register`.
"""

from __future__ import annotations

from typing import Literal

#: Requantization rules.
SchemeName = Literal[
    "tflite_double", "tflite_single", "litert_reference", "tflite_micro", "tflite_int16x8", "litert_optimized", "nvdla",
    "float32_nearest_even", "float64_half_away", "shift_floor", "dyadic", "power_of_two", "tosa_single", "tosa_double",
]

#: Roundings of a shift to the right that give the same integer every time.
RepeatableRounding = Literal["floor", "truncate", "half_up", "half_away", "half_even"]
Rounding = Literal[RepeatableRounding, "stochastic"]

#: What a register keeps of a value that it cannot hold.
Overflow = Literal["wrap", "saturate", "error"]
