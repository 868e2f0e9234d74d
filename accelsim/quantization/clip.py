"""The activations that only limit their input: ReLU, ReLU6 and any other range, with one pair of limits or one a channel.

``f(x) = min(max(x, low), high)``. No activation is the range from minus to plus infinity. These are the activations that the
requantizer applies on the way out, and the ones for which ``s * f(x / s)`` is again a clip, with limits multiplied by s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError


@dataclass(frozen=True, eq=False)
class Clip:
    """A range that values are limited to.

    Parameters
    ----------
    low, high : real numbers or infinities, low < high; one for all channels, shape (), or one each, (channels,).

    Raises
    ------
    NumericsError : NaN, an empty range, limits of two lengths.

    Examples
    --------
    >>> RELU6.applied([-1.0, 2.0, 9.0])
    array([0., 2., 6.])
    >>> Clip(low=0.0, high=[1.0, 6.0]).applied([[9.0, 9.0]])
    array([[1., 6.]])
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __init__(self, *, low: ArrayLike = -np.inf, high: ArrayLike = np.inf) -> None:
        limits = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        if max(limit.ndim for limit in limits) > 1 or len({limit.shape for limit in limits if limit.ndim}) > 1:
            raise NumericsError(f"expected one pair of limits or one a channel, got shapes {limits[0].shape} and "
                                f"{limits[1].shape}", field="clip")
        if not np.all(limits[0] < limits[1]):
            raise NumericsError("expected low limits below the high ones, got an empty range or NaN", field="clip")
        for name, limit in zip(("low", "high"), limits, strict=True):
            limit.flags.writeable = False
            object.__setattr__(self, name, limit)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is limited."""
        return bool(np.all(np.isneginf(self.low)) and np.all(np.isposinf(self.high)))

    @property
    def is_per_channel(self) -> bool:
        """Whether channels have limits of their own."""
        return bool(self.low.ndim or self.high.ndim)

    def applied(self, values: ArrayLike) -> NDArray[Any]:
        """The values within the range, in their own floating type; channels are their last axis."""
        x = np.asarray(values)
        kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
        return np.asarray(np.clip(x, self.low.astype(kind), self.high.astype(kind)), dtype=kind)

    def divided(self, factors: ArrayLike) -> Clip:
        """The clip of a layer whose outputs are divided by positive `factors` (channels,): both limits divided.

        ``f(x) / s = f'(x / s)`` for every x. ReLU and no activation stay what they are, with one pair of limits.

        Source: white paper (arXiv 2106.08295) section 3.2: scaling equivariance of piecewise linear functions.

        >>> RELU6.divided([2.0, 0.5]).high, RELU.divided([2.0, 0.5]).is_per_channel
        (array([ 3., 12.]), False)
        """
        return Clip(low=_divided(self.low, factors), high=_divided(self.high, factors))


def _divided(limit: NDArray[np.float64], factors: ArrayLike) -> NDArray[np.float64]:
    scales = np.asarray(factors, dtype=np.float64)
    if np.all((limit == 0) | np.isinf(limit)):
        return limit
    return np.asarray(limit / scales)


#: What a layer without activation has.
NO_CLIP = Clip()
RELU = Clip(low=0.0)
# Source: Howard et al. 2017 (MobileNets, arXiv 1704.04861): min(max(x, 0), 6).
RELU6 = Clip(low=0.0, high=6.0)
