"""Partial sums that left their registers, and how wide the registers would have to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

#: What overflowed: the accumulator on its preload, on an addition, the wires between PEs, or either of them in the channel
#: of ones that sums the inputs for asymmetric weights.
Place = Literal["bias", "accumulator", "wires", "row_sum"]


class OverflowEvent(NamedTuple):
    """One partial sum that left its register's range.

    Parameters
    ----------
    layer : its name.
    place : what overflowed.
    coordinate : of the output in the model's own layout; for a row sum, of its position in the group's first channel.
    row, column : of the PE; -1 where an accumulator at the edge of the grid has none.
    step : in K, in the order of additions; -1 is the bias.
    cycle : of the run, at which the addition happens.
    exact : the value that did not fit: what the register held, plus the addend. kept : what it holds instead.
    sample : of the inputs, from 0.
    """

    layer: str
    place: Place
    coordinate: tuple[int, ...]
    row: int
    column: int
    step: int
    cycle: int
    exact: int
    kept: int
    sample: int = 0

    @property
    def direction(self) -> str:
        """"up" beyond the largest value, "down" below the smallest."""
        return "up" if self.exact > 0 else "down"


@dataclass(frozen=True, slots=True)
class Overflows:
    """All overflows of one layer.

    Parameters
    ----------
    count : events, exactly.
    outputs_hit : outputs with at least one event, of `outputs` in all.
    by_place, by_channel, by_fold : events by what overflowed, by output channel (over all groups; -1: row sums), and by
        K-fold (-1: the bias); zeros left out.
    first : the earliest events whole, as many as were asked for.
    """

    count: int = 0
    outputs_hit: int = 0
    outputs: int = 0
    by_place: Mapping[str, int] = field(default_factory=dict)
    by_channel: Mapping[int, int] = field(default_factory=dict)
    by_fold: Mapping[int, int] = field(default_factory=dict)
    first: tuple[OverflowEvent, ...] = ()

    def joined(self, later: Overflows, *, sample: int, limit: int) -> Overflows:
        """These and those of a later sample, whose number they get; `limit` events stay whole."""
        events = (*self.first, *(event._replace(sample=sample) for event in later.first))
        return Overflows(
            count=self.count + later.count, outputs_hit=self.outputs_hit + later.outputs_hit,
            outputs=self.outputs + later.outputs, by_place=_summed(self.by_place, later.by_place),
            by_channel=_summed(self.by_channel, later.by_channel), by_fold=_summed(self.by_fold, later.by_fold),
            first=events[:limit])

    @property
    def share(self) -> float:
        """Share of the outputs with at least one event."""
        return self.outputs_hit / self.outputs if self.outputs else 0.0


_Key = TypeVar("_Key")


def _summed(some: Mapping[_Key, int], others: Mapping[_Key, int]) -> dict[_Key, int]:
    return dict(Counter(some) + Counter(others))


@dataclass(frozen=True, slots=True)
class AccumulatorWidths:
    """Three answers to: how wide must this layer's accumulators be? Two's complement bits.

    Parameters
    ----------
    worst_case_bits : no input can overflow it: from the weights, ``|b'| + sum |w| * max |x'| <= 2^(P-1) - 1``.
    running_bits : what these inputs need so that no partial sum overflows, on the way or at the end, in this grid's order.
    final_bits : what the last sums of these inputs need; enough for wrapping accumulators.
    """

    worst_case_bits: int
    running_bits: int
    final_bits: int

    def joined(self, other: AccumulatorWidths) -> AccumulatorWidths:
        """What both need."""
        return AccumulatorWidths(worst_case_bits=max(self.worst_case_bits, other.worst_case_bits),
                                 running_bits=max(self.running_bits, other.running_bits),
                                 final_bits=max(self.final_bits, other.final_bits))
