"""What a grid costs a set of values: the squared error, for each unit, of any scale and lowest step.

A grid of scale s keeps ``k = clamp(round(x / s), lowest, highest)`` of a value x, in steps from 0, and costs ``(x - s
k)^2``. Two sources of the same answers:

- `SampleError`: all values, exactly; for weights.
- `HistogramError`: an `AlignedHistogram`, each bin's values spread evenly over it. The error of a bin from a to a + w is
  ``(G(a + w) - G(a)) / w`` then, with the antiderivative ``G(x) = s^3 (k / 12 + r^3 / 3)``, ``r = x / s - k``: each whole
  step adds ``s^3 / 12``, and the cubic holds within a step and beyond the ends. So steps may be far narrower than bins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.fake_quantization import steps_on_grid
from accelsim.quantization.ranges.aligned_histogram import AlignedHistogram

Floats = NDArray[np.float64]

#: Elements worked on at a time, so that the passes over them stay within a core's cache (256 KiB of float32).
_PIECE = 1 << 16


class GridError(ABC):
    """The values' extremes, and what grids cost. All arrays are (units,) unless they say more.

    `low` and `high` are the smallest and the largest value.
    """

    low: Floats
    high: Floats

    @abstractmethod
    def squared_error(self, scale: Floats, lowest: Floats, highest: Floats) -> Floats:
        """``sum (x - s k)^2``."""

    @abstractmethod
    def correlation(self, scale: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
        """``sum x k`` and ``sum k^2``: their ratio is the best scale for these integers (least squares)."""

    @abstractmethod
    def below(self, boundary: Floats) -> Floats:
        """Number, sum and sum of squares of the values below boundaries (..., units): (3, ..., units)."""

    @property
    @abstractmethod
    def total(self) -> Floats:
        """Number, sum and sum of squares of all values that `below` may count (zeros or not): (3, units)."""

    def clipping_error(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """``sum (low - x)^2`` of the x below `low` <= 0, and ``sum (x - high)^2`` of the x above `high` >= 0."""
        numbers, totals, squares = self.below(np.stack((low, high)))
        number, total, square = self.total
        return (squares[0] - 2 * low * totals[0] + low**2 * numbers[0],
                square - squares[1] - 2 * high * (total - totals[1]) + high**2 * (number - numbers[1]))


class SampleError(GridError):
    """Of all values.

    Parameters
    ----------
    rows : finite float32 or float64 (units, elements). Divisions are made in their type, as `QParams.quantize` makes them.

    >>> SampleError(np.array([[1.0, 2.25, -3.0]])).squared_error(np.array([1.0]), np.array([-2.0]), np.array([1.0]))
    array([2.5625])
    """

    def __init__(self, rows: NDArray[Any]) -> None:
        self.low, self.high = rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64)
        # A power of two that keeps squares within float32, and every quotient as it is.
        self._unit = np.ldexp(1.0, np.clip(-np.frexp(np.maximum(-self.low, self.high))[1], -126, 126))
        self._rows = rows * self._unit.astype(rows.dtype)[:, np.newaxis]
        self._ordered: NDArray[Any] | None = None
        self._sums: Floats = np.zeros((0, 0))

    def squared_error(self, scale: Floats, lowest: Floats, highest: Floats) -> Floats:
        error = np.zeros(len(self._rows))
        for units, piece, grid in self._pieces(scale, lowest, highest):
            steps = steps_on_grid(piece, *grid)
            steps *= grid[0]
            steps -= piece
            error[units] += np.square(steps, out=steps).sum(axis=1)
        return np.asarray(error / self._unit**2)

    def correlation(self, scale: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
        products, squares = np.zeros(len(self._rows)), np.zeros(len(self._rows))
        for units, piece, grid in self._pieces(scale, lowest, highest):
            steps = steps_on_grid(piece, *grid).astype(np.float64)
            products[units] += (steps * piece).sum(axis=1)
            squares[units] += np.square(steps).sum(axis=1)
        return products / self._unit, squares

    def below(self, boundary: Floats) -> Floats:
        units, elements = self._rows.shape
        if self._ordered is None:
            self._ordered = np.sort(self._rows, axis=1)
            self._sums = np.zeros((2, units, elements + 1))
            np.cumsum(self._ordered, axis=1, dtype=np.float64, out=self._sums[0, :, 1:])
            np.cumsum(np.square(self._ordered, dtype=np.float64), axis=1, out=self._sums[1, :, 1:])
        rank = _ranks(self._ordered, boundary * self._unit)
        sums = self._sums.reshape(2, -1)[:, np.arange(units) * (elements + 1) + rank]
        return np.stack((rank, sums[0] / self._unit, sums[1] / self._unit**2))

    @cached_property
    def total(self) -> Floats:
        return self.below(np.full(len(self._rows), np.inf))

    def _pieces(self, scale: Floats, lowest: Floats, highest: Floats) -> Any:
        """(units, values, (scales, lowest, highest)) of a size that fits the cache."""
        units, elements = self._rows.shape
        height, width = max(1, _PIECE // elements), min(elements, _PIECE)
        grid = [part.astype(self._rows.dtype)[:, np.newaxis] for part in (scale * self._unit, lowest, highest)]
        for top in range(0, units, height):
            chosen = slice(top, top + height)
            for left in range(0, elements, width):
                yield chosen, self._rows[chosen, left:left + width], [part[chosen] for part in grid]


def _ranks(ordered: NDArray[Any], boundary: Floats) -> NDArray[np.intp]:
    """How many elements of each ordered row lie below its boundaries (..., units): bisection of all rows at once."""
    units, elements = ordered.shape
    flat, start = ordered.ravel(), np.arange(units) * elements
    rank = np.zeros(boundary.shape, dtype=np.intp)
    step = 1 << (elements.bit_length() - 1)
    while step:  # `rank` elements are below; so are `step` more, if there are as many and the last of them is
        last = rank + (step - 1)
        is_below = (last < elements) & (flat[start + np.minimum(last, elements - 1)] < boundary)
        rank += step * is_below
        step >>= 1
    return rank


class HistogramError(GridError):
    """Of binned values.

    >>> histogram = AlignedHistogram(1, 1024)
    >>> histogram.add(np.linspace(-1, 1, 10001)[np.newaxis])
    >>> error = HistogramError(histogram).squared_error(np.array([0.125]), np.array([-8.0]), np.array([8.0])) / 10001
    >>> bool(abs(error.item() - 0.125 ** 2 / 12) < 1e-5)  # of an even distribution
    True
    """

    def __init__(self, histogram: AlignedHistogram) -> None:
        self.low, self.high = histogram.low, histogram.high
        self._widths = histogram.widths
        filled = np.flatnonzero(histogram.counts.any(axis=0))
        first, last = (filled[0], filled[-1] + 1) if filled.size else (histogram.bins, histogram.bins + 1)
        self._counts = histogram.counts[:, first:last].astype(np.float64)
        #: Edges in bins from 0: those of every unit.
        self._edges = np.arange(first, last + 1, dtype=np.float64) - histogram.bins
        before = np.zeros((len(self._counts), 1))
        self._numbers = np.concatenate((before, np.cumsum(self._counts, axis=1)), axis=1)
        means, squares = np.diff(self._edges**2) / 2, np.diff(self._edges**3) / 3
        self._sums = np.concatenate((before, np.cumsum(self._counts * means, axis=1)), axis=1)
        self._squares = np.concatenate((before, np.cumsum(self._counts * squares, axis=1)), axis=1)

    def squared_error(self, scale: Floats, lowest: Floats, highest: Floats) -> Floats:
        narrow = (scale / self._widths)[:, np.newaxis]
        quotient = self._edges / narrow
        steps = np.clip(np.rint(quotient), lowest[:, np.newaxis], highest[:, np.newaxis])
        quotient -= steps
        antiderivative = quotient * quotient * quotient / 3 + steps / 12
        error = np.einsum("ub,ub->u", self._counts, np.diff(antiderivative, axis=1))
        return np.asarray(error * narrow[:, 0] ** 3 * self._widths**2)

    def correlation(self, scale: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
        """By parts: ``sum x k = sum over the boundaries b of steps of the sum of the x beyond b``, and so for k^2."""
        products, squares = np.zeros(len(scale)), np.zeros(len(scale))
        for unit, (s, low, high) in enumerate(zip(scale, lowest, highest, strict=True)):
            # Boundaries that some value lies beyond, on the side away from 0.
            up = np.arange(0, min(high, np.ceil(self.high[unit] / s))) + 0.5
            down = np.arange(0, max(low, np.floor(self.low[unit] / s)), -1) - 0.5
            number, total, _ = self.total[:, unit]
            number_up, sum_up, _ = self._below_of(unit, up * s)
            number_down, sum_down, _ = self._below_of(unit, down * s)
            products[unit] = np.sum(total - sum_up) - np.sum(sum_down)
            squares[unit] = np.sum((number - number_up) * 2 * up) - np.sum(number_down * 2 * down)
        return products, squares

    def below(self, boundary: Floats) -> Floats:
        return self._below_of(np.arange(boundary.shape[-1]), boundary)

    @cached_property
    def total(self) -> Floats:
        return np.stack((self._numbers[:, -1], self._sums[:, -1] * self._widths, self._squares[:, -1] * self._widths**2))

    def _below_of(self, units: Any, boundaries: Floats) -> Floats:
        """Number, sum and sum of squares below each boundary: of one unit, or the last dimension of a unit each."""
        widths = self._widths[units]
        place = np.clip(boundaries / widths, self._edges[0], self._edges[-1])
        index = np.minimum((place - self._edges[0]).astype(np.intp), self._counts.shape[1] - 1)
        edge, count = self._edges[index], self._counts[units, index]
        return np.stack((self._numbers[units, index] + count * (place - edge),
                         (self._sums[units, index] + count * (place**2 - edge**2) / 2) * widths,
                         (self._squares[units, index] + count * (place**3 - edge**3) / 3) * widths**2))
