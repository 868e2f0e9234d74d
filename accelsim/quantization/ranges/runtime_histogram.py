"""Histograms that grow by the rules of onnxruntime's calibrators, so that percentile and entropy ranges equal theirs.

==========  ==========================================================  =================================================
histogram   first batch                                                 a later batch that reaches further
==========  ==========================================================  =================================================
signed      `bins` equal bins over -T..T, T = max |x|                   bins of the same width on both sides, T grows
magnitude   `bins` equal bins over min |x|..max |x|                     bins of the same width beyond the last
==========  ==========================================================  =================================================

Counting is `numpy.histogram`'s in the values' own type; the rules are those of onnxruntime 1.31
`onnxruntime/quantization/calibrate.py`, `HistogramCollector`. They differ here, on purpose, where that software would fail:

- bins grow to `most_bins` only; then the counts move, bin by bin, into `bins` wider ones. There they grow without a bound;
- magnitudes below the first batch's smallest get bins too. There they are not counted;
- batches that hold nothing but 0 (or less than the smallest normal number a bin) wait for the first other one. There they
  spread `bins` bins over -1/2..1/2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.bin_counts import counts_between, counts_over
from accelsim.quantization.ranges.observer import require_finite


class RuntimeHistogram(ABC):
    """Counts of one unit's values.

    Parameters
    ----------
    bins : number of bins that the first batch gets, at least 1.
    most_bins : the number that they may grow to. 2^20 counts are 8 MiB.

    `counts`, `edges` (one more than counts) and the extremes `low`, `high` are read once all batches have been added;
    without a value other than 0 there are no counts.
    """

    def __init__(self, bins: int, most_bins: int = 1 << 20) -> None:
        self._bins = bins
        self._most_bins = most_bins
        self._zeros = 0
        self.counts: NDArray[np.int64] | None = None
        self.edges: NDArray[Any] = np.zeros(0)
        self.low = np.inf
        self.high = -np.inf

    def add(self, values: NDArray[Any]) -> None:
        """Count a batch: finite float32 or float64, one dimension, not empty."""
        low, high = values.min(), values.max()
        require_finite(low, high)
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        # The type is the first batch's. Bins of float32 cannot span twice its largest number.
        if values.dtype == np.float32 and max(abs(low), abs(high)) > np.finfo(np.float32).max / 4:
            values, low, high = values.astype(np.float64), np.float64(low), np.float64(high)
        reach = np.maximum(np.abs(low), np.abs(high))
        is_zero = bool(reach < np.finfo(np.float32).tiny * self._bins)
        if self.counts is not None:
            self._extend(values * 0 if is_zero else values, reach * (not is_zero))
        elif is_zero:
            self._zeros += values.size
        else:
            self._begin(values, reach)
            if self._zeros:
                self._count_zeros(self._zeros)

    @abstractmethod
    def _begin(self, values: NDArray[Any], reach: Any) -> None:
        """Count the first batch with a value other than 0."""

    @abstractmethod
    def _extend(self, values: NDArray[Any], reach: Any) -> None:
        """Count a later batch, the largest magnitude of which is `reach`."""

    @abstractmethod
    def _count_zeros(self, number: int) -> None:
        """Count as many zeros."""

    def _moved(self, edges: NDArray[Any]) -> NDArray[np.int64]:
        """The counts in other bins, each whole bin where its middle falls."""
        assert self.counts is not None
        middles = (self.edges[:-1] + self.edges[1:]) / 2
        return np.asarray(np.histogram(middles, edges, weights=self.counts)[0])


class SignedHistogram(RuntimeHistogram):
    """Bins over -T..T.

    >>> histogram = SignedHistogram(4)
    >>> for batch in ([-0.5, 0.25, 1.0], [1.75]):
    ...     histogram.add(np.array(batch, dtype=np.float32))
    >>> histogram.counts.tolist(), histogram.edges.tolist()
    ([0, 0, 0, 1, 1, 1, 0, 1], [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])
    """

    def _begin(self, values: NDArray[Any], reach: Any) -> None:
        self._reach = reach
        self.counts, self.edges = counts_over(values, self._bins, -reach, reach)

    def _count_zeros(self, number: int) -> None:
        assert self.counts is not None
        self.counts += number * np.histogram([0.0], len(self.counts), range=(-1, 1))[0]

    def _extend(self, values: NDArray[Any], reach: Any) -> None:
        assert self.counts is not None
        number = len(self.counts)
        if reach <= self._reach:
            self.counts += counts_over(values, number, -self._reach, self._reach)[0]
            return
        width = 2 * self._reach / number
        with np.errstate(over="ignore"):
            needed = (reach - self._reach) // width + 1
        if not number + 2 * needed <= self._most_bins:
            counts, edges = counts_over(values, self._bins, -reach, reach)
            self.counts, self.edges, self._reach = counts + self._moved(edges), edges, reach
            return
        more = int(needed)
        self._reach = more * width + self._reach
        counts, self.edges = counts_over(values, number + 2 * more, -self._reach, self._reach)
        counts[more:-more] += self.counts
        self.counts = counts


class MagnitudeHistogram(RuntimeHistogram):
    """Bins of magnitudes.

    >>> histogram = MagnitudeHistogram(2)
    >>> for batch in ([-1.0, 2.0], [0.25, -3.25]):
    ...     histogram.add(np.array(batch, dtype=np.float32))
    >>> histogram.counts.tolist(), histogram.edges.tolist()
    ([1, 0, 1, 1, 0, 0, 1], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    """

    def _begin(self, values: NDArray[Any], reach: Any) -> None:
        magnitudes = np.abs(values)
        self.counts, edges = counts_over(magnitudes, self._bins, magnitudes.min(), magnitudes.max())
        self.edges = edges.astype(values.dtype)
        self._width = self.edges[1] - self.edges[0]

    def _count_zeros(self, number: int) -> None:
        assert self.counts is not None
        self._extend(np.zeros(1, dtype=self.edges.dtype), 0)
        self.counts[0] += number - 1

    def _extend(self, values: NDArray[Any], reach: Any) -> None:
        assert self.counts is not None
        magnitudes = np.abs(values)
        smallest, kind = magnitudes.min(), np.result_type(self.edges, values)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            needed = max(reach - self.edges[-1], self.edges[0] - smallest) / self._width
        if not needed + len(self.counts) <= self._most_bins:
            edges = np.linspace(0, max(reach, self.edges[-1]), self._bins + 1, dtype=kind)
            self.counts, self.edges, self._width = self._moved(edges), edges, edges[1] - edges[0]
        if smallest < self.edges[0]:
            lower = self.edges[0] - self._width * np.arange(np.ceil(self.edges[0] / self._width), 0, -1)
            self.edges = np.hstack((np.maximum(lower, 0).astype(self.edges.dtype), self.edges))
            self.counts = np.hstack((np.zeros(len(lower), dtype=np.int64), self.counts))
        if reach > self.edges[-1]:
            upper = np.arange(self.edges[-1] + self._width, reach + self._width, self._width)
            self.edges = np.hstack((self.edges, upper))
        counts = counts_between(magnitudes, self.edges)
        counts[:len(self.counts)] += self.counts
        self.counts, self.edges = counts, self.edges.astype(kind)
