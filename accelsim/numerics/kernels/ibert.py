"""I-BERT's integer-only functions: exp, erf, GELU, softmax, square root.

Each function takes integers q and their scale S (real = S * q) and gives integers and their scale. Only the constants,
computed once from S, touch real numbers; the data path adds, multiplies and shifts integers. A polynomial
``a (x + b)^2 + c`` becomes ``(q + floor(b / S))^2 + floor(c / (a S^2))`` of scale ``a S^2`` (Algorithm 1).

============  ==========================================================  =============================================
function      real function                                               largest error for S towards 0
============  ==========================================================  =============================================
`i_exp`       ``exp(x)``, x <= 0: a polynomial on (-ln 2, 0], shifts      2.2e-3 (paper, longer constants: 1.9e-3)
`i_erf`       ``erf(x)``: a polynomial of min(|x|, 1.769), odd            9.7e-2, beside 0, where it jumps by 2 * 0.096
`i_gelu`      ``x / 2 (1 + erf(x / sqrt 2))``                             1.9e-2 (paper: 1.8e-2)
`i_sqrt`      ``floor(sqrt(n))``: Newton's iteration                      exact
`i_softmax`   ``exp(x) / sum exp(x)``                                     2.2e-3
============  ==========================================================  =============================================

The constants are floors, so a coarse S costs accuracy: up to ``S / ln 2`` of the exponent. The paper feeds 32-bit
accumulators of a tiny scale; `refined` makes such integers of 8-bit ones by a shift to the left.

References
----------
Kim, Gholami, Yao, Mahoney, Keutzer, "I-BERT: Integer-only BERT Quantization", ICML 2021, arXiv 2101.01321: Algorithms 1 to
4, equations 7 to 13.

Examples
--------
>>> q, scale = i_exp(np.array([0, -1000, -2000]), 0.001)
>>> (q * scale).round(3).tolist()  # exp of 0, -1, -2
[1.0, 0.368, 0.135]
>>> i_sqrt(np.array([0, 15, 16, 2**62])).tolist()
[0, 3, 4, 2147483648]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import INT64_MAX, Integers, as_integers, magnitude, product, require_range, total
from accelsim.numerics.kernels.operands import only, require_one_scale
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

#: ``a (x + b)^2 + c`` for exp on (-ln 2, 0]. Source: arXiv 2101.01321, equation 13.
EXP_A, EXP_B, EXP_C = 0.3585, 1.353, 0.344

#: ``a (x + b)^2 + 1`` for erf on [0, -b]. Source: arXiv 2101.01321, equation 8.
ERF_A, ERF_B, ERF_C = -0.2888, -1.769, 1.0

#: Halvings after which exp is 0: keeps the shift inside a 32-bit register. Source: kssteven418/I-BERT
#: `fairseq/quantization/utils/quant_modules.py`, IntSoftmax.const.
LARGEST_HALVINGS = 30

#: Bits of an exponential that the softmax adds up, so that 65,536 of them fit 32 bits. Source: the same file, QuantAct(16).
SUMMAND_BITS = 16

#: Scale of erf's argument and of exp's to which the kernels refine their inputs: |q_b| and q_ln2 then have at least 9 and 12
#: bits, and every register of an 8-bit input's data path 32. Our choice; the paper's inputs are finer.
FINEST_ERF, FINEST_EXP = 2.0**-9, math.log(2) * 2.0**-12

#: Fraction bits of a softmax's probability: its factor is ``floor(2^32 / sum)``. Source: the same file, IntSoftmax.max_bit.
PROBABILITY_BITS = 32


def refined(values: Integers, scale: float, *, finest: float) -> tuple[Integers, float, int]:
    """``(q << k, S / 2^k, k)`` with the least k >= 0 that brings the scale to `finest` or below.

    >>> refined(np.array([3]), 0.1, finest=0.03)
    (array([12]), 0.025, 2)
    """
    shift = math.ceil(math.log2(scale / finest)) if scale > finest else 0
    if magnitude(values) << shift > INT64_MAX:
        raise NumericsError(f"expected at most 63 bits after a shift to the left by {shift}, got more", field="values")
    return values << shift, math.ldexp(scale, -shift), shift


def i_polynomial(values: Integers, scale: float, *, a: float, b: float, c: float) -> tuple[Integers, float]:
    """``((q + floor(b / S))^2 + floor(c / (a S^2)), a S^2)``: Algorithm 1.

    Raises
    ------
    NumericsError : a result that needs more than 63 bits.
    """
    shifted = total(as_integers(values), np.asarray(math.floor(b / scale)))
    largest = magnitude(shifted)
    constant = math.floor(c / (a * scale * scale))
    if largest * largest + abs(constant) > INT64_MAX:
        raise NumericsError(f"expected a polynomial within 63 bits, got an argument of {largest}", field="scale")
    return shifted * shifted + constant, a * scale * scale


def i_exp(values: Integers, scale: float) -> tuple[Integers, float]:
    """exp of ``S q``, q <= 0: ``q = p - z q_ln2``, the polynomial of p in (-q_ln2, 0], shifted right by z (Algorithm 3).

    ``q_ln2 = floor(ln 2 / S)``; z stops at 30 (`LARGEST_HALVINGS`).

    Raises
    ------
    NumericsError : a positive value; a scale above ln 2, for which q_ln2 would be 0.
    """
    require_range(values, -INT64_MAX, 0, "values")
    if scale > math.log(2):
        raise NumericsError(f"expected a scale of at most ln 2, got {scale}", field="scale")
    ln2 = math.floor(math.log(2) / scale)
    clipped = np.maximum(values, -LARGEST_HALVINGS * ln2)
    halvings = -clipped // ln2
    polynomial, out_scale = i_polynomial(clipped + halvings * ln2, scale, a=EXP_A, b=EXP_B, c=EXP_C)
    return np.right_shift(polynomial, halvings), out_scale


def i_erf(values: Integers, scale: float) -> tuple[Integers, float]:
    """erf of ``S q``: ``sign(q)`` times the polynomial of ``min(|q|, floor(-b / S))`` (Algorithm 2, I-ERF).

    The scale is negative (that of the polynomial), as in the paper.

    Raises
    ------
    NumericsError : a scale above 1.769, for which every q but 0 would saturate.
    """
    largest = math.floor(-ERF_B / scale)
    if largest < 1:
        raise NumericsError(f"expected a scale of at most {-ERF_B}, got {scale}", field="scale")
    polynomial, out_scale = i_polynomial(np.minimum(np.abs(values), largest), scale, a=ERF_A, b=ERF_B, c=ERF_C)
    return np.sign(values) * polynomial, out_scale


def i_gelu(values: Integers, scale: float, *, finest: float = math.inf,
           factor_bits: int | None = None) -> tuple[Integers, float]:
    """GELU of ``S q``: ``(q (q_erf + floor(1 / S_erf)), S S_erf / 2)``, erf of ``q, S / sqrt 2`` (Algorithm 2, I-GELU).

    Parameters
    ----------
    finest : the scale to which erf's argument is refined first; the factor q is not.
    factor_bits : to how many bits ``q_erf + floor(1 / S_erf)`` is cut (shifted right), as the authors' code does against
        overflow of the product; None keeps them all.

    The signs of both factors are turned, so that the scale is positive (erf's is negative).

    Examples
    --------
    >>> q, scale = i_gelu(np.array([-300, -100, 0, 100, 300]), 0.01)
    >>> (q * scale).round(2).tolist()
    [-0.0, -0.16, 0.0, 0.84, 3.0]
    """
    fine, fine_scale, _ = refined(as_integers(values), scale / math.sqrt(2), finest=finest)
    erf, erf_scale = i_erf(fine, fine_scale)
    one = math.floor(1 / erf_scale)
    cut = 0 if factor_bits is None else max(0, (2 * abs(one)).bit_length() - factor_bits)
    return product(values, -(erf + one) >> cut), math.ldexp(scale * -erf_scale / 2, cut)


def i_softmax(rows: Integers, scale: float, *, finest: float = math.inf) -> Integers:
    """Probabilities of ``S q`` along the last axis, in units of 2^-32: ``e * floor(2^32 / sum e)`` (Algorithm 3, I-SOFTMAX).

    ``e = i_exp(q - max q)``, shifted right to 16 bits before the sum, as the authors' code requantizes it.

    Parameters
    ----------
    finest : the scale to which the differences are refined before i_exp.

    Examples
    --------
    >>> (i_softmax(np.array([[0, 0, 1000]]), 0.001) / 2.0**32).round(3).tolist()
    [[0.212, 0.212, 0.576]]
    """
    if rows.shape[-1] > 2**SUMMAND_BITS:
        raise NumericsError(f"expected at most {2**SUMMAND_BITS} elements a row, got {rows.shape[-1]}", field="axis")
    differences, fine_scale, _ = refined(rows - rows.max(axis=-1, keepdims=True), scale, finest=finest)
    exponentials, _ = i_exp(differences, fine_scale)
    largest, _ = i_exp(np.zeros(1, dtype=np.int64), fine_scale)
    summands = exponentials >> max(0, int(largest[0]).bit_length() - SUMMAND_BITS)
    factors = (1 << PROBABILITY_BITS) // summands.sum(axis=-1, keepdims=True)
    return np.asarray(summands * factors)


def i_sqrt(values: Integers) -> Integers:
    """``floor(sqrt(n))``, 0 <= n < 2^63: Newton's ``x = (x + n // x) // 2`` from ``2^ceil(bits / 2)`` while it falls
    (Algorithm 4).

    Raises
    ------
    NumericsError : a negative number, one beyond 63 bits.
    """
    n = as_integers(values)
    require_range(n, 0, INT64_MAX, "values")
    positive = np.maximum(n, 1)
    x = np.left_shift(np.int64(1), (_bits(positive) + 1) // 2)
    while True:
        following = (x + positive // x) >> 1
        if np.all(following >= x):
            return np.where(n == 0, 0, x)
        x = np.minimum(x, following)


def _bits(n: Integers) -> Integers:
    """Binary digits of 0 <= n < 2^63."""
    high, low = n >> 32, n & (2**32 - 1)
    digits_high, digits_low = (np.frexp(part.astype(np.float64))[1].astype(np.int64) for part in (high, low))
    return np.where(high > 0, 32 + digits_high, digits_low)


@dataclass(frozen=True, eq=False)
class IntegerGeluKernel:
    """GELU by I-BERT's polynomial, integers alone, then the rule's requantization of ``S S_erf / (2 s_out)``.

    The polynomial's factor is cut so that the product fits 32 bits. Under any rule the result is off from real GELU by at
    most 1.9e-2 (beyond |x| = 20: by 1e-3 of x), plus the output's rounding.

    Parameters
    ----------
    input, output : per tensor, at most 16 bits.

    Raises
    ------
    NumericsError : a list of scales, a wider input, a scale that the rule cannot encode.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> real = QParams(scale=0.05, zero_point=0, qtype=QType(8, True))
    >>> IntegerGeluKernel(real, real).run([np.array([-60, -20, 0, 20, 60], np.int8)], Rule("dyadic")).tolist()
    [0, -3, 0, 17, 60]
    """

    input: QParams
    output: QParams

    def __post_init__(self) -> None:
        require_one_scale(self.input, "input")
        require_one_scale(self.output, "output")
        if self.input.qtype.bits > 16:
            raise NumericsError(f"expected at most 16 bits, got {self.input.qtype.name}", field="input")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        values = as_integers(only(inputs)) - int(self.input.zero_point)
        accumulators, scale = i_gelu(values, float(self.input.scale), finest=FINEST_ERF,
                                     factor_bits=30 - self.input.qtype.bits)
        unit = rule.requantization(scale / float(self.output.scale), zero_point=int(self.output.zero_point),
                                   qtype=self.output.qtype)
        return unit.requantize(accumulators)
