"""Moving average: the batches' extremes, averaged with exponentially fading weight.

``m <- m + c (min(batch) - m)`` from the first batch's minimum on, and so for the maximum (Jacob et al. 2018, arXiv
1712.05877, section 3.1). An outlier in one batch among many hardly counts, and is clipped. Later batches weigh more: this is
the one range setter for which the order of the batches matters by intention. onnxruntime's
`MinMaxCalibrater(moving_average=True)` computes the same in float32, batch by batch; batches that are collected in one call
it averages evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from accelsim.quantization.ranges.observer import Range, RowsObserver, extremes
from accelsim.quantization.ranges.range_setter import UnitRangeSetter, require
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class MovingAverage(UnitRangeSetter):
    """Averaged extremes.

    Parameters
    ----------
    constant : the weight c of a new batch, above 0 and at most 1. onnxruntime's default.
    """

    name: ClassVar[str] = "moving_average"
    takes_extremes: ClassVar[bool] = True
    is_quick: ClassVar[bool] = True
    # Source: onnxruntime/quantization/calibrate.py, `averaging_constant`; PyTorch's MovingAverageMinMaxObserver has it too.
    constant: float = 0.01

    def __post_init__(self) -> None:
        require(0 < self.constant <= 1, "an averaging constant above 0 and at most 1", self.constant, "constant")

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        return _Average(self.constant)


class _Average(RowsObserver):
    """The averaged extremes so far."""

    def __init__(self, constant: float) -> None:
        self._constant = constant
        self._range: Range | None = None

    def observe(self, rows: NDArray[Any]) -> None:
        low, high = extremes(rows)
        if self._range is not None:
            old_low, old_high = self._range
            low, high = old_low + self._constant * (low - old_low), old_high + self._constant * (high - old_high)
        self._range = low, high

    def range(self) -> Range:
        assert self._range is not None
        return self._range
