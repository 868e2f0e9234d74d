"""Mean, sum, maximum and minimum over whole axes.

With n the elements reduced and ``S = sum (x - z_x)``:

===========  =======================================================================================================
family       mean and sum
===========  =======================================================================================================
fixed_point  ``RDBPOT(SRDHM(S, M)) + z_y``, M of ``double(s_x) / double(s_y)``; a mean's M is ``(M << k) // n`` first, k the
             largest with 2^k <= n, and shifted right by k more
float32      global pool, 8 bits: ``rint(float32(S) * float32(s_x / float32(s_y n))) + z_y``; else DequantizeLinear, the sum
             in float32 in onnxruntime's order (`float_sum`), a division, QuantizeLinear
shift        one requantization by the rule of S by ``s_x / (s_y n)``, or ``s_x / s_y``
===========  =======================================================================================================

Maxima and minima are taken of the integers and then brought to the output's grid (`grid_change`).

Exactness, as the tests show it. fixed_point: 0 outputs of MEAN (int8, uint8, int16), SUM (uint8), REDUCE_MAX and REDUCE_MIN
differ from LiteRT's reference kernels. Its SUM reads int8 as uint8 and int16 wrongly, which this one does not. float32: 0
outputs of QLinearGlobalAveragePool differ, nor of ReduceMean and ReduceSum between their roundings over the last axes, the
first, middle ones or all. Where onnxruntime adds in another order (`float_sum`; a 16-bit GlobalAveragePool too): at most
1 LSB, on outputs next to a tie.

Sources: google-ai-edge/LiteRT@1010c05f `tflite/kernels/internal/reference/reduce.h` QuantizedMeanOrSum; onnxruntime
`onnxruntime/core/mlas/lib/qlgavgpool.cpp`, `onnxruntime/core/providers/cpu/reduction/reduction_ops.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.effective_scale import effective_scale
from accelsim.numerics.integer_array import INT32_MAX, INT32_MIN, Integers, require_range
from accelsim.numerics.kernels.broadcast import check_operands
from accelsim.numerics.kernels.float_sum import summed
from accelsim.numerics.kernels.grid_change import WIDE, changed, dequantized, quantized, single
from accelsim.numerics.kernels.operands import axes_of, only
from accelsim.numerics.multiplier import Multiplier, q31
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rescale import tflite_double
from accelsim.numerics.rule import Rule

#: What becomes of the elements.
ReductionKind = Literal["mean", "sum", "max", "min"]


@dataclass(frozen=True, eq=False)
class ReductionKernel:
    """One number for all elements along some axes.

    Parameters
    ----------
    kind : "mean", "sum", "max" or "min".
    axes : in the model's layout, each once; negative count from the last.
    keeps_dimensions : whether a reduced axis stays, with one element.
    input, output : grids, per tensor.
    is_global_pool : whether the runtime has a kernel of its own for it: onnxruntime's GlobalAveragePool, against its
        ReduceMean. Matters for a mean under float32 alone.

    Raises
    ------
    NumericsError : an unknown kind, a list of scales.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=1, qtype=QType(8, True))
    >>> x = np.array([[1, 2, 4], [-7, 1, 2]], np.int8)
    >>> [ReductionKernel(kind, (1,), False, grid, grid).run([x], Rule("tflite_double")).tolist()
    ...  for kind in ("mean", "sum", "max", "min")]
    [[2, -1], [5, -6], [4, 2], [1, -7]]
    """

    kind: ReductionKind
    axes: tuple[int, ...]
    keeps_dimensions: bool
    input: QParams
    output: QParams
    is_global_pool: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(ReductionKind):
            raise NumericsError(f'expected one of {", ".join(get_args(ReductionKind))}, got "{self.kind}"', field="kind")
        check_operands((self.input,), self.output, {})

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The reduced tensor.

        Parameters
        ----------
        inputs : one tensor.

        Returns
        -------
        Array, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of tensors, an axis that the tensor lacks or that stands twice, no element to reduce,
            scales beyond the rule.
        """
        x = only(inputs)
        axes = axes_of(x, self.axes)
        count = prod(x.shape[axis] for axis in axes)
        if count == 0:
            raise NumericsError(f"expected elements along axes {axes}, got a tensor of shape {x.shape}", field="inputs")
        if self.kind in ("max", "min"):
            extreme = np.max if self.kind == "max" else np.min
            found = np.asarray(extreme(x, axis=axes, keepdims=self.keeps_dimensions))
            return found if self.input == self.output else changed(found, self.input, self.output, rule)
        if rule.family == "float32" and not self._is_integer_pool:
            total = summed(dequantized(x, self.input), axes)
            reals = total / np.float32(count) if self.kind == "mean" else total
            result = quantized(np.asarray(reals, dtype=np.float32), self.output)
        else:
            sums = x.sum(axis=axes, dtype=np.int64, keepdims=True) - count * int(self.input.zero_point)
            scaled = (mean_of_sums(sums, count, self.input, self.output, rule) if self.kind == "mean"
                      else _rescaled(sums, 1, self.input, self.output, rule))
            result = scaled + int(self.output.zero_point)
        written = self.output.qtype.clamp(result)
        return written if self.keeps_dimensions else written.reshape(np.delete(x.shape, axes))

    @property
    def _is_integer_pool(self) -> bool:
        return (self.is_global_pool and self.kind == "mean" and self.input.qtype == self.output.qtype
                and self.input.qtype.bits == 8)


def mean_of_sums(sums: Integers, count: int, source: QParams, target: QParams, rule: Rule) -> Integers:
    """``S / count`` at the target's scale, before its zero point and unclamped, where S is an integer.

    Parameters
    ----------
    sums : S, without zero points, int64.
    count : elements in each sum, at least 1.
    """
    if rule.family != "fixed_point":
        return _rescaled(sums, count, source, target, rule)
    require_range(sums, INT32_MIN, INT32_MAX, "sums of tflite_double")
    unit = q31(effective_scale(input_scale=source.scale, weight_scale=1.0, output_scale=target.scale))
    # Source: reduce.h QuantizedMeanOrSum: the shift keeps the quotient's bits, within what the rescaling takes.
    extra = min(count.bit_length() - 1, 32, 62 - int(unit.shift))
    divided = Multiplier.of((int(unit.mantissa) << extra) // count, int(unit.shift) + extra)
    return tflite_double(sums, divided)


def _rescaled(sums: Integers, count: int, source: QParams, target: QParams, rule: Rule) -> Integers:
    """S at the target's scale, divided by `count` in the same step."""
    scale = effective_scale(input_scale=source.scale, weight_scale=1.0, output_scale=target.scale)
    if rule.family == "float32":
        # Source: qlgavgpool.cpp CheckQLinearGlobalAveragePoolScaleAndSize; MlasRequantizeOutput rounds half to even.
        ratio = single(source.scale) / (single(target.scale) * np.float32(count))
        return np.asarray(np.rint(sums.astype(np.float32) * ratio)).astype(np.int64)
    if rule.family == "fixed_point":
        require_range(sums, INT32_MIN, INT32_MAX, "sums of tflite_double")
        return tflite_double(sums, q31(scale))
    return rule.requantization(scale / count, zero_point=0, qtype=WIDE).requantize(sums).astype(np.int64)
