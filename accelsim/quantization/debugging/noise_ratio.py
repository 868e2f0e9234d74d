"""Signal and quantization noise of one tensor, summed batch after batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class NoiseRatio:
    """``10 log10 (sum x^2 / sum (x - x^)^2)`` of all values seen so far (Sheng et al. 2018, arXiv 1803.08607).

    Examples
    --------
    >>> ratio = NoiseRatio()
    >>> ratio.add(np.array([3.0]), np.array([3.0]))
    >>> ratio.add(np.array([4.0]), np.array([4.5]))
    >>> round(ratio.db, 6)
    20.0
    """

    signal: float = 0.0
    noise: float = 0.0

    def add(self, values: NDArray[Any], quantized: NDArray[Any]) -> None:
        """Takes in one batch of the real values and of what quantization made of them."""
        real = values.astype(np.float64)
        self.signal += float(np.sum(np.square(real)))
        self.noise += float(np.sum(np.square(real - quantized)))

    @property
    def db(self) -> float:
        """In decibels: infinite without noise, minus infinite where only noise is."""
        if self.noise == 0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal > 0 else -math.inf
