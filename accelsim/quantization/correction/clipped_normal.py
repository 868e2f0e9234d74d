"""Mean and variance of a normal variable behind a clip: what an activation makes of the outputs of a batch normalization.

For x ~ N(mean, std^2) and ``f(x) = min(max(x, low), high)``, with ``a = (low - mean) / std``, ``b = (high - mean) / std``,
phi the normal density and Phi its distribution, ``z = (f(x) - mean) / std`` has

    E[z]   = a Phi(a) + b (1 - Phi(b)) + phi(a) - phi(b)
    E[z^2] = a^2 Phi(a) + b^2 (1 - Phi(b)) + (Phi(b) - Phi(a)) + a phi(a) - b phi(b)

which for a ReLU (low 0, no high) is the white paper's ``std phi(-mean/std) + mean (1 - Phi(-mean/std))``.

Source: white paper (arXiv 2106.08295) section 3.3; Nagel et al. 2019 (Data-Free Quantization, arXiv 1906.04721), appendix C,
where the clipped normal's moments stand. Means are beta and deviations |gamma| of the batch normalization.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from accelsim.errors import NumericsError
from accelsim.quantization.clip import Clip

Doubles = NDArray[np.float64]


class Moments(NamedTuple):
    """Mean and variance of each channel, (channels,)."""

    mean: Doubles
    variance: Doubles


def clipped_normal(mean: ArrayLike, std: ArrayLike, clip: Clip) -> Moments:
    """Mean and variance (channels,) of normal variables behind a clip.

    Parameters
    ----------
    mean, std : (channels,), the normal variable's; a deviation counts without its sign, and 0 is a constant.
    clip : the activation.

    Raises
    ------
    NumericsError : NaN or infinities.

    Examples
    --------
    >>> from accelsim.quantization.clip import RELU
    >>> mean, variance = clipped_normal([0.0, 5.0], [1.0, 0.0], RELU)  # of a half normal: 1 / sqrt(2 pi), 1/2 - 1 / (2 pi)
    >>> mean.round(6), variance.round(6)
    (array([0.398942, 5.      ]), array([0.340845, 0.      ]))
    """
    centre, spread = np.asarray(mean, dtype=np.float64), np.abs(np.asarray(std, dtype=np.float64))
    if not (np.all(np.isfinite(centre)) and np.all(np.isfinite(spread))):
        raise NumericsError("expected finite means and deviations, got NaN or infinity", field="statistics")
    is_constant = spread == 0
    unit = np.where(is_constant, 1.0, spread)
    a, b = (clip.low - centre) / unit, (clip.high - centre) / unit
    below, above = ndtr(a), ndtr(-b)
    first = _product(a, below) + _product(b, above) + _density(a) - _density(b)
    # Second moment about the value that the mean clips to: near the mean of z, so that little cancels.
    origin = np.clip(0.0, a, b)
    between = _second(b, origin) - _second(a, origin)
    second = between + _product(a - origin, below, 2) + _product(b - origin, above, 2)
    variance = np.maximum(second - np.square(first - origin), 0.0)
    at_mean = np.clip(centre, clip.low, clip.high)
    return Moments(np.where(is_constant, at_mean, np.clip(centre + unit * first, clip.low, clip.high)),
                   np.where(is_constant, 0.0, np.square(unit) * variance))


def _density(limit: Doubles) -> Doubles:
    return np.asarray(np.exp(-np.square(limit) / 2) / np.sqrt(2 * np.pi))


def _second(limit: Doubles, origin: Doubles) -> Doubles:
    """Integral of (t - origin)^2 phi(t) from minus infinity to the limit."""
    finite = np.where(np.isfinite(limit), limit, 0.0)
    return np.asarray((1 + np.square(origin)) * ndtr(limit) - (finite - 2 * origin) * _density(limit))


def _product(limit: Doubles, probability: Doubles, power: int = 1) -> Doubles:
    """``limit^power * probability``, 0 for an infinite limit, which no value lies beyond."""
    return np.where(np.isfinite(limit), limit, 0.0) ** power * probability
