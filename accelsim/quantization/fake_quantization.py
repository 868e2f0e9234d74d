"""Quantized and dequantized again: the real values that a grid leaves of real values (white paper, arXiv 2106.08295, eq. 7).

``x^ = s (clamp(round(x / s) + z, q_min, q_max) - z)``

"Quantization simulation" (white paper 2.3) runs a network on floats that lie on their grids. The integers are those of
`QParams`, and so is every bit of the result; this module only spares the way through integer arrays. As round(x / s) is
integral, adding z and taking it off again cancels: ``clamp(round(x / s), q_min - z, q_max - z)`` is the same number of
steps, which float32 holds exactly up to 2^24.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rounding import Rounding
from accelsim.quantization.granularity import Granularity

#: Integers up to 2^24 are exact in float32 (IEEE 754 binary32: 24 bits of significand); zero points double the width.
_WIDEST_EXACT_BITS = 22


def fake_quantize(values: NDArray[Any], qparams: QParams, *, rounding: Rounding = "half_even",
                  generator: np.random.Generator | None = None) -> NDArray[Any]:
    """``qparams.dequantize(qparams.quantize(values))`` in the values' own type, bit for bit.

    Parameters
    ----------
    values : real numbers; float32 and float64 keep their type, others become float64. Infinities saturate.
    qparams : the grid.
    rounding, generator : as for `QParams.quantize`; half_even is the fast one.

    Raises
    ------
    NumericsError : NaN; a shape that the scales do not fit; a scale that vanishes or overflows in the values' type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=3, qtype=QType(3, False))
    >>> fake_quantize(np.array([-9.0, -0.3, 0.75, 9.0]), grid)
    array([-1.5, -0.5,  1. ,  2. ])
    """
    x = np.asarray(values)
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float64)
    scales = qparams.scale.astype(x.dtype)
    if rounding != "half_even" or qparams.qtype.bits > _WIDEST_EXACT_BITS or not np.all(np.isfinite(scales) & (scales > 0)):
        integers = qparams.quantize(x, rounding=rounding, generator=generator)
        return qparams.dequantize(integers, dtype=x.dtype)
    lowest, highest = (limit - qparams.zero_point for limit in (qparams.qtype.min, qparams.qtype.max))
    if qparams.axis is not None:
        granularity = Granularity.of(qparams)
        scales, lowest, highest = (granularity.spread(part, x.shape) for part in (scales, lowest, highest))
    on_grid = steps_on_grid(x, scales, lowest.astype(x.dtype), highest.astype(x.dtype))
    on_grid *= scales
    if x.size and math.isnan(float(on_grid.max())):
        raise NumericsError("expected numbers, got NaN", field="values")
    on_grid += 0.0  # -0.0 becomes the 0.0 that an integer 0 gives
    return on_grid


def steps_on_grid(values: NDArray[Any], scales: NDArray[Any], lowest: NDArray[Any], highest: NDArray[Any]) -> NDArray[Any]:
    """``clamp(round(x / s), lowest, highest)``: the values in whole steps from 0, as floats of their own type.

    Parameters
    ----------
    values : float32 or float64; NaN stays NaN.
    scales, lowest, highest : of the same type, broadcast against the values.
    """
    with np.errstate(over="ignore", under="ignore"):
        steps: NDArray[Any] = np.divide(values, scales, out=np.empty(values.shape, dtype=values.dtype))
    np.rint(steps, out=steps)
    np.maximum(steps, lowest, out=steps)
    np.minimum(steps, highest, out=steps)
    return steps
