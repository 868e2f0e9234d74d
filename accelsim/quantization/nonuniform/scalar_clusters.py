"""k-means of numbers, by dynamic programming: the optimum, not a local one.

Clusters of numbers are intervals. With D_m(j) the least error of the first j numbers (ascending) in m clusters,

    D_m(j) = min over i < j of D_(m-1)(i) + E(i, j),   E = the squared error of numbers i .. j - 1 to their mean

and the best i does not fall as j grows, so that halving the j's needs O(k n log n) sums (Wu, "Optimal quantization by
matrix searching", J. Algorithms 12, 1991; Wang and Song, "Ckmeans.1d.dp", R Journal 3(2), 2011). With importance h, sums
and means are weighted; nothing else changes.

Of up to 2^20 / k different numbers (65,536 for 4 bits, at least 16,384) the result is optimal. Of more, cuts are first
allowed at so many places alone, half of them at equal counts and half at equal distances; then Lloyd's iteration moves
them among all numbers until it stops, which cannot raise the error. Measured on 50,000 normal, Laplace, uniform and
Student-t (2.5) numbers cut at 16,384 places: at most 3e-7 above the optimum's error at 2 and 4 bits, 5e-6 at 6 bits, 4e-4
at 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.nonuniform.sorted_rows import SortedRows

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

#: Places at which dynamic programming may cut: at least so many, and as many as keep places times clusters below 2^20.
FEWEST_PLACES = 16384
_PLACES_TIMES_CLUSTERS = 1 << 20

#: Turns of Lloyd's iteration at most; it stops by itself when no cut moves.
_TURNS = 200


def scalar_clusters(rows: SortedRows, clusters: int, *, most_places: int | None = None) -> Places:
    """The cuts between clusters of least squared error.

    Parameters
    ----------
    rows : one row of numbers.
    clusters : at most so many; as many as there are different numbers, if these are fewer.
    most_places : at which dynamic programming may cut; Lloyd's iteration follows if there are more. None: see above.

    Returns
    -------
    (1, clusters - 1), as `SortedRows.cuts` counts them.
    """
    values = rows.values[0]
    places = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [values.size]])
    if len(places) - 1 <= clusters:
        return places[None, 1:-1]
    most = most_places if most_places is not None else max(FEWEST_PLACES, _PLACES_TIMES_CLUSTERS // clusters)
    thinned = _thinned(values, places, most)
    cuts = thinned[_optimal_cuts(*_running(rows, thinned), clusters)][None]
    return cuts if len(thinned) == len(places) else _lloyd(rows, cuts)


def centroids(rows: SortedRows, cuts: Places) -> Floats:
    """Weighted means between the cuts, ascending, (clusters,); without importance the middle of the numbers.

    A mean is kept between its smallest and largest number, so that equal numbers are their own mean to the last bit.
    """
    count, first, _squares = rows.sums(cuts)
    values = rows.values[0]
    edges = np.concatenate([[0], cuts[0], [values.size]])
    smallest, largest = values[np.minimum(edges[:-1], values.size - 1)], values[np.maximum(edges[1:] - 1, 0)]
    means = np.divide(first[0], count[0], out=(smallest + largest) / 2, where=count[0] > 0)
    is_empty = edges[:-1] == edges[1:]
    return np.asarray(np.where(is_empty, means, np.clip(means, smallest, largest)))


def _thinned(values: Floats, places: Places, most: int) -> Places:
    """Some of the places at which the number changes: first, last, and others at equal counts and at equal distances."""
    if len(places) - 1 <= most:
        return places
    counts = np.searchsorted(places, np.linspace(0, values.size, most // 2 + 1))
    distances = np.searchsorted(values[places[:-1]], np.linspace(values[0], values[-1], most // 2 + 1)[1:-1])
    return np.asarray(places[np.unique(np.concatenate([counts, distances]))])


def _running(rows: SortedRows, places: Places) -> tuple[Floats, Floats, Floats]:
    """Sums of h, h v, h v^2 up to each place. The numbers are relative to their mean, which keeps the squares small."""
    count, first, second = (part[0] for part in rows.sums(places[None, 1:-1]))
    mean = first.sum() / count.sum()
    second, first = second - 2 * mean * first + mean**2 * count, first - mean * count
    return tuple(np.concatenate([[0.0], np.cumsum(part)]) for part in (count, first, second))  # type: ignore[return-value]


def _optimal_cuts(count: Floats, first: Floats, second: Floats, clusters: int) -> Places:
    """Which of the places are the cuts, (clusters - 1,)."""
    def error(begin: Places, end: Places) -> Floats:
        h, v = count[end] - count[begin], first[end] - first[begin]
        return np.asarray(second[end] - second[begin] - np.divide(v * v, h, out=np.zeros_like(v), where=h > 0))

    last = len(count) - 1
    ends = np.arange(last + 1)
    best = error(np.zeros_like(ends), ends)
    begins = []
    for done in range(1, clusters):
        best, begin = _next_cluster(best, done, error)
        begins.append(begin)
    cuts = [last]
    for begin in reversed(begins):
        cuts.append(int(begin[cuts[-1]]))
    return np.array(cuts[:0:-1], dtype=np.int64)


def _next_cluster(best: Floats, clusters: int, error: Callable[[Places, Places], Floats]) -> tuple[Floats, Places]:
    """D of one cluster more than `clusters`, and for each end the last cluster's begin.

    The middle of a range of ends is solved first; its begin bounds those of both halves. All ranges of a level go together.
    """
    last = len(best) - 1
    found, begins = np.full(last + 1, np.inf), np.zeros(last + 1, np.int64)
    ranges = np.array([[clusters + 1], [last], [clusters], [last - 1]])  # first and last end, first and last begin
    while ranges.shape[1]:
        first, final, lowest, highest = ranges
        middle = (first + final) // 2
        counts = np.minimum(highest, middle - 1) - lowest + 1
        starts = np.cumsum(counts) - counts
        tried = np.arange(counts.sum()) - np.repeat(starts - lowest, counts)
        errors = best[tried] + error(tried, np.repeat(middle, counts))
        found[middle] = np.minimum.reduceat(errors, starts)
        begin = np.minimum.reduceat(np.where(errors == np.repeat(found[middle], counts), tried, last), starts)
        begins[middle] = begin
        halves = np.concatenate([[first, middle - 1, lowest, begin], [middle + 1, final, begin, highest]], axis=1)
        ranges = halves[:, halves[0] <= halves[1]]
    return found, begins


def _lloyd(rows: SortedRows, cuts: Places) -> Places:
    """Cuts in the middle between the means, until none moves. A cluster that loses all its numbers keeps an empty place."""
    for _ in range(_TURNS):
        means = centroids(rows, cuts)
        moved = rows.cuts(((means[1:] + means[:-1]) / 2)[None])
        if np.array_equal(moved, cuts):
            break
        cuts = moved
    return cuts
