"""Triangles of registers at the edges of a systolic grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, numbered, vector


class Skew(Part):
    """Delays each lane of a vector by more than the one before it, so that operands that enter together meet in the PEs.

    Lane i leaves ``first + i * step`` cycles after it entered.

    Parameters
    ----------
    role : what it delays, for the module's name.
    bits : width of a lane.
    lanes : their number.
    first, step : cycles.
    is_reset : whether reset clears the registers, as control needs it.

    Ports
    -----
    entering : In, vector of `lanes` x `bits`
        All lanes, in the same cycle.
    leaving : Out, vector of `lanes` x `bits`
        Each lane in its own.
    """

    def __init__(self, role: str, *, bits: int, lanes: int, first: int, step: int, is_reset: bool = False,
                 hierarchy: Hierarchy | None = None) -> None:
        self.module_name = f"skew_{role}"
        self._bits, self._lanes, self._first, self._step, self._is_reset = bits, lanes, first, step, is_reset
        self.is_clocked = first > 0 or (step > 0 and lanes > 1)
        super().__init__({"entering": In(vector(unsigned(bits), lanes)), "leaving": Out(vector(unsigned(bits), lanes))},
                         hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for lane in range(self._lanes):
            name = numbered("lane", lane, self._lanes)
            m.d.comb += self.leaving[lane].eq(
                delayed(m, self.entering[lane], self._first + lane * self._step, name=name, is_reset=self._is_reset))
        return m


def skewed(m: Module, hierarchy: Hierarchy, role: str, lanes: Any, *, first: int = 0, step: int,
           is_reset: bool = False) -> Any:
    """A vector of lanes, each lane delayed by ``first + lane * step`` cycles."""
    layout = lanes.shape()
    skew = hierarchy.place(m, f"skew_{role}", Skew, role, bits=Shape.cast(layout.elem_shape).width, lanes=layout.length,
                           first=first, step=step, is_reset=is_reset)
    m.d.comb += skew.entering.as_value().eq(lanes.as_value())
    return layout(skew.leaving.as_value())
