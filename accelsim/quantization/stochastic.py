"""Rounding and binarizing by chance (survey, section III-H): right on average, which training with few bits needs.

    Int(x) = floor(x) with probability ceil(x) - x, else ceil(x)               (survey, equation 8)
    Binary(x) = +1 with probability s(x), else -1                              (survey, equation 9)

s is the hard sigmoid ``clip((x + 1) / 2, 0, 1)`` of BinaryConnect (Courbariaux et al. 2015, section 2.3), so that the
mean of Binary(x) is x itself, between -1 and 1. Noise on a part of the weights alone (QuantNoise) belongs to training.

References
----------
Gupta et al., "Deep Learning with Limited Numerical Precision", ICML 2015, arXiv 1502.02551, section 3.
Courbariaux, Bengio, David, "BinaryConnect", NIPS 2015, arXiv 1511.00363.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams


def quantize_stochastically(values: ArrayLike, qparams: QParams, *, generator: np.random.Generator) -> NDArray[Any]:
    """``saturate(Int(x / scale) + zero_point)``: the rounding of `QParams.quantize`, by chance.

    Within the range the mean over generators is x; beyond it values saturate as always. One random number is drawn for each
    value, in C order: the same state of the generator gives the same integers.

    Parameters
    ----------
    values : real numbers of any shape.

    Raises
    ------
    NumericsError : NaN; a shape that the scales do not fit.

    >>> from accelsim.numerics.qtype import QType
    >>> grid = QParams(scale=0.5, zero_point=0, qtype=QType(4, True))
    >>> quantize_stochastically([1.1] * 8 + [99.0], grid, generator=np.random.default_rng(1)).tolist()
    [2, 2, 3, 2, 2, 2, 2, 2, 7]
    """
    return qparams.quantize(values, rounding="stochastic", generator=generator)


def hard_sigmoid(values: ArrayLike) -> NDArray[np.float64]:
    """``clip((x + 1) / 2, 0, 1)``: the chance of +1.

    >>> hard_sigmoid([-2.0, -0.5, 0.0, 1.0]).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    return np.clip((np.asarray(values, dtype=np.float64) + 1) / 2, 0, 1)


def binarize_stochastically(values: ArrayLike, *, generator: np.random.Generator) -> NDArray[np.int8]:
    """+1 with probability `hard_sigmoid`, else -1. From 1 on always +1, from -1 down always -1.

    One random number is drawn for each value, in C order.

    Raises
    ------
    NumericsError : NaN.

    >>> binarize_stochastically([0.5] * 8, generator=np.random.default_rng(0)).tolist()
    [1, 1, 1, 1, -1, -1, 1, 1]
    """
    chance = hard_sigmoid(values)
    if np.any(np.isnan(chance)):
        raise NumericsError("expected numbers, got NaN", field="values")
    return np.where(generator.random(chance.shape) < chance, 1, -1).astype(np.int8)
