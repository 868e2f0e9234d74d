"""What a convolution's windows see, as the rows (G, M, K) of a `LayerProblem`: of every output position, or of a sample.

A row is one output position of one image, its K columns run (r, s, c) with c fastest, as in `GridKernel`; beyond the image
stand zeros. Of the millions of positions of a calibration set a sample is enough to round weights by, and the same positions
taken from the float and from the quantized network give rows that belong together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.workload.operation import Convolution

#: (M, 3) int64: image, output row, output column.
Positions = NDArray[np.int64]


def all_positions(convolution: Convolution, images: int) -> Positions:
    """Every output position of so many images, columns fastest.

    >>> all_positions(Convolution(1, 1, 1, (1, 3), (1, 2)), images=2).tolist()
    [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    """
    return _positions(np.arange(_count(convolution, images)), convolution)


def sampled_positions(convolution: Convolution, *, images: int, rows: int, generator: np.random.Generator) -> Positions:
    """So many different output positions in a random order; all of them, in a random order, where there are fewer.

    Raises
    ------
    NumericsError : fewer than one row or image.
    """
    for field, count in (("rows", rows), ("images", images)):
        if count < 1:
            raise NumericsError(f"expected at least 1, got {count}", field=field)
    total = _count(convolution, images)
    return _positions(generator.choice(total, size=min(rows, total), replace=False), convolution)


def patches(images: NDArray[Any], convolution: Convolution, positions: Positions | None = None) -> NDArray[Any]:
    """Rows (G, M, K) of a convolution's inputs, in their dtype.

    Parameters
    ----------
    images : (images, C, H, W), C over all groups; as many images as there are, whatever the convolution's batch.
    convolution : its kernel, strides, pads, dilations and groups; a transposed one slides its flipped kernel over the
        stretched input.
    positions : the rows, in this order; all where None.

    Raises
    ------
    NumericsError : images of another shape; positions outside the output.

    Examples
    --------
    >>> image = np.arange(1.0, 5.0).reshape(1, 1, 2, 2)
    >>> patches(image, Convolution(1, 1, 1, (2, 2), (2, 2), pads=(1, 1, 0, 0)), np.array([[0, 0, 0], [0, 1, 1]])).tolist()
    [[[0.0, 0.0, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0]]]
    """
    expected = (convolution.in_channels, *convolution.in_size)
    if images.ndim != 4 or images.shape[1:] != expected:
        raise NumericsError(f"expected images of shape (M, {', '.join(map(str, expected))}), got {images.shape}",
                            field="images")
    if positions is None:
        positions = all_positions(convolution, len(images))
    limits = np.array([len(images), *convolution.out_size])
    if np.any(positions < 0) or np.any(positions >= limits):
        raise NumericsError(f"expected positions below {tuple(limits.tolist())}, got one outside", field="positions")
    groups, (height, width) = convolution.groups, convolution.kernel
    channels = convolution.in_channels // groups
    rows = np.zeros((groups, len(positions), height * width, channels), dtype=images.dtype)
    for tap in range(height * width):
        y, is_row = _source(positions[:, 1], tap // width, 0, convolution)
        x, is_column = _source(positions[:, 2], tap % width, 1, convolution)
        is_inside = is_row & is_column
        seen = images[positions[is_inside, 0], :, y[is_inside], x[is_inside]]
        rows[:, is_inside, tap] = seen.reshape(-1, groups, channels).swapaxes(0, 1)
    return rows.reshape(groups, len(positions), height * width * channels)


def _count(convolution: Convolution, images: int) -> int:
    height, width = convolution.out_size
    return images * height * width


def _positions(numbers: NDArray[np.int64], convolution: Convolution) -> Positions:
    height, width = convolution.out_size
    image, rest = np.divmod(numbers, height * width)
    return np.stack([image, *np.divmod(rest, width)], axis=1)


def _source(outputs: NDArray[np.int64], offset: int, axis: int, convolution: Convolution
            ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The input index that kernel position `offset` sees along an axis, and whether it is one."""
    kernel, dilation, pad = convolution.kernel[axis], convolution.dilation[axis], convolution.pads[axis]
    stride = convolution.stride[axis]
    if convolution.is_transposed:
        # The kernel slides by 1 over an input with stride - 1 zeros between neighbours, padded by what its reach leaves.
        index, rest = np.divmod(outputs + offset * dilation - (dilation * (kernel - 1) - pad), stride)
    else:
        index, rest = outputs * stride + offset * dilation - pad, np.zeros_like(outputs)
    return index, (rest == 0) & (index >= 0) & (index < convolution.in_size[axis])
