"""The activations that TFLite computes by formulas of its own instead of a table, bit for bit.

With ``x' = x - z_x`` and M(s) * a standing for RDBPOT(SRDHM(a, M)), M of the real scale s:

============  =====================================================================================================
function      formula
============  =====================================================================================================
leaky_relu    ``M(s_x / s_y) x'`` for x' >= 0, else ``M(s_x alpha / s_y) x'``; plus z_y; scales in float32
abs           ``|x'|`` on one scale, else ``M(s_x / s_y) |x'|``; plus z_y
sqrt          ``trunc(sqrt(s_x x') / s_y) + z_y`` in float32
rsqrt         8 bits: ``M(1 / (sqrt(s_x) s_y)) (2^20 / sqrt(x'))``, the root by Newton's steps; x' = 0 gives the largest
              value
hard_swish    8 bits: 16-bit fixed point: ``relu6(x + 3) / 6`` as a number in [0, 1), times x at 128 times its resolution
sigmoid,      16 bits, zero points 0, s_y = 2^-15: a table of sigmoid(i / 24), i = 0..255, in 16 bits, interpolated on 9
tanh          and 8 bits; tanh(x) is 2 sigmoid(2 x) - 1
============  =====================================================================================================

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/internal/reference/leaky_relu.h`, `.../reference/hard_swish.h`,
`.../reference/integer_ops/logistic.h`, `.../reference/integer_ops/tanh.h`, `tensorflow/lite/kernels/elementwise.cc`,
`tensorflow/lite/kernels/activations.cc` (preparation of all). The table's entries are computed: sigmoid plus half the line's
error in the middle of its interval, which gives the 256 numbers of `tensorflow/lite/kernels/internal/common.h`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log2

import numpy as np

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.fixed_point import inverse_square_root
from accelsim.numerics.kernels.grid_change import fixed_point_product, single
from accelsim.numerics.multiplier import Multiplier, q31
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rescale import rounding_divide_by_pot, tflite_double

#: From integers of the input to integers of the output, int64 both, the output unclamped.
Formula = Callable[[Integers], Integers]

_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1

#: Entries of the sigmoid table per unit of x, and their number. Source: common.h sigmoid_table_uint16.
_PER_UNIT, _ENTRIES = 24, 256


def formula_of(name: str, parameters: Mapping[str, float], source: QParams, target: QParams) -> Formula | None:
    """TFLite's formula for a function between these grids; None if TFLite looks it up in a table.

    Raises
    ------
    NumericsError : scales that TFLite refuses.
    """
    is_narrow = max(source.qtype.bits, target.qtype.bits) <= 8
    if name == "leaky_relu":
        return _leaky_relu(parameters["alpha"], source, target)
    if name == "abs":
        return _abs(source, target)
    if name == "sqrt":
        return _sqrt(source, target)
    if name == "rsqrt" and is_narrow:
        return _rsqrt(source, target)
    if name == "hard_swish" and is_narrow:
        return _hard_swish(source, target)
    if name in ("sigmoid", "tanh") and _is_symmetric_int16(source) and _is_symmetric_int16(target) and (
            float(target.scale) == 2.0**-15):
        return _int16_sigmoid(source) if name == "sigmoid" else _int16_tanh(source)
    return None


def _centred(x: Integers, grid: QParams) -> Integers:
    return np.asarray(x - int(grid.zero_point))


def _leaky_relu(alpha: float, source: QParams, target: QParams) -> Formula:
    # Source: activations.cc LeakyReluPrepare: products and quotients of float32 scales.
    identity = single(source.scale) / single(target.scale)
    slope = np.float32(np.float32(single(source.scale) * np.float32(alpha)) / single(target.scale))

    def formula(x: Integers) -> Integers:
        value = _centred(x, source)
        # That a negative slope negates the rounded product is measured: half up then goes the other way.
        below = int(np.sign(slope)) * fixed_point_product(value, abs(slope)) if slope else np.zeros_like(value)
        return np.where(value >= 0, fixed_point_product(value, identity), below) + int(target.zero_point)

    return formula


def _abs(source: QParams, target: QParams) -> Formula:
    scale_in, scale_out = single(source.scale), single(target.scale)

    def formula(x: Integers) -> Integers:
        value = np.asarray(np.abs(_centred(x, source)))
        moved = value if scale_in == scale_out else fixed_point_product(value, scale_in / scale_out)
        return moved + int(target.zero_point)

    return formula


def _sqrt(source: QParams, target: QParams) -> Formula:
    def formula(x: Integers) -> Integers:
        root = np.sqrt(single(source.scale) * np.maximum(_centred(x, source), 0).astype(np.float32))
        return np.asarray(np.trunc(root / single(target.scale)).astype(np.int64) + int(target.zero_point))

    return formula


def _rsqrt(source: QParams, target: QParams) -> Formula:
    # Source: elementwise.cc SetRsqrtOutputMultiplier and RsqrtEvalQuantizedInt8: 20 bits keep the root an integer.
    unit = q31(1.0 / float(np.sqrt(single(source.scale)) * single(target.scale)))
    last = Multiplier.of(unit.mantissa, unit.shift + 20)

    def formula(x: Integers) -> Integers:
        value = _centred(x, source).reshape(-1)
        mantissa, shift = inverse_square_root(np.maximum(value, 1))
        roots = tflite_double(np.ones_like(value), Multiplier.of(mantissa, 31 + shift - 20))
        found = tflite_double(roots, last) + int(target.zero_point)
        return np.where(value > 0, found, target.qtype.max).reshape(x.shape)

    return formula


def _hard_swish(source: QParams, target: QParams) -> Formula:
    # Source: activations.cc HardSwishPrepare; 3/32768 makes the real number 3 the integer 2^15.
    fine = np.float32(1 / 128) * single(source.scale)
    factor, shift = _int16_multiplier(fine / single(target.scale))
    inner_factor, inner_shift = _int16_multiplier(fine / (np.float32(3) / np.float32(32768)))
    if shift < 0:
        raise NumericsError(f"expected an input scale of at most 128 times the output's, got {float(source.scale):.6g} and "
                            f"{float(target.scale):.6g}", field="scale")

    def formula(x: Integers) -> Integers:
        value = _centred(x, source) * 128
        gate = value
        if inner_shift < 0:
            gate = _saturated(gate << (-inner_shift - 1))
        gate = _high_mul_16(gate, inner_factor)
        gate = _saturated(gate << 1) if inner_shift < 0 else rounding_divide_by_pot(gate, np.asarray(inner_shift))
        gate = (gate + 2**15) >> 1
        product = gate * _high_mul_16(value, factor)
        truncated = np.sign(product) * (np.abs(product) >> 15)
        return rounding_divide_by_pot(truncated, np.asarray(shift)) + int(target.zero_point)

    return formula


def _int16_multiplier(scale: np.float32) -> tuple[int, int]:
    """(15-bit mantissa, right shift) of DownScaleInt32ToInt16Multiplier; a negative shift goes left."""
    unit = q31(scale)
    mantissa = int(unit.mantissa)
    return min((mantissa + 2**15) >> 16, _INT16_MAX), int(unit.shift) - 31


def _high_mul_16(a: Integers, b: int) -> Integers:
    """SaturatingRoundingDoublingHighMul of int16_t: ``(a * b + 2^14) >> 15``, half up; b >= 0."""
    return np.asarray((a * b + 2**14) >> 15)


def _saturated(values: Integers) -> Integers:
    return np.asarray(np.clip(values, _INT16_MIN, _INT16_MAX))


def _is_symmetric_int16(grid: QParams) -> bool:
    return grid.qtype.bits == 16 and grid.qtype.is_signed and not grid.zero_point


def _sigmoid_entries() -> Integers:
    """The 256 entries, times 2^16; the last one is the largest number of 16 bits, where the function saturates."""
    nodes = np.arange(_ENTRIES + 1) / _PER_UNIT
    values = 2.0**16 / (1 + np.exp(-nodes))
    middles = 2.0**16 / (1 + np.exp(-(nodes[:-1] + 0.5 / _PER_UNIT)))
    entries = np.floor(values[:-1] + (middles - (values[:-1] + values[1:]) / 2) / 2 + 0.5).astype(np.int64)
    entries[-1] = 2**16 - 1
    return entries


def _table_units(scale: float, shifts: tuple[int, ...]) -> tuple[int, int]:
    """(multiplier, right shift) that bring the input to 3 * 4096 integers a unit: where the input has 2^-12 (or half) a
    unit already, 3 (or 6); else the 15 bits of the ratio, truncated."""
    exponent = log2(scale)
    if abs(exponent - round(exponent)) < 1e-3 and 12 + round(exponent) in shifts:
        return 3 << (12 + round(exponent)), 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    # Source: activations.cc SigmoidPrepare and TanhPrepare.
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _in_table_units(x: Integers, units: tuple[int, int]) -> Integers:
    multiplier, shift = units
    return (x * multiplier + ((1 << shift) >> 1)) >> shift


def _int16_sigmoid(source: QParams) -> Formula:
    units, entries = _table_units(float(single(source.scale)), (0,)), _sigmoid_entries()

    def formula(x: Integers) -> Integers:
        place = _in_table_units(x, units)
        found = _line(np.abs(place), entries, bits=9, beyond=0x7FFF << 10)
        # Source: logistic.h: half a unit is added before 10 bits are dropped; sigmoid(-x) is 1 - sigmoid(x).
        return np.where(place >= 0, found + 2**9, 2**25 - found + 2**9 - 1) >> 10

    return formula


def _int16_tanh(source: QParams) -> Formula:
    units, entries = _table_units(float(single(source.scale)), (0, 1)), _sigmoid_entries()

    def formula(x: Integers) -> Integers:
        place = _in_table_units(x, units)
        found = _line(np.abs(place), entries, bits=8, beyond=0xFFFF << 8) - 2**23
        # Source: tanh.h: half a unit is added before 8 bits are dropped.
        return np.where(place >= 0, found + 2**7, 2**7 - 1 - found) >> 8

    return formula


def _line(place: Integers, entries: Integers, *, bits: int, beyond: int) -> Integers:
    """The table at ``place / 2^bits``, times 2^bits; `beyond` from the last interval on."""
    index = np.minimum(place >> bits, _ENTRIES - 2)
    line = (entries[index] << bits) + (place & ((1 << bits) - 1)) * (entries[index + 1] - entries[index])
    return np.where(place >> bits >= _ENTRIES - 1, beyond, line)


