"""What a streamed step of a fold costs in a PE at some operand widths, and how many products it takes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

#: What a PE computes, as far as a precision kind treats it apart: a kernel window over channels (also a product with more
#: than one kernel position), kernels of one position (1x1 convolutions and matrix products), a window over one channel.
LayerForm = Literal["window", "pointwise", "depthwise"]


@dataclass(frozen=True, slots=True)
class StepCost:
    """How a PE works at given operand widths.

    In one streamed step a PE with one multiplier multiplies one pair of operands in one cycle. Composed multipliers take
    several pairs, serial ones several cycles, so that a grid of `pes` completes ``pes * reduction * channels / cycles`` MACs
    a cycle.

    Parameters
    ----------
    cycles : that a streamed step keeps the PEs busy (at least 1).
    reduction : pairs of operands of one sum that a PE takes in a step; below 1 where only that share of the PEs works.
    channels : output channels that a PE works on in a step, with an operand register for each.
    fixed_cycles : of every fold, before its first operand enters, in which the grid does nothing else.

    Examples
    --------
    >>> StepCost(cycles=2, reduction=Fraction(4)).macs_per_cycle
    Fraction(2, 1)
    """

    cycles: int = 1
    reduction: Fraction = Fraction(1)
    channels: int = 1
    fixed_cycles: int = 0

    @property
    def macs_per_cycle(self) -> Fraction:
        """MACs that a PE completes in a cycle while operands enter."""
        return self.reduction * self.channels / self.cycles

    def stream_cycles(self, steps: int) -> int:
        """Cycles of a fold's stream of so many steps."""
        return self.fixed_cycles + steps * self.cycles
