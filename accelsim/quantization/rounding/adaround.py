"""AdaRound: whether each weight is rounded up or down, learned so that the layer's outputs change least.

Soft-rounded weights ``W~ = s * clamp(floor(W / s) + h(V), n, p)`` replace the integers, h being the rectified sigmoid, and V
descends (Adam, rows by rows) on

    sum over channels of  mean_m (f(W x_m + b) - f(W~ x^_m + b))^2 / u  +  lambda * sum (1 - |2 h(V) - 1|^beta)

At the end h is 0 or 1, or nearly so and then rounded. The unit u of a channel is the error that one rounded weight adds on
average, ``mean_k s^2 E[x^_k^2] / 12``: the sources leave it out, so that their lambda means another thing in every layer;
here a lambda suits layers of any magnitude, and gradients neither overflow nor vanish in float32.

Each output channel ends with the better of what was learned and round-to-nearest, on all rows: on the rows that it was
learned from, no channel's error exceeds that of round-to-nearest. Other rows gain less the fewer there were: with 144
weights a channel at 4 bits, their error was 0.72 of round-to-nearest's after learning from 150 rows, 0.53 from 1,000, 0.45
from 5,000.

References
----------
Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (arXiv 2004.10568); white paper (arXiv
2106.08295) section 3.4, equations 32 to 35.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.layer_problem import LayerProblem, Rows
from accelsim.quantization.rounding.adam import Adam
from accelsim.quantization.rounding.channel_part import (
    ChannelPart,
    Told,
    check_counts,
    optimized,
    parts_of,
    row_blocks,
)
from accelsim.quantization.rounding.rectified_sigmoid import inverse, rectified_sigmoid, slope
from accelsim.quantization.rounding.rounding_regularizer import RoundingRegularizer
from accelsim.quantization.rounding.single_flips import SingleFlips

# Found by measurement: 3 to 30 end within 1 % of one another, below 1 soft roundings stay undecided.
DEFAULT_REGULARIZER = RoundingRegularizer(weight=10.0)

# Measured: the better of flips from the learned and from the nearest integers has a 4 % smaller error than the former alone
# with 9 weights a channel, 2 % with 27, 0.5 % with 64; with more, the nearest are 15 % worse and take the most passes.
_FEW_WEIGHTS = 32


def adaround(
    problem: LayerProblem, *, generator: np.random.Generator, iterations: int = 2000, rows_per_iteration: int = 512,
    rate: float = 0.1, regularizer: RoundingRegularizer = DEFAULT_REGULARIZER, settles: bool = True,
    threads: int | None = None, told: Told | None = None
) -> NDArray[Any]:
    """Integers (G, N, K) of a layer's weights, in the dtype of its grid's type.

    Parameters
    ----------
    generator : draws the order of the rows; the same state gives the same integers, on any number of threads.
    iterations : steps of Adam, at least 1.
    rows_per_iteration : at least 1; all of them where the problem has fewer.
    rate : Adam's learning rate, constant.
    regularizer : its weight lambda and the schedule of beta.
    settles : whether `SingleFlips` end it, which the sources do not have; False leaves AdaRound as published.
    threads : parts of the channels that are optimized at a time; as many as there are processors if None.
    told : called with (done, total) iterations, about a hundred times.

    Raises
    ------
    NumericsError : a number of iterations, rows or threads below 1, a rate that is not above 0.
    """
    check_counts(iterations=iterations, rows_per_iteration=rows_per_iteration, threads=threads)
    if not rate > 0:
        raise NumericsError(f"expected a learning rate above 0, got {rate}", field="rate")
    rows = problem.inputs.shape[1]
    order = generator.permutation(rows)
    blocks = row_blocks(rows, rows_per_iteration, iterations, generator)

    def optimize(part: ChannelPart, count: Callable[[], None]) -> NDArray[Any]:
        soft = SoftRounding(problem, part)
        soft.train(blocks, regularizer, rate=rate, count=count)
        return soft.settled() if settles else soft.steps()

    parts = parts_of(problem, order=order)
    found = optimized(parts, optimize, iterations=iterations, threads=threads, told=told)
    learned = np.empty(problem.weights.shape, dtype=np.float64)
    for part, steps in zip(parts, found, strict=True):
        learned[part.groups, part.channels] = steps
    return problem.best_of(problem.nearest, problem.weight_grid.integers(learned))


class SoftRounding:
    """Weights of some channels between their two neighbours on the grid; lives as long as its optimization.

    Attributes
    ----------
    v : (g, n, K) float32, what is learned.
    h : (g, n, K), ``rectified_sigmoid(v)``.
    weights : (g, n, K), W~.
    """

    def __init__(self, problem: LayerProblem, part: ChannelPart) -> None:
        cut = part.groups, part.channels
        grid, weights = problem.weight_grid, problem.weights[cut]
        quotient = weights / grid.scale[cut].astype(weights.dtype)
        self._floor = np.floor(quotient).astype(np.float64)
        lowest, highest = grid.lowest[cut], grid.highest[cut]
        # Outside the range both neighbours are clamped to the same integer.
        is_free = (self._floor >= lowest) & (self._floor < highest)
        self._step = np.where(is_free, grid.scale[cut], 0).astype(np.float32)
        self._base = (grid.scale[cut] * np.clip(self._floor, lowest, highest)).astype(np.float32)
        self._part = part
        self._gain = self._step * _gains(self._step, part.inputs)
        fraction = quotient - self._floor
        self._is_nearest_up = fraction >= 0.5
        self.v = inverse(fraction).astype(np.float32)
        self.soften()

    def train(self, blocks: Sequence[slice], regularizer: RoundingRegularizer, *, rate: float,
              count: Callable[[], None]) -> None:
        """One step of Adam for each block of rows."""
        adam = Adam(self.v)
        for done, rows in enumerate(blocks):
            adam.step(self.gradient(rows, regularizer, regularizer.beta(done, len(blocks))), rate=rate)
            self.soften()
            count()

    def gradient(self, rows: slice, regularizer: RoundingRegularizer, beta: float | None) -> Rows:
        """Derivative of the objective on these rows by V: (g, n, K); without the regularizer if beta is None."""
        residual, _ = self._part.residual_of(self._part.sums(self.weights, self._part.bias, rows), rows)
        gradient: Rows = np.matmul(residual.swapaxes(1, 2), self._part.inputs[:, rows])
        gradient *= 2 / residual.shape[1]
        gradient *= self._gain
        if beta is not None:
            gradient += regularizer.slope(self.h, beta)
        gradient *= slope(self.h)
        return gradient

    def steps(self) -> NDArray[np.float64]:
        """The rounded weights in steps of the grid, clamped or not: the upper neighbour where h is at least a half."""
        return np.asarray(self._floor + (self.v >= 0))

    def settled(self) -> NDArray[np.float64]:
        """`steps` after `SingleFlips`; channels of few weights end with the better of that and the same from the nearest."""
        is_up, errors = self._flipped(self.v >= 0)
        if is_up.shape[2] <= _FEW_WEIGHTS:
            other, found = self._flipped(self._is_nearest_up)
            is_up = np.where((found < errors)[:, :, None], other, is_up)
        return np.asarray(self._floor + is_up)

    def _flipped(self, is_up: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Which weights are rounded up after single flips, and the channels' errors (g, n)."""
        flips = np.where(is_up, -self._step, self._step)
        search = SingleFlips(self._part, self._base + self._step * is_up, flips).run()
        return is_up ^ search.is_flipped, search.errors

    def soften(self) -> None:
        """Take over what has become of v."""
        self.h = rectified_sigmoid(self.v)
        self.weights = self._base + self._step * self.h


def _gains(step: Rows, inputs: Rows) -> Rows:
    """1 / u of each channel, (g, n, 1): what a rounded weight adds to the error on average is 1 afterwards."""
    power = np.mean(np.square(inputs), axis=1)[:, None, :]
    unit = np.mean(np.square(step) * power, axis=2, keepdims=True, dtype=np.float64) / 12
    return np.divide(1, unit, out=np.zeros_like(unit), where=unit > 0).astype(np.float32)
