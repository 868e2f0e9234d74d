"""How an array of a model lies as a batch of matrices."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Arrangement:
    """An array as (batch, rows, columns): seen in `shape`, its dimensions put in `order`, then merged into three.

    Parameters
    ----------
    shape : a shape of the array's elements in their own order.
    order : a permutation of its dimensions.
    batch_rank, rows_rank : how many of the permuted dimensions form the batch, and how many the rows; the rest are columns.

    Examples
    --------
    A matrix whose transpose is meant:

    >>> a = Arrangement(shape=(2, 3), order=(1, 0), batch_rank=0, rows_rank=1)
    >>> a.matrices(np.arange(6)).tolist()
    [[[0, 3], [1, 4], [2, 5]]]
    >>> a.restored(a.matrices(np.arange(6))).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    batch_rank: int
    rows_rank: int

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(self.shape[axis] for axis in self.order)

    def matrices(self, array: NDArray[Any]) -> NDArray[Any]:
        """(batch, rows, columns) of an array with these elements."""
        sizes, first, second = self._sizes, self.batch_rank, self.batch_rank + self.rows_rank
        merged = (prod(sizes[:first]), prod(sizes[first:second]), prod(sizes[second:]))
        return np.asarray(array).reshape(self.shape).transpose(self.order).reshape(merged)

    def restored(self, matrices: NDArray[Any]) -> NDArray[Any]:
        """The array in `shape`, of (batch, rows, columns)."""
        return np.asarray(matrices).reshape(self._sizes).transpose(np.argsort(self.order))
