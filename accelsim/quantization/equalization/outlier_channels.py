"""Outlier channel splitting: a channel with the largest value is copied, and its two copies share the value.

The range that a grid has to cover shrinks, the function stays: ``w x = (w / 2) x + (w / 2) x`` where weights are split, and
``w (x / 2) + w (x / 2)`` where inputs are. The channel that is largest then is split next, a copy as well as an original.

Two halves that are rounded alike round twice in the same direction. On a grid of step d weights are therefore split
unequally (quantization-aware splitting),

    w -> (w - d / 2) / 2  and  (w + d / 2) / 2,    and  Q(w) = Q((w - d/2) / 2) + Q((w + d/2) / 2)

with Q rounding to the nearest multiple of d, ties upwards: nothing is lost against rounding w itself on that grid (Hermite's
identity); ties to even differ on ties alone.

Left out: inputs of a layer with groups, whose channels cannot be copied without a whole group; unequal splitting of inputs.

References
----------
Zhao et al. 2019, "Improving Neural Network Quantization without Retraining using Outlier Channel Splitting" (arXiv
1901.09504).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ChannelSplit:
    """Which input channels a layer reads after splitting.

    Parameters
    ----------
    sources : (new channels,), the original channel of each; the originals come first, in their order.
    input_factors : (new channels,), what each copy of an input is multiplied by; ones where weights are split.
    weights : (1, N, K) of the new channels.
    """

    sources: NDArray[np.int64]
    input_factors: Doubles
    weights: NDArray[Any]


def split_weights(weights: NDArray[Any], in_channels: int, *, ratio: float, step: float | None = None) -> ChannelSplit:
    """Split the input channels with the largest weights.

    Parameters
    ----------
    weights : (1, N, K), K in (r, s, c) order, c fastest.
    in_channels : C.
    ratio : how many channels are added, as a share of C, rounded up; at least 0.
    step : scale of the grid that the weights are rounded to afterwards, for unequal halves; None for equal ones. Found from
        the range that is left, `largest_after`.

    Raises
    ------
    NumericsError : groups, channels that do not fit, a negative ratio, a step that is not above 0.

    Examples
    --------
    >>> split = split_weights(np.array([[[8.0, 1.0]]]), 2, ratio=0.5)
    >>> split.sources, split.weights.tolist()
    (array([0, 1, 0]), [[[4.0, 1.0, 4.0]]])
    """
    if step is not None and not (math.isfinite(step) and step > 0):
        raise NumericsError(f"expected a step above 0, got {step}", field="step")
    by_channel = _by_channel(weights, in_channels)
    columns = [by_channel[..., channel].astype(np.float64) for channel in range(in_channels)]
    quarter = 0.0 if step is None else step / 4
    order = _splits([float(np.max(np.abs(column))) for column in columns], ratio)
    for split in order:
        half = columns[split] / 2
        columns[split] = half - quarter
        columns.append(half + quarter)
    stacked = np.stack(columns, axis=-1).astype(weights.dtype)
    return ChannelSplit(_sources(order, in_channels), np.ones(len(columns)), stacked.reshape(1, weights.shape[1], -1))


def largest_after(weights: NDArray[Any], in_channels: int, *, ratio: float) -> float:
    """The largest magnitude that equal halves leave.

    >>> largest_after(np.array([[[8.0, 3.0]]]), 2, ratio=0.5)
    4.0
    """
    return float(np.max(np.abs(split_weights(weights, in_channels, ratio=ratio).weights)))


def split_inputs(weights: NDArray[Any], maxima: ArrayLike, *, ratio: float) -> ChannelSplit:
    """Split the channels with the largest inputs: their copies are halved, the weights of both are the channel's.

    Parameters
    ----------
    weights : (1, N, K).
    maxima : largest magnitude of each input channel, (C,).
    ratio : as in `split_weights`.

    Examples
    --------
    >>> split = split_inputs(np.array([[[5.0, 7.0]]]), [1.0, 8.0], ratio=1.0)
    >>> split.sources, split.input_factors, split.weights.tolist()
    (array([0, 1, 1, 1]), array([1.  , 0.25, 0.5 , 0.25]), [[[5.0, 7.0, 7.0, 7.0]]])
    """
    largest = np.asarray(maxima, dtype=np.float64)
    if largest.ndim != 1 or not np.all(np.isfinite(largest) & (largest >= 0)):
        raise NumericsError("expected one maximum of at least 0 a channel", field="maxima")
    by_channel = _by_channel(weights, largest.size)
    order, factors = _splits(largest.tolist(), ratio), [1.0] * largest.size
    for split in order:
        factors[split] /= 2
        factors.append(factors[split])
    sources = _sources(order, largest.size)
    return ChannelSplit(sources, np.array(factors), by_channel[..., sources].reshape(1, weights.shape[1], -1))


def _splits(sizes: list[float], ratio: float) -> list[int]:
    """Which channel, of originals and copies, each split takes: always the largest, the first of equals."""
    if not (math.isfinite(ratio) and ratio >= 0):
        raise NumericsError(f"expected a ratio of at least 0, got {ratio}", field="ratio")
    waiting = [(-size, channel) for channel, size in enumerate(sizes)]
    heapq.heapify(waiting)
    order = []
    # Source: Zhao et al. 2019: ceil(r * C) channels are added.
    for copy in range(len(sizes), len(sizes) + math.ceil(ratio * len(sizes))):
        size, channel = heapq.heappop(waiting)
        order.append(channel)
        for half in (channel, copy):
            heapq.heappush(waiting, (size / 2, half))
    return order


def _sources(order: list[int], channels: int) -> NDArray[np.int64]:
    sources = list(range(channels))
    for split in order:
        sources.append(sources[split])
    return np.array(sources, dtype=np.int64)


def _by_channel(weights: NDArray[Any], in_channels: int) -> NDArray[Any]:
    """(N, kernel positions, C)."""
    if weights.ndim != 3 or weights.shape[0] != 1:
        raise NumericsError(f"expected weights (1, N, K) of a layer without groups, got shape {weights.shape}",
                            field="weights")
    if in_channels < 1 or weights.shape[2] % in_channels:
        raise NumericsError(f"expected channels that divide {weights.shape[2]} weights, got {in_channels}",
                            field="in_channels")
    return np.asarray(weights[0].reshape(weights.shape[1], -1, in_channels))
