"""The grid of a dot-product design: inputs are broadcast, every row has an adder tree."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_row import DotRow, counts_agreements, tree_vector, used_bits
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pass_edge import chosen_passes, entering_digits, pass_ports
from accelsim.rtl.registers import delayed, numbered, shape_of, vector


class DotGrid(Part):
    """Rows of C PEs, all in the same cycle.

    Parameters
    ----------
    rows : of the grid that are here.

    Ports
    -----
    stationary : In, vector over the columns; where PEs load from banks, over the rows of such
        A row of weights; what stands first in each PE's bank.
    takes : Out, vector over the rows of vectors over the columns (where PEs load from banks)
        Which PEs load what stands there.
    loads : In, vector over the rows
        Which row of the grid loads (from banks, which rows).
    load_bank, bank : In, 1 bit (with two registers a PE)
        Of the loaded rows, and of the inputs.
    streamed : In, vector over the columns
        The inputs of one position (times the pixels).
    passes : In (where steps have several passes)
        Which digits of them enter.
    mode : In (where PEs have modes)
        For all PEs.
    sums : Out, vector over the rows
        ``lag`` cycles after the inputs.
    """

    module_name = "grid"

    def __init__(self, design: GridDesign, rows: int, *, hierarchy: Hierarchy | None = None) -> None:
        self._design, self._rows = design, rows
        row = vector(shape_of(design.arithmetic.weight.whole), design.columns)
        ports: dict[str, Any] = {
            "stationary": In(vector(row, rows) if design.loads_from_banks else row),
            "loads": In(vector(unsigned(1), rows)),
            "streamed": In(vector(vector(shape_of(design.arithmetic.factor.whole), design.pixels), design.columns)),
            "sums": Out(vector(tree_vector(design), rows))}
        if design.loads_from_banks:
            ports["takes"] = Out(vector(vector(1, design.columns), rows))
        if design.has_two_registers:
            ports |= {"load_bank": In(1), "bank": In(1)}
        ports |= pass_ports(design)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design, arithmetic = Module(), self._design, self._design.arithmetic
        inputs = entering_digits(m, self, design, "factor", self.streamed)
        shared = {"inputs": inputs}
        if not design.loads_from_banks:
            shared["weights"] = self.stationary
        if design.has_two_registers:
            shared |= {"load_bank": self.load_bank, "bank": self.bank}
        if arithmetic.has_mode:
            shared["mode"] = self.mode
        if arithmetic.has_passes:
            shared["passes"] = chosen_passes(m, design, self.passes, "weight")
            late = delayed(m, self.passes, design.grid.adder_tree_stages, name="passes_in_tree")
            shared["passes_of_sums"] = chosen_passes(m, design, late, signal="passes_of_sums")
        if counts_agreements(design):
            shared["inputs_used"] = self._inputs_used(m)
        for place in range(self._rows):
            row = self.hierarchy.place(m, numbered("row", place, self._rows), DotRow, design)
            m.d.comb += row.load.eq(self.loads[place])
            if design.loads_from_banks:
                m.d.comb += [row.weights.eq(self.stationary[place]),
                             self.takes[place].as_value().eq(self.loads[place].replicate(design.columns))]
            m.d.comb += [getattr(row, name).eq(value) for name, value in shared.items()]
            name = numbered("edge_stages", place, self._rows)
            m.d.comb += self.sums[place].eq(delayed(m, row.sums, design.grid.extra_stages, name=name))
        return m

    def _inputs_used(self, m: Module) -> Any:
        """How many inputs each pixel has, as late as the trees' sums are."""
        design = self._design
        counted = Signal(vector(used_bits(design), design.pixels), name="inputs_used")
        m.d.comb += [counted[pixel].eq(sum(self.streamed[column][pixel][1] for column in range(design.columns)))
                     for pixel in range(design.pixels)]
        return delayed(m, counted, design.grid.adder_tree_stages, name="inputs_used_stages")
