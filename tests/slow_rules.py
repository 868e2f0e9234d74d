"""Requantization rules on single Python integers, from their sources' own definitions: slow and without overflow."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from accelsim.numerics.rule import Rule

#: Rules of the family "shift" with the function that each is here.
SHIFT_RULES = {"dyadic": Rule("dyadic"), "shift_floor": Rule("shift_floor"), "power_of_two": Rule("power_of_two")}


def tflite(value: int, scale: float) -> int:
    """gemmlowp's two roundings as its C++ has them: a nudge and a truncating division, then a masked remainder."""
    mantissa, exponent = math.frexp(scale)
    factor = math.floor(Fraction(mantissa) * 2**31 + Fraction(1, 2))
    if factor == 2**31:
        factor, exponent = factor // 2, exponent + 1
    if exponent < -31:
        return 0
    return tflite_of_integers(value, factor, exponent)


def tflite_of_integers(value: int, factor: int, exponent: int) -> int:
    """The same of a multiplier ``factor * 2^(exponent - 31)``."""
    shifted = value << max(exponent, 0)
    assert -(2**31) <= shifted < 2**31, "left int32"
    product = shifted * factor
    total = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(total) // 2**31 * (1 if total >= 0 else -1)
    right = max(-exponent, 0)
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def shifted(scheme: str, value: int, scale: float) -> int:
    """dyadic, shift_floor (8 bits) or power_of_two (half up)."""
    mantissa, exponent = math.frexp(scale)
    if scheme == "power_of_two":
        assert mantissa == 0.5
        return math.floor(Fraction(value) * Fraction(scale) + Fraction(1, 2))
    if scheme == "dyadic":
        factor = math.floor(Fraction(mantissa) * 2**31 + Fraction(1, 2))
        return round(Fraction(value * factor) * Fraction(2) ** (exponent - 31))
    factor = round(Fraction(mantissa) * 2**8)
    return math.floor(Fraction(value * factor) * Fraction(2) ** (exponent - 8))


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def single(value: float) -> float:
    """The nearest float32, as a Python float."""
    return float(np.float32(value))


def half_away(value: Fraction | float) -> int:
    exact = Fraction(value)
    return math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
