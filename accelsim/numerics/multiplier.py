"""A real scale as the integers that a requantizer multiplies and shifts by.

For every scheme, ``scale ~ mantissa * 2^-shift``. What differs is the mantissa's width, its rounding and its limits:

===================  ==================================  =====================================================
encoder              mantissa                            limits of shift
===================  ==================================  =====================================================
`q31`                31 bits, half away                  scale < 2^-32 becomes 0; scale >= 2^30 is refused
`q31_single`         as q31                              the same; scale >= 2^30 becomes 2^31 - 1, shift 1
`q31_tosa`           as q31                              above 62 the mantissa is cut
`q15_reduced`        q31's, half up to 15 bits           scale >= 2^7 is refused
`narrow` (b bits)    b bits, half even                   none
`dyadic`             31 bits, half up, may reach 2^31    none
`float32`            the 24 bits of float32(scale)       none
`float64`            the 53 bits of the scale            none
`power_of_two`       1                                   none; other scales are refused
===================  ==================================  =====================================================

gemmlowp's and TFLite's exponent is ``e = 31 - shift`` (left shifts for e > 0). Nothing here wraps; encoders that cannot keep
the scale raise `NumericsError`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import as_integers
from accelsim.numerics.qparams import as_scales
from accelsim.numerics.rounding import Rounding


@dataclass(frozen=True, eq=False)
class Multiplier:
    """``scale ~ mantissa * 2^-shift``, one per tensor (shape ()) or one per channel (shape (C,)).

    Parameters
    ----------
    mantissa : int64; the factor.
    shift : int64, the same shape; the shift to the right after the product (negative: to the left).
    addend : int64, the same shape; added to the product before the shift (the lambda of PULP-NN), else 0.
    """

    mantissa: NDArray[np.int64]
    shift: NDArray[np.int64]
    addend: NDArray[np.int64]

    @classmethod
    def of(cls, mantissa: ArrayLike, shift: ArrayLike, addend: ArrayLike = 0) -> Multiplier:
        """The three as read-only int64 arrays of one shape, () or (C,).

        Raises
        ------
        NumericsError : values that are not integers or exceed int64; shapes that do not agree.
        """
        given = [as_integers(mantissa, "multiplier"), as_integers(shift, "shift"), as_integers(addend, "addend")]
        if any(array.dtype == object for array in given):
            raise NumericsError("expected integers of at most 64 bits, got a larger one", field="multiplier")
        lengths = {array.shape for array in given if array.ndim}
        if len(lengths) > 1 or any(len(length) > 1 for length in lengths):
            found = " and ".join(sorted(str(length) for length in lengths))
            raise NumericsError(f"expected one value, or lists of one length, got shapes {found}", field="multiplier")
        arrays = [np.array(np.broadcast_to(array, next(iter(lengths), ())), dtype=np.int64) for array in given]
        for array in arrays:
            array.flags.writeable = False
        return cls(*arrays)


def q31(scale: ArrayLike) -> Multiplier:
    """QuantizeMultiplier: ``d = q * 2^e, q in [1/2, 1); M = round_half_away(q * 2^31); M = 2^31 becomes 2^30, e + 1``.

    Below ``e = -31`` the result is M = 0, e = 0. The kernels shift left by e, so that e > 30 has no meaning: refused.

    Source: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/quantization_util.cc`.

    >>> m = q31(0.75)
    >>> m.mantissa.item() == 3 * 2**29, m.shift.item()
    (True, 31)
    """
    mantissa, shift = _rounded_mantissa(scale, 31, "half_away")
    exponent = 31 - shift
    if np.any(exponent > 30):
        raise NumericsError(f"expected a scale below 2^30, got {np.max(np.asarray(scale))}", field="scale")
    is_lost = exponent < -31
    return Multiplier.of(np.where(is_lost, 0, mantissa), np.where(is_lost, 31, shift))


def q31_single(scale: ArrayLike) -> Multiplier:
    """QuantizeMultiplier of the single-rounding build: as `q31`, but ``e > 30`` saturates to M = 2^31 - 1, e = 30.

    Source: the same file, under TFLITE_SINGLE_ROUNDING.

    >>> q31_single(2.0**40).mantissa.item() == 2**31 - 1
    True
    """
    mantissa, shift = _rounded_mantissa(scale, 31, "half_away")
    is_lost, is_large = shift > 62, shift < 1
    return Multiplier.of(np.where(is_lost, 0, np.where(is_large, 2**31 - 1, mantissa)),
                         np.where(is_lost, 31, np.where(is_large, 1, shift)))


def q31_tosa(scale: ArrayLike) -> Multiplier:
    """As `q31`; a shift above 62 is made 62 by ``M >> min(31, shift - 62)`` (floor), and no scale is lost before that.

    Source: LLVM `mlir/lib/Dialect/Tosa/Utils/QuantUtils.cpp` computeMultiplierAndShiftTosaScale32.

    >>> q31_tosa(2.0**-40).mantissa.item() == 2**22, q31_tosa(2.0**-40).shift.item()
    (True, 62)
    """
    mantissa, shift = _rounded_mantissa(scale, 31, "half_away")
    cut = np.clip(shift - 62, 0, 31)
    return Multiplier.of(mantissa >> cut, np.minimum(shift, 62))


def q15_reduced(scale: ArrayLike) -> Multiplier:
    """TFLite's int64 kernels: ``Mr = M < 0x7FFF0000 ? (M + 2^15) >> 16 : 0x7FFF``, shift ``15 - e``.

    M and e are those of `q31`. The kernels allow ``-31 <= e <= 7``; larger is refused.

    Source: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/common.cc`, MultiplyByQuantizedMultiplier of int64_t.

    >>> m = q15_reduced(0.75)
    >>> m.mantissa.item() == 3 * 2**13, m.shift.item()
    (True, 15)
    """
    full = q31(scale)
    if np.any(full.shift < 31 - 7):
        raise NumericsError(f"expected a scale below 2^7, got {np.max(np.asarray(scale))}", field="scale")
    return Multiplier.of(np.where(full.mantissa < 0x7FFF0000, (full.mantissa + 2**15) >> 16, 0x7FFF), full.shift - 16)


def narrow(scale: ArrayLike, bits: int) -> Multiplier:
    """A b-bit unsigned mantissa, ``2^(b-1) <= M < 2^b``: ``M = rint(scale * 2^shift)``, the shift as large as that allows.

    NEMO's ``D = 2^ceil(log2(factor * eps_out / eps_in)), ratio = round(D * eps_in / eps_out)`` with factor 2^(b-1).

    Source: pulp-platform/nemo@5ea3338 `nemo/quant/pact.py`. For NVDLA's 15 bits the compiler's rounding is unconfirmed.

    >>> m = narrow(0.3, 8)
    >>> m.mantissa.item(), m.shift.item()  # 154 / 512 = 0.3008
    (154, 9)
    """
    if not 1 <= bits <= 31:
        raise NumericsError(f"expected 1 to 31 bits, got {bits}", field="multiplier_bits")
    return Multiplier.of(*_rounded_mantissa(scale, bits, "half_even"))


def dyadic(scale: ArrayLike) -> Multiplier:
    """HAWQ-V3's batch_frexp: ``scale = m * 2^e; b = round_half_up(m * 2^31); c = 31 - e``; b = 2^31 stays.

    Source: Zhen-Dong/HAWQ@1616df69 `utils/quantization_utils/quant_utils.py` batch_frexp.

    >>> dyadic(1 - 2.0**-40).mantissa.item() == 2**31
    True
    """
    fraction, exponent = np.frexp(as_scales(scale))
    return Multiplier.of(round_float(np.ldexp(fraction, 31), "half_up").astype(np.int64), 31 - exponent.astype(np.int64))


def float32(scale: ArrayLike) -> Multiplier:
    """The 24-bit mantissa of float32(scale): here ``mantissa * 2^-shift`` is exactly the float32 number.

    A scale that float32 makes 0 or infinite is refused.

    >>> m = float32(0.1)
    >>> float(np.ldexp(np.float64(m.mantissa), -m.shift)) == float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore", under="ignore"):
        single = as_scales(as_scales(scale).astype(np.float32))
    fraction, exponent = np.frexp(single)
    return Multiplier.of(np.ldexp(fraction, 24).astype(np.int64), 24 - exponent.astype(np.int64))


def float64(scale: ArrayLike) -> Multiplier:
    """The 53-bit mantissa of the scale: here ``mantissa * 2^-shift`` is exactly the float64 number.

    >>> m = float64(0.1)
    >>> float(np.ldexp(np.float64(m.mantissa), -m.shift))
    0.1
    """
    fraction, exponent = np.frexp(as_scales(scale))
    return Multiplier.of(np.ldexp(fraction, 53).astype(np.int64), 53 - exponent.astype(np.int64))


def power_of_two(scale: ArrayLike) -> Multiplier:
    """Mantissa 1: ``scale = 2^-shift`` exactly; any other scale is refused, never rounded.

    >>> power_of_two([0.25, 2.0]).shift.tolist()
    [2, -1]
    """
    scales = as_scales(scale)
    fraction, exponent = np.frexp(scales)
    if np.any(fraction != 0.5):
        raise NumericsError(f"expected a power of two, got {scales[fraction != 0.5].flat[0]}", field="scale")
    return Multiplier.of(1, 1 - exponent.astype(np.int64))


def _rounded_mantissa(scale: ArrayLike, bits: int, rounding: Rounding) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(M, shift) with ``2^(bits-1) <= M < 2^bits``: the mantissa that rounds up to 2^bits is halved."""
    fraction, exponent = np.frexp(as_scales(scale))
    mantissa = round_float(np.ldexp(fraction, bits), rounding).astype(np.int64)
    is_full = mantissa == 2**bits
    return np.where(is_full, mantissa >> 1, mantissa), bits - exponent.astype(np.int64) - is_full
