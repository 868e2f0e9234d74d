"""Sums of float32 numbers in the order in which onnxruntime's reductions add them.

Which elements of an axis meet first shows in a sum's last bits. Seen as (outer, R, inner) with R the reduced elements:

=========================  ============================================================================================
reduced axes               order
=========================  ============================================================================================
the last (inner = 1)       four lanes, each twice unrolled from the row's first 16-byte border; lanes 0 + 2 and 1 + 3 are
                           joined, then both, then what lies before and behind the lanes, one by one
the first (outer = 1)      one row after the other
between (outer, inner > 1) groups of four rows from the left, then one of two, then one of one; groups one after the other
=========================  ============================================================================================

Other axes are moved to the end and summed as the last, which is not onnxruntime's order; nor is the first row where a single
element stays behind the reduced ones, as in the sum of (N, C, 1) over C.

Sources: Eigen `Eigen/src/Core/Redux.h` (LinearVectorizedTraversal with packets of 4); onnxruntime
`onnxruntime/core/providers/cpu/reduction/reduction_ops.h` ReduceAggregatorSum; the third row, a matrix product with ones, is
measured: 0 of 48,770 sums of 2 to 39 rows differ.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

#: float32 elements of a vector register. Source: Eigen, SSE packets.
_LANES = 4


def summed(values: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    """The sums along some axes, which stay with one element.

    Parameters
    ----------
    values : any shape.
    axes : at least one, each in 0..rank-1 and once.

    Examples
    --------
    >>> x = np.array([[2**24, 1, 0, 1, 0, 1, 0, 1]] * 2, np.float32)  # in float32, 2^24 + 1 is 2^24
    >>> (summed(x, (1,)) - x[0, 0]).ravel().tolist(), (summed(x.T, (0,)) - x[0, 0]).ravel().tolist()
    ([4.0, 4.0], [0.0, 0.0])
    """
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(values.shape))
    real = [axis for axis, size in enumerate(values.shape) if size > 1]
    reduced = [axis for axis in real if axis in axes]
    if not reduced:
        return values.reshape(kept).copy()
    adjoining = real.index(reduced[-1]) - real.index(reduced[0]) + 1 == len(reduced)
    if not adjoining:
        rest = [axis for axis in range(values.ndim) if axis not in axes]
        moved = values.transpose(*rest, *axes)
        return _of_rows(moved.reshape(prod(values.shape[axis] for axis in rest), -1)).reshape(kept)
    outer = prod(values.shape[:reduced[0]])
    inner = prod(values.shape[reduced[-1] + 1:])
    seen = np.ascontiguousarray(values).reshape(outer, -1, inner)
    if inner == 1:
        return _of_rows(seen[:, :, 0]).reshape(kept)
    return (_of_columns(seen, 1) if outer == 1 else _of_columns(seen, _LANES)).reshape(kept)


def _of_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of the rows of a contiguous matrix whose first element lies on a 16-byte border."""
    count, size = rows.shape
    borders = -(np.arange(count) * size) % _LANES
    result = np.empty(count, dtype=np.float32)
    for border in np.unique(borders):
        mine = borders == border
        result[mine] = _of_aligned_rows(rows[mine], int(border))
    return result


def _of_aligned_rows(rows: NDArray[np.float32], border: int) -> NDArray[np.float32]:
    """Rows whose element `border` is the first on a 16-byte border."""
    packets = max(0, rows.shape[1] - border) // _LANES
    if packets == 0:
        return _one_by_one(rows)
    end = border + packets * _LANES
    lanes = rows[:, border:end].reshape(rows.shape[0], packets, _LANES)
    paired = packets - packets % 2
    total = _one_by_one(lanes[:, 0:paired:2]) + _one_by_one(lanes[:, 1:paired:2]) if paired else lanes[:, 0]
    if paired and packets > paired:
        total = total + lanes[:, paired]
    joined = (total[:, 0] + total[:, 2]) + (total[:, 1] + total[:, 3])
    rest = np.concatenate([joined[:, np.newaxis], rows[:, :border], rows[:, end:]], axis=1)
    return _one_by_one(rest)


def _of_columns(values: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    """Sums over the middle of (outer, R, inner): groups of that many rows, then halves of it, each group one by one."""
    parts, first = [], 0
    while first < values.shape[1]:
        while first + group > values.shape[1]:
            group //= 2
        parts.append(_one_by_one(values[:, first:first + group]))
        first += group
    return _one_by_one(np.stack(parts, axis=1))


def _one_by_one(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums along axis 1, from the left."""
    total = values[:, 0].copy()
    for place in range(1, values.shape[1]):
        total += values[:, place]
    return total
