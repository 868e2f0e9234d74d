"""The adders of a grid whose sums travel down the columns, and the registers between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.machine.stepped.keeper import Keeper, Left
from accelsim.machine.stepped.layout import Layout
from accelsim.machine.stepped.lines import Delay
from accelsim.numerics.register import Register


class WireOverflow(NamedTuple):
    """Sums that the wires could not hold, at (sum, row, column), and the slot whose product was too much."""

    left: Left
    slot: int


class ColumnAdders:
    """One adder for each sum of a PE.

    Parameters
    ----------
    sums : what they give in this clock, (sums, R, C).
    """

    def __init__(self, grid: PeGrid, layout: Layout, wires: Register) -> None:
        kind, rows, columns, hop = layout.kind, grid.rows, grid.columns, grid.registers_per_row_hop
        self._slots, self._rows = layout.slots, rows
        parts = grid.pixels, layout.cost.channels
        self._products = np.zeros((*parts, self._slots, rows, columns), kind)
        by_sum = self._products.reshape(layout.sums, self._slots, rows, columns)
        self._by_slot = [by_sum[:, slot] for slot in range(self._slots)]
        self.sums: NDArray[Any] = np.zeros((layout.sums, rows, columns), kind)
        self._first, self._below, self._above = self.sums[:, 0], self.sums[:, 1:], self.sums[:, :-1]
        self._hops = Delay(hop, self._above.shape, kind) if hop else None
        self._wires = Keeper(wires, self.sums.shape, kind)
        self._row_wires = Keeper(wires, self._first.shape, kind)

    def add(self, streamed: NDArray[Any], stationary: NDArray[Any]) -> Sequence[WireOverflow]:
        """The sums of this clock; tells of those that did not fit."""
        np.multiply(streamed, stationary, out=self._products)
        if self._hops is None:
            return self._added_at_once()
        self._first[...], self._below[...] = 0, self._hops.out
        found = []
        for slot, products in enumerate(self._by_slot):
            self.sums += products
            left = self._wires.keep(self.sums)
            if left is not None:
                found.append(WireOverflow(left, slot))
        return found

    def _added_at_once(self) -> Sequence[WireOverflow]:
        """Wires without registers: from the first row to the last within one clock."""
        by_row = np.stack(self._by_slot, axis=2)  # (sums, R, slots, C): in the order of addition
        count, rows, slots, columns = by_row.shape
        partial = np.cumsum(by_row.reshape(count, rows * slots, columns), axis=1).reshape(by_row.shape)
        self.sums[...] = partial[:, :, -1]
        if self._wires.holds(partial.min(), partial.max()):
            return []
        found = []
        held: NDArray[Any] = np.zeros_like(self._first)
        for row in range(rows):
            for slot in range(slots):
                held = held + by_row[:, row, slot]
                left = self._row_wires.keep(held)
                if left is not None:
                    where = left.where[0], np.full(left.exact.size, row), left.where[1]
                    found.append(WireOverflow(left._replace(where=where), slot))
            self.sums[:, row] = held
        return found

    def clock(self) -> None:
        """Hand the sums down."""
        if self._hops is not None:
            self._hops.clock(self._above)
