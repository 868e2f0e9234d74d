"""KL divergence: the clipping threshold that loses the least information, TensorRT's "entropy calibration".

Of a histogram of 2 m bins around zero, every range of 2 i + 1 bins in the middle is tried, from as many bins as the grid has
levels up to all. For each:

- P: the bins inside, the counts outside added to the first and the last one;
- Q: the bins inside, as the grid would keep them: cut into L equal groups of bins (bins left over counted in the last
  group), each group's counts spread evenly over the group, over as many bins as are not empty in P, whole counts only;
- both smoothed: empty bins get 10^-4, taken evenly from the others; then normalized;
- the loss: ``KL(P || Q) = sum p log (p / q)``.

The range is that of least loss, cut to the values' extremes. Equals onnxruntime's `EntropyCalibrater` to the bit: counts by
`runtime_histogram` (up to 8 times as many as at first), losses in float32 by the same sums in the same order.

`quantized_bins` is L. Where it is left out, the grid says it: its steps span the whole signed histogram, or its positive
half where no value is negative and the scheme spends no integer on negative values. onnxruntime's L is 128 whatever the
grid, and its 128 bins leave it one range to try: give 2048 of them.

It is made for activations at 8 bits. Where most bins are empty (few values: weights), or levels are few (below about 5
bits), the loss may be least at a range that is far too narrow; and it is so flat that one batch or many, whose bins differ a
little, may give ranges that differ visibly.

References
----------
Szymon Migacz, "8-bit Inference with TensorRT", GTC 2017, S7310, slides 20 to 38; onnxruntime 1.31
`onnxruntime/quantization/calibrate.py`, `get_entropy_threshold`, and `quant_utils.py`, `smooth_distribution`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.loss_estimates import SMOOTHING, loss_estimates
from accelsim.quantization.ranges.observer import Range, RowsObserver
from accelsim.quantization.ranges.range_setter import UnitRangeSetter, require
from accelsim.quantization.ranges.runtime_histogram import SignedHistogram
from accelsim.quantization.scheme import Scheme

#: Losses are float32 numbers of about 1, sums of thousands; estimates are nearer to them than this.
_TOLERANCE = 1e-4
#: Bins may grow to so many times their first number: the search takes time with the square of it.
_MOST_GROWTH = 8


@dataclass(frozen=True)
class KlDivergence(UnitRangeSetter):
    """The range that loses the least information.

    Parameters
    ----------
    bins : of the first batch's histogram, at least 2. TensorRT's number, of one side.
    quantized_bins : the levels L, at least 2; none: of the scheme. More than the bins leave one range: all of it.

    >>> values = np.append(np.random.default_rng(0).standard_normal(20000), 30.0).astype(np.float32)
    >>> low, high = KlDivergence().range_of(values, Scheme(8, "symmetric"))
    >>> round(high.item(), 1)  # and not 30
    4.0
    """

    name: ClassVar[str] = "kl_divergence"
    takes_extremes: ClassVar[bool] = True
    bins: int = 2048
    quantized_bins: int | None = None

    def __post_init__(self) -> None:
        require(self.bins >= 2, "at least 2 bins", self.bins, "bins")
        require(self.quantized_bins is None or self.quantized_bins >= 2, "at least 2 quantized bins", self.quantized_bins,
                "quantized_bins")

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        most_bins = _MOST_GROWTH * self.bins
        return _Entropies([SignedHistogram(self.bins, most_bins) for _ in range(units)], scheme, self.quantized_bins)


class _Entropies(RowsObserver):
    """A histogram a unit."""

    def __init__(self, histograms: list[SignedHistogram], scheme: Scheme, levels: int | None) -> None:
        self._histograms = histograms
        self._scheme = scheme
        self._levels = levels

    def observe(self, rows: NDArray[Any]) -> None:
        for histogram, row in zip(self._histograms, rows, strict=True):
            histogram.add(row)

    def range(self) -> Range:
        low, high = (np.array([getattr(histogram, end) for histogram in self._histograms]) for end in ("low", "high"))
        alike: dict[tuple[int, int], list[int]] = {}
        for unit, histogram in enumerate(self._histograms):
            if histogram.counts is not None:
                alike.setdefault((len(histogram.counts), self._levels_of(histogram)), []).append(unit)
        for (_, levels), units in alike.items():
            counts = np.stack([_counts(self._histograms[unit]) for unit in units])
            for unit, (first, last) in zip(units, least_loss(counts, levels), strict=True):
                edges = self._histograms[unit].edges
                low[unit] = min(max(float(edges[first]), low[unit]), high[unit])
                high[unit] = max(min(float(edges[last]), high[unit]), low[unit])
        return low, high

    def _levels_of(self, histogram: SignedHistogram) -> int:
        """L of the unit: the scheme's steps on a signed histogram."""
        if self._levels is not None:
            return self._levels
        is_one_sided = self._scheme.symmetry != "symmetric" and (histogram.low >= 0 or histogram.high <= 0)
        return max(2, (2 if is_one_sided else 1) * self._scheme.steps)


def _counts(histogram: SignedHistogram) -> NDArray[np.int64]:
    assert histogram.counts is not None
    return histogram.counts


def least_loss(counts: NDArray[np.int64], levels: int) -> list[tuple[int, int]]:
    """First edge and last edge of the range of least loss, for each row.

    Losses of all ranges are estimated together; those near the least are computed as that software computes them.

    Parameters
    ----------
    counts : (units, bins), not all 0 in a row; the bins around zero.
    levels : L.
    """
    bins = counts.shape[1]
    middle, half = bins // 2, min(levels // 2, bins // 2)
    levels = min(levels, 2 * half + 1, bins)
    first = middle - np.arange(half, middle + 1)
    last = np.minimum(2 * middle - first + 1, bins)
    found = [_least_of(row, first, last, levels) for row in counts]
    return [(int(first[index]), int(last[index])) for index in found]


def _least_of(counts: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64], levels: int) -> int:
    """The range of least loss of one row."""
    before = np.append(0, np.cumsum(counts))
    estimates = loss_estimates(counts, first, last, levels)
    known = estimates[np.isfinite(estimates)]
    near = np.flatnonzero(~(estimates > known.min() + _TOLERANCE)) if known.size else np.arange(len(first))
    losses = np.array([_loss(counts[None, first[index]:last[index]], before[first[index]], before[-1] - before[last[index]],
                             levels)[0] for index in near])
    # Without a finite loss nothing says what to clip.
    return int(near[np.argmin(losses)]) if np.isfinite(losses).any() else len(first) - 1


def _loss(inside: NDArray[np.int64], below: np.int64, above: np.int64, levels: int) -> NDArray[np.float64]:
    """KL(P || Q) of one range, for each row."""
    p = inside.copy()
    p[:, 0] += below
    p[:, -1] += above
    merged = p.shape[1] // levels
    grouped = inside[:, :levels * merged].reshape(len(p), levels, merged).sum(axis=2)
    grouped[:, -1] += inside[:, levels * merged:].sum(axis=1)
    filled = (p[:, :levels * merged] != 0).reshape(len(p), levels, merged).sum(axis=2)
    even = np.divide(grouped, filled, out=np.zeros(grouped.shape), where=filled != 0).astype(np.int64)
    q = np.zeros_like(p)
    q[:, :levels * merged] = np.repeat(even, merged, axis=1)
    smooth_p, smooth_q = _smoothed(p), _smoothed(q)
    with np.errstate(invalid="ignore", divide="ignore"):
        share_p = smooth_p / smooth_p.sum(axis=1, keepdims=True)
        share_q = smooth_q / smooth_q.sum(axis=1, keepdims=True)
        loss = (share_p * np.log(share_p / share_q)).sum(axis=1)
    return np.where(np.isnan(loss), np.inf, loss)


def _smoothed(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Counts without empty bins, float32; NaN for a row of nothing, and where smoothing would take more than a count has."""
    is_empty = counts == 0
    empty = is_empty.sum(axis=1, keepdims=True)
    filled = counts.shape[1] - empty
    taken = np.divide(SMOOTHING * empty, filled, out=np.full(filled.shape, np.nan), where=filled != 0)
    taken[taken >= 1] = np.nan
    change = np.where(is_empty, np.float32(SMOOTHING), -taken.astype(np.float32))
    return np.asarray(counts.astype(np.float32) + change)
