"""The arithmetic of a requantizer: one datapath per rule, each equal to the rule's function in `accelsim.numerics.rescale`.

====================================  ==========================  ================================  ==========
rule                                  multiplier M                before the last shift             shift
====================================  ==========================  ================================  ==========
tflite_double, tflite_micro           31 bits                     ((a << l) M + 2^30) >> 31         r, half away
litert_optimized                      31 bits                     the same                          r, half up
tflite_single, tosa_single            31 bits                     a M                               n, half up
tosa_double                           31 bits                     a M +- 2^30 (n > 31)              n, half up
nvdla                                 16 bits, signed             a M                               n, half away; 17 bits
shift_floor                           multiplier_bits             a M + lambda                      n, floor
dyadic                                32 bits (M <= 2^31)         a M                               n, half even
power_of_two                          none                        a                                 n, as described
====================================  ==========================  ================================  ==========

a is the accumulator, n the shift of `accelsim.numerics.multiplier`, 0 to 63; ``l = max(31 - n, 0)``, ``r = max(n - 31, 0)``.
Where a rule's source leaves a result undefined (a << l beyond 32 bits, a result beyond 32 bits), so does the datapath: the
simulator raises there. Left shifts (negative n) have no datapath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Mux

from accelsim.hardware.requantizer import Requantizer
from accelsim.numerics.rule_names import RepeatableRounding
from accelsim.rtl.number import Number

#: Width of a shift: 0 to 63.
SHIFT_BITS = 6


@dataclass(frozen=True)
class Rescaling:
    """One rule's arithmetic.

    Parameters
    ----------
    multiplier : its factor's kind of integer; None without one.
    has_addend : whether a number is added to the product (the lambda of PULP-NN).
    scaled : (accumulator, M, n, addend) -> what is shifted last.
    amount : n -> the last shift.
    rounding : of that shift.
    result_bits : to which the result saturates before the zero point is added; None if it does not.
    """

    multiplier: Number | None
    scaled: Callable[[Any, Any, Any, Any], Any]
    amount: Callable[[Any], Any]
    rounding: RepeatableRounding
    has_addend: bool = False
    result_bits: int | None = None

    def rounded(self, scaled: Any, shift: Any) -> Any:
        """The last shift."""
        value = shifted(scaled, self.amount(shift), self.rounding)
        return value if self.result_bits is None else clamped(value, -(1 << (self.result_bits - 1)),
                                                              (1 << (self.result_bits - 1)) - 1)


def rescaling_of(requantizer: Requantizer) -> Rescaling:
    """The datapath of the described rule, which must be one of `DATAPATH_SCHEMES`."""
    scheme = requantizer.scheme
    if scheme == "shift_floor":
        return Rescaling(Number(requantizer.multiplier_bits or 8, False), _with_addend, _whole, "floor", has_addend=True)
    if scheme == "power_of_two":
        return Rescaling(None, lambda value, factor, shift, addend: value, _whole, requantizer.rounding or "half_up")
    return _RESCALINGS["tflite_double" if scheme == "tflite_micro" else scheme]


def shifted(value: Any, amount: Any, rounding: RepeatableRounding) -> Any:
    """``round(value / 2^amount)`` as `accelsim.numerics.rounding` words it: ``floor``, plus 1 where the rule says so.

    The value is shifted once, with one more bit behind the point: the bit that is half. Whether anything is left below half
    tells ties apart.
    """
    doubled = Cat(Const(0, 1), value).as_signed()
    moved = doubled >> amount
    floor, half = moved[1:].as_signed(), moved[0]
    if rounding == "floor":
        return floor
    below_half = (doubled & ((Const(1, 1) << amount) - 1)[:len(doubled)]).any()
    ups = {"half_up": half, "half_away": half & (below_half | ~value[-1]), "half_even": half & (below_half | floor[0]),
           "truncate": value[-1] & (half | below_half)}
    return floor + ups[rounding]


def clamped(value: Any, low: Any, high: Any) -> Any:
    """The nearest value within the range."""
    return Mux(value < low, low, Mux(value > high, high, value))


def _whole(shift: Any) -> Any:
    return shift


def _beyond_31(shift: Any) -> Any:
    """``max(n - 31, 0)``."""
    return Mux(shift > 31, shift - 31, 0)[:SHIFT_BITS - 1]


def _product(value: Any, factor: Any, shift: Any, addend: Any) -> Any:
    return value * factor


def _with_addend(value: Any, factor: Any, shift: Any, addend: Any) -> Any:
    return value * factor + addend


def _doubling_high_product(value: Any, factor: Any, shift: Any, addend: Any) -> Any:
    """SaturatingRoundingDoublingHighMul of ``a << l``; it never saturates, since M >= 0."""
    left = Mux(shift < 31, 31 - shift, 0)[:SHIFT_BITS - 1]
    word = (value << left)[:32].as_signed()
    return ((word * factor + (1 << 30)) >> 31)[:33].as_signed()


def _nudged(value: Any, factor: Any, shift: Any, addend: Any) -> Any:
    """DOUBLE_ROUND of TOSA's apply_scale_32."""
    nudge = Mux(value[-1], -(1 << 30), 1 << 30)
    return value * factor + Mux(shift > 31, nudge, 0)


_Q31 = Number(31, False)

_RESCALINGS: dict[str, Rescaling] = {
    "tflite_double": Rescaling(_Q31, _doubling_high_product, _beyond_31, "half_away"),
    "litert_optimized": Rescaling(_Q31, _doubling_high_product, _beyond_31, "half_up"),
    "tflite_single": Rescaling(_Q31, _product, _whole, "half_up"),
    "tosa_single": Rescaling(_Q31, _product, _whole, "half_up"),
    "tosa_double": Rescaling(_Q31, _nudged, _whole, "half_up"),
    # Source of 16 and 17 bits: nvdla/hw, cmod/hls/sdp/sdp.h (cMulOpType) and sdp_c.cpp (IntShiftRightSat).
    "nvdla": Rescaling(Number(16, True), _product, _whole, "half_away", result_bits=17),
    # Source of M = 2^31: HAWQ's batch_frexp does not renormalize a mantissa that rounds up.
    "dyadic": Rescaling(Number(32, False), _product, _whole, "half_even"),
}
