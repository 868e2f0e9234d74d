"""The scale and the lowest step that cost least, for all units at once.

Zero is always an integer, so the points of a grid are multiples of its scale s, and a grid is s and the step at which it
begins. That leaves one number to search, the scale; the lowest step is fixed by the scheme, or (asymmetric) the best one for
each s:

*The best window.* Between the ends the error does not depend on where they are. Moving a window of L + 1 steps from ``a`` to
``a + 1`` changes the error by 2 s times ``sum_below (c - x) + sum_above (d - x)``, the sums over the x below ``c = s (a +
1/2)`` and above ``d = s (a + L + 1/2)``. It grows with a, so that the error is convex in a, and bisection finds the last a
before it becomes positive. Of equally good windows it is the highest, with room for larger values than were seen: those of
activations have the longer tail.

Searched are scales up to the one that clips nothing: the larger of the covering scale (`Scheme.covering_scale`), the one
that brings the extremes within the integers of a full symmetric range, and L / (L - 1) times the covering scale of an
asymmetric range, the step that its rounded zero point may need. The covering scale itself is always a candidate, so that no
search ends worse than min-max. All candidates are float32, and powers of two where the scheme asks for it: then there are so
few that every one is tried, whatever the method.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.grid_error import GridError
from accelsim.quantization.ranges.observer import Range
from accelsim.quantization.scheme import LARGEST_SCALE, SMALLEST_SCALE, Scheme

Floats = NDArray[np.float64]

#: Exponents below the covering one that are tried for power-of-two scales: thresholds down to 2^-16 of the extremes.
_OCTAVES = 16
#: Half octaves in which golden section looks for the valley, down to 2^-12 of the widest scale.
_HALF_OCTAVES = 24
#: Sections of a valley of an octave: 0.618^14 of it, 0.1 % of the scale, is left.
_SECTIONS = 14
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Choice:
    """A grid for each unit, and what it costs: `scale`, `lowest` (in steps from 0) and `error`, all float64 (units,)."""

    scale: Floats
    lowest: Floats
    error: Floats

    def where(self, is_ours: NDArray[np.bool_], other: Choice) -> Choice:
        """This one for the units that are true, the other for the rest."""
        return Choice(*(np.where(is_ours, ours, theirs) for ours, theirs in (
            (self.scale, other.scale), (self.lowest, other.lowest), (self.error, other.error))))

    def or_better(self, other: Choice) -> Choice:
        """The cheaper one for each unit; this one on a tie."""
        return other.where(other.error < self.error, self)


class ScaleSearch:
    """Searches the scales of one set of values.

    Parameters
    ----------
    values : what grids cost.
    scheme : the grids' scheme.

    Raises
    ------
    NumericsError : negative values for an unsigned scheme.
    """

    def __init__(self, values: GridError, scheme: Scheme) -> None:
        self._values = values
        self._scheme = scheme
        self._covering = scheme.covering_scale(values.low, values.high)
        #: Whether a unit has anything that a scale could be too coarse for.
        self._has_extent = self._covering >= SMALLEST_SCALE
        self._widest = self._scale_without_clipping()

    def by_grid(self, steps: int) -> Choice:
        """The best of `steps` equally spaced scales, ``widest * j / steps``.

        From the widest down, until every unit's clipping alone costs more than its best grid: finer grids clip no less.
        """
        if self._scheme.has_power_of_two_scale:
            return self._by_octaves()
        best = self.at(self._covering)
        for j in range(steps, 0, -1):
            choice = self.at(self._widest * j / steps)
            best = best.or_better(choice)
            if np.all((self._least_clipping(choice) > best.error) | ~self._has_extent):
                break
        return best

    def by_golden_section(self) -> Choice:
        """Golden section search in the deepest valley that a coarse look (half octaves) shows.

        The error of a grid ripples, most where values are few; golden section finds the bottom of one ripple, and keeps the
        best scale that it saw.
        """
        if self._scheme.has_power_of_two_scale:
            return self._by_octaves()
        coarse = self._best(self._widest * 2.0 ** (-j / 2) for j in range(_HALF_OCTAVES))
        left, right = coarse.scale * 2**-0.5, np.minimum(coarse.scale * 2**0.5, self._widest)
        first, second = self.at(right - _GOLDEN * (right - left)), self.at(left + _GOLDEN * (right - left))
        best = coarse.or_better(first).or_better(second)
        for _ in range(_SECTIONS):
            goes_left = first.error < second.error
            left, right = np.where(goes_left, left, first.scale), np.where(goes_left, second.scale, right)
            new = self.at(np.where(goes_left, right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)))
            first, second = new.where(goes_left, second), first.where(goes_left, new)
            best = best.or_better(new)
        return best

    def refined(self, choice: Choice, rounds: int) -> Choice:
        """The choice, its scale fitted to its integers by least squares, then its integers to the scale, and so on.

        ``s = sum x k / sum k^2`` is the best scale for integers k, nearest k are the best for s, so that no round is worse
        than the one before. Ends when nothing improves, or after that many rounds. Power-of-two scales stay.
        """
        if self._scheme.has_power_of_two_scale:
            return choice
        for _ in range(rounds):
            products, squares = self._values.correlation(choice.scale, choice.lowest, choice.lowest + self._scheme.steps)
            fitted = np.divide(products, squares, out=choice.scale.copy(), where=(squares > 0) & (products > 0))
            better = choice.or_better(self.at(fitted))
            if np.array_equal(better.scale, choice.scale):
                break
            choice = better
        return choice

    def at(self, scale: Floats) -> Choice:
        """A scale for each unit, rounded to float32, at its best window."""
        rounded = np.clip(np.where(self._has_extent, scale, 1.0), SMALLEST_SCALE, LARGEST_SCALE)
        rounded = rounded.astype(np.float32).astype(np.float64)
        lowest = self._best_window(rounded) if self._scheme.is_asymmetric else np.full(
            rounded.shape, float(self._scheme.qtype.min))
        return Choice(rounded, lowest, self._values.squared_error(rounded, lowest, lowest + self._scheme.steps))

    def range_of(self, choice: Choice) -> Range:
        """The range that `Scheme.qparams` makes exactly this grid of; 0..0 for a unit of nothing but 0."""
        low, high = self._scheme.range_at(choice.scale, choice.lowest)
        return np.where(self._has_extent, low, 0.0), np.where(self._has_extent, high, 0.0)

    def _least_clipping(self, choice: Choice) -> Floats:
        """What any grid of a finer scale costs at least, by what it clips.

        Both ends of a narrower window cannot be as far out as those of this one. Where the window may move, one of them is
        at least as far in as now, no one knows which.
        """
        low, high = choice.scale * choice.lowest, choice.scale * (choice.lowest + self._scheme.steps)
        below, above = self._values.clipping_error(low, high)
        can_move = self._scheme.is_asymmetric & (self._values.low < 0) & (self._values.high > 0)
        rounded = 1e-9 * self._values.total[2]  # more than the sums of squares may have lost
        return np.asarray(np.where(can_move, np.minimum(below, above), below + above) - rounded)

    def _best(self, scales: Iterable[Floats]) -> Choice:
        best = self.at(self._covering)
        for scale in scales:
            best = best.or_better(self.at(scale))
        return best

    def _by_octaves(self) -> Choice:
        return self._best(self._covering * 2.0**-j for j in range(-1, _OCTAVES))

    def _scale_without_clipping(self) -> Floats:
        low, high, steps = np.minimum(self._values.low, 0), np.maximum(self._values.high, 0), self._scheme.steps
        if self._scheme.is_asymmetric:
            return self._covering * (steps / (steps - 1))
        if self._scheme.symmetry == "unsigned":
            return self._covering
        qtype = self._scheme.qtype
        return np.asarray(np.maximum.reduce([self._covering, high / qtype.max, low / qtype.min]))

    def _best_window(self, scale: Floats) -> Floats:
        """The lowest step of an asymmetric grid: between -steps and 0, so that 0 is on the grid."""
        steps = self._scheme.steps
        number, total, _ = self._values.total
        first = np.where(self._values.low >= 0, 0, -steps).astype(np.int64)
        last = np.where(self._values.high <= 0, first, 0).astype(np.int64)
        while np.any(first < last):
            middle = (first + last) // 2  # below `last` wherever the two differ
            low, high = scale * (middle + 0.5), scale * (middle + steps + 0.5)
            numbers, sums, _ = self._values.below(np.stack((low, high)))
            change = low * numbers[0] - sums[0] + high * (number - numbers[1]) - (total - sums[1])
            goes_up = (change <= 0) & (first < last)
            first, last = np.where(goes_up, middle + 1, first), np.where(goes_up | (first >= last), last, middle)
        return first.astype(np.float64)
