"""Bias correction: how far quantized weights shift the mean of every output channel, to be taken off its bias.

    shift = E[W^ x^] - E[W x],    which for equal inputs is  (W^ - W) E[x]

Empirically the means come from rows of data; analytically from the batch normalization before the layer, whose outputs are
taken to be normal before the activation (`clipped_normal`). Both are means of sums, before the layer's own activation.

Left out of the analytic one: padding. Windows at the border see zeros in place of the mean, so that with padding the shift
of border outputs is smaller than what is taken off.

References
----------
White paper (arXiv 2106.08295) section 3.3; Nagel et al. 2019 (arXiv 1906.04721), section 4.2; Finkelstein et al. 2019 (arXiv
1906.03193).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.layer_problem import LayerProblem, Rows

Doubles = NDArray[np.float64]


def empirical_shift(problem: LayerProblem, integers: NDArray[Any]) -> Doubles:
    """How far the mean of each output channel (G * N,) is too high with these weights, over the problem's rows.

    Raises
    ------
    NumericsError : integers outside the grid's type.

    Examples
    --------
    >>> from accelsim.numerics.qparams import QParams
    >>> from accelsim.numerics.qtype import QType
    >>> problem = LayerProblem(weights=[[[0.6]]], grid=QParams(scale=1.0, zero_point=0, qtype=QType(4, True)),
    ...                        inputs=[[[1.0], [2.0]]])
    >>> empirical_shift(problem, problem.nearest).round(6)  # 0.4 of 1.5
    array([0.6])
    """
    quantized = _products(problem.weight_grid.dequantized(integers), _means(problem.quantized_inputs))
    return quantized - _products(problem.weights.astype(np.float64), _means(problem.inputs))


def analytic_shift(weights: ArrayLike, quantized: ArrayLike, input_means: ArrayLike) -> Doubles:
    """``(W^ - W) E[x]`` of each output channel (G * N,), without data.

    Parameters
    ----------
    weights, quantized : real weights (G, N, K) and the real numbers that their integers stand for.
    input_means : E[x] of each input channel over all groups, (G * C,), as `clipped_normal` gives it; every kernel position
        sees the same mean.

    Raises
    ------
    NumericsError : shapes that do not fit.

    Examples
    --------
    >>> analytic_shift([[[0.5, 0.5, 0.5, 0.5]]], [[[1.0, 0.5, 0.5, 0.0]]], [3.0, 1.0])  # two kernel positions, two channels
    array([1.])
    """
    real, rounded, means = (np.asarray(values, dtype=np.float64) for values in (weights, quantized, input_means))
    if real.ndim != 3 or real.shape != rounded.shape:
        raise NumericsError(f"expected weights (G, N, K) twice, got {real.shape} and {rounded.shape}", field="weights")
    groups, _, depth = real.shape
    if means.ndim != 1 or means.size == 0 or means.size % groups or depth % (means.size // groups):
        raise NumericsError(f"expected the means of the input channels of {groups} groups with {depth} weights each, "
                            f"got shape {means.shape}", field="input_means")
    by_group = means.reshape(groups, -1)
    return _products(rounded - real, np.tile(by_group, (1, depth // by_group.shape[1])))


def _means(rows: Rows) -> Doubles:
    return np.asarray(np.mean(rows, axis=1, dtype=np.float64))


def _products(weights: Doubles, means: Doubles) -> Doubles:
    """(G * N,) of weights (G, N, K) and means (G, K)."""
    return np.asarray(np.einsum("gnk,gk->gn", weights, means).ravel())
