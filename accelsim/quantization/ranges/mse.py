"""MSE: the range of the least mean squared error between the values and their quantized selves.

``argmin over q_min, q_max of ||V - V^(q_min, q_max)||^2`` (white paper, arXiv 2106.08295, eq. 16; "grid search, golden
section method"). Both ends of an asymmetric range are searched (`scale_search`). A tensor that is there as a whole is
searched with all its values; a calibration set with its `AlignedHistogram`, whose bins may move the result by about a bin.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.problem import wrong_choice
from accelsim.quantization.ranges.aligned_histogram import AlignedHistogram
from accelsim.quantization.ranges.grid_error import GridError, HistogramError, SampleError
from accelsim.quantization.ranges.observer import Range, RowsObserver, as_reals, joined_range
from accelsim.quantization.ranges.range_setter import UnitRangeSetter, require
from accelsim.quantization.ranges.scale_search import ScaleSearch
from accelsim.quantization.scheme import Scheme

SearchMethod = Literal["grid", "golden_section"]


@dataclass(frozen=True)
class SquaredErrorSetter(UnitRangeSetter):
    """What `Mse` and `omse.Omse` share: where the error comes from.

    Parameters
    ----------
    steps : scales of the grid, at least 2.
    bins : of the histogram of a calibration set, on each side of 0: a power of two, at least 16. Several should fit in a
        step.
    """

    takes_extremes: ClassVar[bool] = True
    steps: int = 100
    bins: int = 4096

    def __post_init__(self) -> None:
        require(self.steps >= 2, "at least 2 steps", self.steps, "steps")
        is_power_of_two = self.bins & (self.bins - 1) == 0
        require(self.bins >= 16 and is_power_of_two, "a power of two of at least 16 bins", self.bins, "bins")

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        return _Histogram(self, scheme, AlignedHistogram(units, self.bins))

    def range_of(self, values: NDArray[Any], scheme: Scheme) -> Range:
        x = as_reals(values)
        ends = [self.searched(SampleError(rows), scheme) for rows in scheme.granularity.rows(x)]
        return joined_range(ends, scheme.granularity, x.shape)

    @abstractmethod
    def searched(self, values: GridError, scheme: Scheme) -> Range:
        """The best range of values."""


@dataclass(frozen=True)
class Mse(SquaredErrorSetter):
    """The least squared error.

    Parameters
    ----------
    method : "grid", `steps` equally spaced scales; "golden_section", fewer and finer ones in the deepest valley.

    >>> import numpy as np
    >>> weights = np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    >>> low, high = Mse().range_of(weights, Scheme(4, "symmetric"))
    >>> bool(2.3 < high < 2.7)  # ACIQ's analytic optimum for 4 bits is 2.56 standard deviations; the largest value is 3.9
    True
    """

    name: ClassVar[str] = "mse"
    method: SearchMethod = "grid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in get_args(SearchMethod):
            raise NumericsError(wrong_choice(self.method, get_args(SearchMethod)), field="method")

    def searched(self, values: GridError, scheme: Scheme) -> Range:
        search = ScaleSearch(values, scheme)
        return search.range_of(search.by_grid(self.steps) if self.method == "grid" else search.by_golden_section())


class _Histogram(RowsObserver):
    """A histogram of each unit, searched at the end."""

    def __init__(self, setter: SquaredErrorSetter, scheme: Scheme, histogram: AlignedHistogram) -> None:
        self._setter = setter
        self._scheme = scheme
        self._histogram = histogram

    def observe(self, rows: NDArray[Any]) -> None:
        self._histogram.add(rows)

    def range(self) -> Range:
        return self._setter.searched(HistogramError(self._histogram), self._scheme)

    @property
    def search(self) -> Hashable:
        return self._setter, self._scheme

    def joined(self, others: Sequence[_Histogram]) -> _Histogram:
        histogram = AlignedHistogram.joined([self._histogram, *(other._histogram for other in others)])
        return _Histogram(self._setter, self._scheme, histogram)
