"""How far quantized values are from the real ones.

==========================  =====================================  =========================================================
measure                     formula                                source
==========================  =====================================  =========================================================
mean squared error          mean (x - x^)^2                        white paper, arXiv 2106.08295, eq. 16, divided by n
SQNR, in dB                 10 log10 (sum x^2 / sum (x - x^)^2)    Sheng et al. 2018, arXiv 1803.08607
softmax cross-entropy       mean of -sum_i p_i log p^_i            white paper eq. 17; p = softmax(v), p^ = softmax(v^)
softmax divergence          mean of sum_i p_i log (p_i / p^_i)     Kullback-Leibler: the cross-entropy less that of v itself
==========================  =====================================  =========================================================
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError


def mean_squared_error(values: ArrayLike, quantized: ArrayLike) -> float:
    """``mean (x - x^)^2``, summed in float64.

    >>> mean_squared_error([1.0, 2.0], [1.0, 2.5])
    0.125
    """
    x, approximation = _pair(values, quantized)
    return float(np.mean(np.square(x - approximation)))


def sqnr_db(values: ArrayLike, quantized: ArrayLike) -> float:
    """Signal-to-quantization-noise ratio in decibels: infinite without an error, minus infinite where only the error is.

    >>> round(sqnr_db([3.0, 4.0], [3.0, 4.5]), 6), sqnr_db([0.0], [0.0]), sqnr_db([0.0], [0.5])
    (20.0, inf, -inf)
    """
    x, approximation = _pair(values, quantized)
    noise, signal = float(np.sum(np.square(x - approximation))), float(np.sum(np.square(x)))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def softmax_cross_entropy(logits: ArrayLike, quantized: ArrayLike, *, axis: int = -1) -> float:
    """``H(softmax(v), softmax(v^))`` in nats, averaged over all rows of logits.

    Parameters
    ----------
    logits, quantized : of one shape; the classes along `axis`.

    >>> softmax_cross_entropy([[0.0, 0.0]], [[0.0, 0.0]])  # of two equal probabilities: log 2
    0.6931471805599453
    """
    v, approximation = _pair(logits, quantized)
    probabilities = np.exp(_log_softmax(v, axis))
    return float(np.mean(-np.sum(probabilities * _log_softmax(approximation, axis), axis=axis)))


def softmax_divergence(logits: ArrayLike, quantized: ArrayLike, *, axis: int = -1) -> float:
    """``KL(softmax(v) || softmax(v^))`` in nats, averaged over all rows of logits: 0 where nothing changed.

    >>> softmax_divergence([[1.0, 2.0]], [[3.0, 4.0]])  # softmax does not see an offset
    0.0
    """
    v, approximation = _pair(logits, quantized)
    log_p = _log_softmax(v, axis)
    return float(np.mean(np.sum(np.exp(log_p) * (log_p - _log_softmax(approximation, axis)), axis=axis)))


def _log_softmax(logits: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


def _pair(values: ArrayLike, quantized: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, approximation = np.asarray(values, dtype=np.float64), np.asarray(quantized, dtype=np.float64)
    if x.shape != approximation.shape:
        raise NumericsError(f"expected tensors of one shape, got {x.shape} and {approximation.shape}", field="quantized")
    if x.size == 0:
        raise NumericsError("expected at least one value, got none", field="values")
    return x, approximation
