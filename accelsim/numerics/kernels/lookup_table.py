"""A unit's table of a real function: an entry for every input, or fewer and a straight line between neighbours.

===============  ===================================================================================================
table            entries
===============  ===================================================================================================
full             ``round(float32(f(x) * float32(1 / s_y))) + z_y`` for every integer, half away from zero
interpolated     2^t + 1, one every 2^k = 2^(b - t) integers of a b-bit input. Each is ``round(f(x) / s_y)`` moved by half
                 the line's error in the middle of its interval, so that the error lies on both sides; between them
                 ``e_i + ((e_(i+1) - e_i) * d + 2^(k-1) >> k)``, d the input's last k bits
===============  ===================================================================================================

TFLite's int16 table (t = 9) is the second with two inexactitudes, which `is_tflite` keeps: its entries lie 65535/512 and not
128 integers apart, and its values are divided by ``s_y * 65535 / 65536``; differences between entries wrap at 16 bits.

Source: tensorflow/tensorflow `tensorflow/lite/kernels/internal/common.h` LUTPopulate, LUTLookup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.grid_change import dequantized, single
from accelsim.numerics.kernels.real_function import RealFunction
from accelsim.numerics.qparams import QParams

#: Beyond every integer type, and yet an integer in float32.
_FAR = np.float32(2.0**40)


def full_table_values(values: NDArray[Any], function: RealFunction, source: QParams, target: QParams) -> Integers:
    """The entries for these inputs, int64, unclamped (within 2^41). Where f is undefined, far below every type."""
    inverse = np.float32(1) / single(target.scale)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = _rounded(function(dequantized(values, source)) * inverse)
    return rounded.astype(np.int64) + int(target.zero_point)


@dataclass(frozen=True, eq=False)
class InterpolatedTable:
    """Entries and what lies between them.

    Parameters
    ----------
    entries : int64 (2^t + 1,), without the output's zero point.
    step_bits : k.
    smallest : the input type's smallest value, to which entry 0 belongs.
    zero_point : of the output.
    is_tflite : whether differences wrap at 16 bits.
    """

    entries: Integers
    step_bits: int
    smallest: int
    zero_point: int
    is_tflite: bool

    @classmethod
    def of(cls, function: RealFunction, source: QParams, target: QParams, *, table_bits: int,
           is_tflite: bool = False) -> InterpolatedTable:
        """The table of a function of real numbers.

        Parameters
        ----------
        source, target : grids of its input and output.
        table_bits : t, below the input's bits.
        is_tflite : keep the inexactitudes above; for 16-bit types.

        Examples
        --------
        >>> from accelsim.numerics.qtype import QType
        >>> grid = QParams(scale=2.0**-4, zero_point=0, qtype=QType(8, True))
        >>> table = InterpolatedTable.of(np.tanh, grid, grid, table_bits=6)
        >>> table.look_up(np.array([-128, -9, 0, 9, 127], np.int8)).tolist()  # 16 tanh(9/16) is 8.2
        [-16, -8, 0, 8, 16]
        """
        steps, size = 2**table_bits, 2**source.qtype.bits
        s_x, s_y, zero = single(source.scale), single(target.scale), int(target.zero_point)
        low, high = target.qtype.min - zero, target.qtype.max - zero
        first = s_x * np.float32(source.qtype.min - int(source.zero_point))
        if is_tflite:
            last = s_x * np.float32(source.qtype.max - int(source.zero_point))
            step = (last - first) / np.float32(steps)
            per_unit = np.float32(2**target.qtype.bits) / (s_y * np.float32(high) - s_y * np.float32(low))
        else:
            step = s_x * np.float32(size // steps)
            last = first + step * np.float32(steps)
            per_unit = np.float32(1) / s_y
        nodes = first + np.arange(steps + 1).astype(np.float32) * step
        edges = (np.float32(low) * s_y, np.float32(high) * s_y)
        values = _finite(function(nodes), *edges) * per_unit
        middles = _rounded(_finite(function(nodes[:-1] + step / np.float32(2)), *edges) * per_unit)
        samples = _rounded(values[:-1])
        errors = _rounded((values[1:] + samples) / np.float32(2)) - middles
        end = _rounded(_finite(function(np.array([last], dtype=np.float32)), *edges) * per_unit)
        entries = np.clip(np.concatenate([samples - _rounded(errors / np.float32(2)), end]), low, high)
        return cls(entries.astype(np.int64), source.qtype.bits - table_bits, source.qtype.min, zero, is_tflite)

    def look_up(self, values: NDArray[Any]) -> Integers:
        """The function's values with their zero point, int64; within the output's type, but for TFLite's wraps."""
        place = values.astype(np.int64) - self.smallest
        index, offset = place >> self.step_bits, place & ((1 << self.step_bits) - 1)
        base = self.entries[index]
        slope = self.entries[index + 1] - base
        if self.is_tflite:
            slope = slope.astype(np.int16).astype(np.int64)
        half = (1 << self.step_bits) >> 1
        found = base + ((slope * offset + half) >> self.step_bits)
        if self.is_tflite:
            found = found.astype(np.int16).astype(np.int64)
        return np.asarray(found + self.zero_point)


def _rounded(reals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half away from zero, infinities and NaN far beyond every type."""
    inside = np.where(np.isnan(reals), -_FAR, np.clip(reals, -_FAR, _FAR))
    return np.asarray(round_float(inside, "half_away"), dtype=np.float32)


def _finite(reals: NDArray[np.float32], low: np.float32, high: np.float32) -> NDArray[np.float32]:
    """Where f is infinite or undefined, the end of the output's range: a line needs two numbers."""
    return np.asarray(np.where(np.isfinite(reals), reals, np.where(reals == np.inf, high, low)), dtype=np.float32)
