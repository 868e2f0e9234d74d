"""ACIQ: the clipping threshold that a known distribution says is best, without a search.

Values of a symmetric density p around their mean mu are clipped to mu +- alpha and quantized with 2^M levels between. With
rounding errors spread evenly over a step, the expected squared error is (Banner et al., arXiv 1810.05723, "Analytical
Clipping for Integer Quantization")

    ``E(alpha) = 2 int_alpha^inf (x - alpha)^2 p(x) dx  +  alpha^2 / (3 * 4^M)``
                 clipping                               rounding: (2 alpha / 2^M)^2 / 12

=============  ==========================  ===========================================================================
distribution   width, from the data        dE / d alpha = 0, for width 1
=============  ==========================  ===========================================================================
laplace        b = mean |x - mu|           ``alpha / (3 * 4^M) = exp(-alpha)``
gauss          sigma = sqrt var(x)         ``2 alpha erfc(alpha / sqrt 2) + 2 alpha / (3 * 4^M) = 4 phi(alpha)``
=============  ==========================  ===========================================================================

(phi is the standard normal density.) Both left sides less the right ones grow with alpha, so that bisection solves them. The
threshold is alpha times the width; the range never reaches beyond the values' extremes.

*One-sided values* (no negative ones: behind a ReLU; or no positive ones). They are taken for one half of a density around 0,
the zeros for the other: ``b = mean |x|``, ``sigma^2 = mean x^2`` of the values that are not 0. A grid that spends all its
2^M levels on one side has the step alpha / 2^M, which is that of M + 1 bits on both: the equation is solved for M + 1. (The
authors' program uses M + 1 too, with the width of the values as they are, zeros and all.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.problem import wrong_choice
from accelsim.quantization.ranges.observer import Range, RowsObserver, extremes
from accelsim.quantization.ranges.range_setter import UnitRangeSetter
from accelsim.quantization.scheme import Scheme

Distribution = Literal["gauss", "laplace"]
Floats = NDArray[np.float64]

#: Elements worked on at a time, so that the passes over them stay within a core's cache (512 KiB of float64).
_PIECE = 1 << 16


def expected_error(alpha: float, bits: int, distribution: Distribution) -> float:
    """E(alpha) for a distribution of width 1: sigma = 1, or b = 1.

    >>> round(expected_error(5.0, 4, "laplace"), 4), round(expected_error(2.5, 4, "gauss"), 4)
    (0.046, 0.0105)
    """
    rounding = alpha**2 / (3 * 4.0**bits)
    if distribution == "laplace":
        return 2 * math.exp(-alpha) + rounding
    tail = (alpha**2 + 1) * math.erfc(alpha / math.sqrt(2)) - 2 * alpha * _normal_density(alpha)
    return tail + rounding


@cache
def optimal_clipping(bits: int, distribution: Distribution) -> float:
    """The alpha that minimizes `expected_error`, to the last bits of a float.

    >>> [round(optimal_clipping(bits, "gauss"), 2) for bits in (2, 3, 4)]
    [1.71, 2.15, 2.56]
    >>> [round(optimal_clipping(bits, "laplace"), 2) for bits in (2, 3, 4)]
    [2.83, 3.9, 5.03]
    """
    low, high = 0.0, 64.0  # exp(-64) is below the rounding term of any width that a scheme has
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _slope(middle, bits, distribution) < 0 else (low, middle)
    return middle


def _slope(alpha: float, bits: int, distribution: Distribution) -> float:
    rounding = 2 * alpha / (3 * 4.0**bits)
    if distribution == "laplace":
        return rounding - 2 * math.exp(-alpha)
    return rounding + 2 * alpha * math.erfc(alpha / math.sqrt(2)) - 4 * _normal_density(alpha)


def _normal_density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Aciq(UnitRangeSetter):
    """Analytic clipping.

    Parameters
    ----------
    distribution : "gauss" sees the data once, "laplace" twice: first for the mean, then for the distance from it.

    >>> values = np.random.default_rng(0).laplace(scale=0.5, size=100000)
    >>> low, high = Aciq("laplace").range_of(values, Scheme(4))
    >>> round(low.item(), 1), round(high.item(), 1)  # 5.03 * 0.5
    (-2.5, 2.5)
    """

    name: ClassVar[str] = "aciq"
    distribution: Distribution = "gauss"

    def __post_init__(self) -> None:
        if self.distribution not in get_args(Distribution):
            raise NumericsError(wrong_choice(self.distribution, get_args(Distribution)), field="distribution")

    @property
    def passes(self) -> int:
        return 2 if self.distribution == "laplace" else 1

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        return _Moments(scheme, self.distribution, units)


class _Moments(RowsObserver):
    """Sums of each unit, in float64, whatever the number of batches."""

    def __init__(self, scheme: Scheme, distribution: Distribution, units: int) -> None:
        self._scheme = scheme
        self._distribution = distribution
        self._low, self._high = np.full(units, np.inf), np.full(units, -np.inf)
        self._number = 0
        self._mean = np.zeros(units)
        #: Sums of squared distances from the mean, and of distances from it.
        self._squares, self._distances = np.zeros(units), np.zeros(units)
        self._filled = np.zeros(units)
        self._has_mean = False

    def observe(self, rows: NDArray[Any]) -> None:
        if not self._has_mean:
            low, high = extremes(rows)
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
            self._filled += np.count_nonzero(rows, axis=1)
        width = max(1, _PIECE // len(rows))
        for left in range(0, rows.shape[1], width):
            piece = rows[:, left:left + width].astype(np.float64)
            if self._has_mean:
                piece -= self._mean[:, np.newaxis]
                self._distances += np.abs(piece, out=piece).sum(axis=1)
            else:
                self._merge(piece)

    def _merge(self, piece: Floats) -> None:
        """Chan, Golub, LeVeque 1983: sums of squares about the mean, merged without cancellation."""
        number, mean = piece.shape[1], piece.mean(axis=1)
        piece -= mean[:, np.newaxis]
        together = self._number + number
        self._squares += np.einsum("ue,ue->u", piece, piece) + (mean - self._mean) ** 2 * (self._number * number / together)
        self._mean += (mean - self._mean) * (number / together)
        self._number = together

    def end_pass(self) -> None:
        self._has_mean = True

    def range(self) -> Range:
        bits = self._scheme.bits
        is_gauss = self._distribution == "gauss"
        width = np.sqrt(self._squares / self._number) if is_gauss else self._distances / self._number
        reach = optimal_clipping(bits, self._distribution) * width
        low, high = np.maximum(self._low, self._mean - reach), np.minimum(self._high, self._mean + reach)
        # All on one side of 0: the sum of magnitudes is that of the values, and zeros add to neither.
        of_filled = self._number / np.maximum(self._filled, 1)
        half_width = np.sqrt((width**2 + self._mean**2) * of_filled) if is_gauss else np.abs(self._mean) * of_filled
        levels_bits = bits if self._scheme.symmetry == "symmetric" else bits + 1
        half_reach = optimal_clipping(levels_bits, self._distribution) * half_width
        sides = [self._low >= 0, self._high <= 0]
        low = np.select(sides, [np.minimum(self._low, half_reach), np.maximum(self._low, -half_reach)], low)
        high = np.select(sides, [np.minimum(self._high, half_reach), self._high], high)
        return low, np.maximum(low, high)
