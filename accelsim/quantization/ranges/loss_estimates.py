"""Losses of many ranges of one histogram at once, near those of `kl_divergence` but not to the bit.

With P and Q as they are smoothed there, and T their sums,

::

    KL(P || Q) = (sum p log p - sum p log q) / T_p + log(T_q / T_p)

Q has one number a group, so that the second sum takes one term a group. From range to range, P differs in its ends and in
what smoothing takes from its bins: t of each that is not empty, for which

::

    (c - t) log(c - t) = c log c - t (log c + 1) + O(t^2 / c)

is added up from running sums. Where t is too large for that, there is no estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Source: onnxruntime 1.31 `onnxruntime/quantization/quant_utils.py`, `smooth_distribution`, eps.
SMOOTHING = 0.0001

#: The largest t: its square is below what losses are compared by.
_LARGEST_TAKEN = 1e-3

#: Numbers of all ranges that are worked on together.
_AT_ONCE = 1 << 18


def loss_estimates(counts: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64],
                   levels: int) -> NDArray[np.float64]:
    """KL(P || Q) of ranges.

    Parameters
    ----------
    counts : (bins,) of the histogram.
    first, last : (ranges,): edges, at least two bins apart, `levels` at least.
    levels : L, the number of groups.

    Returns
    -------
    (ranges,): NaN where there is no estimate.
    """
    sums = _RunningSums(counts)
    size = max(1, _AT_ONCE // levels)
    parts = [slice(start, start + size) for start in range(0, len(first), size)]
    return np.concatenate([_estimates(sums, first[part], last[part], levels) for part in parts])


class _RunningSums:
    """Of a row's first values: none of them, one, ..., all."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        real = counts.astype(np.float64)
        logs = np.log(real, out=np.zeros_like(real), where=counts != 0)
        self.counts = counts
        self.total, self.filled, self.logs, self.weighted_logs = (
            np.append(0, np.cumsum(values)) for values in (counts, counts != 0, logs, real * logs))


def _estimates(sums: _RunningSums, first: NDArray[np.int64], last: NDArray[np.int64], levels: int) -> NDArray[np.float64]:
    bins = last - first
    own = sums.counts[first], sums.counts[last - 1]
    ends = own[0] + sums.total[first], own[1] + sums.total[-1] - sums.total[last]
    newly = [(mine == 0) & (end != 0) for mine, end in zip(own, ends, strict=True)]  # bins that are empty but for P
    filled = sums.filled[last] - sums.filled[first] + newly[0] + newly[1]
    taken = SMOOTHING * (bins - filled) / np.maximum(filled, 1)
    of_p = (sums.weighted_logs[last] - sums.weighted_logs[first]) - taken * (sums.logs[last] - sums.logs[first] + filled)
    for mine, end in zip(own, ends, strict=True):
        of_p += _entropy_term(end, taken) - _entropy_term(mine, taken)
    of_p += (bins - filled) * SMOOTHING * np.log(SMOOTHING)

    merged = bins // levels
    cuts = first[:, None] + merged[:, None] * np.arange(levels + 1)
    tail = sums.total[last] - sums.total[cuts[:, -1]]
    in_group, filled_in = np.diff(sums.total[cuts], axis=1), np.diff(sums.filled[cuts], axis=1)
    has_no_tail = cuts[:, -1] == last
    filled_in[:, 0] += newly[0]
    filled_in[:, -1] += newly[1] & has_no_tail
    grouped = in_group.copy()
    grouped[:, -1] += tail
    even = np.where(filled_in == 0, 0, grouped // np.maximum(filled_in, 1))
    in_tail = bins - levels * merged
    empty = merged * (even == 0).sum(axis=1) + in_tail
    kept = np.where(even == 0, SMOOTHING, even - (SMOOTHING * empty / np.maximum(bins - empty, 1))[:, None])
    weight = in_group + SMOOTHING * (merged[:, None] - filled_in) - taken[:, None] * filled_in
    weight[:, 0] += ends[0] - own[0]
    weight[:, -1] += np.where(has_no_tail, ends[1] - own[1], 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_q = (weight * np.log(kept)).sum(axis=1)
    filled_in_tail = filled - filled_in.sum(axis=1)
    weight_of_tail = tail + np.where(has_no_tail, 0, ends[1] - own[1]) + SMOOTHING * (in_tail - filled_in_tail) - (
        taken * filled_in_tail)
    of_q += weight_of_tail * np.log(SMOOTHING)
    sum_q = merged * kept.sum(axis=1) + SMOOTHING * in_tail
    sum_p = sums.total[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (of_p - of_q) / sum_p + np.log(sum_q / sum_p)
    return np.asarray(np.where((taken > _LARGEST_TAKEN) | (kept.min(axis=1) <= 0), np.nan, found))


def _entropy_term(counts: NDArray[np.int64], taken: NDArray[Any]) -> NDArray[np.float64]:
    """``c log c - t (log c + 1)`` of bins that are not empty, without the t alone, which the number of bins has."""
    logs = np.log(counts, out=np.zeros(counts.shape), where=counts != 0)
    return np.asarray((counts - taken) * logs)
