"""Softmax of a quantized tensor along an axis, by the arithmetic that the rule names.

==================  ====================================================================================================
rule                arithmetic
==================  ====================================================================================================
litert_optimized    LiteRT's float32 table (`softmax_float.table_softmax`)
other fixed_point   TFLite's integers (`softmax_fixed_point`): the reference kernels of LiteRT and TFLite Micro, bit for bit
float32             `form` of the model: QLinearSoftmax, or dequantized (`softmax_float`)
shift               I-BERT's (`ibert.i_softmax`), requantized by the rule from units of 2^-32
==================  ====================================================================================================

TFLite fixes the output: 8 bits are units of 1/256 from the type's lowest value up; 16 bits are units of 1/32768 from 0 (of a
16-bit input) or of 1/65536 from -32768. Under fixed_point an output of another scale, zero point or type is computed in 16
bits first and then requantized by the rule: two roundings, which no TFLite kernel makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers, as_integers
from accelsim.numerics.kernels.ibert import FINEST_EXP, PROBABILITY_BITS, i_softmax
from accelsim.numerics.kernels.operands import axis_of, only, require_one_scale, scalars
from accelsim.numerics.kernels.softmax_fixed_point import log_softmax_8bit, softmax_8bit, softmax_16bit
from accelsim.numerics.kernels.softmax_float import dequantized_softmax, qlinear_softmax, table_softmax
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rescale import rounding_divide_by_pot
from accelsim.numerics.rule import Rule

#: What a float32 rule computes: onnxruntime's QLinearSoftmax, which it also makes of DequantizeLinear, Softmax,
#: QuantizeLinear on 8-bit tensors by default; those three nodes as they stand; LiteRT's optimized kernel.
SoftmaxForm = Literal["qlinear", "dequantize", "litert"]


@dataclass(frozen=True, eq=False)
class SoftmaxKernel:
    """``exp(beta x) / sum exp(beta x)`` along an axis, or its logarithm.

    Parameters
    ----------
    axis : negative counts from the last; TFLite: -1.
    beta : TFLite's option, > 0; 1.0 for ONNX.
    input, output : per tensor, at most 16 bits.
    is_log : log-softmax instead, of an input of at most 8 bits (beta 1); not under shift rules.
    form : of float32 rules; others ignore it. "qlinear" and "litert" need tensors of 8 bits.
    is_flattened : ONNX before opset 13: all dimensions from `axis` on are one row.

    Raises
    ------
    NumericsError : a list of scales; more than 16 bits; a beta that is not above 0; an axis that x lacks; a form or a
        logarithm that the types or the rule have no kernel for.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> logits = QParams(scale=0.1, zero_point=0, qtype=QType(8, True))
    >>> shares = QParams(scale=1 / 256, zero_point=-128, qtype=QType(8, True))
    >>> kernel = SoftmaxKernel(axis=-1, beta=1.0, input=logits, output=shares)
    >>> x = np.array([[0, 0, 10]], np.int8)
    >>> for name in ("litert_reference", "float32_nearest_even", "dyadic"):
    ...     kernel.run([x], Rule(name)).tolist()
    [[-74, -74, 19]]
    [[-74, -74, 19]]
    [[-74, -74, 19]]
    """

    axis: int
    beta: float
    input: QParams
    output: QParams
    is_log: bool = False
    form: SoftmaxForm = "qlinear"
    is_flattened: bool = False

    def __post_init__(self) -> None:
        for what, parameters in (("input", self.input), ("output", self.output)):
            require_one_scale(parameters, what)
            if parameters.qtype.bits > 16:
                raise NumericsError(f"expected at most 16 bits, got {parameters.qtype.name}", field=what)
        if not (np.isfinite(self.beta) and self.beta > 0):
            raise NumericsError(f"expected a finite number above 0, got {self.beta}", field="beta")
        if self.form not in get_args(SoftmaxForm):
            raise NumericsError(f'expected one of {", ".join(get_args(SoftmaxForm))}, got "{self.form}"', field="form")
        if self.is_log and (self.beta != 1 or self.input.qtype.bits > 8):
            raise NumericsError(f"expected beta 1 and at most 8 bits of a log-softmax, got beta {self.beta} and "
                                f"{self.input.qtype.name}", field="is_log")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = as_integers(only(inputs))
        place = axis_of(x, self.axis)
        if x.size == 0:
            return x.astype(self.output.qtype.dtype)
        if self.is_flattened:
            rows = x.reshape(*x.shape[:place], -1)
            return self._rows(rows, rule).reshape(x.shape)
        return np.ascontiguousarray(np.moveaxis(self._rows(np.moveaxis(x, place, -1), rule), -1, place))

    def _rows(self, rows: Integers, rule: Rule) -> NDArray[Any]:
        if rule.scheme == "litert_optimized" and self._has_table:
            return table_softmax(rows, input=self.input, output=self.output, beta=self.beta)
        if rule.family == "float32":
            return self._float32(rows)
        if rule.family == "shift":
            return self._shift(rows, rule)
        return self._fixed_point_log(rows, rule) if self.is_log else self._fixed_point(rows, rule)

    @property
    def _has_table(self) -> bool:
        return not self.is_log and self.input.qtype.bits <= 8

    def _float32(self, rows: Integers) -> NDArray[Any]:
        if self.is_log or self.form == "dequantize":
            return dequantized_softmax(rows, input=self.input, output=self.output, beta=self.beta, is_log=self.is_log)
        if self.input.qtype.bits > 8 or (self.form == "qlinear" and (self.output.qtype.bits > 8 or self.beta != 1)):
            raise NumericsError(f'expected tensors of 8 bits and beta 1 for the form "{self.form}", got '
                                f"{self.input.qtype.name}, {self.output.qtype.name}, {self.beta}", field="form")
        if self.form == "qlinear":
            return qlinear_softmax(rows, input=self.input, output=self.output)
        return table_softmax(rows, input=self.input, output=self.output, beta=self.beta)

    def _shift(self, rows: Integers, rule: Rule) -> NDArray[Any]:
        if self.is_log:
            raise NumericsError(f"expected no log-softmax under {rule.scheme}, which has no integer logarithm, got one",
                                field="is_log")
        shares = i_softmax(rows, float(self.input.scale) * self.beta, finest=FINEST_EXP)
        return self._requantized(shares, 2.0**-PROBABILITY_BITS, rule)

    def _fixed_point(self, rows: Integers, rule: Rule) -> NDArray[Any]:
        (s_in, _), (s_out, z_out) = scalars(self.input), scalars(self.output)
        qtype = self.output.qtype
        if self.input.qtype.bits > 8:
            shares = softmax_16bit(rows, scale=float(s_in), beta=self.beta)
            if (qtype.name, float(s_out), z_out) == ("int16", 2.0**-15, 0):
                return shares.astype(qtype.dtype)
            return self._requantized(shares, 2.0**-15, rule)
        is_fixed = qtype.bits in (8, 16) and (float(s_out), z_out) == (2.0**-qtype.bits, qtype.min)
        shares = softmax_8bit(rows, scale=float(s_in), beta=float(np.float32(self.beta)),
                              output_bits=qtype.bits if is_fixed else 16)
        return (shares + qtype.min).astype(qtype.dtype) if is_fixed else self._requantized(shares, 2.0**-16, rule)

    def _fixed_point_log(self, rows: Integers, rule: Rule) -> NDArray[Any]:
        (s_in, _), (s_out, z_out) = scalars(self.input), scalars(self.output)
        qtype = self.output.qtype
        logs = log_softmax_8bit(rows, scale=float(s_in))
        if (qtype.bits, float(s_out), z_out) == (8, 1 / 16, qtype.max):
            return qtype.clamp(rounding_divide_by_pot(logs, np.asarray(22)) + z_out)
        return self._requantized(logs, 2.0**-26, rule)

    def _requantized(self, values: Integers, unit: float, rule: Rule) -> NDArray[Any]:
        return rule.requantization(unit / float(self.output.scale), zero_point=int(self.output.zero_point),
                                   qtype=self.output.qtype).requantize(values)
