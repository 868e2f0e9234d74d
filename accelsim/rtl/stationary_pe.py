"""The PE of a weight- or input-stationary grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.digits import digits_of
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.products.placed import products_of_pass, products_of_step
from accelsim.rtl.registers import banked, delayed, kept, shape_of, vector


class StationaryPe(Part):
    """Multiplies what stays in it by what streams through it, and adds the product to its column's sum.

    ``sums = kept(sums_above + products)`` at the width of the wires between PEs. The products are those of
    `accelsim.rtl.products`, complete in the last pass of a step; until then the sums do not count. Everything that happens
    in the PE of row r and column c happens ``r h_r + c h_c`` cycles later than in the first: preload, streaming, change of
    banks. So it takes no more cycles than the edges show.

    With overlap there are two registers of stationary operands: one is filled while the other multiplies, and `bank`, which
    travels with the streamed operand, says which multiplies (one where loading takes no time). Where the grid works on
    several pixels, the PE multiplies for each: one of its operands then comes once a pixel. Where it works on several
    channels, a word has the weights of all.

    Ports
    -----
    stationary_above : In, vector
        On the way down: the row of stationary operands that is being loaded.
    own : In, vector (where PEs load from banks of their own, instead of that)
        What stands first in this PE's bank.
    load : In, 1 bit
        That row is this PE's own, or it is to load from its bank.
    takes : Out, 1 bit (where PEs load from banks)
        It does.
    load_bank : In, 1 bit (with two registers)
        The register to be filled.
    bank : In, 1 bit (with two registers)
        The register that multiplies.
    streamed : In, vector
        On the way to the right: the digits of a pass.
    passes : In (where steps have several passes)
        Which digits they are, and the place of those of the stationary operand.
    mode : In (where PEs have modes)
        The same for all PEs.
    sums_above : In, vector of sums
        Of the PEs above.
    sums : Out, vector of sums
        With this PE's products, in the same cycle: for the edge below the last row.
    stationary_below, sums_below : Out
        For the PE below, h_r cycles later.
    load_right, load_bank_right, bank_right, streamed_right, passes_right : Out
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
            "load": In(1), "load_right": Out(1), "streamed": In(streamed), "streamed_right": Out(streamed),
            "sums_above": In(sums), "sums": Out(sums), "sums_below": Out(sums)}
        if design.loads_from_banks:
            ports |= {"own": In(stationary), "takes": Out(1)}
        else:
            ports |= {"stationary_above": In(stationary), "stationary_below": Out(stationary)}
        if design.has_two_registers:
            ports |= {"load_bank": In(1), "load_bank_right": Out(1), "bank": In(1), "bank_right": Out(1)}
        if design.arithmetic.has_passes:
            passes = pass_layout(design.arithmetic, kept_operand(design))
            ports |= {"passes": In(passes), "passes_right": Out(passes)}
        if design.arithmetic.has_mode:
            ports["mode"] = In(design.arithmetic.mode_ports["mode"])
        return ports

    def elaborate(self, platform: object) -> Module:
        m, design, has_two = Module(), self._design, self._design.has_two_registers
        self._pass_on(m)
        loaded = self.own if design.loads_from_banks else self.stationary_above
        stationary = banked(m, loaded, load=self.load, load_bank=self.load_bank if has_two else None,
                            bank=self.bank if has_two else None, is_at_once=not design.preload_cycles)
        digits = self._digits(m, stationary)
        for pixel in range(design.pixels):
            products = self._products(m, digits, pixel)
            for channel in range(design.channels):
                place = pixel * design.channels + channel
                exact = Signal(signed(max(design.sum_bits, len(products[channel])) + 1), name=f"exact_{place}")
                m.d.comb += [exact.eq(self.sums_above[place] + products[channel]),
                             self.sums[place].eq(kept(exact, design.sum_bits, design.accumulators.overflow))]
        return m

    def _digits(self, m: Module, stationary: Any) -> list[Any]:
        """The digits of the stationary words that this pass takes."""
        arithmetic, name = self._design.arithmetic, kept_operand(self._design)
        operand = getattr(arithmetic, name)
        if operand.passes == 1:
            return list(stationary)
        index = getattr(self.passes, f"{name}_index")
        return [digits_of(m, operand, stationary[place], index=index, mode=self.mode if arithmetic.has_mode else None,
                          codes=arithmetic.codes, name=f"digits_{place}") for place in range(len(stationary))]

    def _products(self, m: Module, digits: list[Any], pixel: int) -> Any:
        """Of a pixel, a vector over the channels."""
        arithmetic = self._design.arithmetic
        held = digits[pixel if len(digits) > 1 else 0]
        passing = self.streamed[pixel if self.streamed.shape().length > 1 else 0]
        weight, factor = (passing, held) if self._design.keeps_inputs else (held, passing)
        passes, mode = self.passes if arithmetic.has_passes else None, self.mode if arithmetic.has_mode else None
        products = products_of_pass(m, self.hierarchy, f"product_{pixel}", arithmetic, weight=weight, factor=factor,
                                    passes=passes, mode=mode)
        return products_of_step(m, self.hierarchy, f"step_{pixel}", arithmetic, products, bits=arithmetic.step_number.bits,
                                passes=passes, mode=mode)

    def _pass_on(self, m: Module) -> None:
        down, right = self._design.grid.registers_per_row_hop, self._design.grid.registers_per_column_hop
        if self._design.loads_from_banks:
            m.d.comb += self.takes.eq(self.load)
        else:
            m.d.comb += self.stationary_below.eq(delayed(m, self.stationary_above, down, name="passing"))
        m.d.comb += [
            self.sums_below.eq(delayed(m, self.sums, down, name="sum")),
            self.streamed_right.eq(delayed(m, self.streamed, right, name="streaming")),
            self.load_right.eq(delayed(m, self.load, right, name="loading", is_reset=True))]
        if self._design.has_two_registers:
            m.d.comb += [self.load_bank_right.eq(delayed(m, self.load_bank, right, name="loading_bank")),
                         self.bank_right.eq(delayed(m, self.bank, right, name="streaming_bank"))]
        if self._design.arithmetic.has_passes:
            m.d.comb += self.passes_right.eq(delayed(m, self.passes, right, name="streaming_passes"))


def kept_operand(design: GridDesign) -> str:
    """Which operand of a stationary dataflow stays: "weight" or "factor" (an input)."""
    return "factor" if design.keeps_inputs else "weight"


def streamed_operand(design: GridDesign) -> str:
    """Which one streams."""
    return "weight" if design.keeps_inputs else "factor"


def stationary_vector(design: GridDesign) -> Any:
    """What a PE keeps: inputs of each pixel, or weights."""
    operand = getattr(design.arithmetic, kept_operand(design))
    return vector(shape_of(operand.whole), design.pixels if design.keeps_inputs else 1)


def streamed_words(design: GridDesign) -> Any:
    """What enters for a PE of a row: weights, or inputs of each pixel."""
    operand = getattr(design.arithmetic, streamed_operand(design))
    return vector(shape_of(operand.whole), 1 if design.keeps_inputs else design.pixels)


def streamed_vector(design: GridDesign) -> Any:
    """What passes a PE: the digits of a pass."""
    operand = getattr(design.arithmetic, streamed_operand(design))
    return vector(shape_of(operand.digits), 1 if design.keeps_inputs else design.pixels)


def sums_vector(design: GridDesign) -> Any:
    """A column's sums: of each pixel its channels'."""
    return vector(signed(design.sum_bits), design.sums)
