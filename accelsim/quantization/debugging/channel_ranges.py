"""Smallest and largest value of each channel, batch after batch: what shows that one scale does not suit all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """The range of each channel of a tensor.

    Parameters
    ----------
    low, high : (channels,).
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[Any], *, axis: int) -> ChannelRanges:
        """Of one array, its channels along an axis.

        >>> ChannelRanges.of(np.array([[1.0, -8.0], [2.0, 4.0]]), axis=1).spread
        1.6
        """
        others = tuple(place for place in range(values.ndim) if place != axis % values.ndim)
        return cls(values.min(axis=others).astype(np.float64), values.max(axis=others).astype(np.float64))

    def joined(self, other: ChannelRanges) -> ChannelRanges:
        """Of both together."""
        return ChannelRanges(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    @property
    def reach(self) -> NDArray[np.float64]:
        """max|x| of each channel."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def spread(self) -> float:
        """The widest channel's reach over that of the channel in the middle; 1 where all are zero, inf where most are."""
        reach = self.reach
        most, middle = float(reach.max()), float(np.median(reach))
        return 1.0 if most == 0 else most / middle if middle else float("inf")
