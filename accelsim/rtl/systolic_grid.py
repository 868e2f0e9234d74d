"""The grid of a weight- or input-stationary design: rows of PEs, and the triangles of registers at two edges."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pe_row import PeRow
from accelsim.rtl.registers import delayed, numbered, vector
from accelsim.rtl.skew import skewed
from accelsim.rtl.stationary_pe import StationaryPe, stationary_vector, streamed_vector, sums_vector


class SystolicGrid(Part):
    """R x C stationary PEs.

    A row of stationary operands enters at the top and is caught by the row whose load is on; the column's sums go down.

    Ports
    -----
    stationary : In, vector over the columns
        A row of stationary operands.
    loads : In, vector of R x 1 bit
        Which row of the grid it is for; at most one.
    load_bank, bank : In, 1 bit (with overlap)
        Of the loaded row, and of the streamed operands.
    streamed : In, vector over the rows
        Operands of one position (weight stationary) or output channel (input stationary).
    sums : Out, vector over the columns
        Column c's, ``lag + c h_c`` cycles after the operands.
    """

    module_name = "grid"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "stationary": In(vector(stationary_vector(design), design.columns)),
            "loads": In(vector(unsigned(1), design.rows)),
            "streamed": In(vector(streamed_vector(design), design.rows)),
            "sums": Out(vector(sums_vector(design), design.columns))}
        if design.is_overlapped:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design, grid = Module(), self._design, self._design.grid
        down, right = grid.registers_per_row_hop, grid.registers_per_column_hop
        top = skewed(m, self.hierarchy, "stationary", self.stationary, step=right)
        streamed = skewed(m, self.hierarchy, "streamed", self.streamed, step=down)
        loads = skewed(m, self.hierarchy, "loads", self.loads, step=down, is_reset=True)
        banks = {name: getattr(self, name) for name in ("load_bank", "bank") if design.is_overlapped}
        above: Any = None
        for place in range(design.rows):
            row = self.hierarchy.place(m, numbered("row", place, design.rows), PeRow, design, StationaryPe)
            m.d.comb += [row.streamed.eq(streamed[place]), row.load.eq(loads[place])]
            if above is None:
                m.d.comb += [row.stationary_above.eq(top), row.sums_above.as_value().eq(0)]
            else:
                m.d.comb += [row.stationary_above.eq(above.stationary_below), row.sums_above.eq(above.sums_below)]
                banks = {name: delayed(m, bank, down, name=f"{name}_row_{place}") for name, bank in banks.items()}
            m.d.comb += [getattr(row, name).eq(bank) for name, bank in banks.items()]
            above = row
        m.d.comb += self.sums.eq(delayed(m, above.sums, grid.extra_stages, name="edge_stages"))
        return m
