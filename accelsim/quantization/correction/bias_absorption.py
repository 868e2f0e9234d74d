"""High-bias absorption: what all values of a channel have in common moves into the next layer's bias.

Where a channel of ``h = f(W1 x + b1)`` never falls below c, f being a ReLU, c can be taken off it and given back behind the
next layer: ``b1 - c``, ``b2 + W2 c``. Its values then need a range that is c shorter. Never is judged by three standard
deviations of the batch normalization, or by what a calibration set showed:

    c = max(0, beta - 3 |gamma|)        c = max(0, min of W1 x + b1)

An upper limit of f stays where it is. That is right as long as no value reaches it, before and after; so c is 0 for a
channel whose values do (beta + 3 |gamma|, or the observed maximum, above the limit). A lower limit other than 0 is what c is
counted from.

Left out: padding. Border windows of the next layer then see 0 where they would see c, so that the function changes at the
border of a padded layer; the caller decides.

References
----------
White paper (arXiv 2106.08295) section 3.2, equation 24 and the text behind it; Nagel et al. 2019 (Data-Free Quantization,
arXiv 1906.04721), section 4.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.clip import Clip
from accelsim.quantization.correction.bias_correction import analytic_shift

Doubles = NDArray[np.float64]

# Source: white paper section 3.2: beta - 3 gamma, by which the equality holds for 99.865 % of normal values.
DEVIATIONS = 3.0


def absorption_amounts(mean: ArrayLike, std: ArrayLike, clip: Clip, *, deviations: float = DEVIATIONS) -> Doubles:
    """c (channels,) from the statistics of a batch normalization before the activation.

    Parameters
    ----------
    mean, std : beta and gamma, (channels,); a negative gamma counts without its sign.
    clip : the activation of the layer.
    deviations : how many standard deviations count as never, at least 0.

    Examples
    --------
    >>> from accelsim.quantization.clip import RELU, RELU6
    >>> absorption_amounts([5.0, 1.0], [1.0, 1.0], RELU), absorption_amounts([5.0, 4.0], [1.0, -0.5], RELU6)
    (array([2., 0.]), array([0. , 2.5]))
    """
    if not deviations >= 0:
        raise NumericsError(f"expected at least 0, got {deviations}", field="deviations")
    centre, reach = np.asarray(mean, dtype=np.float64), deviations * np.abs(np.asarray(std, dtype=np.float64))
    return observed_absorption_amounts(centre - reach, centre + reach, clip)


def observed_absorption_amounts(minima: ArrayLike, maxima: ArrayLike, clip: Clip) -> Doubles:
    """c (channels,) from the smallest and largest value of each channel before the activation.

    Raises
    ------
    NumericsError : NaN, lengths that differ, a minimum above its maximum.
    """
    low, high = np.asarray(minima, dtype=np.float64), np.asarray(maxima, dtype=np.float64)
    if low.ndim != 1 or low.shape != high.shape or not np.all(low <= high):
        raise NumericsError(f"expected one minimum and one maximum a channel, got shapes {low.shape} and {high.shape}"
                            if low.shape != high.shape else "expected minima that are not above the maxima",
                            field="statistics")
    floor = np.where(np.isfinite(clip.low), clip.low, 0.0)
    return np.where(high <= clip.high, np.maximum(low - floor, 0.0), 0.0)


def absorbed(amounts: ArrayLike, first_bias: ArrayLike, second_weights: ArrayLike, second_bias: ArrayLike
             ) -> tuple[Doubles, Doubles]:
    """Both biases after absorption.

    Parameters
    ----------
    amounts : c (channels,), of the outputs of the first layer and so of the inputs of the second.
    first_bias : (channels,).
    second_weights : (G, N, K), G * C = channels.
    second_bias : (G * N,).

    Returns
    -------
    The first layer's bias ``b1 - c`` and the second's ``b2 + W2 c``.

    Raises
    ------
    NumericsError : shapes that do not fit.

    Examples
    --------
    >>> absorbed([2.0, 0.0], [5.0, 1.0], [[[10.0, 1.0]]], [0.5])
    (array([3., 1.]), array([20.5]))
    """
    taken = np.asarray(amounts, dtype=np.float64)
    weights = np.asarray(second_weights, dtype=np.float64)
    given = analytic_shift(np.zeros_like(weights), weights, taken)
    first, second = np.asarray(first_bias, dtype=np.float64), np.asarray(second_bias, dtype=np.float64)
    if first.shape != taken.shape or second.shape != given.shape:
        raise NumericsError(f"expected biases of shapes {taken.shape} and {given.shape}, got {first.shape} and "
                            f"{second.shape}", field="bias")
    return first - taken, second + given
