"""Channels to blocks of pixels and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.operands import only
from accelsim.numerics.rule import Rule

#: The order of a block in the channels: (row, column, channel) or (channel, row, column).
BlockOrder = Literal["DCR", "CRD"]


@dataclass(frozen=True, eq=False)
class DepthToSpaceKernel:
    """Every ``block^2`` channels become a block of pixels: (n, C, H, W) to (n, C / block^2, H * block, W * block).

    Parameters
    ----------
    block : side of a block, at least 1.
    mode : "DCR": channel ``(row * block + column) * D + d`` holds d of that pixel (TFLite's order too); "CRD": channel
        ``(d * block + row) * block + column``.
    channels_last : whether x lies as (n, H, W, C).

    Raises
    ------
    NumericsError : a tensor that is not of rank 4; channels that block^2 does not divide.

    Examples
    --------
    >>> x = np.arange(8, dtype=np.int8).reshape(1, 8, 1, 1)
    >>> for mode in ("DCR", "CRD"):
    ...     DepthToSpaceKernel(2, mode).run([x], Rule("dyadic")).tolist()
    [[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]
    [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
    """

    block: int
    mode: BlockOrder = "DCR"
    channels_last: bool = False

    def __post_init__(self) -> None:
        _require_block(self.block)
        if self.mode not in get_args(BlockOrder):
            raise NumericsError(f'expected one of {", ".join(get_args(BlockOrder))}, got "{self.mode}"', field="mode")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = _channels_first(only(inputs), self.channels_last)
        n, channels, height, width = x.shape
        depth, rest = divmod(channels, self.block**2)
        if rest:
            raise NumericsError(f"expected channels in multiples of {self.block**2}, got {channels}", field="block")
        if self.mode == "DCR":
            split = x.reshape(n, self.block, self.block, depth, height, width).transpose(0, 3, 4, 1, 5, 2)
        else:
            split = x.reshape(n, depth, self.block, self.block, height, width).transpose(0, 1, 4, 2, 5, 3)
        return _as_laid(split.reshape(n, depth, height * self.block, width * self.block), self.channels_last)


@dataclass(frozen=True, eq=False)
class SpaceToDepthKernel:
    """Every block of pixels becomes ``block^2`` times the channels; undoes `DepthToSpaceKernel` of mode "DCR".

    Parameters
    ----------
    block : side of a block, at least 1.
    channels_last : whether x lies as (n, H, W, C).

    Raises
    ------
    NumericsError : a tensor that is not of rank 4; height or width that the block does not divide.

    Examples
    --------
    >>> x = np.arange(4, dtype=np.int8).reshape(1, 1, 2, 2)
    >>> SpaceToDepthKernel(2).run([x], Rule("dyadic")).shape
    (1, 4, 1, 1)
    """

    block: int
    channels_last: bool = False

    def __post_init__(self) -> None:
        _require_block(self.block)

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = _channels_first(only(inputs), self.channels_last)
        n, channels, height, width = x.shape
        if height % self.block or width % self.block:
            raise NumericsError(f"expected height and width in multiples of {self.block}, got {height} x {width}",
                                field="block")
        rows, columns = height // self.block, width // self.block
        split = x.reshape(n, channels, rows, self.block, columns, self.block).transpose(0, 3, 5, 1, 2, 4)
        return _as_laid(split.reshape(n, channels * self.block**2, rows, columns), self.channels_last)


def _require_block(block: int) -> None:
    if block < 1:
        raise NumericsError(f"expected at least 1, got {block}", field="block")


def _channels_first(x: NDArray[Any], is_channels_last: bool) -> NDArray[Any]:
    if x.ndim != 4:
        raise NumericsError(f"expected a tensor of rank 4, got shape {x.shape}", field="inputs")
    return x.transpose(0, 3, 1, 2) if is_channels_last else x


def _as_laid(x: NDArray[Any], is_channels_last: bool) -> NDArray[Any]:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if is_channels_last else x)
