"""Min-max: the extremes of the values, so that nothing is clipped.

``q_min = min V``, ``q_max = max V`` (white paper, arXiv 2106.08295, eq. 14, 15). One outlier stretches every step. Equals
onnxruntime's `MinMaxCalibrater`, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.ranges.observer import Range, RowsObserver, extremes
from accelsim.quantization.ranges.range_setter import UnitRangeSetter
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class MinMax(UnitRangeSetter):
    """The extremes; the order of batches and their sizes do not matter.

    >>> [end.tolist() for end in MinMax().range_of(np.array([[1.0, -2.0], [0.5, 3.0]]), Scheme(8))]
    [-2.0, 3.0]
    """

    name: ClassVar[str] = "min_max"
    takes_extremes: ClassVar[bool] = True
    is_quick: ClassVar[bool] = True

    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        return _Extremes()


class _Extremes(RowsObserver):
    """The smallest and the largest value of each unit so far."""

    def __init__(self) -> None:
        self._range: Range | None = None

    def observe(self, rows: NDArray[Any]) -> None:
        low, high = extremes(rows)
        if self._range is not None:
            low, high = np.minimum(self._range[0], low), np.maximum(self._range[1], high)
        self._range = low, high

    def range(self) -> Range:
        assert self._range is not None
        return self._range
