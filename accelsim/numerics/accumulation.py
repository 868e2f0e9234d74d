"""Products into accumulators, in the hardware's order of additions, with every overflow.

Registers wrap or saturate on the way, so the order matters: it is that of `AdditionOrder`. An overflow is an exact value
(what the register kept before, plus the addend) outside the register's range.

Few products are looked at one by one. If the bounds of `BlockProducts` prove that no output overflows, its sums are the
result. Otherwise the steps are taken fold by fold: the column sums are matrix products again, and only where a fold's own
bounds leave its register is it walked product by product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts, Run
from accelsim.numerics.exact_product import as_integer_sums
from accelsim.numerics.integer_array import Integers, extremes, magnitude, magnitudes, total
from accelsim.numerics.register import Register
from accelsim.numerics.register_walk import walk

#: Products that are walked at once: 4 MB of int32.
_CHUNK_PRODUCTS = 2**20


class Overflows(NamedTuple):
    """Overflow events as columns: event i happened at output (group[i], m[i], n[i]).

    Parameters
    ----------
    group, m, n : place of the output in its block.
    k : reduction step of the addend, from 0; for a column or fold sum the last step of its fold.
    on_wires : whether it left the wires between PEs, else the accumulator.
    exact : the value that did not fit. kept : what the register holds instead.
    """

    group: NDArray[np.int64]
    m: NDArray[np.int64]
    n: NDArray[np.int64]
    k: NDArray[np.int64]
    on_wires: NDArray[np.bool_]
    exact: Integers
    kept: Integers

    def chosen(self, which: NDArray[np.bool_]) -> Overflows:
        """Some of the events."""
        return Overflows(self.group[which], self.m[which], self.n[which], self.k[which], self.on_wires[which],
                         self.exact[which], self.kept[which])


#: Told of the events of a number of outputs; called several times.
Told = Callable[[Overflows], None]


def accumulate(block: BlockProducts, held: Integers, *, order: AdditionOrder, accumulator: Register, wires: Register,
               told: Told) -> Integers:
    """What the accumulators hold after adding the products of a block to what they held.

    Parameters
    ----------
    block : inputs (G, M, K), as the PEs get them, and weights (G, N, K).
    held : int64 (G, M, N), within the accumulator's range.
    order : of the K additions.
    accumulator, wires : the registers; `wires` are those between PEs and matter for column sums alone. "error" adds as
        "wrap" does; it is for `told` to stop.
    told : called with the overflows.

    Returns
    -------
    int64 (G, M, N), within the accumulator's range.

    Examples
    --------
    >>> x, w, events = np.array([[[100, 100, -100]]], np.int8), np.array([[[1, 1, 1]]], np.int8), []
    >>> for kind in ("products", "fold_sums"):  # the running sum leaves 8 bits, the fold's does not
    ...     held = accumulate(BlockProducts(x, w), np.zeros((1, 1, 1), np.int64), order=AdditionOrder(kind, (3,)),
    ...                       accumulator=Register(8, "saturate"), wires=Register(8, "saturate"), told=events.append)
    ...     print(held.tolist(), len(events))
    [[[27]]] 1
    [[[100]]] 1
    """
    if is_safe(block, held, order=order, accumulator=accumulator, wires=wires):
        return total(held, block.integers)
    return accumulate_by_folds(block, held, order=order, accumulator=accumulator, wires=wires, told=told)


def accumulate_by_folds(block: BlockProducts, held: Integers, *, order: AdditionOrder, accumulator: Register,
                        wires: Register, told: Told) -> Integers:
    """`accumulate` without a look at whether the block as a whole is safe."""
    folds = _Folds(block, told, is_small=block.bound < 2**61 and accumulator.bits <= 62)
    for run in order.runs:
        if order.kind == "products":
            held = folds.products(held, run, accumulator)
        else:
            sums = folds.column_sums(run, wires) if order.kind == "column_sums" else folds.sums(run)
            held = folds.added(held, sums, run, accumulator)
    return held.astype(np.int64)


def preloaded(bias: Integers, register: Register) -> Integers:
    """What an accumulator holds of its bias; "error" keeps what "wrap" does.

    >>> preloaded(np.array([127, 128]), Register(8, "error")).tolist()
    [127, -128]
    """
    return Register(register.bits, "saturate" if register.overflow == "saturate" else "wrap").store(bias)


def is_safe(block: BlockProducts, held: Integers, *, order: AdditionOrder, accumulator: Register, wires: Register) -> bool:
    """Whether bounds prove that nothing overflows: that of the widest channel, then each output's own."""
    largest = magnitude(held)
    has_wires = order.kind == "column_sums"
    if block.bound + largest <= accumulator.max and (not has_wires or block.bound <= wires.max):
        return True
    up, down = (as_integer_sums(sums.max(axis=1)) // 2 for sums in block.twice_the_signed_sums)
    if has_wires and max(extremes(up)[1], extremes(down)[1]) > wires.max:
        return False
    return max(extremes(total(up, held.max(axis=1)))[1],
               extremes(total(down, magnitudes(np.minimum(held.min(axis=1), 0))))[1]) <= accumulator.max


class _Folds:
    """The products of a block, fold by fold.

    `is_small` says that sums and registers are int64 with room to spare; otherwise they are Python's integers.
    """

    def __init__(self, block: BlockProducts, told: Told, *, is_small: bool) -> None:
        self._block, self._told = block, told
        self._type: type = np.int64 if is_small else object

    def sums(self, run: Run) -> Integers:
        """Sums of the products of a run of steps, (G, M, N)."""
        return as_integer_sums(self._block.run_sums(run)).astype(self._type)

    def _range(self, run: Run, sums: Integers) -> tuple[Integers, Integers]:
        """(negative, positive) products of a run, summed."""
        magnitudes: Integers = as_integer_sums(self._block.run_magnitudes(run)).astype(self._type)
        return (sums - magnitudes) >> 1, (sums + magnitudes) >> 1

    def added(self, held: Integers, sums: Integers, run: Run, accumulator: Register) -> Integers:
        """The accumulators after one addition of each output's sum."""
        exact: Integers = held.astype(self._type) + sums
        leaves = (exact > accumulator.max) | (exact < accumulator.min)
        if not leaves.any():
            return exact
        g, m, n = np.nonzero(leaves)
        value = exact[g, m, n]
        kept = preloaded(value, accumulator)
        exact[g, m, n] = kept
        self._told(Overflows(g, m, n, np.full(g.size, run[1] - 1), np.zeros(g.size, np.bool_), value, kept))
        return exact

    def column_sums(self, run: Run, wires: Register) -> Integers:
        """What the wires hold at the end of a fold's columns."""
        sums = self.sums(run)
        if self._block.run_bound(run) <= wires.max:
            return sums
        low, high = self._range(run, sums)
        return self._walked(sums, (low < wires.min) | (high > wires.max), np.zeros_like(sums), run, wires, on_wires=True)

    def products(self, held: Integers, run: Run, accumulator: Register) -> Integers:
        """The accumulators after adding the products of a run one by one."""
        held, sums = held.astype(self._type), self.sums(run)
        result = np.asarray(held + sums)
        if self._block.run_bound(run) + magnitude(held) <= accumulator.max:
            return result
        low, high = self._range(run, sums)
        leaves = (held + low < accumulator.min) | (held + high > accumulator.max)
        return self._walked(result, leaves, held, run, accumulator, on_wires=False)

    def _walked(self, result: Integers, chosen: NDArray[np.bool_], held: Integers, run: Run, register: Register, *,
                on_wires: bool) -> Integers:
        """The result, with the chosen outputs walked product by product from what their registers held."""
        for part in parts_of(np.nonzero(chosen), run[1] - run[0]):
            before = held[part]
            addends = self._block.addends(part, run, before)
            walked = walk(addends, before, register, steps=np.arange(*run), on_wires=on_wires)
            result[part] = walked.kept
            if walked.events is not None:
                output, k, wired, exact, kept = walked.events
                g, m, n = (indices[output] for indices in part)
                self._told(Overflows(g, m, n, k, wired, exact, kept))
        return result


def parts_of(places: tuple[NDArray[Any], ...], steps: int) -> Iterator[tuple[NDArray[Any], ...]]:
    """Indices of outputs, as many at a time as can be walked at once."""
    size = max(1, _CHUNK_PRODUCTS // max(1, steps))
    for first in range(0, places[0].size, size):
        yield tuple(indices[first:first + size] for indices in places)
