"""Counts in bins, `numpy.histogram`'s, for many values of which none lies outside.

numpy sorts the values in small blocks and looks for every edge in each; sorted at once, each edge is looked for once.
Sorting takes less time than to compute and mend the bin of each value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Values that are sorted together: beyond, the sort itself becomes the slower part.
_AT_ONCE = 1 << 20


def counts_between(values: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.int64]:
    """``numpy.histogram(values, edges)[0]``: each bin has its lower edge, the last one both.

    Parameters
    ----------
    values : one dimension, numbers.
    edges : ascending.

    >>> counts_between(np.array([0.0, 0.0, 1.5, 2.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [2, 2]
    """
    below = np.zeros(len(edges), np.int64)
    for start in range(0, values.size, _AT_ONCE):
        ordered = np.sort(values[start:start + _AT_ONCE])
        below[:-1] += np.searchsorted(ordered, edges[:-1], "left")
        below[-1] += np.searchsorted(ordered, edges[-1], "right")
    return np.diff(below)


def counts_over(values: NDArray[Any], bins: int, low: Any, high: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """``numpy.histogram(values, bins, range=(low, high))``: counts and edges.

    >>> counts, edges = counts_over(np.array([0.0, 0.0, 1.5, 2.0]), 2, 0.0, 2.0)
    >>> counts.tolist(), edges.tolist()
    ([2, 2], [0.0, 1.0, 2.0])
    """
    edges = np.histogram_bin_edges(values[:1], bins, range=(low, high))
    return counts_between(values, edges), edges
