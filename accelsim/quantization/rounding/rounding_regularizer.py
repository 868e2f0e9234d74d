"""What makes soft roundings decide: ``sum 1 - |2 h - 1|^beta``, with beta annealed from flat to sharp.

At a large beta only h very near 0 or 1 feels it, so that roundings still move freely; at 2 it pushes every h to its end.

Source: white paper (arXiv 2106.08295) equation 34; Nagel et al. 2020 (arXiv 2004.10568).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelsim.errors import NumericsError
from accelsim.quantization.rounding.rectified_sigmoid import Floats


@dataclass(frozen=True, slots=True)
class RoundingRegularizer:
    """Weight and schedule of the regularizer.

    Parameters
    ----------
    weight : lambda, at least 0.
    first_beta, last_beta : exponents at the end of the warm start and at the end of all iterations, at least 1.
    warm_start : share of the iterations without the regularizer, 0 to below 1.

    Raises
    ------
    NumericsError : a number outside its range.

    Examples
    --------
    >>> schedule = RoundingRegularizer(weight=0.01)
    >>> [schedule.beta(done, 1000) for done in (199, 200, 600)], round(schedule.beta(999, 1000), 3)
    ([None, 20.0, 11.0], 2.0)
    """

    weight: float
    # Source: AIMET's AdaRound (quic/aimet, adaround_loss.py and AdaroundParameters): beta 20 to 2, warm start 0.2.
    first_beta: float = 20.0
    last_beta: float = 2.0
    warm_start: float = 0.2

    def __post_init__(self) -> None:
        for field, value, is_right, expected in (
                ("regularization", self.weight, self.weight >= 0, "at least 0"),
                ("first_beta", self.first_beta, self.first_beta >= 1, "at least 1"),
                ("last_beta", self.last_beta, self.last_beta >= 1, "at least 1"),
                ("warm_start", self.warm_start, 0 <= self.warm_start < 1, "0 to below 1")):
            if not (math.isfinite(value) and is_right):
                raise NumericsError(f"expected {expected}, got {value}", field=field)

    def beta(self, done: int, iterations: int) -> float | None:
        """The exponent of an iteration, counted from 0, on half a cosine; None during the warm start.

        Source: AIMET's AdaRound (quic/aimet, adaround_loss.py): cosine decay behind the warm start.
        """
        first = self.warm_start * iterations
        if done < first:
            return None
        share = (done - first) / (iterations - first)
        return self.last_beta + (self.first_beta - self.last_beta) * (1 + math.cos(math.pi * share)) / 2

    def value(self, h: Floats, beta: float) -> float:
        """``lambda * sum 1 - |2 h - 1|^beta``.

        >>> RoundingRegularizer(weight=2.0).value(np.array([0.0, 0.5, 0.75]), 2.0)
        3.5
        """
        return self.weight * float(np.sum(1 - np.abs(2 * h - 1) ** beta))

    def slope(self, h: Floats, beta: float, out: Floats | None = None) -> Floats:
        """Its derivative by each h: ``-2 lambda beta sign(2 h - 1) |2 h - 1|^(beta - 1)``."""
        centred = np.multiply(h, 2, out=out)
        centred -= 1
        power = np.abs(centred)
        np.power(power, beta - 1, out=power)
        power *= 2 * beta * self.weight
        return np.copysign(power, -centred, out=centred)
