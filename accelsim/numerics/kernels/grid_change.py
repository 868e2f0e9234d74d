"""Integers of one grid (scale and zero point) as integers of another, as units beside the PE grid change them.

============  ==========================================================================  ==============================
family        formula                                                                     source
============  ==========================================================================  ==============================
fixed_point   ``RDBPOT(SRDHM(x - z_x, M)) + z_y``, M of double(s_x) / double(s_y)         TFLite QUANTIZE, RELU, ...
float32       ``rint(float32(s_x * (x - z_x)) / s_y) + z_y``                              ONNX Dequantize-, QuantizeLinear
shift         the rule's own multiply and shift of ``x - z_x`` by s_x / s_y, plus z_y     HAWQ-V3, PULP-NN, ...
============  ==========================================================================  ==============================

Sources: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/reference/requantize.h`; onnxruntime
`onnxruntime/core/mlas/lib/quantize.cpp` MlasQuantizeLinear. The tests confirm the first two against LiteRT and onnxruntime.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.effective_scale import Arithmetic, effective_scale
from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers, require_range
from accelsim.numerics.kernels.broadcast import evaluated
from accelsim.numerics.multiplier import q31
from accelsim.numerics.qparams import QParams, as_scales
from accelsim.numerics.qtype import QType
from accelsim.numerics.rescale import tflite_double
from accelsim.numerics.rule import Rule

#: What a requantized branch may hold before the sum or the clamp.
WIDE = QType(32, True)


def changed(values: NDArray[Any], source: QParams, target: QParams, rule: Rule, *, clamp_min: int | None = None,
            clamp_max: int | None = None, arithmetic: Arithmetic = "float64") -> NDArray[Any]:
    """The same real numbers, to nearest by the rule's family, as integers of another grid.

    Parameters
    ----------
    values : integers within `source.qtype`, any shape.
    source, target : one scale a tensor each.
    clamp_min, clamp_max : the output's range, by default its type's.
    arithmetic : of s_x / s_y under fixed_point: TFLite's QUANTIZE divides doubles, its RELU divides float32.

    Returns
    -------
    Array of the same shape, dtype `target.qtype.dtype`.

    Examples
    --------
    >>> a, b = (QParams(scale=s, zero_point=0, qtype=QType(8, True)) for s in (0.5, 1.0))
    >>> for name in ("tflite_double", "float32_nearest_even", "shift_floor"):
    ...     changed(np.array([-3, -1, 1, 3], np.int8), a, b, Rule(name)).tolist()
    [-1, 0, 1, 2]
    [-2, 0, 0, 2]
    [-2, -1, 0, 1]
    """
    low = target.qtype.min if clamp_min is None else clamp_min
    high = target.qtype.max if clamp_max is None else clamp_max

    def compute(block: NDArray[Any]) -> NDArray[Any]:
        if rule.family == "float32":
            moved = quantized(dequantized(block, source), target)
        elif rule.family == "fixed_point":
            scale = effective_scale(input_scale=source.scale, weight_scale=1.0, output_scale=target.scale,
                                    arithmetic=arithmetic)
            moved = fixed_point_product(centred(block, source), scale) + int(target.zero_point)
        else:
            moved = branch(block, source, target, rule) + int(target.zero_point)
        return np.asarray(np.clip(moved, low, high)).astype(target.qtype.dtype)

    return evaluated(compute, [values], [source.qtype])


def centred(values: NDArray[Any], grid: QParams) -> Integers:
    """``x - z``, int64."""
    return np.asarray(values.astype(np.int64) - int(grid.zero_point))


def fixed_point_product(values: Integers, scale: ArrayLike) -> Integers:
    """TFLite's MultiplyByQuantizedMultiplier, double rounding: int32 values times a real scale.

    Raises
    ------
    NumericsError : values outside int32, or a product that leaves it: undefined in the source.
    """
    require_range(values, INT32_MIN, INT32_MAX, "accumulators of tflite_double")
    return tflite_double(values, q31(scale))


def branch(values: NDArray[Any], source: QParams, target: QParams, rule: Rule) -> Integers:
    """``x - z_x`` at the target's scale by the rule's own requantization, before the zero point and unclamped, int64."""
    unit = rule.product_requantization(input_scale=source.scale, weight_scale=1.0, output_scale=target.scale, zero_point=0,
                                       qtype=WIDE, operator="conv")
    return unit.requantize(centred(values, source)).astype(np.int64)


def single(scale: ArrayLike) -> np.float32:
    """The scale as runtimes keep it.

    Raises
    ------
    NumericsError : a scale that float32 makes 0 or infinite.
    """
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(as_scales(as_scales(scale).astype(np.float32)))


def dequantized(values: NDArray[Any], grid: QParams) -> NDArray[np.float32]:
    """DequantizeLinear: ``float32(s * (x - z))``, the difference exact."""
    return np.asarray(centred(values, grid).astype(np.float32) * single(grid.scale), dtype=np.float32)


def quantized(reals: NDArray[np.float32], grid: QParams) -> Integers:
    """QuantizeLinear: ``rint(x / s) + z`` in float32, clamped before it is rounded; int64. NaN becomes the smallest value.

    The last is what x86's maxps leaves of NaN in onnxruntime.
    """
    zero = int(grid.zero_point)
    low, high = np.float32(grid.qtype.min - zero), np.float32(grid.qtype.max - zero)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        quotients = np.asarray(reals / single(grid.scale), dtype=np.float32)
        return np.asarray(np.rint(np.fmin(np.fmax(quotients, low), high))).astype(np.int64) + zero
