"""The grid of a dot-product design: inputs are broadcast, every row has an adder tree."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_row import DotRow, tree_vector
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, numbered, shape_of, vector


class DotGrid(Part):
    """R rows of C multipliers, all in the same cycle.

    Ports
    -----
    stationary : In, vector over the columns
        A row of weights.
    loads : In, vector of R x 1 bit
        Which row of the grid it is for; at most one.
    load_bank, bank : In, 1 bit (with overlap)
        Of the loaded row, and of the inputs.
    streamed : In, vector over the columns
        The inputs of one position (times the pixels).
    sums : Out, vector over the rows
        ``lag`` cycles after the inputs.
    """

    module_name = "grid"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "stationary": In(vector(shape_of(design.weight_number), design.columns)),
            "loads": In(vector(unsigned(1), design.rows)),
            "streamed": In(vector(vector(shape_of(design.factor_number), design.pixels), design.columns)),
            "sums": Out(vector(tree_vector(design), design.rows))}
        if design.is_overlapped:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        for place in range(design.rows):
            row = self.hierarchy.place(m, numbered("row", place, design.rows), DotRow, design)
            m.d.comb += [row.weights.eq(self.stationary), row.load.eq(self.loads[place]), row.inputs.eq(self.streamed)]
            if design.is_overlapped:
                m.d.comb += [row.load_bank.eq(self.load_bank), row.bank.eq(self.bank)]
            name = numbered("edge_stages", place, design.rows)
            m.d.comb += self.sums[place].eq(delayed(m, row.sums, design.grid.extra_stages, name=name))
        return m
