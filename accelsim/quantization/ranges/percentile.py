"""Percentile: the range that holds a given share of the values, so that outliers do not stretch the steps.

Survey, arXiv 2103.13630, III-C: the i-th largest and smallest values stand for the extremes. Here they are found in a
histogram, as onnxruntime's `PercentileCalibrater` does, and equal its ranges to the bit (`runtime_histogram` says where its
rules end):

=====================  ===========================================================================================
scheme                 range, cut to the values' extremes
=====================  ===========================================================================================
symmetric, unsigned    -t..t: t is the lower edge of the first bin up to which `percentile` % of the magnitudes lie
asymmetric             each end leaves half of the rest, (100 - percentile) / 2 %, outside; lower edges too
=====================  ===========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.observer import Range, RowsObserver
from accelsim.quantization.ranges.range_setter import UnitRangeSetter, require
from accelsim.quantization.ranges.runtime_histogram import MagnitudeHistogram, RuntimeHistogram, SignedHistogram
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class Percentile(UnitRangeSetter):
    """A share of the values.

    Parameters
    ----------
    percentile : above 0, at most 100. onnxruntime's default.
    bins : of the first batch's histogram, at least 2; a step of the grid should span several. onnxruntime's default.

    >>> values = np.append(np.linspace(0, 1, 1000), 50.0).astype(np.float32)
    >>> low, high = Percentile(percentile=99.8).range_of(values, Scheme(8, "unsigned"))
    >>> round(high.item(), 2)  # bins are 50 / 2048 wide
    0.98
    """

    name: ClassVar[str] = "percentile"
    takes_extremes: ClassVar[bool] = True
    # Source: onnxruntime/quantization/calibrate.py, `create_calibrator`.
    percentile: float = 99.999
    bins: int = 2048

    def __post_init__(self) -> None:
        require(0 < self.percentile <= 100, "a percentile above 0 and at most 100", self.percentile, "percentile")
        require(self.bins >= 2, "at least 2 bins", self.bins, "bins")

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        kind: type[RuntimeHistogram] = SignedHistogram if scheme.is_asymmetric else MagnitudeHistogram
        return _Percentiles([kind(self.bins) for _ in range(units)], self.percentile)


class _Percentiles(RowsObserver):
    """A histogram a unit."""

    def __init__(self, histograms: list[RuntimeHistogram], percentile: float) -> None:
        self._histograms = histograms
        self._percentile = percentile

    def observe(self, rows: NDArray[Any]) -> None:
        for histogram, row in zip(self._histograms, rows, strict=True):
            histogram.add(row)

    def range(self) -> Range:
        ends = np.array([_range_of(histogram, self._percentile) for histogram in self._histograms])
        return ends[:, 0], ends[:, 1]


def _range_of(histogram: RuntimeHistogram, percentile: float) -> tuple[float, float]:
    counts, edges = histogram.counts, histogram.edges
    if counts is None:
        return histogram.low, histogram.high
    share = np.cumsum(counts / counts.sum())
    if isinstance(histogram, MagnitudeHistogram):
        high = float(edges[np.searchsorted(share, percentile / 100.0)])
        low = -high
    else:
        outside = (100.0 - percentile) / 200.0
        low, high = float(edges[np.searchsorted(share, outside)]), float(edges[np.searchsorted(share, 1.0 - outside)])
    return min(max(low, histogram.low), histogram.high), max(min(high, histogram.high), histogram.low)
