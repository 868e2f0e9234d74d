"""The requantization rules by name: data, and one pure function each.

============================  ==========================================  ====================  ========================
scheme                        ties                                        accumulator           scale is kept in
============================  ==========================================  ====================  ========================
tflite_double, tflite_micro   half up, then half away                     int32                 31 bits
litert_reference              conv, depthwise: tflite_double;             int32                 31 bits
                              fully connected: float64_half_away          int64                 53 bits
litert_optimized              half up, then half up                       int32                 31 bits
tflite_single                 half up                                     int32                 31 bits
tflite_int16x8                half up;                                    48 bits               15 bits
                              fully connected: float64_half_away          int64                 53 bits
tosa_single                   half up                                     int32                 31 bits
tosa_double                   as tflite_double                            int32                 31 bits
nvdla                         half away                                   48 bits, cut to int32 15 bits
float32_nearest_even          half even, of a float32 product             int32                 24 bits
float64_half_away             half away, of a float64 product             int64                 53 bits
dyadic                        half even                                   int64                 31 bits
shift_floor                   floor                                       int64                 8 bits, or as asked
power_of_two                  any rule of `rounding`                      int64                 the shift alone
============================  ==========================================  ====================  ========================

Where two rules differ it is by 1, on ties (or, for two roundings, near them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from numpy.typing import ArrayLike

from accelsim.errors import NumericsError
from accelsim.numerics import multiplier, rescale
from accelsim.numerics.effective_scale import Arithmetic
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.multiplier import Multiplier
from accelsim.numerics.rule_names import SchemeName as SchemeName

#: What produced the accumulators; only LiteRT's rules ask.
Operator = Literal["conv", "depthwise", "fully_connected"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One rule.

    Parameters
    ----------
    name : the rule's own name (after the aliases below).
    encode : real scales to `Multiplier`.
    rescale : accumulators and multiplier to scaled integers, before zero point and clamp.
    accumulator_bits : signed register in which the source computes; other accumulators are refused.
    mantissa_range, shift_range : what the source's registers hold.
    arithmetic : how the source computes the effective scale (`effective_scale`) per channel.
    """

    name: SchemeName
    encode: Callable[[ArrayLike], Multiplier]
    rescale: Callable[[Integers, Multiplier], Integers]
    accumulator_bits: int = 32
    mantissa_range: tuple[int, int] = (0, 2**31 - 1)
    shift_range: tuple[int, int] = (1, 62)
    arithmetic: Arithmetic = "float64"


#: Widest shift that a rule in unbounded integers takes; float64 scales never need more.
_ANY_SHIFT = (-1200, 1200)

_SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (
    Scheme("tflite_double", multiplier.q31, rescale.tflite_double),
    Scheme("tflite_single", multiplier.q31_single, rescale.tflite_single),
    # Source of 48 bits and of the shifts: MultiplyByQuantizedMultiplier of int64_t, its three debug checks.
    Scheme("tflite_int16x8", multiplier.q15_reduced, rescale.tflite_int16x8, accumulator_bits=48,
           mantissa_range=(0, 2**15 - 1), shift_range=(8, 46)),
    Scheme("litert_optimized", multiplier.q31, rescale.litert_optimized),
    # Source: sdp.h, cMulOpType int16, cTruncateType 6 bits unsigned; its accumulators have 48 bits for int16 operands.
    Scheme("nvdla", partial(multiplier.narrow, bits=15), rescale.nvdla, accumulator_bits=48,
           mantissa_range=(-(2**15), 2**15 - 1), shift_range=(0, 63)),
    Scheme("float32_nearest_even", multiplier.float32, rescale.float32_nearest_even, mantissa_range=(0, 2**24 - 1),
           shift_range=(-104, 172), arithmetic="float32"),
    Scheme("float64_half_away", multiplier.float64, rescale.float64_half_away, accumulator_bits=64,
           mantissa_range=(0, 2**53), shift_range=_ANY_SHIFT),
    Scheme("shift_floor", partial(multiplier.narrow, bits=8), rescale.shift_floor_rule, accumulator_bits=64,
           mantissa_range=(-(2**31), 2**32 - 1), shift_range=_ANY_SHIFT),
    Scheme("dyadic", multiplier.dyadic, rescale.dyadic, accumulator_bits=64, mantissa_range=(0, 2**31),
           shift_range=_ANY_SHIFT, arithmetic="float32_product"),
    Scheme("power_of_two", multiplier.power_of_two, rescale.power_of_two, accumulator_bits=64, mantissa_range=(1, 1),
           shift_range=_ANY_SHIFT),
    Scheme("tosa_single", multiplier.q31_tosa, rescale.tosa_single, shift_range=(2, 62)),
    Scheme("tosa_double", multiplier.q31_tosa, rescale.tosa_double, shift_range=(2, 62)),
)}

#: Names for which operator and runtime together pick a rule, as measured on LiteRT 2.3's reference kernels
#: (tests/workload/test_tflite_fully_connected_rounding.py). Older releases rounded fully connected layers by tflite_single,
#: which differs on negative ties and where 31 bits of the scale are too few.
_ALIASES: dict[str, dict[Operator, SchemeName]] = {
    "litert_reference": {"conv": "tflite_double", "depthwise": "tflite_double", "fully_connected": "float64_half_away"},
    "tflite_int16x8": {"conv": "tflite_int16x8", "depthwise": "tflite_int16x8", "fully_connected": "float64_half_away"},
    "tflite_micro": {"conv": "tflite_double", "depthwise": "tflite_double", "fully_connected": "tflite_double"},
}


def scheme_named(name: str, operator: Operator = "conv") -> Scheme:
    """The rule that this name stands for after this operator.

    Raises
    ------
    NumericsError : an unknown name or operator.

    Examples
    --------
    >>> scheme_named("litert_reference").name, scheme_named("litert_reference", "fully_connected").name
    ('tflite_double', 'float64_half_away')
    """
    if operator not in get_args(Operator):
        raise NumericsError(f'expected one of {", ".join(get_args(Operator))}, got "{operator}"', field="operator")
    if name not in get_args(SchemeName):
        raise NumericsError(f'expected one of {", ".join(get_args(SchemeName))}, got "{name}"', field="scheme")
    return _SCHEMES[_ALIASES[name][operator] if name in _ALIASES else name]
