"""TFLite's tables of 513 entries, by which its 16-bit softmax looks up and interpolates, computed in float64.

Entry i stands for the input ``-32768 + 128 i``; between entries the value is interpolated on 7 bits, half up. Each entry is
moved by half the interpolation's error in the middle of its interval, so that the error is spread over both sides:

    s_i    = round(f(x_i) / step_out)
    m_i    = round((f(x_i+1) / step_out + s_i) / 2)         what the middle of the interval would read
    lut[i] = clamp(s_i - round((m_i - round(f(x_i + step/2) / step_out)) / 2)),  lut[512] = clamp(round(f(x_max) / step_out))

round is half away from zero. Other operators build such tables in float32, from float32 scales (`lookup_table`).

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/internal/common.h` (LUTPopulateInt16, LUTLookup),
`tensorflow/lite/kernels/activations.cc` (float64).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import Integers

_STEPS = 512
_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1


def softmax_table(function: Callable[[NDArray[Any]], NDArray[Any]], *, input_scale: float, input_zero_point: int,
                  output_scale: float) -> Integers:
    """The 513 entries of ``function`` as int64.

    Parameters
    ----------
    function : real to real, on float64 arrays.
    input_scale, input_zero_point, output_scale : of the int16 input and output (zero point 0).

    Examples
    --------
    >>> table = softmax_table(np.exp, input_scale=10 / 65535, input_zero_point=32767, output_scale=2 / 65535)
    >>> table[[0, 256, 512]].tolist()
    [2, 221, 32767]
    """
    low, high = (input_scale * (end - input_zero_point) for end in (_INT16_MIN, _INT16_MAX))
    step = (high - low) / _STEPS
    per_unit = 2**16 / (output_scale * _INT16_MAX - output_scale * _INT16_MIN)
    starts = low + np.arange(_STEPS + 1) * step
    values = function(starts) * per_unit
    samples = round_float(values[:-1], "half_away")
    middles = round_float(function(starts[:-1] + step / 2) * per_unit, "half_away")
    errors = round_float((values[1:] + samples) / 2, "half_away") - middles
    entries = samples - round_float(errors / 2, "half_away")
    last = round_float(function(np.array([high])) * per_unit, "half_away")
    return np.asarray(np.clip(np.concatenate([entries, last]), _INT16_MIN, _INT16_MAX)).astype(np.int64)


def look_up(table: Integers, values: Integers) -> Integers:
    """``lut[i] + ((lut[i + 1] - lut[i]) * d + 64 >> 7)``, ``i = 256 + (x >> 7)``, ``d = x & 127``; x in int16.

    >>> look_up(np.arange(-256, 257) * 128, np.array([-32768, -1, 5])).tolist()  # the identity
    [-32768, -1, 5]
    """
    index = 256 + (values >> 7)
    base = table[index]
    return np.asarray(base + (((table[index + 1] - base) * (values & 127) + 64) >> 7))
