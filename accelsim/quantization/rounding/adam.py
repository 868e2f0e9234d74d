"""Adam: steps along the mean gradient, divided by its root mean square, both forgetting exponentially."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Means of gradients that have become 0 forget exponentially, into numbers that processors multiply a hundred times slower:
# float32's subnormal ones, below 1e-38. 0.9^256 is 2e-12, so that none gets there between two looks.
_VANISHING = 1e-25
_STEPS_BETWEEN_FLUSHES = 256


class Adam:
    """The state of one optimized array; lives as long as its optimization.

    ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``, ``x -= rate * m' / (sqrt(v') + epsilon)`` with
    ``m' = m / (1 - b1^t)`` and ``v' = v / (1 - b2^t)``; epsilon is added to sqrt(v), which is the second form of the source.

    Source: Kingma and Ba 2015 (arXiv 1412.6980), algorithm 1 and section 2; b1, b2 and epsilon are its defaults.

    Examples
    --------
    >>> x = np.array([1.0])
    >>> Adam(x).step(np.array([5.0]), rate=0.1)  # the first step is as long as the rate, whatever the gradient
    >>> x.round(6)
    array([0.9])
    """

    FIRST_DECAY = 0.9
    SECOND_DECAY = 0.999
    EPSILON = 1e-8

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        self._mean = np.zeros_like(values)
        self._square = np.zeros_like(values)
        self._scratch = np.empty_like(values)
        self._steps = 0

    def step(self, gradient: NDArray[Any], *, rate: float) -> None:
        """Move `values` in place; `gradient` (of their shape) is used up."""
        mean, square, scratch = self._mean, self._square, self._scratch
        if self._steps % _STEPS_BETWEEN_FLUSHES == 0:
            mean[np.abs(mean) < _VANISHING] = 0
        self._steps += 1
        mean *= self.FIRST_DECAY
        np.multiply(gradient, 1 - self.FIRST_DECAY, out=scratch)
        mean += scratch
        square *= self.SECOND_DECAY
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - self.SECOND_DECAY
        square += scratch
        np.sqrt(square, out=scratch)
        scratch += self.EPSILON
        np.divide(mean, scratch, out=scratch)
        correction = math.sqrt(1 - self.SECOND_DECAY ** self._steps) / (1 - self.FIRST_DECAY ** self._steps)
        scratch *= rate * correction
        self.values -= scratch
