"""An observer of the values of one tensor, batch by batch, of which it keeps as little as its range setter needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.scheme import Scheme

#: Low and high ends.
Range = tuple[NDArray[np.float64], NDArray[np.float64]]


class Observer(ABC):
    """Watches one tensor over a calibration set.

    Show it every batch, then call `end_pass`; do so `passes` times; then ask for the `range`. What it keeps does not grow
    with the number of batches.

    Parameters
    ----------
    passes : how often it must see the data.
    refuses_infinite : whether `_take` refuses NaN and infinities, so that nothing looks for them before.
    is_quick : whether to look at a tensor takes less time than to compute it.

    Examples
    --------
    >>> from accelsim.quantization.ranges.min_max import MinMax
    >>> observer = MinMax().observer(Scheme(8))
    >>> for batch in ([[0.0, 1.0]], [[-0.5, 0.5]]):
    ...     observer.observe(np.array(batch))
    >>> observer.end_pass()
    >>> [end.item() for end in observer.range()]
    [-0.5, 1.0]
    """

    def __init__(self, passes: int, *, refuses_infinite: bool = False, is_quick: bool = False) -> None:
        self.passes = passes
        self.is_quick = is_quick
        self._refuses_infinite = refuses_infinite
        self._passes_ended = 0
        self._has_seen_batch = False

    def observe(self, values: NDArray[Any]) -> None:
        """Take a batch.

        Parameters
        ----------
        values : real numbers. Batches may differ in shape as long as they have the same units: all but the number of samples
            for scales per tensor or channel.

        Raises
        ------
        NumericsError : no values, NaN, infinities; other units than those of the first batch; more passes than needed.
        """
        x = as_reals(values, may_be_infinite=self._refuses_infinite)
        if self._passes_ended >= self.passes:
            raise NumericsError(f"expected {_passes(self.passes)} over the data, got one more batch", field="values")
        self._take(x)
        self._has_seen_batch = True

    def end_pass(self) -> None:
        """All batches have been shown.

        Raises
        ------
        NumericsError : there was none.
        """
        if not self._has_seen_batch:
            raise NumericsError("expected at least one batch of values, got none", field="values")
        self._has_seen_batch = False
        self._passes_ended += 1
        self._end_pass()

    def range(self) -> Range:
        """Low and high ends, float64 in the shape of the scales, for `Scheme.qparams`.

        Raises
        ------
        NumericsError : passes are missing.
        """
        if self._passes_ended < self.passes:
            raise NumericsError(f"expected {_passes(self.passes)} over the data, got {self._passes_ended}", field="values")
        return self._range()

    @abstractmethod
    def _take(self, values: NDArray[Any]) -> None:
        """Take a batch of float32 or float64 numbers, finite ones unless it refuses others."""

    def _end_pass(self) -> None:  # noqa: B027  most look once, and have nothing to do between passes
        """The data have been seen once more."""

    @abstractmethod
    def _range(self) -> Range:
        """The range, after the last pass."""


class RowsObserver(ABC):
    """What a range setter keeps of units that are equally large: the part of a `UnitsObserver` that differs among them."""

    @abstractmethod
    def observe(self, rows: NDArray[Any]) -> None:
        """Take a batch: finite float32 or float64 (units, elements), at least one element."""

    def end_pass(self) -> None:  # noqa: B027  as above
        """The data have been seen once more."""

    @abstractmethod
    def range(self) -> Range:
        """Low and high ends, float64 (units,), after the last pass."""

    @property
    def search(self) -> Hashable:
        """What finds the range, where one search serves the units of several observers (`joined`); None where none does."""
        return None

    def joined(self, others: Sequence[Any]) -> RowsObserver:
        """An observer of the units of this one and of others with the same search, after the last pass."""
        raise NotImplementedError


class UnitsObserver(Observer):
    """Watches each unit of a tensor by itself.

    Parameters
    ----------
    scheme : how the tensor will be quantized.
    passes : how often it must see the data.
    rows_observer : makes what watches a number of equally large units.
    refuses_infinite, is_quick : as those of `Observer`, of these.
    """

    def __init__(self, scheme: Scheme, passes: int, rows_observer: Callable[[int], RowsObserver], *,
                 refuses_infinite: bool = False, is_quick: bool = False) -> None:
        super().__init__(passes, refuses_infinite=refuses_infinite, is_quick=is_quick)
        self._granularity = scheme.granularity
        self._rows_observer = rows_observer
        self._parts: list[RowsObserver] = []
        self._shape: tuple[int, ...] = ()

    def _take(self, values: NDArray[Any]) -> None:
        rows = self._granularity.rows(values)
        if not self._parts:
            self._shape = values.shape
            self._parts = [self._rows_observer(len(part)) for part in rows]
        expected, found = (self._granularity.scales_shape(shape) for shape in (self._shape, values.shape))
        if expected != found:
            raise NumericsError(f"expected batches with {expected} scales like the first one, got {found}", field="values")
        for observer, part in zip(self._parts, rows, strict=True):
            observer.observe(part)

    def _end_pass(self) -> None:
        for part in self._parts:
            part.end_pass()

    def _range(self) -> Range:
        return joined_range([part.range() for part in self._parts], self._granularity, self._shape)

    @property
    def search(self) -> Hashable:
        """As that of `RowsObserver`, for a tensor that is one unit."""
        return self._parts[0].search if self._granularity.kind == "tensor" else None

    @staticmethod
    def ranges_together(observers: Sequence[UnitsObserver]) -> list[Range]:
        """The range of each of some with the same search."""
        parts = [observer._parts[0] for observer in observers]
        low, high = parts[0].joined(parts[1:]).range()
        return [joined_range([(low[place:place + 1], high[place:place + 1])], observer._granularity, observer._shape)
                for place, observer in enumerate(observers)]


def ranges_of(observers: Sequence[Observer]) -> list[Range]:
    """The range of each, after the last pass; those with the same search are searched for together, in a fraction of the
    time."""
    found: dict[int, Range] = {}
    alike: dict[Hashable, list[tuple[int, UnitsObserver]]] = {}
    for place, observer in enumerate(observers):
        if isinstance(observer, UnitsObserver) and observer.search is not None:
            alike.setdefault(observer.search, []).append((place, observer))
        else:
            found[place] = observer.range()
    for members in alike.values():
        for (place, _), range_ in zip(members, UnitsObserver.ranges_together([each for _, each in members]), strict=True):
            found[place] = range_
    return [found[place] for place in range(len(observers))]


def joined_range(ends: Sequence[Range], granularity: Granularity, shape: Sequence[int]) -> Range:
    """Ranges of the matrices of `Granularity.rows`, in the shape of the scales."""
    low, high = (granularity.joined([end[side] for end in ends], shape) for side in (0, 1))
    return low, high


def as_reals(values: NDArray[Any], *, may_be_infinite: bool = False) -> NDArray[Any]:
    """Values as float32 or float64, finite unless they need not be; integers and other floats become float64.

    Raises
    ------
    NumericsError : no values, NaN, infinities.

    >>> as_reals(np.array([1.0, np.inf]))
    Traceback (most recent call last):
    accelsim.errors.NumericsError: values: expected finite numbers, got inf
    """
    x = np.asarray(values)
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float64)
    if x.size == 0:
        raise NumericsError(f"expected at least one value, got a tensor of shape {x.shape}", field="values")
    if not may_be_infinite:
        require_finite(x.min(), x.max())
    return x


def extremes(rows: NDArray[Any]) -> Range:
    """Smallest and largest element of each row, as float64.

    Raises
    ------
    NumericsError : NaN, infinities.
    """
    low, high = rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64)
    require_finite(low, high)
    return low, high


def require_finite(low: NDArray[Any], high: NDArray[Any]) -> None:
    """Refuse values with these extremes; NaN wins against every number in both."""
    ends = np.array([low, high])
    if not np.all(np.isfinite(ends)):
        raise NumericsError(f"expected finite numbers, got {ends[~np.isfinite(ends)][0]:g}", field="values")


def _passes(number: int) -> str:
    return "1 pass" if number == 1 else f"{number} passes"
