"""A range that is known beforehand: of pixels, of sensors, of anything that says what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from accelsim.errors import NumericsError
from accelsim.quantization.ranges.observer import Observer, Range
from accelsim.quantization.ranges.range_setter import RangeSetter, require
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class KnownRange(RangeSetter):
    """One range for a tensor of activations; it looks at nothing.

    Parameters
    ----------
    low, high : its ends.

    >>> KnownRange(0, 1).range
    (array(0.), array(1.))
    """

    name: ClassVar[str] = "known"
    needs_data: ClassVar[bool] = False
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        is_range = math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high
        require(is_range, "a high end above the low one", f"{self.low:g}..{self.high:g}", "high")

    @property
    def range(self) -> Range:
        """Both ends."""
        return np.array(self.low, dtype=np.float64), np.array(self.high, dtype=np.float64)

    def observer(self, scheme: Scheme) -> Observer:
        raise NumericsError("expected activations, whose range is known, got values to observe", field=self.name)
