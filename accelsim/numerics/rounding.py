"""Rounding of exact integers on a shift to the right: one named primitive per rule.

Every primitive computes ``round(x / 2^n)`` from the two parts of x, with no number in between that could overflow:

    floor = x >> n                     (arithmetic: toward minus infinity)
    rest  = x - floor * 2^n            (0 <= rest < 2^n)
    result = floor + (0 or 1)

===========  ==========================================  ==========================================================
rule         adds 1 when                                 who rounds so
===========  ==========================================  ==========================================================
floor        never                                       PULP-NN, NEMO, NE16
truncate     x < 0 and rest > 0                          division of C
half_up      rest >= 2^(n-1)                             TFLite single, TOSA single, ruy, QuantLib, Deeploy
half_away    rest > 2^(n-1), or a tie and x >= 0         gemmlowp RoundingDivideByPOT, CMSIS-NN, NVDLA
half_even    rest > 2^(n-1), or a tie and floor odd      ONNX, XNNPACK, torch, HAWQ-V3
stochastic   u < rest, u uniform in 0..2^n - 1           training (Gupta et al. 2015): the mean is exactly x / 2^n
===========  ==========================================  ==========================================================

Values are integers of any shape, int64 or larger (see `integer_array`); shifts are integers >= 0, broadcast against the
values (one per channel). ``n = 0`` returns x. Saturation: none. Overflow: none, because |result| <= |x|; int64 in gives
int64 out, and shifts above 62 are computed in Python integers.

Examples
--------
>>> ties = [-5, -3, -1, 1, 3, 5]  # halves of odd numbers
>>> for rule in ("floor", "truncate", "half_up", "half_away", "half_even"):
...     shift_right(ties, 1, rule).tolist()
[-3, -2, -1, 0, 1, 2]
[-2, -1, 0, 0, 1, 2]
[-2, -1, 0, 1, 2, 3]
[-3, -2, -1, 1, 2, 3]
[-2, -2, 0, 0, 2, 2]
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import Integers, as_integers, extremes, narrowed
from accelsim.numerics.rule_names import Rounding as Rounding

#: int64 holds 2^n - 1 and x >> n for n up to here; larger shifts go through Python integers.
LARGEST_INT64_SHIFT = 62


def shift_right(
    values: ArrayLike, shift: ArrayLike, rounding: Rounding, *, generator: np.random.Generator | None = None
) -> Integers:
    """``round(values / 2^shift)`` by the rule of that name.

    Parameters
    ----------
    values : exact integers, any shape.
    shift : integers >= 0, broadcast against the values.
    rounding : a name of the table above.
    generator : the source of u; needed by "stochastic", refused by nobody else.

    Raises
    ------
    NumericsError : an unknown rule, a negative shift, values that are not integers, stochastic without a generator.
    """
    if rounding == "stochastic":
        if generator is None:
            raise NumericsError("expected a random generator for stochastic rounding, got none", field="generator")
        return shift_stochastic(values, shift, generator)
    rules = {"floor": shift_floor, "truncate": shift_truncate, "half_up": shift_half_up,
             "half_away": shift_half_away, "half_even": shift_half_even}
    if rounding not in rules:
        raise NumericsError(f'expected one of {", ".join(get_args(Rounding))}, got "{rounding}"', field="rounding")
    return rules[rounding](values, shift)


def shift_floor(values: ArrayLike, shift: ArrayLike) -> Integers:
    """``floor(x / 2^n)``: the arithmetic shift itself. No saturation, no overflow.

    >>> shift_floor([-3, 3], 1).tolist()
    [-2, 1]
    """
    x, n = _operands(values, shift)
    return _exact(np.right_shift(x, n))


def shift_truncate(values: ArrayLike, shift: ArrayLike) -> Integers:
    """``trunc(x / 2^n)``: toward zero, as C divides. No saturation, no overflow.

    >>> shift_truncate([-3, 3], 1).tolist()
    [-1, 1]
    """
    x, n = _operands(values, shift)
    floor, rest = _parts(x, n)
    return _exact(floor + ((x < 0) & (rest > 0)))


def shift_half_up(values: ArrayLike, shift: ArrayLike) -> Integers:
    """``floor(x / 2^n + 1/2)``: to nearest, ties toward plus infinity. No saturation, no overflow.

    Computed as ``(x >> n) + bit n-1 of x``, equal to ``(x + 2^(n-1)) >> n`` and free of its overflow near 2^63.

    >>> shift_half_up([-3, -1, 1, 3], 1).tolist()
    [-1, 0, 1, 2]
    """
    x, n = _operands(values, shift)
    below = np.right_shift(x, np.maximum(n - 1, 0)) & np.minimum(n, 1)
    return _exact(np.right_shift(x, n) + below)


def shift_half_away(values: ArrayLike, shift: ArrayLike) -> Integers:
    """``sign(x) * floor(|x| / 2^n + 1/2)``: to nearest, ties away from zero. No saturation, no overflow.

    >>> shift_half_away([-3, -1, 1, 3], 1).tolist()
    [-2, -1, 1, 2]
    """
    x, n = _operands(values, shift)
    floor, rest = _parts(x, n)
    half = _half(n)
    return _exact(floor + ((rest > half) | ((rest == half) & (x >= 0))))


def shift_half_even(values: ArrayLike, shift: ArrayLike) -> Integers:
    """``rint(x / 2^n)``: to nearest, ties to the even neighbour, as IEEE 754 rounds. No saturation, no overflow.

    >>> shift_half_even([-3, -1, 1, 3], 1).tolist()
    [-2, 0, 0, 2]
    """
    x, n = _operands(values, shift)
    floor, rest = _parts(x, n)
    half = _half(n)
    is_odd = (floor & 1) == 1
    return _exact(floor + ((rest > half) | ((rest == half) & is_odd)))


def shift_stochastic(values: ArrayLike, shift: ArrayLike, generator: np.random.Generator) -> Integers:
    """``floor(x / 2^n)`` plus 1 with probability exactly ``rest / 2^n``: ``u < rest``, u uniform in 0..2^n - 1.

    The mean over generators is x / 2^n with no bias (Gupta et al. 2015, "Deep Learning with Limited Numerical Precision",
    section 3). No saturation, no overflow. One u is drawn per value, in C order, whether or not it decides anything.

    >>> shift_stochastic([8, 8], 2, np.random.default_rng(0)).tolist()  # a multiple of 4 is exact
    [2, 2]
    """
    x, n = _operands(values, shift)
    floor, rest = _parts(x, n)
    return _exact(floor + (_uniform(np.broadcast_to(n, rest.shape), generator) < rest))


def _operands(values: ArrayLike, shift: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """(x, n) in one dtype: int64 if it is wide enough for all of them, else Python integers."""
    x, n = as_integers(values), as_integers(shift, "shift")
    smallest, largest = extremes(n)
    if smallest < 0:
        raise NumericsError(f"expected a shift of at least 0, got {smallest}", field="shift")
    if largest > LARGEST_INT64_SHIFT or x.dtype == object:
        return x.astype(object), n.astype(object)
    return x, n


def _parts(x: NDArray[Any], n: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(floor, rest) with ``x = floor * 2^n + rest`` and ``0 <= rest < 2^n``."""
    one = np.asarray(1, dtype=x.dtype)
    return np.asarray(np.right_shift(x, n), dtype=x.dtype), np.asarray(x & (np.left_shift(one, n) - 1), dtype=x.dtype)


def _half(n: NDArray[Any]) -> NDArray[Any]:
    """2^(n-1); 1 for n = 0, which no rest reaches."""
    one = np.asarray(1, dtype=n.dtype)
    return np.asarray(np.left_shift(one, np.asarray(np.maximum(n, 1) - 1, dtype=n.dtype)), dtype=n.dtype)


def _uniform(n: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """One integer per element, uniform in 0..2^n - 1."""
    if n.dtype != object:
        return np.asarray(generator.integers(0, np.left_shift(np.int64(1), n), dtype=np.int64))
    drawn = [int.from_bytes(generator.bytes((int(bits) + 7) // 8), "little") & ((1 << int(bits)) - 1) for bits in n.flat]
    return np.array(drawn, dtype=object).reshape(n.shape)


def _exact(result: Any) -> Integers:
    """An array, also where numpy unpacks 0-d results of Python integers."""
    return narrowed(np.asarray(result) if isinstance(result, np.ndarray | np.generic) else np.asarray(result, dtype=object))
