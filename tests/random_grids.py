"""Scales and zero points for tests: log-uniform scales, or decimal fractions, whose quotients come near ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType

INT8, UINT8, INT16 = QType(8, True), QType(8, False), QType(16, True)
_DECIMALS = (0.05, 0.0625, 0.1, 0.125, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)


def random_grid(rng: np.random.Generator, qtype: QType, *, is_decimal: bool = False, low: float = 0.001, high: float = 0.5,
                zero_point: int | None = None) -> QParams:
    """A grid with a float32 scale; a random zero point unless one is given.

    Parameters
    ----------
    low, high : of the scale, if it is not decimal.
    """
    scale = rng.choice(_DECIMALS) if is_decimal else np.exp(rng.uniform(np.log(low), np.log(high)))
    zero = int(rng.integers(qtype.min, qtype.max + 1)) if zero_point is None else zero_point
    return QParams(scale=float(np.float32(scale)), zero_point=zero, qtype=qtype)


def all_values(qtype: QType) -> NDArray[np.integer]:
    """Every integer of a type, (1, 2^bits)."""
    return np.arange(qtype.min, qtype.max + 1, dtype=qtype.dtype)[np.newaxis]


def all_pairs(qtype: QType) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Every pair of integers of a type, two arrays (2^bits, 2^bits)."""
    values = all_values(qtype)[0]
    left, right = np.meshgrid(values, values, indexing="ij")
    return left.copy(), right.copy()


def random_values(rng: np.random.Generator, qtype: QType, shape: tuple[int, ...]) -> NDArray[np.integer]:
    """Integers of a type, each as likely."""
    return rng.integers(qtype.min, qtype.max + 1, shape).astype(qtype.dtype)
