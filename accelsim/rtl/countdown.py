"""A counter that says when a number of cycles is over."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal


def is_over(m: Module, start: Any, cycles: int, *, name: str) -> Any:
    """1 where the last `start` lies `cycles` cycles back or more: from the beginning, and again ``cycles`` after each.

    With ``cycles <= 1`` that is always so.
    """
    if cycles <= 1:
        return Const(1)
    left = Signal(range(cycles), name=f"{name}_left")
    with m.If(start):
        m.d.sync += left.eq(cycles - 1)
    with m.Elif(left != 0):
        m.d.sync += left.eq(left - 1)
    return left == 0
