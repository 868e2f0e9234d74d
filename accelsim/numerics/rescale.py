"""From accumulators to scaled integers: one pure function per requantization rule, before zero point and clamp.

With M the mantissa and n the shift of a `Multiplier` (``scale ~ M * 2^-n``) and a the accumulator, the output is
``clamp(rescale(a) + z)``; the zero point z is always added after the rounding.

Every function takes ``accumulators`` (..., C) within the register that its source computes in (`scheme.Scheme`), M and n
of shape () or (C,), and returns integers of the accumulators' shape. Where the source's own arithmetic would overflow or is
left undefined, `NumericsError` is raised, so that no result is ever a guess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers, product, require_range, total
from accelsim.numerics.multiplier import Multiplier
from accelsim.numerics.rounding import (
    Rounding,
    shift_floor,
    shift_half_away,
    shift_half_even,
    shift_half_up,
    shift_right,
)


def doubling_high_mul(a: Integers, b: Integers) -> Integers:
    """SaturatingRoundingDoublingHighMul: ``(a * b + 2^30) >> 31``, half up; a, b in int32.

    Saturation: only a = b = INT32_MIN, whose 2^31 becomes 2^31 - 1. Overflow: none, products stay below 2^62 + 2^30.
    gemmlowp writes it with a sign-dependent nudge and a truncating division; the two are identical.

    Source: google/gemmlowp@16e8662 `fixedpoint/fixedpoint.h`.

    >>> doubling_high_mul(np.array([-2**31, 3, -3]), np.array([-2**31, 2**30, 2**30])).tolist()  # 1.5 and -1.5: half up
    [2147483647, 2, -1]
    """
    rounded = np.asarray((a * b + 2**30) >> 31)
    return rounded if np.min(b, initial=0) > INT32_MIN else np.asarray(np.minimum(rounded, INT32_MAX))


def rounding_divide_by_pot(x: Integers, exponent: NDArray[np.int64]) -> Integers:
    """RoundingDivideByPOT: ``(x >> n) + ((x & m) > (m >> 1) + (x < 0))``, ``m = 2^n - 1``: half away; x in int32.

    Computed as the half-up shift of ``x - (x < 0)``: taking 1 from a negative x turns its ties downward and moves nothing
    else. Saturation and overflow: none for x in int32.

    Source: google/gemmlowp@16e8662 `fixedpoint/fixedpoint.h`.

    >>> rounding_divide_by_pot(np.array([-3, -1, 1, 3]), np.array(1)).tolist()
    [-2, -1, 1, 2]
    """
    return shift_half_up(x - ((x < 0) & (exponent > 0)), exponent)


def tflite_double(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``RDBPOT(SRDHM(a << max(e, 0), M), max(-e, 0))``, ``e = 31 - n``: two roundings, half up then half away.

    Raises where ``a << e`` leaves int32 (undefined in C). CMSIS-NN's default is the same function.

    Source: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/common.cc` (default build).
    """
    right = np.maximum(multiplier.shift - 31, 0)
    return rounding_divide_by_pot(doubling_high_mul(_shifted_left(accumulators, multiplier), multiplier.mantissa), right)


def litert_optimized(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``(SRDHM(a << max(e, 0), M) + 2^(r-1)) >> r``, ``r = max(-e, 0)``: half up twice.

    Source: measured on LiteRT's optimized x86 kernels, where 0 of 960,000 outputs of trained networks differ. Raises as
    `tflite_double`.
    """
    right = np.maximum(multiplier.shift - 31, 0)
    return shift_half_up(doubling_high_mul(_shifted_left(accumulators, multiplier), multiplier.mantissa), right)


def tflite_single(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``(a * M + 2^(n-1)) >> n``: one rounding, half up. Raises where the result leaves int32 (a debug check in C).

    Source: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/common.cc`, TFLITE_SINGLE_ROUNDING; the same formula in
    google/ruy@2af8886 `ruy/apply_multiplier.cc`.
    """
    return _int32(shift_half_up(accumulators * multiplier.mantissa, multiplier.shift))


def tflite_int16x8(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``(a * Mr + 2^(t-1)) >> t``, Mr and ``t = 15 - e`` of `multiplier.q15_reduced`: half up, a in 48 bits.

    For kernels with 64-bit accumulators; products stay below 2^62. Raises where the result leaves int32.

    Source: the same file, MultiplyByQuantizedMultiplier of int64_t.
    """
    return _int32(shift_half_up(accumulators * multiplier.mantissa, multiplier.shift))


def nvdla(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``sat17(half_away(sat32(a) * M / 2^n))``: the output converter; M int16, n 6 bits.

    Saturation: the accumulators' 34 or 48 bits are cut to 32 on delivery, the result to 17 signed bits, then to the output
    type. Overflow: none, the product has 49 bits. The hardware subtracts a
    32-bit offset from a before the product; it is the bias here, and 0. A zero point is added after the 17 bits, as in the
    other rules, which the hardware cannot do.

    Sources: nvdla/hw@dec3ff9 `vmod/nvdla/cacc/NV_NVDLA_CACC_CALC_int8.v` (delivery), `cmod/hls/sdp/sdp_c.cpp` (offset,
    scale, IntShiftRightSat), `nvdla_int.h` (rounding fixed-point type; half away).
    """
    delivered = np.clip(accumulators, INT32_MIN, INT32_MAX)
    return np.clip(shift_half_away(delivered * multiplier.mantissa, multiplier.shift), -(2**16), 2**16 - 1)


def float32_nearest_even(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``rint(float32(a) * float32(s))``: a rounded to 24 bits, the product rounded to 24 bits, then half even.

    The sources clamp before they round; with integer bounds that changes nothing. Saturation: at +-2^62, beyond any output
    type. float32(a) is inexact above 2^24, as in the sources.

    Sources: onnxruntime `onnxruntime/core/mlas/lib/quantize.cpp` MlasRequantizeOutput; google/XNNPACK@75db3c09
    `src/xnnpack/requantization.h` (fp32).
    """
    scale = np.ldexp(multiplier.mantissa.astype(np.float64), -multiplier.shift).astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.rint(accumulators.astype(np.float32) * scale)
    limit = np.float32(2.0**62)
    return np.asarray(np.clip(scaled, -limit, limit)).astype(np.int64)


def float64_half_away(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``round(float64(a) * s)``, ties away from zero: s with all of its 53 bits, the product rounded to 53 bits.

    Saturation: at +-2^62, beyond any output type.

    Source: google-ai-edge/LiteRT `tflite/kernels/internal/common.h`, MultiplyByQuantizedMultiplier of a double, which its
    reference FULLY_CONNECTED calls for every type.
    """
    scale = np.ldexp(multiplier.mantissa.astype(np.float64), -multiplier.shift)
    with np.errstate(over="ignore", under="ignore"):
        scaled = accumulators.astype(np.float64) * scale
    return round_float(np.clip(scaled, -(2.0**62), 2.0**62), "half_away").astype(np.int64)


def shift_floor_rule(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``(a * M + lambda) >> n``: floor, no rounding constant. Exact for any size of a.

    PULP-NN's 32-bit tree and NE16 wrap the sum at 32 bits; this is the 64-bit tree, which does not, for 32-bit a.

    Sources: pulp-platform/pulp-nn@288d06b `64bit/src/pulp_nn_utils.c`; pulp-platform/ne16@6bd7272
    `rtl/accumulator/ne16_normquant*.sv`.
    """
    return shift_floor(total(_scaled(accumulators, multiplier), multiplier.addend), np.maximum(multiplier.shift, 0))


def dyadic(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``rint(a * b / 2^c)``: half even, in exact integers for any size of a.

    HAWQ's own code rounds the product to float64 first, which can differ once ``|a * b| > 2^53``; 0 of 200,000 random int32
    accumulators did. The integers are the paper's hardware rule.

    Source: Zhen-Dong/HAWQ@1616df69 `utils/quantization_utils/quant_utils.py` fixedpoint_fn.
    """
    return shift_half_even(_scaled(accumulators, multiplier), np.maximum(multiplier.shift, 0))


def power_of_two(accumulators: Integers, multiplier: Multiplier, rounding: Rounding = "half_up",
                 generator: np.random.Generator | None = None) -> Integers:
    """``round(a / 2^n)`` by any rule of `rounding`, ``a * 2^-n`` for negative n. Exact for any size of a."""
    return shift_right(_scaled(accumulators, multiplier), np.maximum(multiplier.shift, 0), rounding, generator=generator)


def tosa_single(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """apply_scale_32: ``(a * M + 2^(n-1)) >> n``, 2 <= n <= 62, half up.

    Raises where the specification's requirements fail: ``-2^(n-1) <= a < 2^(n-1)``, and an int32 result.

    Source: arm/tosa-specification@cd5acdd `pseudocode/library/scale_helpers.tosac`.
    """
    _require_tosa_range(accumulators, multiplier)
    return _int32(shift_half_up(accumulators * multiplier.mantissa, multiplier.shift))


def tosa_double(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """apply_scale_32 with DOUBLE_ROUND: `tosa_single`, and for n > 31 the sum gets ``+2^30`` (a >= 0) or ``-2^30`` (a < 0).

    Equal to `tflite_double` wherever both are defined: SRDHM and RDBPOT add 2^30 and ``2^(n-1) - (a < 0) * 2^31`` before one
    joint shift.

    Source: the same file.
    """
    _require_tosa_range(accumulators, multiplier)
    nudge = np.where(multiplier.shift > 31, np.where(accumulators >= 0, 2**30, -(2**30)), 0)
    return _int32(shift_half_up(accumulators * multiplier.mantissa + nudge, multiplier.shift))


def _scaled(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``a * M``, times ``2^-n`` for negative n, exact."""
    factor = multiplier.mantissa
    if np.any(multiplier.shift < 0):
        power = np.left_shift(np.asarray(1, dtype=object), np.maximum(-multiplier.shift, 0).astype(object))
        factor = np.asarray(factor.astype(object) * power, dtype=object)
    return product(accumulators, factor)


def _shifted_left(accumulators: Integers, multiplier: Multiplier) -> Integers:
    """``a << max(31 - n, 0)``, which must stay in int32."""
    if np.all(multiplier.shift >= 31):
        return accumulators
    shifted = np.left_shift(accumulators, np.maximum(31 - multiplier.shift, 0))
    return _int32(shifted)


def _int32(values: Integers) -> Integers:
    require_range(values, INT32_MIN, INT32_MAX, "accumulator * scale")
    return values


def _require_tosa_range(accumulators: Integers, multiplier: Multiplier) -> None:
    half = np.left_shift(np.int64(1), multiplier.shift - 1)
    if np.any((accumulators < -half) | (accumulators >= half)):
        raise NumericsError("expected -2^(shift-1) <= accumulator < 2^(shift-1), which TOSA requires, got one outside",
                            field="accumulator")
