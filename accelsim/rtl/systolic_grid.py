"""The grid of a weight- or input-stationary design: rows of PEs, and the triangles of registers at two edges."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pass_edge import chosen_passes, entering_digits, pass_ports
from accelsim.rtl.pe_row import PeRow
from accelsim.rtl.registers import delayed, numbered, vector
from accelsim.rtl.skew import skewed
from accelsim.rtl.stationary_pe import (
    StationaryPe,
    kept_operand,
    stationary_vector,
    streamed_operand,
    streamed_words,
    sums_vector,
)


class SystolicGrid(Part):
    """R x C stationary PEs.

    A row of stationary operands enters at the top and is caught by the row whose load is on; the column's sums go down.

    Ports
    -----
    stationary : In, vector over the columns; where PEs load from banks, over the rows of such
        A row of stationary operands; what stands first in each PE's bank, in the PE's own time.
    takes : Out, vector over the rows of vectors over the columns (where PEs load from banks)
        Which PEs load what stands there.
    loads : In, vector of R x 1 bit
        Which row of the grid loads (from banks, which rows).
    load_bank, bank : In, 1 bit (with two registers a PE)
        Of the loaded rows, and of the streamed operands.
    streamed : In, vector over the rows
        Operands of one position (weight stationary) or output channel (input stationary).
    passes : In (where steps have several passes)
        Which digits of them enter.
    mode : In (where PEs have modes)
        For all PEs.
    sums : Out, vector over the columns
        Column c's, ``lag + c h_c`` cycles after the operands.
    """

    module_name = "grid"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        row = vector(stationary_vector(design), design.columns)
        ports: dict[str, Any] = {
            "stationary": In(vector(row, design.rows) if design.loads_from_banks else row),
            "loads": In(vector(unsigned(1), design.rows)),
            "streamed": In(vector(streamed_words(design), design.rows)),
            "sums": Out(vector(sums_vector(design), design.columns))}
        if design.loads_from_banks:
            ports["takes"] = Out(vector(vector(1, design.columns), design.rows))
        if design.has_two_registers:
            ports |= {"load_bank": In(1), "bank": In(1)}
        ports |= pass_ports(design)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design, grid = Module(), self._design, self._design.grid
        down, right = grid.registers_per_row_hop, grid.registers_per_column_hop
        top = None
        if not design.loads_from_banks:
            top = skewed(m, self.hierarchy, "stationary", self.stationary, step=right)
        entering = entering_digits(m, self, design, streamed_operand(design), self.streamed)
        streamed = skewed(m, self.hierarchy, "streamed", entering, step=down)
        loads = skewed(m, self.hierarchy, "loads", self.loads, step=down, is_reset=True)
        banks = {name: getattr(self, name) for name in ("load_bank", "bank") if design.has_two_registers}
        if design.arithmetic.has_passes:
            banks["passes"] = chosen_passes(m, design, self.passes, kept_operand(design))
        above: Any = None
        for place in range(design.rows):
            row = self.hierarchy.place(m, numbered("row", place, design.rows), PeRow, design, StationaryPe)
            m.d.comb += [row.streamed.eq(streamed[place]), row.load.eq(loads[place])]
            if design.loads_from_banks:
                m.d.comb += [row.own.eq(self.stationary[place]), self.takes[place].eq(row.takes)]
            else:
                m.d.comb += row.stationary_above.eq(top if above is None else above.stationary_below)
            if above is None:
                m.d.comb += row.sums_above.as_value().eq(0)
            else:
                m.d.comb += row.sums_above.eq(above.sums_below)
                banks = {name: delayed(m, bank, down, name=f"{name}_row_{place}") for name, bank in banks.items()}
            m.d.comb += [getattr(row, name).eq(bank) for name, bank in banks.items()]
            if design.arithmetic.has_mode:
                m.d.comb += row.mode.eq(self.mode)
            above = row
        m.d.comb += self.sums.eq(delayed(m, above.sums, grid.extra_stages, name="edge_stages"))
        return m
