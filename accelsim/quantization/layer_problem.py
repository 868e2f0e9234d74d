"""What rounding a layer's weights has to solve: outputs of the quantized layer as near as can be to those of the float one.

The layer is ``y = f(W x + b)`` with a clip f. Its error, by output channel, is the mean over rows m of

    (f(W x_m + b) - f(W^ x^_m + b))^2

with x the rows that the float network feeds it and x^ those that it sees when all layers before it are quantized (white
paper, arXiv 2106.08295, equation 35). A channel's error depends on its own weights alone, so channels are rounded, and
rounded solutions compared, one by one.

Left out: activations that are no clip. Such a layer is reconstructed before its activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.clip import NO_CLIP, Clip
from accelsim.quantization.weight_grid import WeightGrid

Rows = NDArray[np.float32]

#: Rows of the outputs that are in memory at once while an error is measured.
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class LayerProblem:
    """A layer, the grid of its weights and the rows that it is judged on.

    Parameters
    ----------
    weights : real numbers (G, N, K), K in (r, s, c) order with c fastest, as in `GridKernel`.
    grid : of the weights as a matrix (G * N, K): per tensor, per channel (axis 0), per block of K (axis 1, group size).
    inputs : rows (G, M, K) of the float network; kept in float32.
    quantized_inputs : rows (G, M, K) with all layers before it quantized; None where they are the same.
    bias : real numbers (G * N,), or None.
    clip : the activation; its limits are one pair, or one for each of the G * N channels.

    Raises
    ------
    NumericsError : shapes that do not fit, no rows, NaN or infinities.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> problem = LayerProblem(weights=[[[0.6, 0.6]]], grid=QParams(scale=1.0, zero_point=0, qtype=QType(4, True)),
    ...                        inputs=[[[1.0, 1.0]]])
    >>> problem.nearest.tolist(), round(problem.error(problem.nearest), 6)
    ([[[1, 1]]], 0.64)
    >>> round(problem.error(np.array([[[1, 0]]])), 6)  # one up and one down is nearer to 1.2
    0.04
    """

    weights: NDArray[Any]
    grid: QParams
    inputs: Rows
    quantized_inputs: Rows
    bias: NDArray[np.float64]
    clip: Clip

    def __init__(self, *, weights: ArrayLike, grid: QParams, inputs: ArrayLike, quantized_inputs: ArrayLike | None = None,
                 bias: ArrayLike | None = None, clip: Clip = NO_CLIP) -> None:
        w = _reals(weights, "weights", 3)
        groups, channels, depth = w.shape
        rows = _rows(inputs, "inputs", groups, depth)
        seen = rows if quantized_inputs is None else _rows(quantized_inputs, "quantized_inputs", groups, depth)
        if seen.shape != rows.shape:
            raise NumericsError(f"expected as many rows as the float network's, {rows.shape[1]}, got {seen.shape[1]}",
                                field="quantized_inputs")
        b = np.zeros(groups * channels) if bias is None else _reals(bias, "bias", 1).astype(np.float64)
        for what, shape in (("bias", b.shape), ("clip", clip.low.shape), ("clip", clip.high.shape)):
            if shape and shape != (groups * channels,):
                raise NumericsError(f"expected one per output channel, ({groups * channels},), got {shape}", field=what)
        for name, value in (("weights", w), ("grid", grid), ("inputs", rows), ("quantized_inputs", seen), ("bias", b),
                            ("clip", clip)):
            object.__setattr__(self, name, value)
        # Refuses scales that do not fit.
        _ = self.weight_grid

    @cached_property
    def weight_grid(self) -> WeightGrid:
        """The grid, spread over the weights."""
        groups, channels, depth = self.weights.shape
        return WeightGrid.of(self.grid, (groups, channels, depth))

    @cached_property
    def nearest(self) -> NDArray[Any]:
        """Integers (G, N, K) of round-to-nearest."""
        return self.weight_grid.nearest(self.weights)

    @cached_property
    def target(self) -> Rows:
        """Outputs (G, M, N) of the float network, behind the activation."""
        return self._outputs(self.inputs, self.weights.astype(np.float32), self.bias)

    def channel_errors(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        """Mean squared error (G, N) of each output channel with these weights, behind the activation.

        Raises
        ------
        NumericsError : integers outside the grid's type.
        """
        return self.channel_errors_of(self.weight_grid.dequantized(integers), self.bias)

    def channel_errors_of(self, weights: NDArray[Any], bias: NDArray[Any]) -> NDArray[np.float64]:
        """`channel_errors` of real weights (G, N, K) and a real bias (G * N,)."""
        count = self.inputs.shape[1]
        total = np.zeros(self.weights.shape[:2])
        for first in range(0, count, _ROWS_AT_ONCE):
            block = slice(first, first + _ROWS_AT_ONCE)
            outputs = self._outputs(self.quantized_inputs[:, block], weights.astype(np.float32), bias)
            outputs -= self.target[:, block]
            total += np.einsum("gmn,gmn->gn", outputs, outputs, dtype=np.float64)
        return np.asarray(total / count)

    def error(self, integers: NDArray[Any]) -> float:
        """Mean squared error over all outputs."""
        return float(np.mean(self.channel_errors(integers)))

    def best_of(self, *candidates: NDArray[Any]) -> NDArray[Any]:
        """Of every output channel the integers with the smallest error; the first of equals."""
        errors = np.stack([self.channel_errors(integers) for integers in candidates])
        chosen = np.argmin(errors, axis=0)[None, :, :, None]
        return np.asarray(np.take_along_axis(np.stack(candidates), chosen, axis=0)[0])

    def _outputs(self, rows: Rows, weights: Rows, bias: NDArray[Any]) -> Rows:
        outputs = np.matmul(rows, weights.swapaxes(1, 2))
        outputs += bias.astype(np.float32).reshape(weights.shape[0], 1, -1)
        return outputs if self.clip.is_identity else limited(outputs, self.clip)


def limited(outputs: Rows, clip: Clip) -> Rows:
    """Outputs (G, M, N) behind a clip, in place."""
    low, high = channel_limits(clip, outputs.shape[0])
    return np.clip(outputs, low, high, out=outputs)


def channel_limits(clip: Clip, groups: int) -> tuple[Rows, Rows]:
    """The limits in a shape that broadcasts against outputs (G, M, N)."""
    low, high = (limit.astype(np.float32) for limit in (clip.low, clip.high))
    return (low.reshape(groups, 1, -1) if low.ndim else low), (high.reshape(groups, 1, -1) if high.ndim else high)


def _reals(values: ArrayLike, what: str, dimensions: int) -> NDArray[Any]:
    array = np.asarray(values)
    array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    if array.ndim != dimensions or array.size == 0:
        raise NumericsError(f"expected {dimensions} dimensions and at least one number, got shape {array.shape}", field=what)
    if not np.all(np.isfinite(array)):
        raise NumericsError("expected finite numbers, got NaN or infinity", field=what)
    return array


def _rows(values: ArrayLike, what: str, groups: int, depth: int) -> Rows:
    array = _reals(values, what, 3)
    if (array.shape[0], array.shape[2]) != (groups, depth):
        raise NumericsError(f"expected rows of shape ({groups}, M, {depth}), got {array.shape}", field=what)
    return array.astype(np.float32, copy=False)
