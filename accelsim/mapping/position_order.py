"""How the output positions of a layer are numbered where a block of them is a rectangle of one image.

Steps of a program name positions by ranges [m0, m1). Whole images, rows of an image and parts of a row are ranges of the
usual order, (image, row, column) with columns fastest. Rectangles are not: their layer counts its positions block by block,
the blocks of an image row by row of blocks, the positions of a block row by row::

    2 x 2 blocks of 3 x 5 positions:    0  1 |  4  5 |  8
                                        2  3 |  6  7 |  9
                                       ------+-------+---
                                       10 11 | 12 13 | 14

So a block is a range again, and everything that only counts positions needs no other rule. Integers lie where they always
do: who reads or writes them asks `PositionOrder` where a block lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.footprint import Positions

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PositionOrder:
    """Positions numbered block by block.

    Parameters
    ----------
    out_rows, out_columns : of an output image.
    rows, columns : of a block; those at the lower and right edge may be smaller.

    Examples
    --------
    >>> order = PositionOrder(out_rows=3, out_columns=5, rows=2, columns=2)
    >>> order.natural(np.arange(15)).tolist()
    [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]
    >>> order.block((8, 10))
    Positions(images=(0, 1), rows=(0, 2), columns=(4, 5))
    """

    out_rows: int
    out_columns: int
    rows: int
    columns: int

    def natural(self, m: Numbers) -> Numbers:
        """The numbers of positions in the usual order."""
        place = self._places(m)
        row, column = np.divmod(place.rest, place.width)
        return ((place.image * self.out_rows + place.row + row) * self.out_columns + place.column + column)

    def block(self, m: tuple[int, int]) -> Positions:
        """Where the block [m0, m1) lies."""
        place = self._places(np.array(m[0]))
        image, row, column, height, width, rest = (int(number) for number in place)
        assert (rest, m[1] - m[0]) == (0, height * width), f"positions {m} are no block"
        return Positions((image, image + 1), (row, row + height), (column, column + width))

    def _places(self, m: Numbers) -> _Places:
        """The blocks that positions lie in. Blocks above one fill whole rows, those to its left have its height."""
        image, rest = np.divmod(m, self.out_rows * self.out_columns)
        row = rest // (self.rows * self.out_columns) * self.rows
        rest = rest - row * self.out_columns
        height = np.minimum(self.rows, self.out_rows - row)
        column = rest // (height * self.columns) * self.columns
        rest = rest - height * column
        return _Places(image, row, column, height, np.minimum(self.columns, self.out_columns - column), rest)


class _Places(NamedTuple):
    """Blocks by image, first row and column, height and width; `rest` counts a position in its block."""

    image: Numbers
    row: Numbers
    column: Numbers
    height: Numbers
    width: Numbers
    rest: Numbers
