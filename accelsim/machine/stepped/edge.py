"""The accumulators at the edge of the grid: a small memory and an adder behind each lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.events import EventLog
from accelsim.machine.stepped.keeper import Keeper
from accelsim.machine.stepped.layout import Layout, Numbers
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register


class EdgeAccumulators:
    """One entry for each output; entry 0 takes what belongs to nobody.

    An entry that starts from a bias takes it through its register in the clock of its first addition: that is when a bias
    that does not fit overflows.

    Parameters
    ----------
    start : what the entries start from, (G, M, N): within the register, or biases that may not fit.
    lanes : shape of what arrives in one clock, (pixels, lanes).
    """

    def __init__(self, layout: Layout, start: Integers, register: Register, lanes: tuple[int, int], kind: np.dtype[Any],
                 log: EventLog) -> None:
        self._layout, self._log = layout, log
        exact = np.concatenate([np.zeros(1, kind), start.reshape(-1).astype(kind)])
        self.values: NDArray[Any] = exact.copy()
        preload = Keeper(register, self.values.shape, kind).keep(self.values)
        self._biases = None if preload is None else exact
        self._unfit = np.zeros(exact.shape, np.bool_)
        if preload is not None:
            self._unfit[preload.where] = True
        self._keeper = Keeper(register, lanes, kind)

    def add(self, entries: Numbers, sums: NDArray[Any], *, cycle: int, where: Callable[[Numbers], Where]) -> None:
        """Add sums (pixels, lanes) to the entries of the same shape, each at most once but for entry 0.

        `where` tells of lanes the reduction step and fold of what arrives there, and the row and column of the accumulator.
        """
        if self._biases is not None and self._unfit[entries].any():
            self._report_biases(entries, cycle, where)
        total = self.values[entries]
        total += sums
        left = self._keeper.keep(total)
        self.values[entries] = total
        if left is not None:
            wanted = entries[left.where] > 0
            chosen = entries[left.where][wanted]
            k, fold, row, column = where(left.where[1][wanted])
            self._log.add(place=self._layout.place(chosen), k=k, on_wires=False, exact=left.exact[wanted],
                          kept=left.kept[wanted], row=row, column=column, cycle=cycle, fold=fold)

    def _report_biases(self, entries: Numbers, cycle: int, where: Callable[[Numbers], Where]) -> None:
        assert self._biases is not None
        pixel, lane = np.nonzero(self._unfit[entries])
        chosen = entries[pixel, lane]
        self._unfit[chosen] = False
        _, fold, row, column = where(lane)
        self._log.add(place=self._layout.place(chosen), k=-1, on_wires=False, exact=self._biases[chosen],
                      kept=self.values[chosen], row=row, column=column, cycle=cycle, fold=fold)

    def held(self) -> Integers:
        """The outputs, (G, M, N)."""
        return self.values[1:].reshape(self._layout.outputs)


#: (last reduction step, fold, row, column) of what arrives at some lanes.
Where = tuple[Numbers, Numbers, Numbers | int, Numbers | int]
