"""The rectified sigmoid h(V): a number in [0, 1] that reaches both ends, and with them a slope of 0.

    h(V) = min(max(sigmoid(V) * (zeta - gamma) + gamma, 0), 1)

A plain sigmoid never reaches 0 or 1, and its slope vanishes long before; stretched beyond both ends and cut off, it arrives.

Source: Nagel et al. 2020 (AdaRound, arXiv 2004.10568), after Louizos et al. 2018 (arXiv 1712.01312).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

# Source: Nagel et al. 2020: stretch parameters 1.1 and -0.1.
ZETA = 1.1
GAMMA = -0.1
_STRETCH = ZETA - GAMMA


def rectified_sigmoid(v: Floats, out: Floats | None = None) -> Floats:
    """h(V), of any shape, in the type of V.

    >>> rectified_sigmoid(np.array([-9.0, 0.0, 9.0])).round(6)
    array([0. , 0.5, 1. ])
    """
    h = np.negative(v, out=out)
    # exp(88) is the last that float32 holds; h is 0 long before.
    np.minimum(h, 80, out=h)
    np.exp(h, out=h)
    h += 1
    np.divide(_STRETCH, h, out=h)
    h += GAMMA
    return np.clip(h, 0, 1, out=h)


def inverse(h: Floats) -> Floats:
    """The V with ``rectified_sigmoid(V) = h``, for h in [0, 1].

    >>> rectified_sigmoid(inverse(np.array([0.0, 0.3, 1.0]))).round(6)
    array([0. , 0.3, 1. ])
    """
    return np.asarray(-np.log(_STRETCH / (h - GAMMA) - 1))


def slope(h: Floats, out: Floats | None = None) -> Floats:
    """dh/dV, from h itself: ``(h - gamma)(zeta - h) / (zeta - gamma)`` between 0 and 1, else 0.

    >>> slope(np.array([0.0, 0.5, 1.0])).round(6)
    array([0. , 0.3, 0. ])
    """
    # sigmoid' = sigmoid (1 - sigmoid), with sigmoid = (h - gamma) / (zeta - gamma).
    result = np.subtract(h, GAMMA, out=out)
    result *= (ZETA - h) / _STRETCH
    result *= (h > 0) & (h < 1)
    return result
