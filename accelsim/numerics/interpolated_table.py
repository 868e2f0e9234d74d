"""TFLite's table of 513 entries, by which 16-bit activations are looked up and interpolated.

Entry i stands for the input ``-32768 + 128 i``; between entries the value is interpolated on 7 bits, half up. Each entry is
moved by half the interpolation's error in the middle of its interval, so that the error is spread over both sides:

    s_i    = round(f(x_i) / step_out)
    m_i    = round((f(x_i+1) / step_out + s_i) / 2)         what the middle of the interval would read
    lut[i] = clamp(s_i - round((m_i - round(f(x_i + step/2) / step_out)) / 2)),  lut[512] = clamp(round(f(x_max) / step_out))

round is half away from zero, in the floating type that the operator asks for (float64 for softmax).

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/internal/common.h` (LUTPopulateInt16, LUTLookup).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import Integers

_STEPS = 512
_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1


def interpolated_table(function: Callable[[NDArray[Any]], NDArray[Any]], *, input_scale: float, input_zero_point: int,
                       output_scale: float, output_zero_point: int,
                       dtype: Literal["float32", "float64"] = "float32") -> Integers:
    """The 513 entries of ``function`` as int64.

    Parameters
    ----------
    function : real to real, on arrays of `dtype`.
    input_scale, input_zero_point, output_scale, output_zero_point : of the int16 input and output.
    dtype : the type in which the table's numbers are computed.

    Examples
    --------
    >>> table = interpolated_table(np.exp, input_scale=10 / 65535, input_zero_point=32767, output_scale=2 / 65535,
    ...                            output_zero_point=0, dtype="float64")
    >>> table[[0, 256, 512]].tolist()
    [2, 221, 32767]
    """
    kind: Any = np.float32 if dtype == "float32" else np.float64
    scale_in, scale_out = kind(input_scale), kind(output_scale)
    low, high = scale_in * kind(_INT16_MIN - input_zero_point), scale_in * kind(_INT16_MAX - input_zero_point)
    span_out = scale_out * kind(_INT16_MAX - output_zero_point) - scale_out * kind(_INT16_MIN - output_zero_point)
    step, per_unit = (high - low) / kind(_STEPS), kind(2**16) / span_out
    starts = low + np.arange(_STEPS + 1).astype(kind) * step
    values = function(starts) * per_unit
    samples = round_float(values[:-1], "half_away")
    middles = round_float(function(starts[:-1] + step / kind(2)) * per_unit, "half_away")
    errors = round_float((values[1:] + samples) / kind(2), "half_away") - middles
    entries = samples - round_float(errors / kind(2), "half_away")
    last = round_float(function(np.array([high], dtype=kind)) * per_unit, "half_away")
    return np.asarray(np.clip(np.concatenate([entries, last]), _INT16_MIN, _INT16_MAX)).astype(np.int64)


def look_up(table: Integers, values: Integers) -> Integers:
    """``lut[i] + ((lut[i + 1] - lut[i]) * d + 64 >> 7)``, ``i = 256 + (x >> 7)``, ``d = x & 127``; x in int16.

    >>> look_up(np.arange(-256, 257) * 128, np.array([-32768, -1, 5])).tolist()  # the identity
    [-32768, -1, 5]
    """
    index = 256 + (values >> 7)
    base = table[index]
    return np.asarray(base + (((table[index + 1] - base) * (values & 127) + 64) >> 7))
