"""A histogram that is the same whatever batches its values came in, in memory that does not grow.

Bin i of a unit holds the values of ``i w <= x < (i + 1) w``, for i from -n to n - 1, and w is the smallest power of two for
which that holds all of them. A batch that reaches further doubles w as often as needed and adds bins 2 i and 2 i + 1;
because w is a power of two, every value then lies in the very bin that it would have been counted in at once. So neither the
batches' order nor their sizes leave a trace. (Bins that grow by a factor depend on both: see `runtime_histogram`.) Between
n/2 and n bins lie between 0 and the largest magnitude.

Zeros are not counted: every grid holds 0, they never cost anything, and the many of them behind a ReLU would pass for values
all over the first bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.bin_counts import counts_between
from accelsim.quantization.ranges.observer import extremes

#: Narrower bins lie below what a float32 scale can resolve, and their inverse would leave float32.
_NARROWEST_EXPONENT = -120
#: Elements worked on at a time, so that the passes over them stay within a core's cache.
_PIECE = 1 << 15


class AlignedHistogram:
    """Counts of the values of `units` units.

    Parameters
    ----------
    units : rows of every batch.
    bins : n, a power of two: bins on each side of 0. 16 n bytes a unit.

    `counts` (units, 2 n) and `widths` (units,), a power of two each, may be read at any time, and so may the exact extremes
    `low` and `high` (units,), of zeros too.

    Examples
    --------
    >>> histogram = AlignedHistogram(1, 4)
    >>> for batch in ([0.25, 0.5, 0.0], [-1.0]):
    ...     histogram.add(np.array([batch]))
    ...     print(histogram.widths.tolist(), histogram.counts.tolist())
    [0.25] [[0, 0, 0, 0, 0, 1, 1, 0]]
    [0.5] [[0, 0, 1, 0, 1, 1, 0, 0]]
    """

    def __init__(self, units: int, bins: int) -> None:
        assert bins > 1
        assert bins & (bins - 1) == 0
        self.bins = bins
        self.counts = np.zeros((units, 2 * bins), dtype=np.int64)
        self.low = np.full(units, np.inf)
        self.high = np.full(units, -np.inf)
        self._exponents = np.full(units, _NARROWEST_EXPONENT)

    @classmethod
    def joined(cls, histograms: Sequence[AlignedHistogram]) -> AlignedHistogram:
        """The units of several, one behind the other; all of them have as many bins."""
        joined = cls(0, histograms[0].bins)
        joined.counts = np.concatenate([each.counts for each in histograms])
        joined.low, joined.high = (np.concatenate([getattr(each, end) for each in histograms]) for end in ("low", "high"))
        joined._exponents = np.concatenate([each._exponents for each in histograms])
        return joined

    @property
    def widths(self) -> NDArray[np.float64]:
        """Width of a bin, for each unit."""
        return np.asarray(np.ldexp(1.0, self._exponents))

    def add(self, rows: NDArray[Any]) -> None:
        """Count a batch: finite float32 or float64 (units, elements)."""
        low, high = extremes(rows)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        # frexp: |x| < 2^e, so that n bins of 2^e / n hold x, and no fewer.
        reach = np.frexp(np.maximum(-low, high))[1]
        self._widen(np.maximum(self._exponents, reach - (self.bins.bit_length() - 1)))
        if len(rows) == 1:
            self._add_row(rows[0], *(int(np.floor(np.ldexp(end[0], -self._exponents[0]))) for end in (low, high)))
            return
        inverse = np.ldexp(1.0, -self._exponents).astype(rows.dtype)[:, np.newaxis]
        first = (self.bins + 2 * self.bins * np.arange(len(rows)))[:, np.newaxis]
        width = max(1, max(_PIECE, self.counts.size) // len(rows))
        for left in range(0, rows.shape[1], width):
            scaled = rows[:, left:left + width] * inverse  # exact: by powers of two
            bins = np.floor(scaled, out=scaled).astype(np.intp)
            bins += first
            self.counts += np.bincount(bins.ravel(), minlength=self.counts.size).reshape(self.counts.shape)
        self.counts[:, self.bins] -= rows.shape[1] - np.count_nonzero(rows, axis=1)

    def _add_row(self, values: NDArray[Any], lowest: int, highest: int) -> None:
        """Count the values of the only unit, which lie in the bins from i = `lowest` to `highest`; zeros have a bin of their
        own in passing."""
        edges = np.ldexp(np.arange(lowest, highest + 2, dtype=values.dtype), self._exponents)
        holds_zero = lowest <= 0 <= highest
        if holds_zero:
            edges = np.insert(edges, 1 - lowest, np.nextafter(values.dtype.type(0), values.dtype.type(1)))
        counts = counts_between(values, edges)
        if holds_zero:
            counts = np.delete(counts, -lowest)
        self.counts[0, self.bins + lowest:self.bins + highest + 1] += counts

    def _widen(self, exponents: NDArray[np.int64]) -> None:
        """Double the widths up to 2^exponents."""
        doublings = exponents - self._exponents
        for doubling in np.unique(doublings[doublings > 0]):
            # From n doublings on a side is one bin, and stays one: the next to zero.
            times = min(int(doubling), self.bins.bit_length() - 1)
            which = doublings == doubling
            merged = self.counts[which].reshape(-1, 2 * self.bins >> times, 1 << times).sum(axis=2)
            kept = merged.shape[1] // 2
            wider = np.zeros((len(merged), 2 * self.bins), dtype=np.int64)
            wider[:, self.bins - kept:self.bins + kept] = merged
            self.counts[which] = wider
        self._exponents = exponents
