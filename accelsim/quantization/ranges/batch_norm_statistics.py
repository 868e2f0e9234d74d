"""BN statistics: the range of activations behind a batch normalization, without data.

``q_min = min(beta - alpha gamma)``, ``q_max = max(beta + alpha gamma)`` over the channels (white paper, arXiv 2106.08295,
eq. 18, 19; Nagel et al. 2019, arXiv 1906.04721): the normalization has taught us the channels' means beta and standard
deviations |gamma|. An activation behind it cuts the range at its own limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.ranges.observer import Observer, Range
from accelsim.quantization.ranges.range_setter import RangeSetter, require
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class BatchNormStatistics(RangeSetter):
    """Means plus and minus a number of standard deviations.

    Parameters
    ----------
    alpha : standard deviations on each side, above 0; 6 in the paper, "so that only large outliers are clipped".

    >>> low, high = BatchNormStatistics().range_from([0.0, 1.0], [1.0, 0.5], Scheme(8), floor=0.0)  # behind a ReLU
    >>> low.item(), high.item()
    (0.0, 6.0)
    """

    name: ClassVar[str] = "bn_statistics"
    needs_data: ClassVar[bool] = False
    alpha: float = 6.0

    def __post_init__(self) -> None:
        require(self.alpha > 0, "a number of standard deviations above 0", self.alpha, "alpha")

    def range_from(self, mean: ArrayLike, deviation: ArrayLike, scheme: Scheme, *, floor: float = -np.inf,
                   ceiling: float = np.inf) -> Range:
        """The range of the activations.

        Parameters
        ----------
        mean, deviation : (channels,), beta and gamma of the normalization; gamma's sign does not matter.
        scheme : one range for the tensor, for each channel or for each group of channels. An unsigned one cuts at 0.
        floor, ceiling : of the activation behind it: 0 and 6 of a ReLU6.

        Raises
        ------
        NumericsError : statistics that are empty, not finite or of different lengths; a floor above the ceiling; a
            granularity other than those.
        """
        beta, gamma = np.asarray(mean, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
        require(beta.ndim == 1 and beta.size > 0 and beta.shape == gamma.shape, "a mean and a deviation for each channel",
                f"{beta.shape} and {gamma.shape}", "statistics")
        is_finite = bool(np.isfinite(beta).all() and np.isfinite(gamma).all())
        require(is_finite, "finite statistics", "NaN or infinity", "statistics")
        require(floor <= ceiling, "a floor below the ceiling", f"{floor:g}..{ceiling:g}", "floor")
        limits = max(floor, 0.0) if scheme.symmetry == "unsigned" else floor, ceiling
        reach = self.alpha * np.abs(gamma)
        return (_per_unit(np.clip(beta - reach, *limits), scheme, np.minimum),
                _per_unit(np.clip(beta + reach, *limits), scheme, np.maximum))

    def observer(self, scheme: Scheme) -> Observer:
        raise NumericsError("expected the statistics of a batch normalization, got values to observe", field=self.name)


def _per_unit(ends: NDArray[np.float64], scheme: Scheme, extreme: np.ufunc) -> NDArray[np.float64]:
    """The outermost end of each unit's channels, in the shape of the scales."""
    granularity = scheme.granularity
    if granularity.kind == "tensor":
        return np.asarray(extreme.reduce(ends))
    if granularity.kind == "channel":
        return ends
    require(granularity.kind == "channel_group", "scales for the tensor, channels or groups of them", granularity.kind,
            "granularity")
    assert granularity.size is not None
    units = extreme.reduceat(ends, np.arange(0, len(ends), granularity.size))
    return np.asarray(np.repeat(units, granularity.size)[:len(ends)])
