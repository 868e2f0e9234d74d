"""Products into accumulators, in the hardware's order of additions, with every overflow.

Registers wrap or saturate on the way, so the order matters: it is that of `AdditionOrder`. An overflow is an exact value
(what the register kept before, plus the addend) outside the register's range.

Most outputs need no walk. Whatever the order, each partial sum lies between the sum of the negative and that of the positive
products, ``(S - A) / 2 .. (S + A) / 2`` with ``S = x w^T`` and ``A = |x| |w|^T``: two matrix products prove for most outputs
that nothing overflows. The others are walked product by product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.exact_product import absolute_product, magnitude_sums, matrix_product
from accelsim.numerics.integer_array import Integers, magnitude, product, total
from accelsim.numerics.register import Register
from accelsim.numerics.register_walk import Places, Walk, walk

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


#: Told of the events of a number of outputs; called several times.
Told = Callable[[Overflows], None]


def accumulate(inputs: NDArray[Any], weights: NDArray[Any], held: Integers, *, order: AdditionOrder,
               accumulator: Register, wires: Register, told: Told) -> Integers:
    """What the accumulators hold after adding ``inputs @ weights^T`` to what they held, group by group.

    Parameters
    ----------
    inputs : integers (G, M, K), as the PEs get them.
    weights : integers (G, N, K).
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
    ...     held = accumulate(x, w, np.zeros((1, 1, 1), np.int64), order=AdditionOrder(kind, (3,)), told=events.append,
    ...                       accumulator=Register(8, "saturate"), wires=Register(8, "saturate"))
    ...     print(held.tolist(), len(events))
    [[[27]]] 1
    [[[100]]] 1
    """
    products = matrix_product(inputs, weights)
    result = total(held, products)
    places = np.nonzero(suspects(inputs, weights, held, products, order=order, accumulator=accumulator, wires=wires))
    if not places[0].size:
        return result
    for part in _parts(places[0].size, weights.shape[2]):
        g, m, n = (indices[part] for indices in places)
        before = held[g, m, n]
        walked = _walk_outputs(_addends(inputs[g, m], weights[g, n], before), before, order, accumulator, wires)
        result[g, m, n] = walked.kept
        if walked.events is not None:
            output, k, on_wires, exact, kept = walked.events
            told(Overflows(g[output], m[output], n[output], k, on_wires, exact, kept))
    return result.astype(np.int64)


def suspects(inputs: NDArray[Any], weights: NDArray[Any], held: Integers, products: Integers, *, order: AdditionOrder,
             accumulator: Register, wires: Register) -> NDArray[np.bool_]:
    """Outputs for which neither bound proves that nothing overflows, (G, M, N).

    First a channel's ``sum |w| * max |x|``, then an output's positive and negative parts.
    """
    found = np.zeros(products.shape, dtype=np.bool_)
    bounds = product(magnitude_sums(weights), np.asarray(magnitude(inputs)))
    wide = total(bounds, np.abs(held).max(axis=1)) > accumulator.max
    if order.kind == "column_sums":
        wide |= bounds > wires.max
    channels = np.flatnonzero(wide.any(axis=0))
    if not channels.size:
        return found
    some, start = products[..., channels], held[..., channels]
    low, high = partial_sum_range(inputs, weights[:, channels], some)
    leaves = (start + high > accumulator.max) | (start + low < accumulator.min)
    if order.kind == "column_sums":
        leaves |= (high > wires.max) | (low < wires.min)
    found[..., channels] = leaves
    return found


def partial_sum_range(inputs: NDArray[Any], weights: NDArray[Any], products: Integers) -> tuple[Integers, Integers]:
    """(sum of the negative products, sum of the positive ones) of each output, (G, M, N): no partial sum lies outside."""
    absolute = absolute_product(inputs, weights)
    return np.asarray((products - absolute) >> 1), np.asarray((products + absolute) >> 1)


def _parts(outputs: int, steps: int) -> Iterator[slice]:
    size = max(1, _CHUNK_PRODUCTS // max(1, steps))
    for first in range(0, outputs, size):
        yield slice(first, first + size)


def _addends(inputs: NDArray[Any], weights: NDArray[Any], held: Integers) -> NDArray[Any]:
    """Products (outputs, K) in the narrowest type that holds every partial sum."""
    bound = magnitude(inputs) * magnitude(weights) * inputs.shape[1] + magnitude(held)
    kind = np.int32 if bound < 2**30 else np.int64 if bound < 2**62 else object
    return np.asarray(inputs.astype(kind) * weights.astype(kind))


def _walk_outputs(addends: NDArray[Any], held: Integers, order: AdditionOrder, accumulator: Register,
                  wires: Register) -> Walk:
    """Walk some outputs, each a row of addends."""
    if order.kind == "products":
        return walk(addends, held, accumulator, steps=np.arange(addends.shape[1]), on_wires=False)
    starts = order.starts
    last_steps = starts + np.asarray(order.pieces) - 1
    sums = np.add.reduceat(addends, starts, axis=1)
    events = [] if order.kind == "fold_sums" else _walk_columns(addends, sums, order, wires)
    return walk(sums, held, accumulator, steps=last_steps, on_wires=False).joined(events)


def _walk_columns(addends: NDArray[Any], sums: NDArray[Any], order: AdditionOrder, wires: Register) -> list[Places | None]:
    """Walk the column sums of every fold; those that did not fit are changed in `sums` (outputs, folds)."""
    prefix = np.cumsum(addends, axis=1, dtype=addends.dtype)
    before = np.concatenate([np.zeros_like(prefix[:, :1]), prefix[:, order.starts[1:] - 1]], axis=1)
    prefix -= np.repeat(before, order.pieces, axis=1)
    leaves = np.logical_or.reduceat((prefix > wires.max) | (prefix < wires.min), order.starts, axis=1)
    events: list[Places | None] = []
    for piece in np.flatnonzero(leaves.any(axis=0)):
        rows = np.flatnonzero(leaves[:, piece])
        steps = order.starts[piece] + np.arange(order.pieces[piece])
        column = walk(addends[np.ix_(rows, steps)], np.zeros(rows.size, np.int64), wires, steps=steps, on_wires=True)
        sums[rows, piece] = column.kept
        assert column.events is not None
        events.append(column.events._replace(m=rows[column.events.m]))
    return events
