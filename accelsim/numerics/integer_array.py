"""Arrays of exact integers: int64 where every value fits, Python's unbounded integers where one does not.

numpy wraps silently at 64 bits, so nothing here multiplies or shifts left before a bound on the result is known. A result is
int64 exactly when all its values fit, whatever the operands were stored as; callers see one meaning and two speeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError

#: dtype int64, or object holding Python ints as soon as one value needs more than 63 bits and sign.
Integers = NDArray[Any]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def as_integers(values: ArrayLike, what: str = "values") -> Integers:
    """The values as exact integers of the same shape.

    Parameters
    ----------
    values : integers of any numpy integer type, Python ints of any size, or nested lists of them; any shape.
    what : their name in the error.

    Raises
    ------
    NumericsError : floats, booleans or anything else that is not an integer. Nothing is rounded here.

    Examples
    --------
    >>> as_integers([1, -2]).dtype, as_integers([2**63, -1]).dtype
    (dtype('int64'), dtype('O'))
    """
    array = values if isinstance(values, np.ndarray | np.generic) else np.array(values, dtype=object)
    array = np.asarray(array)
    if array.dtype.kind == "i":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "u":
        return array.astype(np.int64) if array.dtype.itemsize < 8 else narrowed(array.astype(object))
    if array.dtype.kind == "O" and all(_is_integer(value) for value in array.flat):
        return narrowed(array)
    found = array.dtype.name if array.dtype.kind != "O" else "something else"
    raise NumericsError(f"expected integers, got {found}", field=what)


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def narrowed(array: NDArray[Any]) -> Integers:
    """An object array as int64 if every value fits, else as Python ints."""
    if array.dtype != object:
        return array
    if all(INT64_MIN <= value <= INT64_MAX for value in array.flat):
        return array.astype(np.int64)
    return np.array([int(value) for value in array.flat], dtype=object).reshape(array.shape)


def extremes(array: Integers) -> tuple[int, int]:
    """(smallest, largest) as Python ints; (0, 0) of no values.

    >>> extremes(np.array([3, -5]))
    (-5, 3)
    """
    return (int(array.min()), int(array.max())) if array.size else (0, 0)


def magnitude(array: Integers) -> int:
    """max |x|, as a Python int, so that |-2^63| is right too."""
    low, high = extremes(array)
    return max(-low, high)


def magnitudes(array: Integers) -> Integers:
    """|x| of each, exact: -2^63 has no counterpart in int64.

    >>> magnitudes(np.array([-2**63, 3])).tolist() == [2**63, 3]
    True
    """
    if array.dtype != object and array.size and int(array.min()) == INT64_MIN:
        array = array.astype(object)
    return np.asarray(np.abs(array))


def product(left: Integers, right: Integers) -> Integers:
    """left * right, broadcast, exact: int64 while ``max|left| * max|right| <= 2^63 - 1``, else Python ints.

    >>> product(np.array([2**62]), np.array([4]))
    array([18446744073709551616], dtype=object)
    """
    if magnitude(left) * magnitude(right) <= INT64_MAX and left.dtype != object and right.dtype != object:
        return np.multiply(left, right)
    return narrowed(np.asarray(np.multiply(left.astype(object), right.astype(object)), dtype=object))


def total(left: Integers, right: Integers) -> Integers:
    """left + right, broadcast, exact: int64 while ``max|left| + max|right| <= 2^63 - 1``, else Python ints."""
    if magnitude(left) + magnitude(right) <= INT64_MAX and left.dtype != object and right.dtype != object:
        return np.add(left, right)
    return narrowed(np.asarray(np.add(left.astype(object), right.astype(object)), dtype=object))


def require_range(array: Integers, low: int, high: int, what: str) -> None:
    """Refuses values outside ``low..high``: for a source's registers, whose overflow it leaves undefined.

    >>> require_range(np.array([5]), 0, 3, "code")
    Traceback (most recent call last):
    accelsim.errors.NumericsError: code: expected 0..3, got 5
    """
    smallest, largest = extremes(array)
    if smallest < low or largest > high:
        raise NumericsError(f"expected {low}..{high}, got {smallest if smallest < low else largest}", field=what)
