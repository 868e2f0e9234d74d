"""Tensors on different grids, one behind the other.

An operand on the output's grid is copied. Another one is brought there first:

===========  =======================================================================================================
family       formula
===========  =======================================================================================================
fixed_point  ``round(float32(x * r + float32(-z_x * r))) + z_y``, half away, ``r = float32(s_x * float32(1 / s_y))``
float32      DequantizeLinear, QuantizeLinear (`grid_change`)
shift        the rule's own requantization (`grid_change`)
===========  =======================================================================================================

Exactness, as the tests show it. fixed_point: 0 of all uint8 values over 60 pairs of grids differ from LiteRT's reference
kernel; its int8 kernel refuses other grids, its int16 kernel copies them unchanged, which this one does not. float32: 0
differ from onnxruntime's QLinearConcat, int8 and uint8.

Sources: tensorflow/tensorflow `tensorflow/lite/kernels/internal/reference/concatenation.h` ConcatenationWithScaling;
onnxruntime `onnxruntime/contrib_ops/cpu/quantization/qlinear_concat.cc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.kernels.broadcast import check_operands, evaluated, merged_operands
from accelsim.numerics.kernels.grid_change import changed, single
from accelsim.numerics.kernels.operands import axis_of
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class ConcatenationKernel:
    """Operands one behind the other along an axis.

    Parameters
    ----------
    inputs : grid of each operand, per tensor.
    output : grid of the result, per tensor.
    axis : in the model's layout; negative counts from the last.
    constants : operands that the model holds, by position; integers within their type.

    Raises
    ------
    NumericsError : no operand, a list of scales, constants at no position or outside their type.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> fine, coarse = (QParams(scale=s, zero_point=0, qtype=QType(8, True)) for s in (0.5, 1.0))
    >>> kernel = ConcatenationKernel((fine, coarse), coarse, axis=0)
    >>> for name in ("tflite_double", "float32_nearest_even"):
    ...     kernel.run([np.array([-5, 4], np.int8), np.array([7], np.int8)], Rule(name)).tolist()
    [-3, 2, 7]
    [-2, 2, 7]
    """

    inputs: tuple[QParams, ...]
    output: QParams
    axis: int
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_operands(self.inputs, self.output, self.constants)

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The operands, joined.

        Parameters
        ----------
        inputs : the operands that are no constants, in order; of one shape but along the axis.

        Returns
        -------
        Array, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of inputs, shapes that do not join, scales beyond the rule.
        """
        operands = merged_operands(inputs, self.constants, len(self.inputs))
        axis = axis_of(operands[0], self.axis)
        rests = {(*operand.shape[:axis], *operand.shape[axis + 1:]) for operand in operands if operand.ndim > axis}
        if len(rests) > 1 or len({operand.ndim for operand in operands}) > 1:
            found = " and ".join(str(operand.shape) for operand in operands)
            raise NumericsError(f"expected shapes that differ along axis {axis} alone, got {found}", field="inputs")
        moved = [self._moved(operand, grid, rule) for operand, grid in zip(operands, self.inputs, strict=True)]
        return np.concatenate(moved, axis=axis)

    def _moved(self, values: NDArray[Any], grid: QParams, rule: Rule) -> NDArray[Any]:
        if grid == self.output:
            return values
        if rule.family != "fixed_point":
            return changed(values, grid, self.output, rule)
        # Source: concatenation.h ConcatenationWithScaling.
        ratio = single(grid.scale) * (np.float32(1) / single(self.output.scale))
        offset = np.float32(-int(grid.zero_point)) * ratio
        zero, qtype = int(self.output.zero_point), self.output.qtype

        def compute(block: NDArray[Any]) -> NDArray[Any]:
            moved = round_float(block.astype(np.float32) * ratio + offset, "half_away")
            inside = np.clip(moved, np.float32(qtype.min - zero), np.float32(qtype.max - zero))
            return np.asarray(inside.astype(np.int64) + zero).astype(qtype.dtype)

        return evaluated(compute, [values], [grid.qtype])
