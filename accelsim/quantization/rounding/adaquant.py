"""AdaQuant: integers, scales and bias of a layer, learned together so that its outputs change least.

A continuous V is added to the weights before they are rounded, and any integer of the type may come out, not only the two
neighbours:

    W~ = s * clamp(round((W + V) / s), n, p)
    minimize over V, s, b:  mean_m (f(W x_m + b0) - f(W~ x^_m + b))^2

Rounding has slope 0 almost everywhere, so gradients pass it as if it were not there (straight-through), and Adam descends:

    dW~/dV = 1 within the range, 0 outside;  dW~/ds = round(u) - u within, the limit outside, u = (W + V) / s

What is learned are V in steps, log s, so that a scale stays positive, and b in units of the error that rounding to nearest
leaves; the learning rates fall to 0 on half a cosine. The better of what was learned and what was given (round-to-nearest on
the given grid, the given bias) is the result: of each channel where it has scales of its own, of the layer where all share
one. On the rows that it was learned from, the error never exceeds that of round-to-nearest.

Left out: the scale of the inputs, which the source learns as well; the rows come quantized already.

References
----------
Hubara et al. 2020, "Improving Post Training Neural Quantization: Layer-wise Calibration and Integer Programming" (arXiv
2006.10518); Esser et al. 2020 (LSQ, arXiv 1902.08153), equation 3, for the scale's gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
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


@dataclass(frozen=True, eq=False)
class AdaptedLayer:
    """What AdaQuant found.

    Parameters
    ----------
    integers : (G, N, K), in the dtype of the grid's type.
    grid : the weights' `QParams`, with the scales that were learned (float32 numbers) and the zero points that were given.
    bias : (G * N,), real.
    """

    integers: NDArray[Any]
    grid: QParams
    bias: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AdaptionRates:
    """Adam's first learning rates.

    Parameters
    ----------
    weights : of V, in steps of the grid.
    scales : of log s; 0 keeps the scales, which powers of two and scales that groups of channels share need.
    bias : of b, in units of the channel's root mean squared error under round-to-nearest; 0 keeps the bias.

    Raises
    ------
    NumericsError : a negative or infinite rate.
    """

    weights: float = 1e-3
    scales: float = 1e-3
    bias: float = 0.02

    def __post_init__(self) -> None:
        for field in ("weights", "scales", "bias"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value >= 0):
                raise NumericsError(f"expected a learning rate of at least 0, got {value}", field=f"rates.{field}")


def adaquant(
    problem: LayerProblem, *, generator: np.random.Generator, iterations: int = 2000, rows_per_iteration: int = 512,
    rates: AdaptionRates = AdaptionRates(), threads: int | None = None, told: Told | None = None
) -> AdaptedLayer:
    """Integers, grid and bias of a layer.

    Parameters
    ----------
    generator, iterations, rows_per_iteration, threads, told : as in `adaround`.

    Raises
    ------
    NumericsError : a number of iterations, rows or threads below 1; a grid whose scales belong to groups of channels.
    """
    check_counts(iterations=iterations, rows_per_iteration=rows_per_iteration, threads=threads)
    grid = problem.grid
    if grid.axis is not None and grid.axis % 2 == 0 and grid.group_size is not None:
        raise NumericsError("expected scales per tensor, per channel or per block of K, got groups of channels",
                            field="grid")
    is_shared = grid.axis is None
    order = generator.permutation(problem.inputs.shape[1])
    blocks = row_blocks(len(order), rows_per_iteration, iterations, generator)

    errors = problem.channel_errors(problem.nearest)

    def optimize(part: ChannelPart, count: Callable[[], None]) -> AdaptiveWeights:
        weights = AdaptiveWeights(problem, part, errors[part.groups, part.channels])
        weights.train(blocks, rates, count)
        return weights

    parts = parts_of(problem, order=order, is_whole=is_shared)
    found = optimized(parts, optimize, iterations=iterations, threads=threads, told=told)
    scale, bias = problem.weight_grid.scale.copy(), problem.bias.reshape(problem.weights.shape[:2]).copy()
    steps = np.empty(problem.weights.shape)
    for part, weights in zip(parts, found, strict=True):
        cut = part.groups, part.channels
        scale[cut], steps[cut] = weights.scale(), weights.steps()
        bias[cut] += weights.bias_change()
    return _better(problem, errors, steps, scale, bias)


class AdaptiveWeights:
    """The learned numbers of some channels; lives as long as its optimization.

    Parameters
    ----------
    errors : (g, n), of round-to-nearest: the unit of what is minimized.

    Attributes
    ----------
    continuous : (g, n, K) float32, ``(W + V) / s0`` with s0 the given scale.
    log_scale : log(s / s0), (g, n, blocks of K), or (1, 1, 1) where all channels share a scale.
    shift : (g, 1, n), what is added to the bias, in its unit.
    """

    def __init__(self, problem: LayerProblem, part: ChannelPart, errors: NDArray[np.float64]) -> None:
        cut = part.groups, part.channels
        grid = problem.weight_grid
        self._part = part
        self._first_scale = grid.scale[cut].astype(np.float32)
        self._lowest, self._highest = grid.lowest[cut].astype(np.float32), grid.highest[cut].astype(np.float32)
        self._is_shared = problem.grid.axis is None
        groups, channels, depth = self._first_scale.shape
        block = problem.grid.group_size or depth
        self._starts = np.arange(0, depth, block)
        self._lengths = np.diff([*self._starts, depth])
        self.continuous = (problem.weights[cut] / grid.scale[cut]).astype(np.float32)
        self.log_scale = np.zeros((1, 1, 1) if self._is_shared else (groups, channels, len(self._starts)), np.float32)
        self._unit = np.sqrt(errors)[:, None, :].astype(np.float32)
        self._gain = np.float32(1 / np.mean(errors)) if np.any(errors) else np.float32(0)
        self.shift = np.zeros((groups, 1, channels), np.float32)

    def train(self, blocks: Sequence[slice], rates: AdaptionRates, count: Callable[[], None]) -> None:
        """One step of Adam for each block of rows."""
        learned = ((Adam(self.continuous), rates.weights), (Adam(self.log_scale), rates.scales),
                   (Adam(self.shift), rates.bias))
        for done, rows in enumerate(blocks):
            share = (1 + math.cos(math.pi * done / len(blocks))) / 2
            for (adam, rate), gradient in zip(learned, self.gradients(rows), strict=True):
                if rate:
                    adam.step(gradient, rate=rate * share)
            count()

    def gradients(self, rows: slice) -> tuple[Rows, Rows, Rows]:
        """Of the error on these rows, by `continuous`, `log_scale` and `shift`."""
        growth = self._spread(np.exp(self.log_scale))
        scale = self._first_scale * growth
        position = self.continuous / growth
        rounded = np.clip(np.rint(position), self._lowest, self._highest)
        bias = self._part.bias + self.shift * self._unit
        residual, _ = self._part.residual_of(self._part.sums(scale * rounded, bias, rows), rows)
        residual *= self._gain * np.float32(2 / residual.shape[1])
        by_weight = np.matmul(residual.swapaxes(1, 2), self._part.inputs[:, rows])
        is_inside = (position >= self._lowest) & (position <= self._highest)
        by_scale = by_weight * scale * (rounded - position * is_inside)
        by_position = by_weight * self._first_scale * is_inside
        return by_position, self._gathered(by_scale), np.sum(residual, axis=1, keepdims=True) * self._unit

    def scale(self) -> NDArray[np.float64]:
        """The learned scale of each weight, (g, n, K), a float32 number."""
        return (self._first_scale * self._spread(np.exp(self.log_scale))).astype(np.float64)

    def steps(self) -> NDArray[np.float64]:
        """The rounded weights in steps of the learned grid."""
        return np.rint(self.continuous.astype(np.float64) * self._first_scale / self.scale())

    def bias_change(self) -> NDArray[np.float64]:
        """What is added to the bias, (g, n)."""
        return (self.shift * self._unit)[:, 0, :].astype(np.float64)

    def _spread(self, values: Rows) -> Rows:
        return values if self._is_shared else np.repeat(values, self._lengths, axis=2)

    def _gathered(self, values: Rows) -> Rows:
        if self._is_shared:
            return np.asarray(np.sum(values, keepdims=True))
        return np.asarray(np.add.reduceat(values, self._starts, axis=2))


def _better(problem: LayerProblem, given: NDArray[np.float64], steps: NDArray[np.float64], scale: NDArray[np.float64],
            bias: NDArray[np.float64]) -> AdaptedLayer:
    """What was learned where its error is smaller than that of what was given (G, N), else what was given."""
    grid = problem.weight_grid
    steps = np.clip(steps, grid.lowest, grid.highest)
    learned = problem.channel_errors_of(scale * steps, bias.ravel())
    if problem.grid.axis is None:
        is_better = np.broadcast_to(np.mean(learned) < np.mean(given), learned.shape)
    else:
        is_better = learned < given
    chosen = is_better[:, :, None]
    integers = np.where(chosen, grid.integers(steps), problem.nearest).astype(problem.nearest.dtype)
    scales = np.where(chosen, scale, grid.scale).reshape(-1, scale.shape[2])
    if problem.grid.axis is None:
        kept = scales[0, 0]
    elif problem.grid.group_size is None:
        kept = scales[:, 0]
    else:
        kept = scales[:, ::problem.grid.group_size]
    qparams = QParams(scale=kept, zero_point=problem.grid.zero_point, qtype=problem.grid.qtype, axis=problem.grid.axis,
                      group_size=problem.grid.group_size)
    final_bias = np.where(is_better, bias, problem.bias.reshape(is_better.shape)).ravel()
    return AdaptedLayer(integers, qparams, final_bias)
