"""The PE of an output-stationary grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.products.placed import products_of_pass, products_of_step
from accelsim.rtl.registers import delayed, kept, shape_of, vector


class OutputPe(Part):
    """Adds the products of a step to a sum of its own, and hands the sum over when its turn comes.

    ``sum = kept((bias or sum) + products)`` at the accumulators' width, in the last pass of a step; the products are those
    of `accelsim.rtl.products`. Several pixels, or channels, have a sum each. As in every grid here, the PE of row r and
    column c does everything ``r h_r + c h_c`` cycles after the first one.

    The results leave on a bus through the PEs of a column (or row), one slot a PE: the sum is complete when `captures` comes
    by with slot 0, and enters the bus when `injects` does. With overlap the next fold's first product may come together with
    `captures`, so the PE then holds its result in a register for the later slots.

    Ports
    -----
    inputs : In, vector over the pixels
        On the way to the right: the digits of a pass.
    weight_above : In
        On the way down: the same.
    passes : In (where steps have several passes)
        Which digits they are; from the left.
    mode : In (where PEs have modes)
        The same for all PEs.
    bias_above : In (with preloaded biases)
        On the way down, with the weight of a block's first step.
    adds : In, 1 bit
        The last digits of operands are there: add their products.
    starts : In, 1 bit
        They are the block's first: add them to the bias (or to 0) and forget the sum.
    captures : In, 1 bit
        The sum is complete.
    injects : In, 1 bit
        This slot of the bus is this PE's. From the left with results that go down, from above with those that go right.
    drained : In, vector of sums
        The bus: from above, or from the left.
    results : Out, vector of sums
        The bus with this PE's sum, in the same cycle: for the edge behind the last PE.
    weight_below, bias_below, injects_below or injects_right, drained_below or drained_right : Out
        For the neighbours, as many cycles later as the hop has registers; so also inputs_right, adds_right, starts_right,
        captures_right, passes_right.
    """

    module_name = "pe"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        super().__init__(self.ports(design), hierarchy=hierarchy)

    @staticmethod
    def ports(design: GridDesign) -> dict[str, Any]:
        to_the_right, down = _passing(design)
        ports: dict[str, Any] = {"results": Out(accumulators_vector(design))}
        for name, shape in to_the_right.items():
            ports |= {name: In(shape), f"{name}_right": Out(shape)}
        for name, shape in down.items():
            ports |= {f"{name}_above": In(shape), f"{name}_below": Out(shape)}
        if design.arithmetic.has_mode:
            ports["mode"] = In(design.arithmetic.mode_ports["mode"])
        return ports

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        bits = design.accumulators.bits
        sums, held = Signal(self.results.shape(), name="sums", reset_less=True), None
        if design.is_overlapped:
            held = Signal(self.results.shape(), name="held", reset_less=True)
            with m.If(self.captures):
                m.d.sync += held.eq(sums)
        for pixel in range(design.pixels):
            products = self._products(m, pixel)
            for channel in range(design.channels):
                place = pixel * design.channels + channel
                bias = self.bias_above[channel] if design.accumulators.preloads_bias else 0
                exact = Signal(signed(max(bits, len(products[channel])) + 1), name=f"exact_{place}")
                m.d.comb += exact.eq(Mux(self.starts, bias, sums[place]) + products[channel])
                with m.If(self.adds):
                    m.d.sync += sums[place].eq(kept(exact, bits, design.accumulators.overflow))
        own = sums.as_value() if held is None else Mux(self.captures, sums.as_value(), held.as_value())
        injects = self.injects_above if design.drains_sideways else self.injects
        drained = self.drained if design.drains_sideways else self.drained_above
        m.d.comb += self.results.as_value().eq(Mux(injects, own, drained.as_value()))
        self._pass_on(m)
        return m

    def _products(self, m: Module, pixel: int) -> Any:
        """Of a pixel, a vector over the channels."""
        arithmetic = self._design.arithmetic
        passes, mode = self.passes if arithmetic.has_passes else None, self.mode if arithmetic.has_mode else None
        products = products_of_pass(m, self.hierarchy, f"product_{pixel}", arithmetic, weight=self.weight_above,
                                    factor=self.inputs[pixel], passes=passes, mode=mode)
        return products_of_step(m, self.hierarchy, f"step_{pixel}", arithmetic, products, bits=arithmetic.step_number.bits,
                                passes=passes, mode=mode)

    def _pass_on(self, m: Module) -> None:
        grid, control = self._design.grid, ("adds", "starts", "captures", "injects")
        to_the_right, down = _passing(self._design)
        for name in to_the_right:
            value = self.results if name == "drained" else getattr(self, name)
            m.d.comb += getattr(self, f"{name}_right").eq(
                delayed(m, value, grid.registers_per_column_hop, name=f"{name}_passing", is_reset=name in control))
        for name in down:
            value = self.results if name == "drained" else getattr(self, f"{name}_above")
            m.d.comb += getattr(self, f"{name}_below").eq(
                delayed(m, value, grid.registers_per_row_hop, name=f"{name}_passing", is_reset=name in control))


def accumulators_vector(design: GridDesign) -> Any:
    """The sums of a PE: of each pixel its channels'."""
    return vector(signed(design.accumulators.bits), design.sums)


def _passing(design: GridDesign) -> tuple[dict[str, Any], dict[str, Any]]:
    """What passes a PE to the right, and downward: name -> shape."""
    sums = accumulators_vector(design)
    to_the_right: dict[str, Any] = {
        "inputs": vector(shape_of(design.arithmetic.factor.digits), design.pixels), "adds": 1, "starts": 1, "captures": 1}
    if design.arithmetic.has_passes:
        to_the_right["passes"] = pass_layout(design.arithmetic)
    down: dict[str, Any] = {"weight": shape_of(design.arithmetic.weight.digits)}
    if design.accumulators.preloads_bias:
        down["bias"] = vector(signed(design.accumulators.bits), design.channels)
    if design.drains_sideways:
        to_the_right["drained"], down["injects"] = sums, 1
    else:
        to_the_right["injects"], down["drained"] = 1, sums
    return to_the_right, down
