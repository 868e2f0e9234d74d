"""A method of range setting with its options; every method is a frozen subclass."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.ranges.observer import Observer, Range, RowsObserver, UnitsObserver, as_reals, joined_range
from accelsim.quantization.scheme import Scheme

_UNITS_AT_A_TIME = 256


@dataclass(frozen=True)
class RangeSetter(ABC):
    """How the clipping range of a grid is found."""

    #: What a policy calls it.
    name: ClassVar[str]
    #: Whether it looks at values; else it has a method of its own that does without.
    needs_data: ClassVar[bool] = True

    @abstractmethod
    def observer(self, scheme: Scheme) -> Observer:
        """An observer of one tensor over a calibration set.

        Raises
        ------
        NumericsError : a dynamic scheme, which has no use for one; a scheme that this method cannot serve.
        """

    def range_of(self, values: NDArray[Any], scheme: Scheme) -> Range:
        """The range of one tensor that is there as a whole: weights.

        Parameters
        ----------
        values : real numbers.

        Returns
        -------
        Low and high ends, float64 in the shape of the scales, for `Scheme.qparams`.

        Raises
        ------
        NumericsError : no values, NaN, infinities; a tensor that the granularity does not fit.
        """
        observer = self.observer(dataclasses.replace(scheme, is_dynamic=False))
        for _ in range(observer.passes):
            observer.observe(values)
            observer.end_pass()
        return observer.range()


@dataclass(frozen=True)
class UnitRangeSetter(RangeSetter):
    """A method that looks at each unit by itself: subclasses say what they keep of it."""

    #: Whether its observers look at extremes first, and refuse NaN and infinities.
    takes_extremes: ClassVar[bool] = False
    #: Whether its observers are quick.
    is_quick: ClassVar[bool] = False

    @property
    def passes(self) -> int:
        """How often an observer must see the data."""
        return 1

    @abstractmethod
    def rows_observer(self, scheme: Scheme, units: int) -> RowsObserver:
        """An observer of that many equally large units."""

    def observer(self, scheme: Scheme) -> Observer:
        require_static(scheme)
        return UnitsObserver(scheme, self.passes, lambda units: self.rows_observer(scheme, units),
                             refuses_infinite=self.takes_extremes, is_quick=self.is_quick)

    def range_of(self, values: NDArray[Any], scheme: Scheme) -> Range:
        x = as_reals(values)
        ends = [self._range_of_rows(rows, scheme) for rows in scheme.granularity.rows(x)]
        return joined_range(ends, scheme.granularity, x.shape)

    def _range_of_rows(self, rows: NDArray[Any], scheme: Scheme) -> Range:
        """Some units at a time, so that what is kept of them does not grow with their number."""
        ends = []
        for top in range(0, len(rows), _UNITS_AT_A_TIME):
            some = rows[top:top + _UNITS_AT_A_TIME]
            observer = self.rows_observer(scheme, len(some))
            for _ in range(self.passes):
                observer.observe(some)
                observer.end_pass()
            ends.append(observer.range())
        return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])


def require_static(scheme: Scheme) -> None:
    """Refuse to calibrate what finds its range at run time."""
    require(not scheme.is_dynamic, "a static scheme to calibrate", "a dynamic one", "is_dynamic")


def require(is_right: bool, expected: str, found: object, field: str) -> None:
    """One line of refusal for an option that a method cannot have.

    >>> require(False, "at least 2 steps", 1, "steps")
    Traceback (most recent call last):
    accelsim.errors.NumericsError: steps: expected at least 2 steps, got 1
    """
    if not is_right:
        raise NumericsError(f"expected {expected}, got {found}", field=field)
