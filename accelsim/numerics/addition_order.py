"""In which order a grid adds the products of one output, and through which registers.

================  ============================================================  ==============================
kind              what is added                                                 grids
================  ============================================================  ==============================
products          the accumulator adds one product after the other              output stationary
column_sums       each column sum starts at 0 and adds product by product on    weight and input stationary
                  the wires between PEs; the accumulator adds it once a fold
fold_sums         an exact adder tree adds a fold; the accumulator adds that    dot_product
================  ============================================================  ==============================

K runs (r, s, c), c fastest, ascending over the folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: Products that are bounded together; longer runs have looser bounds, shorter ones more of them.
_RUN = 16

AdditionKind = Literal["products", "column_sums", "fold_sums"]


@dataclass(frozen=True)
class AdditionOrder:
    """The order of additions of a range of reduction steps.

    Parameters
    ----------
    kind : as in the table above.
    pieces : lengths of the folds' pieces of the range, in order; each at least 1. `products` does not look at them.

    Examples
    --------
    >>> AdditionOrder("column_sums", (16, 16, 4)).starts.tolist()
    [0, 16, 32]
    """

    kind: AdditionKind
    pieces: tuple[int, ...]

    @cached_property
    def length(self) -> int:
        """Reduction steps of the whole range."""
        return sum(self.pieces)

    @cached_property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Ranges of steps that can be looked at together: the folds, or short runs where every product is an addition.

        >>> AdditionOrder("products", (40,)).runs
        ((0, 16), (16, 32), (32, 40))
        """
        folds = (0, *accumulate(self.pieces))
        edges = (*range(0, self.length, _RUN), self.length) if self.kind == "products" else folds
        return tuple(pairwise(edges))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First step of each piece."""
        return np.cumsum((0, *self.pieces[:-1]), dtype=np.int64)
