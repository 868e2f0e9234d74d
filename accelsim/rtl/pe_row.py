"""A row of PEs: each hands on to its neighbour what travels to the right."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.output_pe import OutputPe
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import numbered, vector
from accelsim.rtl.stationary_pe import StationaryPe


class PeRow(Part):
    """C equal PEs side by side.

    The ports of a PE tell where they lead: what ends in ``_right`` goes to the same name of the next PE, and the last PE's
    is open; the mode is the same for all; everything else becomes a vector over the columns.

    Parameters
    ----------
    pe : makes a PE.

    Ports
    -----
    those of a PE that are fed from the left : In
        Of the first PE.
    mode : In (where PEs have modes)
        Of all PEs.
    the PE's others, without those to the right : In or Out, vectors over the columns
        One lane for each PE.
    """

    def __init__(self, design: GridDesign, pe: type[StationaryPe | OutputPe], *, hierarchy: Hierarchy | None = None) -> None:
        self._design, self._pe, self.module_name = design, pe, "pe_row"
        members = pe.ports(design)
        self._to_the_right = [name.removesuffix("_right") for name in members if name.endswith("_right")]
        ports: dict[str, Any] = {}
        for name, member in members.items():
            if name in self._to_the_right or name == "mode":
                ports[name] = member
            elif not name.endswith("_right"):
                flow = In if member.flow == In else Out
                ports[name] = flow(vector(member.shape, design.columns))
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        last = None
        for column in range(self._design.columns):
            pe = self.hierarchy.place(m, numbered("pe", column, self._design.columns), self._pe, self._design)
            for name, member in self.signature.members.items():
                inner = getattr(pe, name)
                if name in self._to_the_right:
                    m.d.comb += inner.eq(getattr(self, name) if last is None else getattr(last, f"{name}_right"))
                elif name == "mode":
                    m.d.comb += inner.eq(self.mode)
                elif member.flow == In:
                    m.d.comb += inner.eq(getattr(self, name)[column])
                else:
                    m.d.comb += getattr(self, name)[column].eq(inner)
            last = pe
        return m
