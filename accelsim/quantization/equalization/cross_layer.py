"""Cross-layer equalization: every channel between two layers gets the same range in the weights of both.

A layer's output channel i divided by ``s_i > 0``, and the next layer's input channel multiplied by it, leave the function as
it is, since ``f(x / s) = f(x) / s`` for a ReLU. With r1 and r2 the channel's largest magnitudes in the two layers' weights,

    s_i = sqrt(r1_i r2_i) / r2_i = sqrt(r1_i / r2_i)      gives both  sqrt(r1_i r2_i)

and in a chain of n layers whose middle ones are depthwise, where a channel is input and output at once, each gets the n-th
root of the product of all its ranges.

A clip with other limits than 0 and infinity (ReLU6) would have to scale its limits by channel: `Clip.divided` gives that
exact activation. The machine's requantizer, and ONNX's Clip, have one pair of limits for all channels; `restricted_factors`
holds the factors back instead so that the clip stays as it is, and is the way to take for networks that are to run there.

References
----------
White paper (arXiv 2106.08295) section 3.2; Nagel et al. 2019 (arXiv 1906.04721), section 4.1 and appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.clip import Clip

Doubles = NDArray[np.float64]


def output_ranges(weights: NDArray[Any]) -> Doubles:
    """Largest magnitude of each output channel, (G * N,), of weights (G, N, K).

    >>> output_ranges(np.array([[[1.0, -3.0], [0.5, 0.0]]]))
    array([3. , 0.5])
    """
    return np.asarray(np.max(np.abs(weights), axis=2).ravel(), dtype=np.float64)


def input_ranges(weights: NDArray[Any], in_channels: int) -> Doubles:
    """Largest magnitude of each input channel over all groups, (in_channels,), of weights (G, N, K), c fastest in K.

    Raises
    ------
    NumericsError : channels that do not fit the weights.

    >>> input_ranges(np.array([[[1.0, -3.0, 2.0, 0.0]]]), in_channels=2)  # two kernel positions
    array([2., 3.])
    """
    return np.asarray(np.max(np.abs(_by_input(weights, in_channels)), axis=(1, 2)).ravel(), dtype=np.float64)


def equalizing_factors(ranges: Sequence[ArrayLike]) -> list[Doubles]:
    """The factor s (channels,) between each layer of a chain and the next.

    Parameters
    ----------
    ranges : of the channels in each layer: output ranges of the first, input ranges of the last, and of the depthwise ones
        between them either, which are the same.

    Returns
    -------
    One array of factors fewer than layers: the outputs of the layer before are divided by it, the inputs of the layer behind
    multiplied. A channel that is 0 in some layer keeps 1.

    Raises
    ------
    NumericsError : fewer than two layers, lengths that differ, negative ranges, NaN.

    Examples
    --------
    >>> equalizing_factors([[8.0, 1.0], [2.0, 0.0]])
    [array([2., 1.])]
    >>> equalizing_factors([[8.0], [1.0], [1.0]])  # all get 2: the first is divided by 4, the last multiplied by 2
    [array([4.]), array([2.])]
    """
    stacked = [np.asarray(each, dtype=np.float64) for each in ranges]
    if len(stacked) < 2 or len({each.shape for each in stacked}) > 1 or stacked[0].ndim != 1:
        raise NumericsError("expected ranges of the same channels in two layers or more, got shapes "
                            f"{[each.shape for each in stacked]}", field="ranges")
    table = np.stack(stacked)
    if not np.all(np.isfinite(table) & (table >= 0)):
        raise NumericsError("expected ranges of at least 0, got a negative one, NaN or infinity", field="ranges")
    is_alive = np.all(table > 0, axis=0)
    logs = np.log(np.where(is_alive, table, 1.0))
    # What of a layer lies above the common range goes on to the next.
    return list(np.exp(np.cumsum(logs - np.mean(logs, axis=0), axis=0)[:-1]))


def restricted_factors(factors: ArrayLike, minima: ArrayLike, maxima: ArrayLike, clip: Clip) -> Doubles:
    """Factors with which the clip between two layers may stay as it is, as far as values lie between `minima` and `maxima`.

    A channel whose values reach a limit that scaling would move (any but 0 and infinity) keeps factor 1. Any other channel
    must not come to reach it: ``s >= maximum / high``, and ``s >= minimum / low`` for a negative low.

    Parameters
    ----------
    factors : as `equalizing_factors` gives them, (channels,).
    minima, maxima : of each channel before the activation, observed or ``beta -+ 6 gamma``.
    clip : the activation, with one pair of limits.

    Raises
    ------
    NumericsError : lengths that differ; a clip with a range that does not hold 0, or with limits by channel.

    Examples
    --------
    >>> from accelsim.quantization.clip import RELU6
    >>> restricted_factors([0.1, 0.1, 5.0], minima=[-1.0, -9.0, -1.0], maxima=[7.0, 3.0, 3.0], clip=RELU6)
    array([1. , 0.5, 5. ])
    """
    s, low, high = (np.asarray(values, dtype=np.float64) for values in (factors, minima, maxima))
    if s.ndim != 1 or not s.shape == low.shape == high.shape:
        raise NumericsError(f"expected one factor, minimum and maximum a channel, got shapes {s.shape}, {low.shape} and "
                            f"{high.shape}", field="factors")
    if clip.is_per_channel or clip.low > 0 or clip.high < 0:
        raise NumericsError("expected a clip with one pair of limits around 0", field="clip")
    if clip.high == 0:
        least, is_reached = np.zeros_like(s), np.zeros(s.shape, dtype=bool)
    else:
        least, is_reached = high / clip.high, high > clip.high
    if clip.low < 0:
        least, is_reached = np.maximum(least, low / clip.low), is_reached | (low < clip.low)
    return np.where(is_reached, 1.0, np.maximum(s, least))


def divided_outputs(weights: NDArray[Any], bias: NDArray[Any], factors: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights (G, N, K) and bias (G * N,) of a layer whose output channels are divided, in their own types.

    Raises
    ------
    NumericsError : factors that are not one a channel, or not above 0.
    """
    s = _factors(factors, weights.shape[0] * weights.shape[1])
    scaled = weights / s.reshape(*weights.shape[:2], 1)
    return scaled.astype(weights.dtype), (bias / s).astype(bias.dtype)


def multiplied_inputs(weights: NDArray[Any], factors: ArrayLike) -> NDArray[Any]:
    """Weights (G, N, K) of a layer whose inputs (G * C,) have been divided by these factors, in their own type.

    Raises
    ------
    NumericsError : factors that do not fit, or not above 0.

    Examples
    --------
    >>> multiplied_inputs(np.ones((1, 1, 4)), [2.0, 3.0]).tolist()
    [[[2.0, 3.0, 2.0, 3.0]]]
    """
    s = _factors(factors, np.size(factors))
    scaled = _by_input(weights, s.size) * s.reshape(weights.shape[0], 1, 1, -1)
    return scaled.reshape(weights.shape).astype(weights.dtype)


def _by_input(weights: NDArray[Any], in_channels: int) -> NDArray[Any]:
    """(G, N, kernel positions, C)."""
    groups, _, depth = weights.shape
    if in_channels < 1 or in_channels % groups or depth % (in_channels // groups):
        raise NumericsError(f"expected input channels of {groups} groups with {depth} weights each, got {in_channels}",
                            field="in_channels")
    return weights.reshape(groups, weights.shape[1], -1, in_channels // groups)


def _factors(factors: ArrayLike, channels: int) -> Doubles:
    s = np.asarray(factors, dtype=np.float64)
    if s.shape != (channels,):
        raise NumericsError(f"expected one factor a channel, ({channels},), got {s.shape}", field="factors")
    if not np.all(np.isfinite(s) & (s > 0)):
        raise NumericsError("expected factors above 0, got 0, a negative one, NaN or infinity", field="factors")
    return s
