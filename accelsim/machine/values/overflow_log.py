"""Collects the overflows of one layer: every event counted, the first ones kept whole."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.values.grid_operands import GridOperands
from accelsim.numerics.integer_array import Integers
from accelsim.results.overflow import OverflowEvent, Overflows, Place
from accelsim.workload.tensor import Shape

_Numbers = NDArray[np.int64]


class Events(NamedTuple):
    """Events of one step as columns: where and when each happened, counted over the whole layer and the whole run."""

    place: Place
    group: _Numbers
    m: _Numbers
    n: _Numbers
    step: _Numbers
    row: _Numbers
    column: _Numbers
    cycle: _Numbers
    exact: Integers
    kept: Integers


class _Kept(NamedTuple):
    """One event; they sort by time, then by place."""

    cycle: int
    place: Place
    group: int
    m: int
    n: int
    step: int
    row: int
    column: int
    exact: int
    kept: int


class OverflowLog:
    """Tallies of one layer of one run.

    Parameters
    ----------
    limit : events that are kept whole, the earliest (then by place, group, m, n and step).
    """

    def __init__(self, layer: str, operands: GridOperands, shape: Shape, *, limit: int) -> None:
        self._layer, self._operands, self._shape, self._limit = layer, operands, shape, limit
        work = operands.work
        self._hit = np.zeros((work.groups, work.m, work.n), dtype=np.bool_)
        self._by_place: Counter[str] = Counter()
        self._by_channel = np.zeros(work.groups * work.n, np.int64)
        self._row_sums = 0
        self._by_fold: Counter[int] = Counter()
        self._first: list[_Kept] = []

    def count(self, place: Place, group: _Numbers, m: _Numbers, n: _Numbers, fold: _Numbers) -> None:
        """Count events at these outputs and K-folds."""
        self._by_place[place] += m.size
        if place == "row_sum":  # the sum belongs to no output channel, but every one of its position needs it
            self._hit[group, m] = True
            self._row_sums += m.size
        else:
            self._hit[group, m, n] = True
            self._by_channel += np.bincount(group * self._operands.work.n + n, minlength=self._by_channel.size)
        counts = np.bincount(fold + 1)
        self._by_fold.update({int(number) - 1: int(counts[number]) for number in np.flatnonzero(counts)})

    def wants(self, cycle: int) -> bool:
        """Whether an event at this cycle or later can still be among the earliest."""
        return len(self._first) < self._limit or (self._limit > 0 and cycle <= self._first[-1].cycle)

    def keep(self, events: Events) -> None:
        """Keep those that are among the earliest."""
        if events.place == "row_sum":
            events = events._replace(n=np.zeros_like(events.n))
        order = np.lexsort((events.step, events.n, events.m, events.group, events.cycle))[:self._limit]
        found = [_Kept(events.cycle[i], events.place, events.group[i], events.m[i], events.n[i], events.step[i],
                       events.row[i], events.column[i], events.exact[i], events.kept[i]) for i in order]
        self._first = sorted([*self._first, *found])[:self._limit]

    def result(self) -> Overflows:
        """The tallies."""
        by_channel = {-1: self._row_sums} if self._row_sums else {}
        by_channel |= {int(channel): int(self._by_channel[channel]) for channel in np.flatnonzero(self._by_channel)}
        return Overflows(
            count=sum(self._by_place.values()), outputs_hit=int(np.count_nonzero(self._hit)), outputs=self._hit.size,
            by_place=dict(sorted(self._by_place.items())),
            by_channel=by_channel,
            by_fold=dict(sorted(self._by_fold.items())), first=tuple(self._event(kept) for kept in self._first))

    def _event(self, event: _Kept) -> OverflowEvent:
        group, m, n = (np.array([index]) for index in (event.group, event.m, event.n))
        (coordinate,) = self._operands.coordinates(group, m, n, self._shape)
        return OverflowEvent(
            layer=self._layer, place=event.place, coordinate=coordinate, row=int(event.row), column=int(event.column),
            step=int(event.step), cycle=int(event.cycle), exact=int(event.exact), kept=int(event.kept))
