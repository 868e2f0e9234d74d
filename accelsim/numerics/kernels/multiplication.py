"""Products of two tensors on different grids.

With x_a and x_b the operands minus their zero points:

===========  =======================================================================================================
family       formula
===========  =======================================================================================================
fixed_point  ``RDBPOT(SRDHM(x_a * x_b, M)) + z_y``, M of ``float32(float32(s_a * s_b) / s_y)``
float32      8-bit operands and output of one type: ``rint(float32(x_a * x_b) * r + z_y)`` in float32, r as M's real scale;
             else DequantizeLinear, the product in float32, QuantizeLinear
shift        one requantization by the rule of the exact product
===========  =======================================================================================================

Exactness, as the tests show it. fixed_point: 0 of all 65,536 pairs of int8 and of uint8, and 0 of 600,000 int16 outputs
differ from LiteRT's reference kernels. float32: 0 of all pairs, int8 and uint8, differ from onnxruntime's QLinearMul (x86).
Other widths take the same formulas.

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/mul.cc`; tensorflow/tflite-micro@90b983c2
`lite/kernels/internal/reference/integer_ops/mul.h`; onnxruntime `onnxruntime/core/mlas/lib/qlmul.cpp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.effective_scale import effective_scale
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.broadcast import Computation, check_clamp, check_operands, evaluated, merged_operands
from accelsim.numerics.kernels.grid_change import WIDE, centred, dequantized, fixed_point_product, quantized
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class MultiplicationKernel:
    """``y = x_a * x_b`` of real numbers, two operands that broadcast.

    Parameters
    ----------
    inputs : grids of the two operands, per tensor.
    output : grid of the product, per tensor.
    clamp_min, clamp_max : the output's range, within its type.
    constants : operands that the model holds, by position; integers within their type.
    is_unfused : the runtime multiplies real numbers between DequantizeLinear and QuantizeLinear although the types would
        allow its fused kernel, as onnxruntime does where a Relu stands between. Matters for float32 alone.

    Raises
    ------
    NumericsError : another number of operands than two, a list of scales, constants at no position or outside their type, a
        clamp outside the output's type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=0, qtype=QType(8, True))
    >>> kernel = MultiplicationKernel((grid, grid), grid, 0, 127, constants={1: np.array(-3, np.int8)})
    >>> [kernel.run([np.array([-3, 3], np.int8)], Rule(name)).tolist() for name in ("tflite_double", "shift_floor")]
    [[5, 0], [4, 0]]
    """

    inputs: tuple[QParams, ...]
    output: QParams
    clamp_min: int
    clamp_max: int
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    is_unfused: bool = False

    def __post_init__(self) -> None:
        check_operands(self.inputs, self.output, self.constants)
        check_clamp(self.clamp_min, self.clamp_max, self.output.qtype)
        if len(self.inputs) != 2:
            raise NumericsError(f"expected 2 operands, got {len(self.inputs)}", field="inputs")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The product.

        Parameters
        ----------
        inputs : the operands that are no constants, in order.

        Returns
        -------
        Array of the broadcast shape, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of inputs, shapes that do not broadcast, scales beyond the rule, products outside the
            rule's register.
        """
        operands = merged_operands(inputs, self.constants, 2)
        if rule.family == "float32":
            product = self._fused if self._is_fused else self._product_of_reals
        else:
            product = self._branch(rule) if rule.family == "shift" else self._fixed_point

        def compute(*blocks: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(np.clip(product(*blocks), self.clamp_min, self.clamp_max)).astype(self.output.qtype.dtype)

        return evaluated(compute, operands, [grid.qtype for grid in self.inputs])

    @property
    def _is_fused(self) -> bool:
        """Whether onnxruntime runs QLinearMul: 8-bit operands and an output of one type."""
        qtypes = {grid.qtype for grid in (*self.inputs, self.output)}
        return not self.is_unfused and len(qtypes) == 1 and self.output.qtype.bits == 8

    def _exact(self, a: NDArray[Any], b: NDArray[Any]) -> Integers:
        return centred(a, self.inputs[0]) * centred(b, self.inputs[1])

    def _fixed_point(self, a: NDArray[Any], b: NDArray[Any]) -> Integers:
        return fixed_point_product(self._exact(a, b), self._ratio) + int(self.output.zero_point)

    @property
    def _ratio(self) -> NDArray[np.float64]:
        # Source: mul.cc Prepare and qlmul.cpp MlasQLinearMulKernel; both multiply and divide float32 scales.
        return effective_scale(input_scale=self.inputs[0].scale, weight_scale=self.inputs[1].scale,
                               output_scale=self.output.scale, arithmetic="float32")

    def _fused(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        scaled = self._exact(a, b).astype(np.float32) * np.float32(self._ratio)
        # Source: qlmul.cpp MlasQLinearMulVectorS16: the zero point is added before the rounding.
        return np.asarray(np.rint(scaled + np.float32(int(self.output.zero_point))))

    def _product_of_reals(self, a: NDArray[Any], b: NDArray[Any]) -> Integers:
        return quantized(dequantized(a, self.inputs[0]) * dequantized(b, self.inputs[1]), self.output)

    def _branch(self, rule: Rule) -> Computation:
        unit = rule.product_requantization(
            input_scale=self.inputs[0].scale, weight_scale=self.inputs[1].scale, output_scale=self.output.scale,
            zero_point=0, qtype=WIDE, operator="conv")

        def product(a: NDArray[Any], b: NDArray[Any]) -> Integers:
            return unit.requantize(self._exact(a, b)).astype(np.int64) + int(self.output.zero_point)

        return product
