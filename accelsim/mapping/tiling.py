"""Sizes of the tiles of a grid layer, the order of the loops over them and what stays on chip meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from accelsim.mapping.footprint import Positions
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.position_order import PositionOrder
from accelsim.mapping.program import Range

#: How long a tile stays: `slice` for its step (and the next, if that needs the same), `block` while the loop around it
#: stands still, `layer` until the layer (or its group block) ends.
Scope = Literal["slice", "block", "layer"]
LoopOrder = Literal["weights_outer", "inputs_outer"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """A mapping of one grid layer.

    Parameters
    ----------
    groups : groups per block; more than one only with all of n and k.
    images, rows, columns : positions per block: several images, or several rows of one, or a part of one row, or a rectangle
        of one image.
    n : output channels per block (of one group).
    k : reduction steps that are loaded together. A compute step takes all of them, or ends with its scale group.
    order : which loop is outside: over channel blocks (each weight tile meets all positions) or over position blocks.
    weight_scope : `slice` (a tile per step), `block` (all K of a channel block), `layer` (all).
    input_scope : `slice` (the K range of the step), `block` (all K of a position block), `layer` (all).
    store_lag : a block's store stands in the program before (0) or after (1) the loads of the step after the next.
    """

    groups: int
    images: int
    rows: int
    columns: int
    n: int
    k: int
    order: LoopOrder = "inputs_outer"
    weight_scope: Scope = "slice"
    input_scope: Scope = "slice"
    store_lag: int = 0

    @property
    def positions(self) -> int:
        return self.images * self.rows * self.columns

    def has_rectangles(self, work: GemmWork) -> bool:
        """Whether a block is a part of several rows, so that positions are numbered block by block."""
        return self.rows > 1 and self.columns < work.columns.out_size

    def position_order(self, work: GemmWork) -> PositionOrder | None:
        """How positions are numbered; None for the usual order."""
        if not self.has_rectangles(work):
            return None
        return PositionOrder(work.rows.out_size, work.columns.out_size, self.rows, self.columns)

    def position_blocks(self, work: GemmWork) -> list[Positions]:
        """All position blocks in ascending m."""
        return [
            Positions((i, min(i + self.images, work.images)), (p, min(p + self.rows, work.rows.out_size)),
                      (q, min(q + self.columns, work.columns.out_size)))
            for i in range(0, work.images, self.images)
            for p in range(0, work.rows.out_size, self.rows)
            for q in range(0, work.columns.out_size, self.columns)
        ]

    def loaded_ranges(self, work: GemmWork) -> list[Range]:
        """The K ranges that are loaded together; a range shorter than a scale group does not cross its end."""
        if self.k >= work.scale_group_length:
            return list(ranges(work.k, self.k))
        return [(start + first, start + last) for start, end in ranges(work.k, work.scale_group_length)
                for first, last in ranges(end - start, self.k)]

    def text(self, work: GemmWork) -> str:
        """The mapping in words."""
        positions = f"{self.rows}x{self.columns}" if self.has_rectangles(work) else str(self.positions)
        groups = f"g={self.groups} " if self.groups > 1 else ""
        order = "channels, positions" if self.order == "weights_outer" else "positions, channels"
        return (f"{groups}m={positions} n={self.n} k={self.k}, loops: {order}, k; "
                f"weights kept per {self.weight_scope}, inputs per {self.input_scope}")


def computed_ranges(work: GemmWork, loaded: Range) -> list[Range]:
    """The K ranges of compute steps: a loaded range, cut where scale groups end."""
    first, last = loaded
    length = work.scale_group_length
    ends = range((first // length + 1) * length, last, length)
    return list(pairwise([first, *ends, last]))


def ranges(size: int, step: int) -> Iterator[tuple[int, int]]:
    """[first, last) pieces of `size`.

    >>> list(ranges(10, 4))
    [(0, 4), (4, 8), (8, 10)]
    """
    for first in range(0, size, step):
        yield first, min(first + step, size)
