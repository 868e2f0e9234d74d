"""A tensor's real numbers on another grid: QUANTIZE, a standalone ReLU or clip, a DequantizeLinear and QuantizeLinear pair.

The formulas are those of `grid_change`; a ReLU is their clamp. Exactness, as the tests show it: 0 of all int8, uint8 and
int16 values differ from LiteRT's reference QUANTIZE (between the types that it takes), RELU, RELU6 and RELU_N1_TO_1, and 0
from onnxruntime's DequantizeLinear-Relu-QuantizeLinear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from accelsim.numerics.effective_scale import Arithmetic
from accelsim.numerics.kernels.broadcast import check_clamp, check_operands
from accelsim.numerics.kernels.grid_change import changed
from accelsim.numerics.kernels.operands import only
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule


@dataclass(frozen=True, eq=False)
class RescalingKernel:
    """``y = clamp(round((x - z_x) * s_x / s_y) + z_y)``.

    Parameters
    ----------
    input, output : grids, per tensor.
    clamp_min, clamp_max : the output's range, within its type.
    arithmetic : of ``s_x / s_y`` under fixed_point: "float64" as TFLite's QUANTIZE divides, "float32" as its RELU, RELU6
        and RELU_N1_TO_1 do. The last bits differ, and with them one integer in 250 where scales are decimal fractions.

    Raises
    ------
    NumericsError : a list of scales, a clamp outside the output's type.

    Examples
    --------
    >>> import numpy as np
    >>> from accelsim.numerics.qtype import QType
    >>> fine, coarse = (QParams(scale=s, zero_point=3, qtype=QType(8, True)) for s in (0.5, 1.0))
    >>> relu = RescalingKernel(fine, coarse, clamp_min=3, clamp_max=127)
    >>> relu.run([np.array([-100, 3, 4, 9], np.int8)], Rule("tflite_double")).tolist()
    [3, 3, 4, 6]
    """

    input: QParams
    output: QParams
    clamp_min: int
    clamp_max: int
    arithmetic: Arithmetic = "float64"

    def __post_init__(self) -> None:
        check_operands((self.input,), self.output, {})
        check_clamp(self.clamp_min, self.clamp_max, self.output.qtype)

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The numbers on the output's grid.

        Parameters
        ----------
        inputs : one tensor.

        Returns
        -------
        Array of its shape, dtype ``output.qtype.dtype``.

        Raises
        ------
        NumericsError : another number of tensors, scales beyond the rule.
        """
        return changed(only(inputs), self.input, self.output, rule, clamp_min=self.clamp_min, clamp_max=self.clamp_max,
                       arithmetic=self.arithmetic)
