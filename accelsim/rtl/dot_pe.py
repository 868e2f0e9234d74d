"""The PE of a dot-product grid: C[n, m] of Figure 1 of Nagel et al. 2021 (arXiv 2106.08295)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import banked, shape_of, vector


class DotPe(Part):
    """A weight, or two banks of it, and a multiplier a pixel.

    Ports
    -----
    weight : In
        That is being loaded.
    load : In, 1 bit
        It is this row's.
    load_bank, bank : In, 1 bit (with overlap)
        The bank to be filled; the bank that multiplies.
    inputs : In, vector
        An input a pixel.
    products : Out, vector
        In the same cycle.
    """

    module_name = "pe"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "weight": In(shape_of(design.weight_number)), "load": In(1),
            "inputs": In(vector(shape_of(design.factor_number), design.pixels)),
            "products": Out(vector(signed(design.product_bits), design.pixels))}
        if design.is_overlapped:
            ports |= {"load_bank": In(1), "bank": In(1)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, has_banks = Module(), self._design.is_overlapped
        weight = banked(m, self.weight, load=self.load, load_bank=self.load_bank if has_banks else None,
                        bank=self.bank if has_banks else None)
        for pixel in range(self._design.pixels):
            m.d.comb += self.products[pixel].eq(self.inputs[pixel] * weight)
        return m
