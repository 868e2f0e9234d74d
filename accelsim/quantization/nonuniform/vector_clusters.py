"""k-means of vectors: Lloyd's iteration from greedy k-means++ seeds.

Seeds: each is drawn with probability proportional to the squared distance to the seeds before it (Arthur and
Vassilvitskii, "k-means++", SODA 2007), the best of 2 + ln k such draws (their section 4), among at most 64 k of the
vectors. Then, by turns, every vector joins the nearest centroid and every centroid becomes its vectors' mean; a centroid
that lost all of them becomes the vector that is worst off. Of more than 256 k vectors a sample of that size takes turns
first, then all take at most ten more. The result is a local optimum.

Distances are compared in float32, which may choose the second nearest of two that differ by less than its precision.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

#: Vectors whose distances are held at once: with 256 centroids 1 MB.
_BLOCK = 1024

#: Vectors among which seeds are drawn, and vectors that the sample has, for each centroid.
_SEEDED_FOR_EACH = 64
_SAMPLED_FOR_EACH = 256

#: Turns of all vectors behind those of the sample. Measured on 590,000 normal vectors of 4, 256 centroids: the error is
#: within 0.6 % of that of 100 turns of all, in a third of the time.
_TURNS_OF_ALL = 10

#: The iteration ends when a turn lowers the error by less than this part of it.
_LEAST_GAIN = 1e-5


def vector_clusters(vectors: Floats, clusters: int, *, generator: np.random.Generator, weights: Floats | None = None,
                    starts: int = 1, turns: int = 100) -> tuple[Floats, NDArray[np.int64]]:
    """Centroids of small ``sum h |v - c|^2`` and the one that each vector joins.

    Parameters
    ----------
    vectors : (V, d).
    clusters : at most so many; fewer if there are fewer different vectors.
    generator : of the seeds. The same state gives the same clusters.
    weights : h, (V,), at least 0; None counts each vector once.
    starts : sets of seeds that are tried; the best result counts.
    turns : of Lloyd's iteration, at most, from each start.

    Returns
    -------
    (clusters, d) and (V,).
    """
    counted = np.ones(len(vectors)) if weights is None else weights
    # A power of two, which changes nothing but keeps float32 from overflowing.
    unit = 2.0 ** np.frexp(np.abs(vectors).max())[1]
    vectors = vectors / unit
    best: tuple[float, Floats, NDArray[np.int64]] | None = None
    for _ in range(starts):
        found = _from_one_start(vectors, counted, clusters, generator, turns)
        best = found if best is None or found[0] < best[0] else best
    assert best is not None, "a start was made"
    return best[1] * unit, best[2]


def _from_one_start(vectors: Floats, counted: Floats, clusters: int, generator: np.random.Generator,
                    turns: int) -> tuple[float, Floats, NDArray[np.int64]]:
    seeds = _seeds(vectors, counted, clusters, generator)
    # The products are small, and threads that wait for each other on a busy machine cost ten times what they save.
    with threadpool_limits(limits=1, user_api="blas"):
        if len(vectors) <= _SAMPLED_FOR_EACH * clusters:
            return _lloyd(vectors, counted, seeds, turns)
        chosen = generator.choice(len(vectors), _SAMPLED_FOR_EACH * clusters, replace=False)
        _error, centroids, _codes = _lloyd(vectors[chosen], counted[chosen], seeds, turns)
        return _lloyd(vectors, counted, centroids, min(turns, _TURNS_OF_ALL))


def _seeds(vectors: Floats, counted: Floats, clusters: int, generator: np.random.Generator) -> Floats:
    most = _SEEDED_FOR_EACH * clusters
    if len(vectors) > most:
        chosen = generator.choice(len(vectors), most, replace=False)
        vectors, counted = vectors[chosen], counted[chosen]
    if not counted.any():
        counted = np.ones(len(counted))
    draws = 2 + int(log(clusters))
    seeds = [vectors[_drawn(counted, 1, generator)[0]]]
    distances = _squared_norms(vectors - seeds[0])
    while len(seeds) < clusters and (distances * counted).any():
        tried = _drawn(distances * counted, draws, generator)
        closer = np.stack([np.minimum(distances, _squared_norms(vectors - vectors[place])) for place in tried])
        best = int(np.argmin(closer @ counted))
        seeds.append(vectors[tried[best]])
        distances = closer[best]
    return np.array(seeds)


def _drawn(chances: Floats, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    running = np.cumsum(chances)
    places = np.searchsorted(running, generator.random(count) * running[-1], side="right")
    return np.asarray(np.minimum(places, len(chances) - 1), np.int64)


def _lloyd(vectors: Floats, counted: Floats, centroids: Floats, turns: int) -> tuple[float, Floats, NDArray[np.int64]]:
    """(error, centroids, codes): centroids are the means of the vectors that have their codes."""
    ones = np.ones((len(vectors), 1), np.float32)
    single = np.concatenate([vectors.astype(np.float32), ones], axis=1)
    codes, error = _nearest(single, centroids), np.inf
    for _ in range(turns):
        centroids = _means(vectors, counted, codes, centroids)
        lower = float(counted @ _squared_norms(vectors - centroids[codes]))
        if lower >= error * (1 - _LEAST_GAIN):
            return lower, centroids, codes
        error, codes = lower, _nearest(single, centroids)
    centroids = _means(vectors, counted, codes, centroids)
    return float(counted @ _squared_norms(vectors - centroids[codes])), centroids, codes


def _nearest(vectors: NDArray[np.float32], centroids: Floats) -> NDArray[np.int64]:
    """``argmin |c|^2 / 2 - v c``, block by block, of vectors with a 1 behind them: one product."""
    table = np.concatenate([-centroids.T, np.square(centroids).sum(axis=1)[None] / 2]).astype(np.float32)
    codes = np.empty(len(vectors), np.int64)
    for first in range(0, len(vectors), _BLOCK):
        codes[first:first + _BLOCK] = np.argmin(vectors[first:first + _BLOCK] @ table, axis=1)
    return codes


def _means(vectors: Floats, counted: Floats, codes: NDArray[np.int64], centroids: Floats) -> Floats:
    """The mean of each centroid's vectors; one without importance becomes the vector that is farthest from its own."""
    count = np.bincount(codes, counted, len(centroids))
    sums = np.stack([np.bincount(codes, counted * part, len(centroids)) for part in vectors.T], axis=1)
    is_empty = count <= 0
    means: Floats = np.divide(sums, count[:, None], out=centroids.copy(), where=~is_empty[:, None])
    if is_empty.any():
        errors = counted * _squared_norms(vectors - means[codes])
        farthest = np.argsort(-errors, kind="stable")[:int(is_empty.sum())]
        means[is_empty] = vectors[farthest]
    return means


def _squared_norms(vectors: Floats) -> Floats:
    return np.asarray(np.einsum("vd,vd->v", vectors, vectors))
