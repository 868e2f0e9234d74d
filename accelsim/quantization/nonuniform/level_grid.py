"""Sizes of weights on fixed levels that are the same but for a scale: which level a weight takes, and the best scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.weight_rows import stored_scales

Floats = NDArray[np.float64]

#: Trial scales put the highest level at the row's largest weight times 2^(-j / 16), for these j: from 2 times (a highest
#: level that no weight takes may align the others better) to a hundredth.
_TRIALS = range(-16, 107)
_TRIALS_AN_OCTAVE = 16

#: Then, around the best, in steps of 2^(1 / 256).
_FINE_TRIALS = [j for j in range(-16, 17) if j]
_FINE_TRIALS_AN_OCTAVE = 256

#: Least-squares turns after the best trial.
_TURNS = 3


@dataclass(frozen=True, eq=False)
class LevelGrid:
    """Levels of |w| / scale, and where one ends and the next begins.

    Parameters
    ----------
    levels : (L,), ascending from 0.
    cuts : (L - 1,): level j is taken for ``cuts[j - 1] <= |w| / scale < cuts[j]``.
    """

    levels: Floats
    cuts: Floats

    @classmethod
    def nearest(cls, levels: Floats) -> LevelGrid:
        """Every weight takes the level next to it, and in the middle the upper one."""
        return cls(levels, (levels[1:] + levels[:-1]) / 2)

    def indices(self, rows: SortedRows, scale: Floats) -> NDArray[Any]:
        """Each weight's level, (R, K); `rows` holds sizes, `scale` is (R,)."""
        return rows.codes(rows.cuts(self.cuts * scale[:, None]))

    def errors(self, rows: SortedRows, scale: Floats) -> Floats:
        """``sum (|w| - scale * level)^2`` of each row, (R,)."""
        count, first, second = rows.sums(rows.cuts(self.cuts * scale[:, None]))
        levels = self.levels * scale[:, None]
        return np.asarray(np.sum(second - 2 * levels * first + levels**2 * count, axis=1))

    def fitted_scale(self, rows: SortedRows) -> Floats:
        """The scale of least squared error for each row, (R,): the best of trials, then least squares by turns.

        The error is not convex in the scale. Measured on rows of 2,000 normal, Laplace, Student-t and uniform weights,
        against 3,000 trials: at most 1 % above the least error with up to 16 levels, 3 % (Student-t a fifth) with 128.

        A turn takes the levels as they are and solves ``min_s sum (|w| - s * level)^2``: ``s = sum |w| level / sum
        level^2``. One that does not lower the row's error is not taken.
        """
        highest = rows.values[:, -1] / self.levels[-1]
        scale = stored_scales(highest)
        best = self.errors(rows, scale)
        for trial in _TRIALS:
            scale, best = self._better(rows, scale, best, highest * 2 ** (-trial / _TRIALS_AN_OCTAVE))
        coarse = scale
        for trial in _FINE_TRIALS:
            scale, best = self._better(rows, scale, best, coarse * 2 ** (trial / _FINE_TRIALS_AN_OCTAVE))
        for _ in range(_TURNS):
            count, first, _squares = rows.sums(rows.cuts(self.cuts * scale[:, None]))
            product, norm = first @ self.levels, count @ self.levels**2
            scale, best = self._better(rows, scale, best, np.divide(product, norm, out=scale.copy(), where=norm > 0))
        return scale

    def _better(self, rows: SortedRows, scale: Floats, errors: Floats, other: Floats) -> tuple[Floats, Floats]:
        other = stored_scales(other)
        found = self.errors(rows, other)
        return np.where(found < errors, other, scale), np.minimum(found, errors)
