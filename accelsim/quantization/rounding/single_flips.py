"""The last step of a rounding: while one weight of a channel, rounded the other way, lowers the channel's error, it is.

Descent on soft weights decides many weights at once, and leaves some that a single flip improves. Each pass flips at most
one weight of every channel: the one whose flip by d promises most,

    change of the error ~ 2 d mean_m(r_m x_mk) + d^2 mean_m(a_m x_mk^2)

with r the residual ``(f(z) - y) f'(z)`` and a = 1 where the activation lets z pass. Without activation this is exact. The
flip stays if the error on all rows has fallen; if not, it is not tried again before another weight of its channel flips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.layer_problem import Rows
from accelsim.quantization.rounding.channel_part import ChannelPart

# Channels are through after 5 to 30 passes; the bound is for those that creep.
_MOST_PASSES = 32


class SingleFlips:
    """The search in some channels; lives as long as it runs.

    Attributes
    ----------
    is_flipped : (g, n, K), which weights have ended the other way.
    errors : (g, n), the mean squared error of each channel.

    Parameters
    ----------
    part : rows and targets.
    weights : (g, n, K), rounded; changed in place.
    flips : (g, n, K), what is added to a weight to round it the other way; 0 where it cannot be. Changed in place.
    """

    def __init__(self, part: ChannelPart, weights: Rows, flips: Rows) -> None:
        self._part = part
        self._weights = weights
        self._flips = flips
        self._is_out = flips == 0
        self.is_flipped = np.zeros(flips.shape, dtype=bool)
        self._sums = part.sums(weights, part.bias, slice(None))
        self.errors = self._errors_of(self._sums)
        self._power = np.square(part.inputs)

    def run(self) -> SingleFlips:
        """Flip until no flip helps; returns itself."""
        for _ in range(_MOST_PASSES):
            if not self._pass():
                break
        return self

    def _pass(self) -> bool:
        """Try one flip in every channel; whether one was promising anywhere."""
        changes = self._changes()
        best = np.argmin(changes, axis=2, keepdims=True)
        is_promising = np.take_along_axis(changes, best, axis=2)[:, :, 0] < 0
        if not np.any(is_promising):
            return False
        flip = np.where(is_promising, np.take_along_axis(self._flips, best, axis=2)[:, :, 0], np.float32(0))
        rows = np.take_along_axis(self._part.inputs, best.swapaxes(1, 2), axis=2)
        rows *= flip[:, None, :]
        rows += self._sums
        errors = self._errors_of(rows)
        is_better = is_promising & (errors < self.errors)
        self._sums = np.where(is_better[:, None, :], rows, self._sums)
        self.errors = np.where(is_better, errors, self.errors)
        self._accept(best, is_promising, is_better)
        return True

    def _accept(self, best: NDArray[np.intp], is_promising: NDArray[np.bool_], is_better: NDArray[np.bool_]) -> None:
        groups, channels = np.nonzero(is_better)
        chosen = groups, channels, best[groups, channels, 0]
        self._weights[chosen] += self._flips[chosen]
        self._flips[chosen] *= -1
        self.is_flipped[chosen] ^= True
        self._is_out[groups, channels] = self._flips[groups, channels] == 0
        groups, channels = np.nonzero(is_promising & ~is_better)
        self._is_out[groups, channels, best[groups, channels, 0]] = True

    def _changes(self) -> Rows:
        """The expected change of its channel's error by each flip, (g, n, K); 0 for what is out."""
        residual, passes = self._part.residual_of(self._sums.copy())
        count = residual.shape[1]
        slopes = np.matmul(residual.swapaxes(1, 2), self._part.inputs) * np.float32(2 / count)
        if passes is None:
            curvature = np.mean(self._power, axis=1)[:, None, :]
        else:
            curvature = np.matmul(passes.astype(np.float32).swapaxes(1, 2), self._power) * np.float32(1 / count)
        changes = self._flips * (slopes + self._flips * curvature)
        changes[self._is_out] = 0
        return np.asarray(changes, dtype=np.float32)

    def _errors_of(self, sums: Rows) -> NDArray[np.float64]:
        """Mean squared error (g, n) behind the activation."""
        outputs = sums if self._part.low is None else np.clip(sums, self._part.low, self._part.high)
        difference = outputs - self._part.target
        return np.asarray(np.einsum("gmn,gmn->gn", difference, difference, dtype=np.float64) / sums.shape[1])
