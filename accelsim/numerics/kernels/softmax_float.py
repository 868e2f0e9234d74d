"""Softmax in floating point, as runtimes compute it on 8-bit integers: rows in, output integers out.

====================  ==============================================================================  ======================
function              what it follows                                                                 measured difference
====================  ==============================================================================  ======================
`qlinear_softmax`     onnxruntime's QLinearSoftmax, which DequantizeLinear, Softmax, QuantizeLinear   0 of 13,000,000
                      become under its default optimizations (8-bit tensors)
`dequantized_softmax` onnxruntime's three separate nodes (no optimizations, or 16-bit tensors)        1 LSB, 1 of 21,000,000
`table_softmax`       LiteRT's optimized x86 kernel                                                   0 of 9,000,000
====================  ==============================================================================  ======================

QLinearSoftmax multiplies by ``floor(1 / y_scale)``, which for y_scale = 1/255 in float32 is 254: its probabilities of 1 are
254/255, up to 1 LSB from the three nodes. Where its product leaves float32 (y_scale far below 1/255, or rows of 1), its
outputs are the zero point (uint8) or an end of the range (int8), on x86 and here.

Sources: microsoft/onnxruntime `onnxruntime/contrib_ops/cpu/quantization/qlinear_softmax.cc`; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/optimized/optimized_ops.h` (PopulateSoftmaxLookupTable, Softmax of integers).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.operands import scalars
from accelsim.numerics.qparams import QParams

#: ln of the reserve between the sum of a row and the largest float32. Source: qlinear_softmax.cc, reserve_bit.
_RESERVE = 5.0


def qlinear_softmax(rows: Integers, *, input: QParams, output: QParams) -> NDArray[Any]:
    """``rint(t * floor(1 / y_scale) / sum(t)) + z``, ``t = float32(exp((x - max) * x_scale + B))`` by a table.

    B is ``max(0, ln(FLT_MAX / D) - 5)``. Sum (in order), product and division are float32.

    Parameters
    ----------
    rows : (..., D) 8-bit integers.
    """
    x_scale, _ = scalars(input)
    y_scale, y_zero = scalars(output)
    headroom = float(np.log(np.finfo(np.float32).max / np.float32(rows.shape[-1])))
    shift = max(0.0, headroom - _RESERVE) / float(x_scale)
    table = np.exp((shift - np.arange(256)) * float(x_scale)).astype(np.float32)
    exponentials = table[rows.max(axis=-1, keepdims=True) - rows]
    with np.errstate(over="ignore"):
        scaled = np.rint(exponentials * np.floor(np.float32(1) / y_scale) / _ordered_sum(exponentials))
    # x86 converts an infinite float to -2^31 (int32; the zero point's addition then wraps) or 0 (uint32).
    overflow = -(2.0**31) if output.qtype.is_signed else 0.0
    shifted = np.where(np.isfinite(scaled), scaled, np.float32(overflow)).astype(np.int64) + y_zero
    return output.qtype.clamp(np.where(shifted < -(2**31), shifted + 2**32, shifted))


def dequantized_softmax(rows: Integers, *, input: QParams, output: QParams, beta: float = 1.0,
                        is_log: bool = False) -> NDArray[Any]:
    """DequantizeLinear, Softmax (or LogSoftmax) of ``beta x``, QuantizeLinear: float32, the exponential correctly rounded.

    onnxruntime's exponential is a polynomial and its sum runs in several lanes, which moves a probability's last bits.

    Parameters
    ----------
    rows : (..., D) integers.
    """
    x_scale, x_zero = scalars(input)
    real = ((rows - x_zero).astype(np.float32) * x_scale) * np.float32(beta)
    differences = real - real.max(axis=-1, keepdims=True)
    exponentials = np.exp(differences.astype(np.float64))
    sums = exponentials.sum(axis=-1, keepdims=True)
    if is_log:
        return output.quantize((differences - np.log(sums)).astype(np.float32))
    inverse = np.float32(1) / sums.astype(np.float32)
    return output.quantize(exponentials.astype(np.float32) * inverse)


def table_softmax(rows: Integers, *, input: QParams, output: QParams, beta: float) -> NDArray[Any]:
    """``round(t * (1 / (sum(t) * y_scale))) + z``, ``t = expf(-x_scale * beta * (max - x))`` by a table; all float32.

    Rounding is half away, for uint8 outputs ``trunc(p + 0.5)`` in float32.

    Parameters
    ----------
    rows : (..., D) 8-bit integers.
    """
    x_scale, _ = scalars(input)
    y_scale, y_zero = scalars(output)
    steps = (-x_scale * np.float32(beta)) * np.arange(256, dtype=np.float32)
    exponentials = np.exp(steps.astype(np.float64)).astype(np.float32)[rows.max(axis=-1, keepdims=True) - rows]
    scaled = exponentials * (np.float32(1) / (_ordered_sum(exponentials) * y_scale))
    is_uint8 = output.qtype.dtype == np.uint8
    rounded = np.trunc(scaled + np.float32(0.5)) if is_uint8 else np.floor(scaled.astype(np.float64) + 0.5)
    return output.qtype.clamp(rounded.astype(np.int64) + y_zero)


def _ordered_sum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 sum along the last axis, one addend after the other (numpy's own sum adds in blocks)."""
    return np.asarray(np.add.accumulate(values, axis=-1, dtype=np.float32)[..., -1:])
