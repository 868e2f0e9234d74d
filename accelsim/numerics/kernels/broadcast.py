"""One element-wise computation on arrays that broadcast: through a table of all operand values, or block by block.

Element-wise units see few distinct operands: two int8 ones have 65,536 pairs. Where there are more outputs than that, the
computation is done once per pair and looked up, which changes no integer; else it is done in blocks, so that temporaries
stay small whatever the image's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType

#: Operands of one shape (or that broadcast) to outputs of that shape.
Computation = Callable[..., NDArray[Any]]

#: Elements that are computed at once: half a megabyte of int64.
BLOCK_ELEMENTS = 2**16

#: All values of the operands together that are still tabulated: two operands of 8 bits, one of 16.
_TABLE_BITS = 16


def evaluated(compute: Computation, operands: Sequence[NDArray[Any]], qtypes: Sequence[QType]) -> NDArray[Any]:
    """``compute(*operands)``, where every output depends on the operands at its own place alone.

    Parameters
    ----------
    compute : called with arrays in the operands' dtypes.
    operands : integers within `qtypes`, that broadcast.

    Returns
    -------
    Array of the broadcast shape, dtype of `compute`'s.

    Examples
    --------
    >>> evaluated(lambda a, b: a + b, [np.array([[1], [2]]), np.array([10, 20])], [QType(8, True)] * 2).tolist()
    [[11, 21], [12, 22]]
    """
    shape = broadcast_shape(operands)
    if not shape:
        return evaluated(compute, [operand.reshape(1) for operand in operands], qtypes).reshape(())
    bits = sum(qtype.bits for qtype in qtypes)
    if bits > _TABLE_BITS or prod(shape) <= 2**bits:
        return _by_blocks(compute, operands, shape)
    count = len(qtypes)
    domains = [np.arange(qtype.min, qtype.max + 1, dtype=qtype.dtype) for qtype in qtypes]
    table = compute(*(domain.reshape([-1 if axis == place else 1 for axis in range(count)])
                      for place, domain in enumerate(domains)))
    strides = [prod(domain.size for domain in domains[place + 1:]) for place in range(count)]
    offset = sum(stride * qtype.min for stride, qtype in zip(strides, qtypes, strict=True))
    flat = np.broadcast_to(table, [domain.size for domain in domains]).reshape(-1)

    def looked_up(*blocks: NDArray[Any]) -> NDArray[Any]:
        indices = sum(block.astype(np.intp) * stride for block, stride in zip(blocks, strides, strict=True))
        return np.asarray(flat[indices - offset])

    return _by_blocks(looked_up, operands, shape)


def broadcast_shape(operands: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """The common shape.

    Raises
    ------
    NumericsError : shapes that do not broadcast.
    """
    try:
        return np.broadcast_shapes(*(operand.shape for operand in operands))
    except ValueError:
        found = " and ".join(str(operand.shape) for operand in operands)
        raise NumericsError(f"expected shapes that broadcast, got {found}", field="inputs") from None


def merged_operands(inputs: Sequence[NDArray[Any]], constants: Mapping[int, NDArray[Any]],
                    count: int) -> list[NDArray[Any]]:
    """All operands of a kernel: constants at their own positions, activations in the remaining ones.

    Raises
    ------
    NumericsError : another number of activations than positions that are left.

    Examples
    --------
    >>> merged_operands([np.array(7)], {0: np.array(5)}, 2)
    [array(5), array(7)]
    """
    left = count - len(constants)
    if len(inputs) != left:
        raise NumericsError(f"expected {left} tensor{'s' if left != 1 else ''}, got {len(inputs)}", field="inputs")
    rest = iter(inputs)
    return [np.asarray(constants[place] if place in constants else next(rest)) for place in range(count)]


def check_operands(grids: Sequence[QParams], output: QParams, constants: Mapping[int, NDArray[Any]]) -> None:
    """Refuses what no element-wise kernel takes.

    Raises
    ------
    NumericsError : no operand, scales a channel, constants at no position or outside their type.
    """
    if not grids:
        raise NumericsError("expected at least one operand, got none", field="inputs")
    if any(grid.axis is not None for grid in (*grids, output)):
        raise NumericsError("expected activations with one scale a tensor, got a list of scales", field="scale")
    for place, values in constants.items():
        if not 0 <= place < len(grids):
            raise NumericsError(f"expected a position in 0..{len(grids) - 1}, got {place}", field="constants")
        qtype = grids[place].qtype
        if not qtype.holds(values):
            raise NumericsError(f"expected {qtype.range_text} ({qtype.name}), got {np.min(values)}..{np.max(values)}",
                                field="constants")


def check_clamp(clamp_min: int, clamp_max: int, qtype: QType) -> None:
    """Refuses an output range that is empty or leaves the type.

    Raises
    ------
    NumericsError : such a range.
    """
    if not qtype.min <= clamp_min <= clamp_max <= qtype.max:
        raise NumericsError(f"expected a range within {qtype.range_text} ({qtype.name}), got {clamp_min}..{clamp_max}",
                            field="clamp_min")


def blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices that cover an array of this shape, each of at most `BLOCK_ELEMENTS` elements.

    >>> [[(s.start, s.stop) for s in block] for block in blocks((2, 2**15 + 1))]
    [[(0, 2), (0, 16385)], [(0, 2), (16385, 32769)]]
    """
    pending = [tuple(slice(0, size) for size in shape)]
    while pending:
        block = pending.pop()
        sizes = [part.stop - part.start for part in block]
        if prod(sizes) <= BLOCK_ELEMENTS:
            yield block
            continue
        axis = max(range(len(sizes)), key=sizes.__getitem__)
        low, high = block[axis].start, block[axis].stop
        middle = low + (high - low + 1) // 2
        pending += [(*block[:axis], slice(*part), *block[axis + 1:]) for part in ((middle, high), (low, middle))]


def _by_blocks(compute: Computation, operands: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    spread = [np.broadcast_to(operand, shape) for operand in operands]
    if prod(shape) <= BLOCK_ELEMENTS:
        return np.asarray(compute(*spread))
    result: NDArray[Any] | None = None
    for block in blocks(shape):
        found = compute(*(operand[block] for operand in spread))
        if result is None:
            result = np.empty(shape, dtype=found.dtype)
        result[block] = found
    assert result is not None
    return result
