"""A register that adds one addend after the other, for many outputs side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register


class Places(NamedTuple):
    """Where values did not fit, as columns: output m, step k, on the wires or not, the exact value, what was kept."""

    m: NDArray[np.int64]
    k: NDArray[np.int64]
    on_wires: NDArray[np.bool_]
    exact: Integers
    kept: Integers


class Walk(NamedTuple):
    """What the registers hold at the end, (outputs,), and the overflows on the way, None if there were none."""

    kept: Integers
    events: Places | None


def walk(addends: NDArray[Any], held: Integers, register: Register, *, steps: NDArray[np.int64], on_wires: bool) -> Walk:
    """Add the columns of `addends` one after the other.

    Parameters
    ----------
    addends : (outputs, additions), in a type that holds every partial sum of a row and `held`.
    held : (outputs,), what the register held before, within its range.
    register : "error" goes on as "wrap" does.
    steps : (additions,), what events call them.

    Examples
    --------
    >>> walked = walk(np.array([[100, 100, -100]]), np.array([0]), Register(8, "wrap"), steps=np.arange(3), on_wires=False)
    >>> walked.kept.tolist(), walked.events.k.tolist(), walked.events.exact.tolist(), walked.events.kept.tolist()
    ([100], [1, 2], [200, -156], [-56, 100])
    """
    sums = np.cumsum(addends, axis=1, dtype=addends.dtype)
    sums += held.astype(addends.dtype)[:, None]
    leaves = (sums.max(axis=1) > register.max) | (sums.min(axis=1) < register.min)
    kept = _widened(sums[:, -1]).copy()
    rows = np.flatnonzero(leaves)
    if not rows.size:
        return Walk(kept, None)
    if register.overflow == "saturate":
        end, places = _saturating(addends[rows], held[rows], register)
    else:
        end, places = _wrapping(sums[rows], addends[rows], held[rows], register)
    kept[rows] = end
    is_on_wires = np.full(places.m.size, on_wires, dtype=np.bool_)
    return Walk(kept, Places(rows[places.m], steps[places.k], is_on_wires, places.exact, places.kept))


class _Found(NamedTuple):
    m: NDArray[np.int64]
    k: NDArray[np.int64]
    exact: Integers
    kept: Integers


def _wrapping(sums: NDArray[Any], addends: NDArray[Any], held: Integers, register: Register) -> tuple[Integers, _Found]:
    """A wrapping register holds the unlimited sum modulo 2^P, so an event is a step at which the count of wraps changes."""
    turns = (sums - register.min) >> register.bits
    before = np.concatenate([np.zeros_like(turns[:, :1]), turns[:, :-1]], axis=1)
    m, k = np.nonzero(turns != before)
    exact = sums[m, k] - (before[m, k] << register.bits)
    return _wrapped(sums[:, -1], register), _Found(m, k, _widened(exact), _wrapped(sums[m, k], register))


def _wrapped(values: Integers, register: Register) -> Integers:
    """The values modulo 2^P, as the register reads them."""
    return Register(register.bits, "wrap").store(_widened(values))


def _widened(values: NDArray[Any]) -> Integers:
    return values.astype(np.int64) if values.dtype != object else values


def _saturating(addends: NDArray[Any], held: Integers, register: Register) -> tuple[Integers, _Found]:
    """A saturating register forgets what it cut off, so it is walked step by step."""
    wide = np.int64 if addends.dtype != object else object
    kept, found = held.astype(wide), []
    for k, column in enumerate(addends.T.astype(wide)):
        exact = kept + column
        kept = np.clip(exact, register.min, register.max)
        m = np.flatnonzero(kept != exact)
        if m.size:
            found.append(_Found(m, np.full(m.size, k), exact[m], kept[m]))
    columns = (np.concatenate([getattr(part, name) for part in found]) for name in _Found._fields)
    return kept, _Found(*columns)
