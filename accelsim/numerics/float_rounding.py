"""The same rounding rules on floating-point numbers: real -> integral float of the same type.

Every primitive splits x without error: ``whole = trunc(x)``, ``fraction = x - whole`` (exact: the fraction's bits are a
subset of x's). The popular ``floor(x + 0.5)`` is rejected, because the sum itself rounds: 0.49999999999999994 + 0.5 is 1.0.

Saturation: none; the caller clamps. Overflow: none; a result is a float, and floats from 2^52 (2^23 in float32) are integral
already. NaN and infinities are refused, since no integer is nearest to them.

Examples
--------
>>> ties = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
>>> for rule in ("floor", "truncate", "half_up", "half_away", "half_even"):
...     round_float(ties, rule).astype(int).tolist()
[-3, -2, -1, 0, 1, 2]
[-2, -1, 0, 0, 1, 2]
[-2, -1, 0, 1, 2, 3]
[-3, -2, -1, 1, 2, 3]
[-2, -2, 0, 0, 2, 2]
>>> round_float(0.49999999999999994, "half_up").item()
0.0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.rounding import Rounding

Floats = NDArray[Any]


def round_float(values: ArrayLike, rounding: Rounding, *, generator: np.random.Generator | None = None) -> Floats:
    """``round(values)`` by the rule of that name, in the values' own floating type (float64 for lists).

    Parameters
    ----------
    values : finite numbers of any shape.
    rounding : a name of `rounding.Rounding`.
    generator : the source of u; needed by "stochastic".

    Raises
    ------
    NumericsError : NaN, an infinity, an unknown rule, stochastic without a generator.
    """
    x = np.asarray(values)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if not np.all(np.isfinite(x)):
        raise NumericsError("expected finite numbers, got NaN or infinity", field="values")
    if rounding == "stochastic":
        if generator is None:
            raise NumericsError("expected a random generator for stochastic rounding, got none", field="generator")
        return _stochastic(x, generator)
    rules: dict[str, Callable[[Floats], Any]] = {
        "floor": np.floor, "truncate": np.trunc, "half_up": _half_up, "half_away": _half_away, "half_even": np.rint}
    if rounding not in rules:
        raise NumericsError(f'expected one of {", ".join(get_args(Rounding))}, got "{rounding}"', field="rounding")
    return np.asarray(rules[rounding](x))


def _half_up(x: Floats) -> Floats:
    """``floor(x + 1/2)`` of the real sum: ties toward plus infinity."""
    whole = np.trunc(x)
    fraction = x - whole
    return np.asarray(whole + (fraction >= 0.5) - (fraction < -0.5), dtype=x.dtype)


def _half_away(x: Floats) -> Floats:
    """``sign(x) * floor(|x| + 1/2)`` of the real sum: ties away from zero, as C's round()."""
    whole = np.trunc(x)
    fraction = x - whole
    return np.asarray(whole + (fraction >= 0.5) - (fraction <= -0.5), dtype=x.dtype)


def _stochastic(x: Floats, generator: np.random.Generator) -> Floats:
    """``trunc(x)``, away from zero with probability |x - trunc(x)| (to within u's step of 2^-53)."""
    whole = np.trunc(x)
    fraction = x - whole
    up = generator.random(x.shape) < np.abs(fraction)
    return np.asarray(whole + np.where(up, np.sign(fraction), 0), dtype=x.dtype)
