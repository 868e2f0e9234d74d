"""Functions of one element: sigmoid, tanh, GELU, ... as tables of integers, or as the runtimes compute them.

===========  =======================================================================================================
family       what is computed
===========  =======================================================================================================
fixed_point  TFLite's own formula where it has one (`fixed_point_activation`); else a table as `lookup_table` states it,
             full up to 8 bits of input, of 2^9 + 1 entries above
float32      every integer by DequantizeLinear, the function in float32, QuantizeLinear
shift        the same tables as under fixed_point, for every function
===========  =======================================================================================================

With `table_bits`, all families look up a table of that size: what a unit with such a table gives.

Exactness, as the tests show it. fixed_point: 0 of all 256 values over many pairs of grids differ from LiteRT's reference
kernels LOGISTIC, TANH, GELU (both), HARD_SWISH, LEAKY_RELU (int8, uint8), EXP, LOG, ABS, SQRT, RSQRT (int8), and from its
optimized ELU (int8; there is no other); 0 of all 65,536 int16 values of LOGISTIC, TANH, EXP, LOG, SQRT, RSQRT, ABS,
LEAKY_RELU. float32: 0 of all 256 values over many pairs of grids differ from onnxruntime's QLinearSigmoid, QLinearLeakyRelu
and 27 functions between roundings, int8 and uint8; of all 65,536 int16 values at most 1 in 1,000, by 1, and only where
onnxruntime has approximations of its own for exp, log, erf, sin, cos and softsign's quotient.

Sources: those of the modules named; onnxruntime `onnxruntime/contrib_ops/cpu/quantization/qlinear_lookup_table.cc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.kernels.broadcast import check_operands, evaluated
from accelsim.numerics.kernels.fixed_point_activation import formula_of
from accelsim.numerics.kernels.grid_change import dequantized, quantized
from accelsim.numerics.kernels.lookup_table import InterpolatedTable, full_table_values
from accelsim.numerics.kernels.operands import only
from accelsim.numerics.kernels.real_function import parameters_of, real_function
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

#: Widest input that a full table is the default for, and the default size of an interpolated one: those of TFLite.
#: Source: tensorflow/tensorflow `tensorflow/lite/kernels/internal/common.h` LUTSize.
_FULL_BITS, _INTERPOLATED_BITS = 8, 9

#: Functions that TFLite refuses to evaluate below 0.
_ROOTS = ("sqrt", "rsqrt")


@dataclass(frozen=True, eq=False)
class TableKernel:
    """``y = f(x)`` of real numbers, element by element.

    Parameters
    ----------
    function : a name of `real_function.FUNCTIONS`.
    input, output : grids, per tensor; the input has at most 16 bits.
    parameters : the function's, by name.
    table_bits : the unit's table has 2^table_bits entries (one more if it is interpolated); 1 to 16. None is that of the
        rule, and where it has none, what the family's own runtime does.

    Raises
    ------
    NumericsError : an unknown function or parameter, an input of more than 16 bits, a table size outside the above, a list
        of scales.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> x = QParams(scale=2**-4, zero_point=0, qtype=QType(8, True))
    >>> y = QParams(scale=2**-8, zero_point=0, qtype=QType(8, False))
    >>> for bits in (None, 4):
    ...     kernel = TableKernel("sigmoid", x, y, table_bits=bits)
    ...     kernel.run([np.array([-128, -20, 0, 20], np.int8)], Rule("dyadic")).tolist()
    [0, 57, 128, 199]
    [0, 58, 129, 199]
    """

    function: str
    input: QParams
    output: QParams
    parameters: Mapping[str, float] = field(default_factory=dict)
    table_bits: int | None = None

    def __post_init__(self) -> None:
        parameters_of(self.function, self.parameters)
        check_operands((self.input,), self.output, {})
        if self.input.qtype.bits > 16:
            raise NumericsError(f"expected an input of at most 16 bits, got {self.input.qtype.name}", field="function")
        if self.table_bits is not None and not 1 <= self.table_bits <= 16:
            raise NumericsError(f"expected 1 to 16 bits, got {self.table_bits}", field="table_bits")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        """The function's values.

        Parameters
        ----------
        inputs : one tensor.

        Returns
        -------
        Array of its shape, dtype ``output.qtype.dtype``. Where the function is undefined, the smallest value.

        Raises
        ------
        NumericsError : another number of tensors; a root of a negative number under fixed_point, which TFLite refuses;
            scales that TFLite refuses.
        """
        x = only(inputs)
        table_bits = self.table_bits or rule.table_bits
        compute = self._formula(x, rule) if rule.family == "fixed_point" and table_bits is None else None
        if compute is None:
            compute = self._of_reals if rule.family == "float32" and table_bits is None else self._table(table_bits)
        chosen = compute

        def written(block: NDArray[Any]) -> NDArray[Any]:
            return self.output.qtype.clamp(chosen(block))

        return evaluated(written, [x], [self.input.qtype])

    def _formula(self, x: NDArray[Any], rule: Rule) -> Any:
        if self.function in _ROOTS and x.size and int(x.min()) < int(self.input.zero_point):
            raise NumericsError(f"expected inputs of at least the zero point {int(self.input.zero_point)} for "
                                f"{self.function}, got {int(x.min())}", field="inputs")
        formula = formula_of(self.function, parameters_of(self.function, self.parameters), self.input, self.output)
        return None if formula is None else lambda block: formula(block.astype(np.int64))

    def _of_reals(self, block: NDArray[Any]) -> Integers:
        function = real_function(self.function, self.parameters, "onnxruntime")
        return quantized(function(dequantized(block, self.input)), self.output)

    def _table(self, table_bits: int | None) -> Any:
        function = real_function(self.function, self.parameters)
        bits = self.input.qtype.bits
        size = table_bits or (bits if bits <= _FULL_BITS else _INTERPOLATED_BITS)
        if size >= bits:
            return lambda block: full_table_values(block, function, self.input, self.output)
        is_tflite = table_bits is None and (bits, self.output.qtype.bits) == (16, 16)
        return InterpolatedTable.of(function, self.input, self.output, table_bits=size, is_tflite=is_tflite).look_up
