"""A row of a dot-product grid: multipliers and the adder tree behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_pe import DotPe
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, numbered, shape_of, vector


class DotRow(Part):
    """One output channel: ``sum = sum over the columns of weight * input``, exact, D cycles later.

    The D register stages stand behind the multipliers and between the levels of the tree, evenly, the last behind the last
    level; with more stages than levels the rest follows at the end (for retiming).

    Ports
    -----
    weights : In, vector over the columns
        The row of weights that is being loaded.
    load : In, 1 bit
        It is this row's.
    load_bank, bank : In, 1 bit (with overlap)
        To be filled; that multiplies.
    inputs : In, vector over the columns
        Broadcast to all rows.
    sums : Out, vector of sums
        One a pixel, as wide as the sum of C products can be.
    """

    module_name = "dot_row"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "weights": In(vector(shape_of(design.weight_number), design.columns)), "load": In(1),
            "inputs": In(vector(vector(shape_of(design.factor_number), design.pixels), design.columns)),
            "sums": Out(tree_vector(design))}
        if design.is_overlapped:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        products: list[list[Any]] = [[] for _ in range(design.pixels)]
        for column in range(design.columns):
            pe = self.hierarchy.place(m, numbered("pe", column, design.columns), DotPe, design)
            m.d.comb += [pe.weight.eq(self.weights[column]), pe.load.eq(self.load), pe.inputs.eq(self.inputs[column])]
            if design.is_overlapped:
                m.d.comb += [pe.load_bank.eq(self.load_bank), pe.bank.eq(self.bank)]
            for pixel in range(design.pixels):
                products[pixel].append(pe.products[pixel])
        for pixel in range(design.pixels):
            m.d.comb += self.sums[pixel].eq(self._sum_of(m, products[pixel], pixel))
        return m

    def _sum_of(self, m: Module, values: list[Any], pixel: int) -> Any:
        """The tree: neighbours are added level by level, with registers behind some of the levels."""
        levels = 1 + (len(values) - 1).bit_length()
        stages = self._design.grid.adder_tree_stages
        for level in range(levels):
            if level:
                values = [self._added(m, values[first:first + 2], f"level_{level}_{pixel}_{first // 2}")
                          for first in range(0, len(values), 2)]
            due = stages * (level + 1) // levels - stages * level // levels
            values = [delayed(m, value, due, name=f"stage_{level}_{pixel}_{place}") for place, value in enumerate(values)]
        return values[0]

    def _added(self, m: Module, pair: list[Any], name: str) -> Any:
        if len(pair) == 1:
            return pair[0]
        total = Signal(signed(max(len(value) for value in pair) + 1), name=name)
        m.d.comb += total.eq(pair[0] + pair[1])
        return total


def tree_vector(design: GridDesign) -> Any:
    """What a row's adder trees give."""
    return vector(signed(design.product_bits + (design.columns - 1).bit_length()), design.pixels)
