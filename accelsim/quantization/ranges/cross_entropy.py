"""Cross-entropy: the range of a classifier's logits that changes their softmax least.

``argmin over q_min, q_max of H(softmax(v), softmax(v^(q_min, q_max)))`` (white paper, arXiv 2106.08295, eq. 17), averaged
over rows of logits. The squared error counts a hundred small logits, which decide nothing, a hundred times as much as the
large one that decides; the softmax hardly sees them.

The two ends are searched together: all pairs of `steps` parts of the extremes, then, around the best pair, ever finer steps.
Where there is one end, as symmetric and unsigned schemes have, as many of it are tried as there would be pairs. The range of
least squared error is tried too, so that this one is never worse in cross-entropy (on the rows that were kept). Power-of-two
scales come out of the ends by the scheme's rounding up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.fake_quantization import fake_quantize
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.observer import Observer, Range
from accelsim.quantization.ranges.range_setter import RangeSetter, require, require_static
from accelsim.quantization.scheme import Scheme

#: Halvings of the grid's step around its best pair.
_REFINEMENTS = 4

Ends = tuple[float, float]


@dataclass(frozen=True)
class CrossEntropy(RangeSetter):
    """The least change of the softmax.

    Parameters
    ----------
    axis : of the classes; every other dimension counts rows.
    steps : parts of each of two ends that are tried, at least 2; of one end, their square.
    most_values : logits that an observer keeps. Rows beyond are sampled evenly from all of the set (reservoir sampling), so
        that a set that fits is kept whole.
    seed : of that sample.

    >>> logits = np.random.default_rng(0).standard_normal((200, 10)).astype(np.float32) * 4
    >>> low, high = CrossEntropy().range_of(logits, Scheme(4))
    >>> bool(logits.min() < low < -2), bool(8 < high <= logits.max())  # small logits are clipped, large ones are not
    (True, True)
    """

    name: ClassVar[str] = "cross_entropy"
    axis: int = -1
    steps: int = 16
    most_values: int = 1 << 17
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.steps >= 2, "at least 2 steps", self.steps, "steps")
        require(self.most_values >= 1, "at least 1 value to keep", self.most_values, "most_values")

    def observer(self, scheme: Scheme) -> Observer:
        require_static(scheme)
        kind = scheme.granularity.kind
        require(kind == "tensor", "one scale for all logits", f"one for each {kind}", "granularity")
        return _LogitsObserver(self, scheme)


class _LogitsObserver(Observer):
    """Keeps a sample of the rows, every row of the set with the same probability (Vitter 1985, algorithm R)."""

    def __init__(self, setter: CrossEntropy, scheme: Scheme) -> None:
        super().__init__(passes=1)
        self._setter = setter
        self._scheme = scheme
        self._generator = np.random.default_rng(setter.seed)
        self._rows_seen = 0
        self._sample: NDArray[Any] | None = None

    def _take(self, values: NDArray[Any]) -> None:
        axis = self._setter.axis
        require(-values.ndim <= axis < values.ndim and values.shape[axis] > 1, f"at least 2 logits along axis {axis}",
                f"shape {values.shape}", "values")
        rows = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        if self._sample is None:
            most_rows = max(1, self._setter.most_values // rows.shape[1])
            self._sample = np.zeros((most_rows, rows.shape[1]), dtype=values.dtype)
        classes = self._sample.shape[1]
        require(rows.shape[1] == classes, f"rows of {classes} logits like in the first batch", rows.shape[1], "values")
        # Row number n, counted from 0, takes a random place among n + 1; beyond the sample it is dropped.
        number = np.arange(self._rows_seen, self._rows_seen + len(rows))
        places = np.where(number < len(self._sample), number, self._generator.integers(0, number + 1))
        for row in np.flatnonzero(places < len(self._sample)):
            self._sample[places[row]] = rows[row]
        self._rows_seen += len(rows)

    def _range(self) -> Range:
        assert self._sample is not None
        logits = self._sample[:self._rows_seen]
        low, high = _Search(logits, self._scheme, self._setter.steps).best()
        return np.asarray(low), np.asarray(high)


class _Search:
    """Looks for the two ends."""

    def __init__(self, logits: NDArray[Any], scheme: Scheme, steps: int) -> None:
        self._logits = logits
        self._scheme = scheme
        self._low, self._high = min(float(logits.min()), 0.0), max(float(logits.max()), 0.0)
        self._has_low_end = self._low < 0 and scheme.symmetry != "symmetric"
        self._has_high_end = self._high > 0 or scheme.symmetry == "symmetric"
        self._steps = steps if self._has_low_end and self._has_high_end else steps**2
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        self._probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)

    def best(self) -> Ends:
        """The ends of least cross-entropy."""
        least_squares = Mse().range_of(self._logits, self._scheme)
        candidates = [(self._low, self._high), (least_squares[0].item(), least_squares[1].item())]
        losses = [self.loss(ends) for ends in candidates]
        parts, loss = min(((parts, self.loss(self._ends(parts))) for parts in self._grid()), key=lambda found: found[1])
        for halving in range(1, _REFINEMENTS + 1):
            step = 0.5**halving / self._steps
            for neighbour in self._around(parts, step):
                if (neighbour_loss := self.loss(self._ends(neighbour))) < loss:
                    parts, loss = neighbour, neighbour_loss
        candidates.append(self._ends(parts))
        losses.append(loss)
        return candidates[int(np.argmin(losses))]

    def loss(self, ends: Ends) -> float:
        """``H(softmax(v), softmax(v^))``: ``log sum exp v^ - sum p v^``, averaged over the rows."""
        quantized = fake_quantize(self._logits, self._scheme.qparams(*ends)).astype(np.float64)
        quantized -= quantized.max(axis=1, keepdims=True)
        dots = np.einsum("rc,rc->r", self._probabilities, quantized)
        return float(np.mean(np.log(np.exp(quantized, out=quantized).sum(axis=1)) - dots))

    def _ends(self, parts: Ends) -> Ends:
        """The ends at parts of the extremes."""
        if self._scheme.symmetry == "symmetric":
            reach = parts[1] * max(-self._low, self._high)
            return -reach, reach
        return parts[0] * self._low, parts[1] * self._high

    def _grid(self) -> Iterator[Ends]:
        """Parts of the low and of the high extreme, the widest first. All negative logits may be clipped."""
        portions = [j / self._steps for j in range(self._steps, 0, -1)]
        for low in portions + [0.0] * self._has_high_end if self._has_low_end else [1.0]:
            for high in portions if self._has_high_end else [1.0]:
                yield low, high

    def _around(self, parts: Ends, step: float) -> Iterator[Ends]:
        for low in (parts[0] - step, parts[0], parts[0] + step) if self._has_low_end else (1.0,):
            for high in (parts[1] - step, parts[1], parts[1] + step) if self._has_high_end else (1.0,):
                if 0 <= low <= 1 and 0 < high <= 1:
                    yield low, high
