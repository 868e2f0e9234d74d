"""Weights as rows that share a scale, and scales that are never 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError

#: Below this a scale counts as 0: times any usual input scale it is still a float32, in which ONNX stores scales.
LEAST_SCALE = 2.0**-100

#: The scale of weights that are all zero: that of 8 bits if the largest weight were 1. Any would do.
SCALE_OF_ZEROS = 2.0**-7


def as_weights(weights: ArrayLike, what: str = "weights") -> NDArray[np.float64]:
    """Weights (G, N, K) as float64.

    Raises
    ------
    NumericsError : another number of dimensions, no elements, NaN or infinity.

    >>> as_weights([[[0.5, float("nan")]]])
    Traceback (most recent call last):
    accelsim.errors.NumericsError: weights: expected finite numbers, got NaN or infinity
    """
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 3 or array.size == 0:
        raise NumericsError(f"expected (groups, N, K) with at least one element, got shape {array.shape}", field=what)
    # Not even an infinity of float32, in which models keep weights and scales.
    if not np.all(np.abs(array) <= np.finfo(np.float32).max):
        raise NumericsError("expected finite numbers, got NaN or infinity", field=what)
    return array


def as_importance(importance: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """How much an error of each weight counts, broadcast to the weights' shape; not negative and not all 0."""
    try:
        array = np.broadcast_to(np.asarray(importance, dtype=np.float64), shape)
    except ValueError:
        raise NumericsError(f"expected a shape that broadcasts to {shape}, got {np.shape(importance)}",
                            field="importance") from None
    if not np.all(np.isfinite(array)) or array.min() < 0 or not array.any():
        raise NumericsError("expected finite numbers of at least 0, and not only 0", field="importance")
    return array


def rows_of(weights: NDArray[Any], *, per_channel: bool) -> NDArray[Any]:
    """(G * N, K) for a scale an output channel, (1, G * N * K) for one scale."""
    return weights.reshape(-1, weights.shape[2]) if per_channel else weights.reshape(1, -1)


def root_mean_squares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each output channel, (G * N,), as stored scales."""
    return stored_scales(np.sqrt(np.mean(np.square(rows_of(weights, per_channel=True)), axis=1)))


def stored_scales(scales: NDArray[np.float64], *, shrinks_zeros_by: float = 1.0) -> NDArray[np.float64]:
    """Scales as float32 numbers above 0, in float64; a 0 becomes the smallest of the others divided by `shrinks_zeros_by`.

    A channel of zeros whose integers are 0 can have any scale. The smallest of the others rather than a tiny one: its
    bias is stored in units of it.

    >>> stored_scales(np.array([0.5, 0.0, 2.0])).tolist()
    [0.5, 0.5, 2.0]
    """
    is_zero = scales < LEAST_SCALE
    smallest = scales[~is_zero].min() if not is_zero.all() else SCALE_OF_ZEROS
    return np.where(is_zero, smallest / shrinks_zeros_by, scales).astype(np.float32).astype(np.float64)


def whole_number(value: Any, first: int, last: int, what: str) -> int:
    """An integer in a range.

    >>> whole_number(9, 1, 8, "bits")
    Traceback (most recent call last):
    accelsim.errors.NumericsError: bits: expected 1 to 8, got 9
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not first <= value <= last:
        raise NumericsError(f"expected {first} to {last}, got {value!r}", field=what)
    return int(value)


def one_of(value: str, names: tuple[str, ...], what: str) -> None:
    """Refuses a name that is not one of these.

    >>> one_of("log2", ("linear", "log"), "domain")
    Traceback (most recent call last):
    accelsim.errors.NumericsError: domain: expected one of linear, log, got "log2"
    """
    if value not in names:
        raise NumericsError(f'expected one of {", ".join(names)}, got "{value}"', field=what)
