"""A convolution's inputs as a matrix: one row an output position, one column a reduction step.

Position m counts (image, row, column) of the output, columns fastest; step k counts (r, s, c) of the window, c fastest.
What a window sees beyond the image, or between the pixels of a stretched axis, is `fill`: the zero point, or 0 once that is
subtracted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.axis import Axis

Range = tuple[int, int]


class Box(NamedTuple):
    """A block of positions: ranges of images, output rows and output columns."""

    images: Range
    rows: Range
    columns: Range


def box(m: Range, rows: Axis, columns: Axis) -> Box:
    """The block of positions [m0, m1): a part of one row, whole rows of one image, or whole images.

    Examples
    --------
    >>> box((4, 12), Axis(9, 9), Axis(4, 4))
    Box(images=(0, 1), rows=(1, 3), columns=(0, 4))
    """
    width, size, count = columns.out_size, rows.out_size * columns.out_size, m[1] - m[0]
    image, rest = divmod(m[0], size)
    row, column = divmod(rest, width)
    if column + count <= width:
        return Box((image, image + 1), (row, row + 1), (column, column + count))
    if column == 0 and count % width == 0 and rest + count <= size:
        return Box((image, image + 1), (row, row + count // width), (0, width))
    assert (rest, count % size) == (0, 0), f"positions {m} are no block of rows"
    return Box((image, image + count // size), (0, rows.out_size), (0, width))


def windows(images: NDArray[Any], rows: Axis, columns: Axis, *, m: Range, k: Range, fill: int) -> NDArray[Any]:
    """The matrix of positions [m0, m1) and steps [k0, k1), in the dtype of `images`.

    Parameters
    ----------
    images : (N, H, W, C), any strides: C are the channels of one group.
    m : positions that form a `Box`.
    fill : what padding supplies.

    Returns
    -------
    Array (m1 - m0, k1 - k0).

    Examples
    --------
    >>> x = np.arange(1, 5).reshape(1, 2, 2, 1)
    >>> windows(x, Axis(2, 2, kernel=2, pad=1), Axis(2, 2, kernel=2, pad=1), m=(0, 2), k=(0, 4), fill=0).tolist()
    [[0, 0, 0, 1], [0, 0, 1, 2]]
    """
    channels = images.shape[3]
    block, taps = box(m, rows, columns), range(k[0] // channels, -(-k[1] // channels))
    if rows.kernel * columns.kernel == 1:
        return tap(images, rows, columns, block, 0, 0, fill)[..., k[0]:k[1]].reshape(m[1] - m[0], -1)
    pieces = []
    for position in taps:
        r, s = divmod(position, columns.kernel)
        first, last = max(k[0] - position * channels, 0), min(k[1] - position * channels, channels)
        pieces.append(tap(images[..., first:last], rows, columns, block, r, s, fill))
    return np.concatenate(pieces, axis=3).reshape(m[1] - m[0], k[1] - k[0])


def group_windows(images: NDArray[Any], rows: Axis, columns: Axis, *, groups: int, m: Range, fill: int) -> NDArray[Any]:
    """`windows` of several groups side by side, all their steps: images (N, H, W, groups * C) to (groups, M, K).

    >>> x = np.arange(8).reshape(1, 2, 2, 2)
    >>> group_windows(x, Axis(2, 1, kernel=2), Axis(2, 2), groups=2, m=(0, 2), fill=0).tolist()
    [[[0, 4], [2, 6]], [[1, 5], [3, 7]]]
    """
    channels, block = images.shape[3] // groups, box(m, rows, columns)
    taps = rows.kernel * columns.kernel
    found = np.empty((groups, m[1] - m[0], taps, channels), dtype=images.dtype)
    for position in range(taps):
        r, s = divmod(position, columns.kernel)
        seen = tap(images, rows, columns, block, r, s, fill).reshape(m[1] - m[0], groups, channels)
        found[:, :, position] = seen.transpose(1, 0, 2)
    return found.reshape(groups, m[1] - m[0], taps * channels)


def tap(images: NDArray[Any], rows: Axis, columns: Axis, block: Box, r: int, s: int, fill: int) -> NDArray[Any]:
    """What kernel position (r, s) sees from every output position of a block: (images, rows, columns, C)."""
    found = images[block.images[0]:block.images[1]]
    found = _along(found, 1, rows, block.rows, r, fill)
    return _along(found, 2, columns, block.columns, s, fill)


def _along(images: NDArray[Any], dimension: int, axis: Axis, outputs: Range, offset: int, fill: int) -> NDArray[Any]:
    """One tap along one dimension: a view where all of it lies inside, else a copy with the fill."""
    first = outputs[0] * axis.stride + offset * axis.dilation - axis.pad
    count = outputs[1] - outputs[0]
    last = first + (count - 1) * axis.stride
    before: tuple[slice, ...] = (slice(None),) * dimension
    if axis.upsampling == 1 and first >= 0 and last < axis.in_size:
        return images[(*before, slice(first, last + 1, axis.stride))]
    stretched = first + np.arange(count) * axis.stride
    source = stretched // axis.upsampling
    is_real = (stretched % axis.upsampling == 0) & (source >= 0) & (source < axis.in_size)
    shape = (*images.shape[:dimension], count, *images.shape[dimension + 1:])
    taken = np.full(shape, fill, dtype=images.dtype)
    taken[(*before, is_real)] = images[(*before, source[is_real])]
    return taken
