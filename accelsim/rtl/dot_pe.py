"""The PE of a dot-product grid: C[n, m] of Figure 1 of Nagel et al. 2021 (arXiv 2106.08295)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.digits import digits_of
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.products.placed import products_of_pass
from accelsim.rtl.registers import banked, shape_of, vector


class DotPe(Part):
    """A register for a word of weights, or two, and for each pixel what multiplies, as `accelsim.rtl.products` has it.

    Ports
    -----
    weight : In
        The word that is being loaded, or stands first in the PE's bank.
    load : In, 1 bit
        It is this PE's.
    load_bank, bank : In, 1 bit (with two registers)
        The register to be filled; the register that multiplies.
    inputs : In, vector over the pixels
        The digits of a pass.
    passes : In (where steps have several passes)
        Which digits they are, and the place of those of the weight.
    mode : In (where PEs have modes)
        The same for all PEs.
    products : Out, vector
        Of the pass, for each pixel of its channels, in the same cycle.
    """

    module_name = "pe"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        arithmetic = design.arithmetic
        ports: dict[str, Any] = {
            "weight": In(shape_of(arithmetic.weight.whole)), "load": In(1),
            "inputs": In(vector(shape_of(arithmetic.factor.digits), design.pixels)),
            "products": Out(vector(shape_of(arithmetic.pass_number), design.sums))}
        if arithmetic.has_passes:
            ports["passes"] = In(pass_layout(arithmetic, "weight"))
        if arithmetic.has_mode:
            ports["mode"] = In(arithmetic.mode_ports["mode"])
        if design.has_two_registers:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, has_two = Module(), self._design.has_two_registers
        weight = banked(m, self.weight, load=self.load, load_bank=self.load_bank if has_two else None,
                        bank=self.bank if has_two else None, is_at_once=not self._design.preload_cycles)
        arithmetic, channels = self._design.arithmetic, self._design.channels
        passes, mode = self.passes if arithmetic.has_passes else None, self.mode if arithmetic.has_mode else None
        if arithmetic.weight.passes > 1:
            weight = digits_of(m, arithmetic.weight, weight, index=self.passes.weight_index, mode=mode,
                               codes=arithmetic.codes, name="digits")
        for pixel in range(self._design.pixels):
            products = products_of_pass(m, self.hierarchy, f"product_{pixel}", arithmetic, weight=weight,
                                        factor=self.inputs[pixel], passes=passes, mode=mode)
            m.d.comb += [self.products[pixel * channels + channel].eq(products[channel]) for channel in range(channels)]
        return m
