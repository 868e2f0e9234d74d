"""Softmax on integers alone, as TFLite's reference kernels compute it: rows in, probabilities out.

8-bit inputs: ``d = x - max(x)``; ``e = exp(beta * scale * d)`` in 31 bits (`fixed_point`), 0 for d below a radius that keeps
the argument in 5 integer bits; ``y = e * (1 / sum(e))``, the sum with 12 integer bits, the reciprocal in 31.
16-bit inputs: exp by a table over -10..0, ``1 / (1 + x)`` by another over 0..1, interpolated (`softmax_table`). LiteRT
computes the tables in float64; TFLite Micro in float32, unconfirmed whether an entry differs.

Rows whose sum of exponentials leaves its int32 register (4096 times the largest; 65,538 times for 16-bit inputs) are
refused: undefined in C. LiteRT gives up on 8-bit outputs where that sum reaches 512 times the largest; not here.

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/internal/reference/softmax.h`,
`reference/integer_ops/log_softmax.h`, `quantization_util.cc` (PreprocessSoftmaxScaling, CalculateInputRadius),
`tensorflow/lite/kernels/activations.cc` (tables of 16-bit inputs).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers, require_range
from accelsim.numerics.kernels.fixed_point import (
    EXP_INTEGER_BITS,
    exp_on_negative_values,
    leading_zeros,
    log_of_at_least_one,
    multiply_by_pot,
    reciprocal,
)
from accelsim.numerics.kernels.softmax_table import look_up, softmax_table
from accelsim.numerics.multiplier import q31
from accelsim.numerics.rescale import doubling_high_mul, rounding_divide_by_pot, tflite_double

#: Integer bits of the sum of exponentials. Source: softmax.h, kAccumulationIntegerBits.
_SUM_INTEGER_BITS = 12

#: Fraction bits of a number with 5 integer bits.
_EXP_FRACTION_BITS = 31 - EXP_INTEGER_BITS


@dataclass(frozen=True, slots=True)
class _Argument:
    """Input differences to numbers with 5 integer bits: ``SRDHM(d << shift, multiplier)``, defined for ``d >= lowest``."""

    multiplier: int
    shift: int
    lowest: int

    @classmethod
    def of(cls, scale: float, beta: float) -> _Argument:
        # Source: PreprocessSoftmaxScaling; the largest factor stands for any larger one.
        real = min(beta * scale * 2.0**_EXP_FRACTION_BITS, 2.0**31 - 1)
        if real <= 1:
            raise NumericsError(f"expected scale * beta above 2^-26, got {scale * beta}", field="scale")
        multiplier, shift = q31_of_any(real)
        # Source: CalculateInputRadius.
        lowest = -int(np.floor((2**EXP_INTEGER_BITS - 1) * 2.0**_EXP_FRACTION_BITS / 2.0**shift))
        return cls(multiplier, shift, lowest)

    def rescale(self, differences: Integers) -> Integers:
        return doubling_high_mul(np.maximum(differences, self.lowest) << self.shift, np.asarray(self.multiplier))


def q31_of_any(real: float) -> tuple[int, int]:
    """QuantizeMultiplier as (M, e) also for exponents of 31, which softmax shifts its small differences by.

    >>> q31_of_any(0.75) == (3 * 2**29, 0), q31_of_any(2.0**31 - 1)
    (True, (2147483647, 31))
    """
    fraction, exponent = np.frexp(real)
    encoded = q31(float(fraction))
    return int(encoded.mantissa), int(exponent) + 31 - int(encoded.shift)


def softmax_8bit(rows: Integers, *, scale: float, beta: float, output_bits: int) -> Integers:
    """Probabilities in units of ``2^-output_bits``, clamped to ``2^output_bits - 1``.

    Parameters
    ----------
    rows : (..., D) integers that differ by at most 255.
    scale, beta : as float64.
    output_bits : 8, or 16.

    Examples
    --------
    >>> softmax_8bit(np.array([[0, 0, 10]]), scale=0.1, beta=1.0, output_bits=8).tolist()
    [[54, 54, 147]]
    """
    argument = _Argument.of(scale, beta)
    # Rows have 256 differences at most: their exponentials are computed once.
    differences = -np.arange(256, dtype=np.int64)
    counted = exp_on_negative_values(argument.rescale(differences)) * (differences >= argument.lowest)
    below = rows.max(axis=-1, keepdims=True) - rows
    sums = _sums(multiply_by_pot(counted, -_SUM_INTEGER_BITS)[below])
    inverse, bits_over_unit = reciprocal(sums, _SUM_INTEGER_BITS)
    scaled = rounding_divide_by_pot(doubling_high_mul(inverse, counted[below]), bits_over_unit + 31 - output_bits)
    return np.asarray(np.minimum(scaled, 2**output_bits - 1))


def softmax_16bit(rows: Integers, *, scale: float, beta: float) -> Integers:
    """Probabilities in units of 2^-15, 0..32767.

    Parameters
    ----------
    rows : (..., D) int16 values.
    scale, beta : float32 numbers, whose product is made in float32.

    Examples
    --------
    >>> softmax_16bit(np.array([[0, 0, 10]]), scale=0.1, beta=1.0).tolist()
    [[6945, 6945, 18879]]
    """
    exp_table, inverse_table = _tables()
    # Source: activations.cc: the differences -65535..0 become -10..0; float32 product, then float64.
    factor = float(np.float32(scale) * np.float32(beta)) / (10.0 / 65535.0)
    rescaled = tflite_double(rows - rows.max(axis=-1, keepdims=True), q31(factor))
    exponentials = look_up(exp_table, np.clip(rescaled + 32767, -(2**15), 2**15 - 1))
    sums = _sums(exponentials)
    headroom = leading_zeros(sums)
    shifted = ((sums << (headroom - 1)) + (1 << 13)) >> 14
    inverse = look_up(inverse_table, np.clip(shifted - (2**15 + 2**16), -(2**15), 2**15 - 1))
    shift = 31 - headroom
    products = (exponentials * inverse + (1 << (shift - 1))) >> shift
    return np.asarray(np.clip(products, 0, 2**15 - 1))


@cache
def _tables() -> tuple[Integers, Integers]:
    """exp on -10..0, and 1 / (1 + x) on 0..1; float64, outputs in units of 2 / 65535."""
    exponential = softmax_table(np.exp, input_scale=10.0 / 65535, input_zero_point=32767, output_scale=2.0 / 65535)
    inverse = softmax_table(_one_over_one_plus, input_scale=1.0 / 65535, input_zero_point=-32768, output_scale=2.0 / 65535)
    for table in (exponential, inverse):
        table.flags.writeable = False
    return exponential, inverse


def _one_over_one_plus(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1.0 / (1.0 + x))


def log_softmax_8bit(rows: Integers, *, scale: float) -> Integers:
    """ln of the probabilities with 5 integer bits (units of 2^-26), at least -2^31.

    Differences below the radius, and those whose logarithm leaves the 5 integer bits, give -2^31.

    Examples
    --------
    >>> (log_softmax_8bit(np.array([[0, 0, 10]]), scale=0.1) / 2.0**26).round(4).tolist()
    [[-1.5514, -1.5514, -0.5514]]
    """
    argument = _Argument.of(scale, 1.0)
    differences = rows - rows.max(axis=-1, keepdims=True)
    arguments = argument.rescale(differences)
    exponentials = multiply_by_pot(exp_on_negative_values(arguments), -_SUM_INTEGER_BITS)
    sums = _sums(np.where(differences >= argument.lowest, exponentials, 0))
    logs = log_of_at_least_one(sums, input_bits=_SUM_INTEGER_BITS, output_bits=EXP_INTEGER_BITS)
    # Source: PreprocessLogSoftmaxScalingExp: the inverse of the argument's factor, to undo it on the lowest logarithm.
    back, shift = q31_of_any(2.0 ** (31 - argument.shift) / argument.multiplier)
    lowest = rounding_divide_by_pot(doubling_high_mul(logs + INT32_MIN, np.asarray(back)), np.asarray(-shift))
    is_kept = differences > np.maximum(argument.lowest - 1, lowest)
    return np.where(is_kept, np.clip(arguments - logs, INT32_MIN, INT32_MAX), INT32_MIN)


def _sums(exponentials: Integers) -> Integers:
    sums = exponentials.sum(axis=-1, keepdims=True)
    require_range(sums, 0, INT32_MAX, "sum of exponentials")
    return np.asarray(sums)
