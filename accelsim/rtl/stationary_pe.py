"""The PE of a weight- or input-stationary grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import banked, delayed, kept, shape_of, vector


class StationaryPe(Part):
    """Multiplies what stays in it by what streams through it, and adds the product to its column's sum.

    ``sums = kept(sums_above + stationary * streamed)`` at the width of the wires between PEs. Everything that happens in the
    PE of row r and column c happens ``r h_r + c h_c`` cycles later than in the first: preload, streaming, change of banks.
    So it takes no more cycles than the edges show.

    With overlap there are two banks of stationary operands: one is filled while the other multiplies, and `bank`, which
    travels with the streamed operand, says which multiplies. Where the grid works on several pixels, the PE has a multiplier
    for each: one of its operands then comes once a pixel.

    Ports
    -----
    stationary_above : In, vector
        On the way down: the row of stationary operands that is being loaded.
    load : In, 1 bit
        That row is this PE's own.
    load_bank : In, 1 bit (with overlap)
        The bank to be filled.
    bank : In, 1 bit (with overlap)
        The bank that multiplies.
    streamed : In, vector
        On the way to the right.
    sums_above : In, vector of sums
        Of the PEs above.
    sums : Out, vector of sums
        With this PE's products, in the same cycle: for the edge below the last row.
    stationary_below, sums_below : Out
        For the PE below, h_r cycles later.
    load_right, load_bank_right, bank_right, streamed_right : Out
        For the PE to the right, h_c cycles later.
    """

    module_name = "pe"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        super().__init__(self.ports(design), hierarchy=hierarchy)

    @staticmethod
    def ports(design: GridDesign) -> dict[str, Any]:
        stationary, streamed, sums = stationary_vector(design), streamed_vector(design), sums_vector(design)
        ports: dict[str, Any] = {
            "stationary_above": In(stationary), "stationary_below": Out(stationary), "load": In(1), "load_right": Out(1),
            "streamed": In(streamed), "streamed_right": Out(streamed), "sums_above": In(sums), "sums": Out(sums),
            "sums_below": Out(sums)}
        if design.is_overlapped:
            ports |= {"load_bank": In(1), "load_bank_right": Out(1), "bank": In(1), "bank_right": Out(1)}
        return ports

    def elaborate(self, platform: object) -> Module:
        m, design, has_banks = Module(), self._design, self._design.is_overlapped
        self._pass_on(m)
        stationary = banked(m, self.stationary_above, load=self.load, load_bank=self.load_bank if has_banks else None,
                            bank=self.bank if has_banks else None)
        for pixel in range(design.pixels):
            product = Signal(signed(design.product_bits), name=f"product_{pixel}")
            exact = Signal(signed(max(design.sum_bits, len(product)) + 1), name=f"exact_{pixel}")
            factors = (operands[pixel if design.pixels == len(operands) else 0] for operands in (stationary, self.streamed))
            m.d.comb += [product.eq(next(factors) * next(factors)), exact.eq(self.sums_above[pixel] + product),
                         self.sums[pixel].eq(kept(exact, design.sum_bits, design.accumulators.overflow))]
        return m

    def _pass_on(self, m: Module) -> None:
        down, right = self._design.grid.registers_per_row_hop, self._design.grid.registers_per_column_hop
        m.d.comb += [
            self.stationary_below.eq(delayed(m, self.stationary_above, down, name="passing")),
            self.sums_below.eq(delayed(m, self.sums, down, name="sum")),
            self.streamed_right.eq(delayed(m, self.streamed, right, name="streaming")),
            self.load_right.eq(delayed(m, self.load, right, name="loading", is_reset=True))]
        if self._design.is_overlapped:
            m.d.comb += [self.load_bank_right.eq(delayed(m, self.load_bank, right, name="loading_bank")),
                         self.bank_right.eq(delayed(m, self.bank, right, name="streaming_bank"))]


def operand_numbers(design: GridDesign) -> tuple[Any, Any]:
    """(stationary, streamed) operand of a stationary dataflow."""
    if design.keeps_inputs:
        return design.factor_number, design.weight_number
    return design.weight_number, design.factor_number


def stationary_vector(design: GridDesign) -> Any:
    """What a PE keeps: an input a pixel, or one weight."""
    return vector(shape_of(operand_numbers(design)[0]), design.pixels if design.keeps_inputs else 1)


def streamed_vector(design: GridDesign) -> Any:
    """What passes a PE: one weight, or an input a pixel."""
    return vector(shape_of(operand_numbers(design)[1]), 1 if design.keeps_inputs else design.pixels)


def sums_vector(design: GridDesign) -> Any:
    """A column's sums, one a pixel."""
    return vector(signed(design.sum_bits), design.pixels)
