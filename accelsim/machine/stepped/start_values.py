"""What the accumulators of an output stationary grid start from, on its way to the PEs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.machine.stepped.lines import Lines


class StartValues:
    """Partial sums of an earlier step come in along the drain lines, one row (or column) a clock, and each PE takes its own
    into a register beside its accumulator.

    Parameters
    ----------
    next : those registers, (sums, R, C). passing, row : what passes the PEs, and for which row or column it is meant.
    """

    def __init__(self, grid: PeGrid, sums: int, kind: np.dtype[Any]) -> None:
        self._is_along_rows = grid.drain == "columns"
        rows, columns = grid.rows, grid.columns
        hops = grid.registers_per_row_hop, grid.registers_per_column_hop
        self.next: NDArray[Any] = np.zeros((sums, rows, columns), kind)
        self._own = np.arange(1, columns + 1)[None, :] if self._is_along_rows else np.arange(1, rows + 1)[:, None]
        if self._is_along_rows:
            self._lines = Lines(planes=sums + 1, lanes=rows, skew=hops[0], taps=columns, hop=hops[1], dtype=kind)
            taps = self._lines.taps
        else:
            self._lines = Lines(planes=sums + 1, lanes=columns, skew=hops[1], taps=rows, hop=hops[0], dtype=kind)
            taps = self._lines.taps.swapaxes(1, 2)
        self.passing, self.row = taps[:-1], taps[-1]
        self._mask = np.zeros((rows, columns), np.bool_)
        self._moving_until = -1

    def clock(self, cycle: int, values: NDArray[Any] | None, number: int) -> None:
        """Feed row (or column) `number` of a fold's values (sums, R, C); PEs take theirs at the end of the clock."""
        if values is not None:
            fed = values[:, :, number] if self._is_along_rows else values[:, number]
            self._lines.clock(np.concatenate([fed, np.full_like(fed[:1], number + 1)]))
            self._moving_until = cycle + self._lines.length
        elif cycle <= self._moving_until:
            self._lines.clock(0)
        else:
            return
        np.equal(self.row, self._own, out=self._mask)
        np.copyto(self.next, self.passing, where=self._mask)
