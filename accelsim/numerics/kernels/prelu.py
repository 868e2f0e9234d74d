"""A ReLU whose slope below zero is a tensor of constants: TFLite's and ONNX's PRELU.

With ``x' = x - z_x`` and ``a' = a - z_a``, a the slopes; above zero ``y = x' s_x / s_y``, below ``y = x' a' s_x s_a / s_y``:

===========  =======================================================================================================
family       formula
===========  =======================================================================================================
fixed_point  ``RDBPOT(SRDHM(x' or x' a', M)) + z_y``, M of the quotient in float32
float32      DequantizeLinear of x and a, the product in float32, QuantizeLinear
shift        one requantization by the rule of x' or of the exact product
===========  =======================================================================================================

Exactness, as the tests show it: 0 of all 65,536 pairs of values and slopes differ from LiteRT's reference kernel and from
onnxruntime's PRelu between roundings, int8 and uint8.

Source: tensorflow/tensorflow `tensorflow/lite/kernels/activations.cc` PreluPrepare,
`tensorflow/lite/kernels/internal/reference/prelu.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.effective_scale import effective_scale
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.broadcast import check_operands, evaluated
from accelsim.numerics.kernels.grid_change import WIDE, branch, centred, dequantized, fixed_point_product, quantized
from accelsim.numerics.kernels.operands import only
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class PreluKernel:
    """``y = x for x >= 0, else slope * x``, element by element.

    Parameters
    ----------
    input, slope, output : grids, per tensor.
    slopes : integers within ``slope.qtype``, a shape that broadcasts to the input's.

    Raises
    ------
    NumericsError : a list of scales, slopes outside their type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=0, qtype=QType(8, True))
    >>> kernel = PreluKernel(grid, grid, grid, slopes=np.array([1, 4], np.int8))  # 0.5 and 2
    >>> kernel.run([np.array([[-6, -6], [6, 6]], np.int8)], Rule("tflite_double")).tolist()
    [[-3, -12], [6, 6]]
    """

    input: QParams
    slope: QParams
    output: QParams
    slopes: NDArray[Any]

    def __post_init__(self) -> None:
        check_operands((self.input, self.slope), self.output, {1: self.slopes})

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The function's values.

        Parameters
        ----------
        inputs : one tensor.

        Returns
        -------
        Array of its shape, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of tensors, shapes that do not broadcast, scales beyond the rule.
        """
        def compute(x: NDArray[Any], slopes: NDArray[Any]) -> NDArray[Any]:
            if rule.family == "float32":
                reals = dequantized(x, self.input)
                found = quantized(np.where(reals >= 0, reals, reals * dequantized(slopes, self.slope)), self.output)
            else:
                above, below = self._sides(x, slopes, rule)
                found = np.where(centred(x, self.input) >= 0, above, below) + int(self.output.zero_point)
            return self.output.qtype.clamp(found)

        return evaluated(compute, [only(inputs), self.slopes], [self.input.qtype, self.slope.qtype])

    def _sides(self, x: NDArray[Any], slopes: NDArray[Any], rule: Rule) -> tuple[Integers, Integers]:
        """x at the output's scale, and x times its slope."""
        product = centred(x, self.input) * centred(slopes, self.slope)
        if rule.family == "fixed_point":
            steep, flat = (effective_scale(input_scale=self.input.scale, weight_scale=scale, output_scale=self.output.scale,
                                           arithmetic="float32") for scale in (1.0, self.slope.scale))
            return fixed_point_product(centred(x, self.input), steep), fixed_point_product(product, flat)
        unit = rule.product_requantization(
            input_scale=self.input.scale, weight_scale=self.slope.scale, output_scale=self.output.scale, zero_point=0,
            qtype=WIDE, operator="conv")
        return branch(x, self.input, self.output, rule), unit.requantize(product).astype(np.int64)
