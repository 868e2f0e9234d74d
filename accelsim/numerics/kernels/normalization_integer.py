"""Layer, RMS and L2 norm on integers alone: rows in, accumulators (or TFLite's outputs) out.

`normalized_rows` is I-BERT's algorithm (section 3.6): integer mean, integer sum of squares, integer square root, one
division a row, then one product an element:

    y = q - round(sum(q) / D)                           (layer; the others take q - z)
    std = floor(sqrt((sum(y^2) + eps') << 2 m))         eps' = round(eps * D / S^2), or eps / S^2 for L2
    u = (y * floor(2^(F + m) / std)) >> (F - 19)        u ~ 2^19 y / sqrt(sum(y^2))

u has 19 fraction bits (the authors keep 30 in a wider register) and the scale ``sqrt(D) / 2^19`` (L2: ``1 / 2^19``). Inputs
of fewer than 16 bits are first shifted left to 16, for the mean's sake; m, for the root's sake, is the largest that keeps
every sum of D squares in 62 bits; F is 31 plus the first shift. With gamma in 12 bits the accumulator ``u * gamma + beta``
fits 32 bits. These widths are our choice; the paper's inputs have 32 bits and a scale that is fine enough without shifts.

`l2_rows` is TFLite's L2_NORMALIZATION of 8 bits, bit for bit.

References
----------
Kim, Gholami, Yao, Mahoney, Keutzer, "I-BERT: Integer-only BERT Quantization", ICML 2021, arXiv 2101.01321;
kssteven418/I-BERT `fairseq/quantization/utils/quant_modules.py` IntLayerNorm; tensorflow/tensorflow
`tensorflow/lite/kernels/internal/reference/{l2normalization.h,integer_ops/l2normalization.h}`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import INT32_MAX, Integers, require_range
from accelsim.numerics.kernels.fixed_point import inverse_square_root
from accelsim.numerics.kernels.ibert import i_sqrt
from accelsim.numerics.rescale import doubling_high_mul, rounding_divide_by_pot

NormalizationKind = Literal["layer", "rms", "l2"]

#: Fraction bits of a normalized value, and bits of gamma beside its sign: their product stays within 2^30.
FRACTION_BITS, GAMMA_BITS = 19, 11

#: Bits to which narrow inputs are refined; exponent of the factor 2^F / std of a 16-bit input (the paper's 2^31).
_INPUT_BITS, _FACTOR_BITS = 16, 31

#: beta's largest integer, so that the accumulator stays within int32.
_LARGEST_BETA = 2**29


def normalized_rows(values: Integers, kind: NormalizationKind, *, scale: float, bits: int,
                    epsilon: float) -> tuple[Integers, float]:
    """(u, its scale) of ``q - z``, as above; a row without variance gives 0.

    Parameters
    ----------
    values : (..., D), ``q - z`` of a type of `bits` (at most 16) bits.
    scale : of q.

    Raises
    ------
    NumericsError : rows so long, or an epsilon so large, that a sum of squares may need more than 62 bits.

    Examples
    --------
    >>> u, scale = normalized_rows(np.array([[1, 2, 3, 4]]), "layer", scale=0.5, bits=8, epsilon=0.0)
    >>> (u * scale).round(3).tolist()
    [[-1.342, -0.447, 0.447, 1.342]]
    """
    shift = _INPUT_BITS - bits
    y, depth = values << shift, values.shape[-1]
    if kind == "layer":
        y = y - (2 * y.sum(axis=-1, keepdims=True) + depth) // (2 * depth)
    counted = 1 if kind == "l2" else depth
    added = round(epsilon * counted / math.ldexp(scale, -shift) ** 2)
    bound_bits = ((depth << 2 * (_INPUT_BITS + 1)) + added).bit_length()
    if bound_bits > 62:
        raise NumericsError(f"expected a sum of squares within 62 bits, got up to {bound_bits}", field="epsilon")
    finer = (62 - bound_bits) // 2
    std = np.maximum(i_sqrt(((y * y).sum(axis=-1, keepdims=True) + added) << 2 * finer), 1)
    power = _FACTOR_BITS + shift
    u = (y * ((1 << (power + finer)) // std)) >> (power - FRACTION_BITS)
    return np.asarray(u), math.sqrt(counted) * 2.0**-FRACTION_BITS


def affine(normalized: Integers, scale: float, gamma: NDArray[Any], beta: NDArray[Any], *,
           shifted_to: float | None = None) -> tuple[Integers, float]:
    """``(u * gamma' + beta', scale')``: gamma in 12 bits of one scale for all, beta in units of the product; half even.

    Parameters
    ----------
    gamma, beta : real, broadcast against u.
    shifted_to : an output scale: gamma's own is then enlarged (by less than 2), so that scale' is this times a power of two
        and a shift alone requantizes.

    Examples
    --------
    >>> sums, scale = affine(np.array([2**19]), 1 / 2**19, np.array(0.5), np.array(-0.25))
    >>> float(sums[0] * scale)
    0.25
    """
    step = max(float(np.abs(gamma).max()) / (2**GAMMA_BITS - 1), float(np.abs(beta).max()) / scale / _LARGEST_BETA)
    step = step if step > 0 else 1.0
    if shifted_to is not None:
        total = math.ldexp(shifted_to, math.ceil(math.log2(step * scale / shifted_to)))
        step = total / scale
    else:
        total = step * scale
    factors = np.rint(gamma / step).astype(np.int64)
    return normalized * factors + np.rint(beta / total).astype(np.int64), total


def l2_rows(values: Integers, *, is_signed: bool) -> Integers:
    """``128 (q - z) / sqrt(sum (q - z)^2)`` before zero point and clamp: TFLite's integers of int8, or of uint8.

    The two types shift in another order: int8 as one factor of 128 / norm, uint8 multiplies by 128 first.

    Raises
    ------
    NumericsError : a sum of squares that leaves int32 (undefined in C).

    Examples
    --------
    >>> l2_rows(np.array([[3, 4]]), is_signed=True).tolist()
    [[77, 102]]
    """
    sums = (values * values).sum(axis=-1, keepdims=True)
    require_range(sums, 0, INT32_MAX, "sum of squares")
    multiplier, right = inverse_square_root(sums)
    left = np.maximum(7 - right, 0) if is_signed else 7
    rest = np.maximum(right - 7, 0) if is_signed else right
    return rounding_divide_by_pot(doubling_high_mul(values << left, multiplier), rest)
