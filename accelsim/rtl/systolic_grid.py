"""The grid of a weight- or input-stationary design: rows of PEs, and the triangles of registers at two edges."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pass_edge import chosen_passes, entering_digits, pass_ports
from accelsim.rtl.registers import delayed, numbered, vector
from accelsim.rtl.skew import skewed
from accelsim.rtl.stationary_pe import kept_operand, stationary_vector, streamed_operand, streamed_words, sums_vector
from accelsim.rtl.stationary_rows import StationaryRows, rows_of_a_block


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
        passed = {name: getattr(self, name) for name in ("load_bank", "bank") if design.has_two_registers}
        if design.arithmetic.has_passes:
            passed["passes"] = chosen_passes(m, design, self.passes, kept_operand(design))
        rows = rows_of_a_block(design.rows)
        above: Any = None
        for place, first in enumerate(range(0, design.rows, rows)):
            block = self.hierarchy.place(m, numbered("rows", place, design.rows // rows), StationaryRows, design, rows)
            for row in range(rows):
                m.d.comb += [block.streamed[row].eq(streamed[first + row]), block.loads[row].eq(loads[first + row])]
                if design.loads_from_banks:
                    m.d.comb += [block.own[row].eq(self.stationary[first + row]),
                                 self.takes[first + row].eq(block.takes[row])]
            if not design.loads_from_banks:
                m.d.comb += block.stationary_above.eq(top if above is None else above.stationary_below)
            m.d.comb += block.sums_above.as_value().eq(0 if above is None else above.sums_below.as_value())
            m.d.comb += [getattr(block, name).eq(value if above is None else getattr(above, f"{name}_below"))
                         for name, value in passed.items()]
            if design.arithmetic.has_mode:
                m.d.comb += block.mode.eq(self.mode)
            above = block
        m.d.comb += self.sums.eq(delayed(m, above.sums, grid.extra_stages, name="edge_stages"))
        return m
