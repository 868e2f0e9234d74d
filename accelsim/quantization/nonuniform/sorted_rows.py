"""Rows of numbers in ascending order, with running sums: any interval of values is summed by two look-ups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class SortedRows:
    """Every quantizer that gives neighbouring values the same code needs no more of a row than this.

    A scale or a set of levels is then judged in time proportional to the number of levels, whatever the length of the row.
    Memory: about five times the float64 values.

    Parameters
    ----------
    values : (R, K), one row for each scale.
    importance : (R, K), at least 0, how much each value counts; None counts each once.
    """

    def __init__(self, values: Floats, importance: Floats | None = None) -> None:
        self._order = np.argsort(values, axis=1)
        self.values: Floats = np.take_along_axis(values, self._order, axis=1)
        if importance is None:
            counted = np.ones_like(self.values[:1])
        else:
            counted = np.take_along_axis(importance, self._order, axis=1)
        self._running = tuple(_running_sums(counted * power) for power in (1.0, self.values, np.square(self.values)))

    @property
    def squares(self) -> Floats:
        """``sum h v^2`` of each row, (R,)."""
        return self._running[2][:, -1]

    def cuts(self, boundaries: Floats) -> Places:
        """How many values of a row are below each of its boundaries.

        Parameters
        ----------
        boundaries : (R, B), ascending in each row.

        Returns
        -------
        (R, B).
        """
        if len(boundaries) == 1:
            return np.asarray(np.searchsorted(self.values[0], boundaries[0])[None], np.int64)
        low, high = np.zeros(boundaries.shape, np.int64), np.full(boundaries.shape, self.values.shape[1])
        for _ in range(self.values.shape[1].bit_length()):
            middle = (low + high) // 2
            found = np.take_along_axis(self.values, np.minimum(middle, self.values.shape[1] - 1), axis=1)
            is_below = (found < boundaries) & (low < high)
            low, high = np.where(is_below, middle + 1, low), np.where(is_below, high, middle)
        return low

    def sums(self, cuts: Places) -> tuple[Floats, Floats, Floats]:
        """``sum h``, ``sum h v`` and ``sum h v^2`` between the cuts, from the row's begin to its end: each (R, B + 1)."""
        edges = self._edges(cuts)
        count, first, second = (np.diff(np.take_along_axis(np.broadcast_to(running, (len(edges), running.shape[1])), edges,
                                                           axis=1), axis=1) for running in self._running)
        return count, first, second

    def codes(self, cuts: Places) -> NDArray[Any]:
        """The number of the interval in which each value lies, (R, K), in the order in which the values were given."""
        edges = self._edges(cuts)
        intervals = np.tile(np.arange(edges.shape[1] - 1, dtype=np.min_scalar_type(edges.shape[1])), len(edges))
        ascending = np.repeat(intervals, np.diff(edges, axis=1).ravel()).reshape(self.values.shape)
        codes = np.empty_like(ascending)
        np.put_along_axis(codes, self._order, ascending, axis=1)
        return codes

    def _edges(self, cuts: Places) -> Places:
        ends = np.zeros((len(cuts), 1), np.int64)
        return np.concatenate([ends, cuts, ends + self.values.shape[1]], axis=1)


def _running_sums(values: Floats) -> Floats:
    """(R, K + 1), from 0."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums
