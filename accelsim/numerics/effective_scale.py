"""The real factor of a requantization, with the roundings that a runtime makes on its way.

The model's scales are float32. ``s = s_in * s_w / s_out`` computed in another type or order differs in its last bits, and
with it, rarely, an output:

================  =====================================================  ================================================
arithmetic        formula                                                who
================  =====================================================  ================================================
float64           double(s_in) * double(s_w) / double(s_out)             TFLite per channel; TFLite Micro
float32_product   double(float32(s_in * s_w)) / double(s_out)            TFLite per tensor (uint8); HAWQ-V3 ("follow TVM")
float32           float32(float32(s_in * s_w) / s_out)                   onnxruntime, XNNPACK
================  =====================================================  ================================================

Sources: tensorflow/tflite-micro@90b983c2 `lite/kernels/kernel_util.cc`; Zhen-Dong/HAWQ@1616df69 `utils/quantization_utils/
quant_utils.py`; the onnxruntime row is confirmed by the tests, on QLinearConv.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import as_scales

Arithmetic = Literal["float64", "float32_product", "float32"]


def effective_scale(*, input_scale: ArrayLike, weight_scale: ArrayLike, output_scale: ArrayLike,
                    arithmetic: Arithmetic = "float64") -> NDArray[np.float64]:
    """``s_in * s_w / s_out`` in the named arithmetic, as float64.

    Parameters
    ----------
    input_scale, weight_scale, output_scale : finite, above 0, rounded to float32 first; they broadcast, as () with (C,).
    arithmetic : a row of the table above.

    Raises
    ------
    NumericsError : a scale that is NaN, infinite, zero or negative, also as a float32; an unknown arithmetic.

    Examples
    --------
    >>> s = [effective_scale(input_scale=0.1, weight_scale=0.1, output_scale=0.3, arithmetic=a)
    ...      for a in ("float64", "float32_product", "float32")]
    >>> [float(v) for v in s]
    [0.03333333300219644, 0.03333333436813615, 0.03333333507180214]
    """
    if arithmetic not in get_args(Arithmetic):
        raise NumericsError(f'expected one of {", ".join(get_args(Arithmetic))}, got "{arithmetic}"', field="arithmetic")
    with np.errstate(over="ignore", under="ignore"):
        s_in, s_w = _singles(input_scale, "input_scale"), _singles(weight_scale, "weight_scale")
        s_out = _singles(output_scale, "output_scale")
        if arithmetic == "float64":
            return as_scales(s_in.astype(np.float64) * s_w / s_out.astype(np.float64))
        product = np.asarray(s_in * s_w)
        if arithmetic == "float32_product":
            return as_scales(product.astype(np.float64) / s_out.astype(np.float64))
        return as_scales(product / s_out)


def _singles(scale: ArrayLike, what: str) -> NDArray[np.float32]:
    """The scales as float32, still above 0 and finite there."""
    return as_scales(as_scales(scale, what).astype(np.float32), what).astype(np.float32)
