"""Some rows of a weight- or input-stationary grid, one below the other."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pe_row import PeRow
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.registers import delayed, numbered, vector
from accelsim.rtl.stationary_pe import StationaryPe, kept_operand, stationary_vector, streamed_vector, sums_vector

#: Grids of more rows than this are made of equal blocks of rows, so that a file and its making grow with the side of a grid.
MOST_ROWS = 32


class StationaryRows(Part):
    """Rows of stationary PEs. What is the same for all of them passes from row to row, h_r cycles later in each.

    Parameters
    ----------
    rows : how many.

    Ports
    -----
    streamed : In, vector over the rows
        Operands, each row's in its time.
    loads : In, vector over the rows
        Which rows load, each in its time.
    own, takes : In, Out, vectors over the rows (where PEs load from banks)
        What stands first in the banks of the PEs; which of them load it.
    stationary_above : In, stationary_below : Out (else)
        A row of stationary operands, on its way down.
    load_bank, bank, passes : In; load_bank_below, bank_below, passes_below : Out
        As of a PE: for the first row here, and for the first below.
    mode : In (where PEs have modes)
        Of all PEs.
    sums_above : In, sums_below, sums : Out, vectors over the columns
        Of the rows above; for the row below; for the edge behind the last row.
    """

    module_name = "pe_rows"

    def __init__(self, design: GridDesign, rows: int, *, hierarchy: Hierarchy | None = None) -> None:
        self._design, self._rows = design, rows
        row, sums = (vector(each, design.columns) for each in (stationary_vector(design), sums_vector(design)))
        ports: dict[str, Any] = {
            "streamed": In(vector(streamed_vector(design), rows)), "loads": In(vector(unsigned(1), rows)),
            "sums_above": In(sums), "sums_below": Out(sums), "sums": Out(sums)}
        if design.loads_from_banks:
            ports |= {"own": In(vector(row, rows)), "takes": Out(vector(vector(1, design.columns), rows))}
        else:
            ports |= {"stationary_above": In(row), "stationary_below": Out(row)}
        for name, shape in passed_down(design).items():
            ports |= {name: In(shape), f"{name}_below": Out(shape)}
        if design.arithmetic.has_mode:
            ports["mode"] = In(design.arithmetic.mode_ports["mode"])
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        passed = {name: getattr(self, name) for name in passed_down(design)}
        above: Any = None
        for place in range(self._rows):
            row = self.hierarchy.place(m, numbered("row", place, self._rows), PeRow, design, StationaryPe)
            m.d.comb += [row.streamed.eq(self.streamed[place]), row.load.eq(self.loads[place]),
                         row.sums_above.eq(self.sums_above if above is None else above.sums_below)]
            if design.loads_from_banks:
                m.d.comb += [row.own.eq(self.own[place]), self.takes[place].eq(row.takes)]
            else:
                m.d.comb += row.stationary_above.eq(self.stationary_above if above is None else above.stationary_below)
            if design.arithmetic.has_mode:
                m.d.comb += row.mode.eq(self.mode)
            m.d.comb += [getattr(row, name).eq(value) for name, value in passed.items()]
            passed = {name: delayed(m, value, design.grid.registers_per_row_hop, name=f"{name}_behind_row_{place}")
                      for name, value in passed.items()}
            above = row
        m.d.comb += [getattr(self, f"{name}_below").eq(value) for name, value in passed.items()]
        m.d.comb += [self.sums.eq(above.sums), self.sums_below.eq(above.sums_below)]
        if not design.loads_from_banks:
            m.d.comb += self.stationary_below.eq(above.stationary_below)
        return m


def passed_down(design: GridDesign) -> dict[str, Any]:
    """What passes from row to row, the same for all of a row's PEs but for the time: name -> shape."""
    passed: dict[str, Any] = {"load_bank": 1, "bank": 1} if design.has_two_registers else {}
    if design.arithmetic.has_passes:
        passed["passes"] = pass_layout(design.arithmetic, kept_operand(design))
    return passed


def rows_of_a_block(rows: int) -> int:
    """Rows of each of the equal blocks that a grid is made of.

    >>> [rows_of_a_block(rows) for rows in (16, 128, 256, 67)]
    [16, 16, 16, 67]
    """
    if rows <= MOST_ROWS:
        return rows
    return min((each for each in range(1, rows + 1) if rows % each == 0), key=lambda each: (each + rows // each, -each))
