"""A row of a dot-product grid: multipliers and the adder tree behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_pe import DotPe
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.products.placed import products_of_step
from accelsim.rtl.registers import delayed, numbered, shape_of, vector


class DotRow(Part):
    """``sum = sum over the columns of the PEs' products``, exact, D cycles later; of one output channel, or of several.

    Where steps have several passes, the tree adds the products of each, and what stands behind it makes them those of a step
    (as in Stripes, Judd et al., MICRO 2016). Where PEs tell only whether two signs agree, it counts agreements:
    ``sum = 2 agreements - inputs``.

    The D register stages stand behind the PEs and between the levels of the tree, evenly, the last behind the last level;
    with more stages than levels the rest follows at the end (for retiming).

    Ports
    -----
    weights : In, vector over the columns
        The row of weights that is being loaded, or what stands first in the PEs' banks.
    load : In, 1 bit
        It is this row's.
    load_bank, bank : In, 1 bit (with two registers a PE)
        To be filled; that multiplies.
    inputs : In, vector over the columns
        Broadcast to all rows: the digits of a pass.
    passes, passes_of_sums : In (where steps have several passes)
        Which digits they are; the same D cycles later.
    mode : In (where PEs have modes)
        For all PEs.
    inputs_used : In (where agreements are counted)
        How many inputs there were D cycles ago.
    sums : Out, vector of sums
        For each pixel of its channels, as wide as the sum of C products can be.
    """

    module_name = "dot_row"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        arithmetic = design.arithmetic
        ports: dict[str, Any] = {
            "weights": In(vector(shape_of(arithmetic.weight.whole), design.columns)), "load": In(1),
            "inputs": In(vector(vector(shape_of(arithmetic.factor.digits), design.pixels), design.columns)),
            "sums": Out(tree_vector(design))}
        if arithmetic.has_passes:
            ports |= {"passes": In(pass_layout(arithmetic, "weight")), "passes_of_sums": In(pass_layout(arithmetic))}
        if arithmetic.has_mode:
            ports["mode"] = In(arithmetic.mode_ports["mode"])
        if counts_agreements(design):
            ports["inputs_used"] = In(vector(used_bits(design), design.pixels))
        if design.has_two_registers:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        arithmetic = design.arithmetic
        products: list[list[Any]] = [[] for _ in range(design.sums)]
        for column in range(design.columns):
            pe = self.hierarchy.place(m, numbered("pe", column, design.columns), DotPe, design)
            m.d.comb += [pe.weight.eq(self.weights[column]), pe.load.eq(self.load), pe.inputs.eq(self.inputs[column])]
            if design.has_two_registers:
                m.d.comb += [pe.load_bank.eq(self.load_bank), pe.bank.eq(self.bank)]
            if arithmetic.has_passes:
                m.d.comb += pe.passes.eq(self.passes)
            if arithmetic.has_mode:
                m.d.comb += pe.mode.eq(self.mode)
            for place in range(design.sums):
                products[place].append(pe.products[place])
        sums = [self._sum_of(m, products[place], place) for place in range(design.sums)]
        m.d.comb += [self.sums[place].eq(value) for place, value in enumerate(self._of_steps(m, sums))]
        return m

    def _of_steps(self, m: Module, sums: list[Any]) -> list[Any]:
        """What the trees' sums stand for."""
        design, arithmetic = self._design, self._design.arithmetic
        if counts_agreements(design):
            return [(value << 1) - self.inputs_used[place // design.channels] for place, value in enumerate(sums)]
        if not arithmetic.has_passes:
            return sums
        of_pass = Signal(vector(sums[0].shape(), design.sums), name="sums_of_pass")
        m.d.comb += [of_pass[place].eq(value) for place, value in enumerate(sums)]
        return list(products_of_step(m, self.hierarchy, "step", arithmetic, of_pass, bits=self.sums.shape().elem_shape.width,
                                     passes=self.passes_of_sums, mode=self.mode if arithmetic.has_mode else None))

    def _sum_of(self, m: Module, values: list[Any], number: int) -> Any:
        """The tree: neighbours are added level by level, with registers behind some of the levels."""
        levels = 1 + (len(values) - 1).bit_length()
        stages = self._design.grid.adder_tree_stages
        for level in range(levels):
            if level:
                values = [self._added(m, values[first:first + 2], f"level_{level}_{number}_{first // 2}")
                          for first in range(0, len(values), 2)]
            due = stages * (level + 1) // levels - stages * level // levels
            values = [delayed(m, value, due, name=f"stage_{level}_{number}_{place}") for place, value in enumerate(values)]
        return values[0]

    def _added(self, m: Module, pair: list[Any], name: str) -> Any:
        if len(pair) == 1:
            return pair[0]
        bits = max(len(value) for value in pair) + 1
        total = Signal(signed(bits) if pair[0].shape().signed else bits, name=name)
        m.d.comb += total.eq(pair[0] + pair[1])
        return total


def tree_vector(design: GridDesign) -> Any:
    """What a row's adder trees give."""
    return vector(signed(design.arithmetic.step_number.bits + (design.columns - 1).bit_length()), design.sums)


def counts_agreements(design: GridDesign) -> bool:
    """Whether the PEs' products are single bits, to be counted."""
    return not design.arithmetic.pass_number.is_signed


def used_bits(design: GridDesign) -> int:
    """Of a number of columns."""
    return design.columns.bit_length()
