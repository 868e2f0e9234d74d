"""What kernels ask of their operands before they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams


def only(inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The single operand.

    >>> only([])
    Traceback (most recent call last):
    accelsim.errors.NumericsError: inputs: expected 1 tensor, got 0
    """
    if len(inputs) != 1:
        raise NumericsError(f"expected 1 tensor, got {len(inputs)}", field="inputs")
    return inputs[0]


def axis_of(x: NDArray[Any], axis: int) -> int:
    """The axis counted from the first; refused if x lacks it.

    >>> axis_of(np.zeros((2, 3)), -1)
    1
    """
    if not -x.ndim <= axis < x.ndim:
        raise NumericsError(f"expected an axis of a tensor of shape {x.shape}, got {axis}", field="axis")
    return axis % x.ndim


def axes_of(x: NDArray[Any], axes: Sequence[int]) -> tuple[int, ...]:
    """Several axes, in the order given; refused if one stands twice.

    >>> axes_of(np.zeros((2, 3)), (-1, 1))
    Traceback (most recent call last):
    accelsim.errors.NumericsError: axes: expected each axis once, got (-1, 1)
    """
    places = tuple(axis_of(x, axis) for axis in axes)
    if len(set(places)) != len(places):
        raise NumericsError(f"expected each axis once, got {tuple(axes)}", field="axes")
    return places


def require_rank(x: NDArray[Any], rank: int, what: str) -> None:
    """Refuses a list that has not one entry a dimension of x."""
    if x.ndim != rank:
        raise NumericsError(f"expected one entry a dimension of {x.shape}, got {rank}", field=what)


def require_one_scale(parameters: QParams, what: str) -> None:
    """Refuses an activation with a list of scales."""
    if parameters.axis is not None:
        raise NumericsError(f"expected one scale, got a list along axis {parameters.axis}", field=what)


def scalars(parameters: QParams) -> tuple[np.float32, int]:
    """(float32 scale, zero point) of a tensor with one scale: models keep scales in float32."""
    return np.float32(parameters.scale), int(parameters.zero_point)
