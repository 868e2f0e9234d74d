"""Sums and differences of tensors on different grids.

With ``x_i`` the operands minus their zero points, S their largest scale and ``g_i`` their signs:

===========  =======================================================================================================
family       formula
===========  =======================================================================================================
fixed_point  ``q_i = M(s_i / 2S) * (x_i << L)``, ``y = M(2S / (2^L s_y)) * sum g_i q_i + z_y``; L = 20 for operands of at
             most 8 bits, else 15; M(...) * is RDBPOT(SRDHM(...)), half up then half away
float32      two 8-bit operands of one type: ``rint(fma(a, s_a/s_y, fma(b, s_b/s_y, c)))`` in float32, the zero points in c;
             else DequantizeLinear, the sum in float32 from the left, QuantizeLinear
shift        every operand requantized to the output's scale by the rule and rounded, then an exact sum (HAWQ-V3)
===========  =======================================================================================================

Exactness, as the tests show it. fixed_point: 0 of all 65,536 pairs of int8 and of uint8, add and sub, and 0 of 600,000 int16
outputs differ from LiteRT's reference kernels. float32: 0 of all pairs, int8 and uint8, differ from onnxruntime's QLinearAdd
(x86 with FMA) and from its DequantizeLinear-Sub-QuantizeLinear, also with scalar and channel operands. Other widths take the
same formulas. More than two operands, which TFLite does not have: n S stands for 2 S, so that the sum keeps its bits.

Sources: tensorflow/tflite-micro@90b983c2 `lite/kernels/internal/reference/add.h`, `lite/kernels/add.cc`; onnxruntime
`onnxruntime/core/mlas/lib/intrinsics/avx2/qladd_avx2.cpp`; Zhen-Dong/HAWQ@1616df69
`utils/quantization_utils/quant_utils.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers, require_range
from accelsim.numerics.kernels.broadcast import Computation, check_clamp, check_operands, evaluated, merged_operands
from accelsim.numerics.kernels.fused_multiply_add import fused_multiply_add
from accelsim.numerics.kernels.grid_change import branch, centred, dequantized, quantized, single
from accelsim.numerics.multiplier import q31
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rescale import rounding_divide_by_pot, tflite_double
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class AdditionKernel:
    """``y = sum_i signs_i * x_i`` of real numbers, n operands that broadcast.

    Parameters
    ----------
    inputs : grid of each operand, per tensor.
    output : grid of the sum, per tensor.
    clamp_min, clamp_max : the output's range, within its type.
    signs : 1 or -1 per operand; (1, -1) subtracts.
    constants : operands that the model holds, by position; integers within their type.
    is_power_of_two : TFLite's flag pot_scale_int16. Where all scales are powers of two and all zero points 0, two int16
        operands are then only shifted: ``y = x_a +- RDBPOT(x_b, n)``.
    is_unfused : the runtime adds real numbers between DequantizeLinear and QuantizeLinear although the types would allow its
        fused kernel: onnxruntime's Sum, and its Add before a Relu. Matters for float32 alone.

    Raises
    ------
    NumericsError : no operand, a list of scales, signs of another number or value, constants at no position or outside their
        type, a clamp outside the output's type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=3, qtype=QType(8, True))
    >>> kernel = AdditionKernel((grid, grid), grid, -128, 127, (1, 1))
    >>> kernel.run([np.array([5, 127], np.int8), np.array([4, 127], np.int8)], Rule("tflite_double")).tolist()
    [6, 127]
    """

    inputs: tuple[QParams, ...]
    output: QParams
    clamp_min: int
    clamp_max: int
    signs: tuple[int, ...]
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    is_power_of_two: bool = False
    is_unfused: bool = False

    def __post_init__(self) -> None:
        check_operands(self.inputs, self.output, self.constants)
        check_clamp(self.clamp_min, self.clamp_max, self.output.qtype)
        if len(self.signs) != len(self.inputs) or any(sign not in (1, -1) for sign in self.signs):
            raise NumericsError(f"expected {len(self.inputs)} signs, each 1 or -1, got {self.signs}", field="signs")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The sum.

        Parameters
        ----------
        inputs : the operands that are no constants, in order.

        Returns
        -------
        Array of the broadcast shape, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of inputs, shapes that do not broadcast, scales beyond the rule.
        """
        operands = merged_operands(inputs, self.constants, len(self.inputs))
        if rule.family == "float32":
            total = self._fused(operands) if self._is_fused else self._summed_as_reals
        elif rule.family == "shift":
            total = self._branches(rule)
        else:
            total = self._shifted_operands() if self._is_shift_only else self._fixed_point()

        def compute(*blocks: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(np.clip(total(*blocks), self.clamp_min, self.clamp_max)).astype(self.output.qtype.dtype)

        return evaluated(compute, operands, [grid.qtype for grid in self.inputs])

    def _fixed_point(self) -> Computation:
        # Source: tensorflow/tensorflow `tensorflow/lite/kernels/add.cc` Prepare; the scales are float32 there.
        left = 20 if all(grid.qtype.bits <= 8 for grid in self.inputs) else 15
        scales = [float(single(grid.scale)) for grid in self.inputs]
        shared = max(2, len(scales)) * max(scales)
        units = [q31(scale / shared) for scale in scales]
        last = q31(shared / (2**left * float(single(self.output.scale))))
        if last.shift < 31:
            raise NumericsError(f"expected input scales below 2^{left - 1} times the output's, got {max(scales):.6g} and "
                                f"{float(self.output.scale):.6g}", field="scale")

        def total(*blocks: NDArray[Any]) -> Integers:
            terms = [sign * tflite_double(centred(block, grid) << left, unit) for block, grid, unit, sign in
                     zip(blocks, self.inputs, units, self.signs, strict=True)]
            exact = np.asarray(sum(terms))
            require_range(exact, INT32_MIN, INT32_MAX, "sum of the shifted operands")
            return tflite_double(exact, last) + int(self.output.zero_point)

        return total

    @property
    def _is_shift_only(self) -> bool:
        """Whether TFLite's older int16 kernel runs."""
        grids = (*self.inputs, self.output)
        return self.is_power_of_two and len(self.inputs) == 2 and self.signs[0] == 1 and all(
            grid.qtype.bits == 16 and grid.qtype.is_signed and not grid.zero_point and np.frexp(grid.scale)[0] == 0.5
            for grid in grids)

    def _shifted_operands(self) -> Computation:
        # Source: tensorflow/tensorflow `tensorflow/lite/kernels/internal/reference/add.h` Add of int16_t; `add.cc` Prepare.
        shifts = [int(np.frexp(self.output.scale)[1] - np.frexp(grid.scale)[1]) for grid in self.inputs]
        if min(shifts) != 0:
            found = " and ".join(str(float(grid.scale)) for grid in self.inputs)
            raise NumericsError(f"expected one input scale of the output's {float(self.output.scale)} and none above it, "
                                f"got {found}", field="scale")

        def total(*blocks: NDArray[Any]) -> Integers:
            a, b = (rounding_divide_by_pot(block.astype(np.int64), np.asarray(shift, dtype=np.int64))
                    for block, shift in zip(blocks, shifts, strict=True))
            return np.asarray(a + self.signs[1] * b)

        return total

    @property
    def _is_fused(self) -> bool:
        """Whether onnxruntime runs QLinearAdd: two 8-bit operands and an output of one type."""
        qtypes = {grid.qtype for grid in (*self.inputs, self.output)}
        return not self.is_unfused and self.signs == (1, 1) and len(qtypes) == 1 and self.output.qtype.bits == 8

    def _fused(self, operands: Sequence[NDArray[Any]]) -> Computation:
        """QLinearAdd on x86 with FMA. The span's scalar is always taken as b; which operand is b shows in c's last bit."""
        first, second = (1, 0) if _is_scalar_in_its_span(*operands) else (0, 1)
        s_y, z_y = single(self.output.scale), np.float32(int(self.output.zero_point))
        ratios = [single(grid.scale) / s_y for grid in self.inputs]
        zeros = [np.float32(int(grid.zero_point)) for grid in self.inputs]
        # Source: onnxruntime qladd_avx2.cpp VectorFixedPart; that its first product is fused is measured (the compiler's
        # choice): 2259 of 1,572,864 uint8 outputs tell.
        constant = z_y - fused_multiply_add(zeros[first], ratios[first], np.float32(ratios[second] * zeros[second]))

        def total(*blocks: NDArray[Any]) -> NDArray[Any]:
            inner = fused_multiply_add(blocks[second].astype(np.float32), ratios[second], constant)
            return np.asarray(np.rint(fused_multiply_add(blocks[first].astype(np.float32), ratios[first], inner)))

        return total

    def _summed_as_reals(self, *blocks: NDArray[Any]) -> Integers:
        reals = [dequantized(block, grid) for block, grid in zip(blocks, self.inputs, strict=True)]
        total = reals[0] if self.signs[0] == 1 else -reals[0]
        for real, sign in zip(reals[1:], self.signs[1:], strict=True):
            total = total + real if sign == 1 else total - real
        return quantized(total, self.output)

    def _branches(self, rule: Rule) -> Computation:
        def total(*blocks: NDArray[Any]) -> Integers:
            terms = [sign * branch(block, grid, self.output, rule)
                     for block, grid, sign in zip(blocks, self.inputs, self.signs, strict=True)]
            return np.asarray(sum(terms) + int(self.output.zero_point))

        return total


def _is_scalar_in_its_span(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether onnxruntime's broadcaster holds `a` still along its innermost dimension.

    Source: onnxruntime `onnxruntime/core/providers/cpu/math/element_wise_ops.h` Broadcaster: the innermost dimension that
    both have and that is not 1 in both; where all are 1, the first operand counts as the scalar.
    """
    for size_a, size_b in zip(reversed(a.shape), reversed(b.shape), strict=False):
        if size_a != 1 or size_b != 1:
            return bool(size_a == 1)
    return bool(a.ndim == 0 or b.ndim != 0)
