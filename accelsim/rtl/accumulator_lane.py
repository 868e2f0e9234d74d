"""An accumulator lane: A[n] of the white paper's Figure 1, a column's (dot_product: a row's) partial sums and adder."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.accumulator_memory import AccumulatorMemory
from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_row import tree_vector
from accelsim.rtl.lane_control import lane_control
from accelsim.rtl.output_pe import accumulators_vector
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, kept, numbered
from accelsim.rtl.stationary_pe import sums_vector


class AccumulatorLane(Part):
    """Adds the sums of a lane to its entries, ``entry = kept((bias or entry) + sum)``, one a cycle and pixel.

    Control comes one cycle before the sum where the design reads ahead: the entry is then read in that cycle.
    An output-stationary grid's sums are complete; its lanes only store them.

    Ports
    -----
    control : In, `lane_control`
        Of the sum.
    enabled : In, 1 bit
        With the control: whether this lane has a sum, or is left over by a partial fold.
    sums : In, vector
        One a pixel, in the cycle of the addition.
    bias_write : In, 1 bit; bias_slot, bias : In (with bias slots)
        A fold's bias.
    read_half, read_address : In
        An entry for the requantizer.
    read : Out, vector
        That entry, a value a pixel.
    control_next : Out
        For the lane behind this one, a hop later; not of dot_product, whose lanes work together.
    done : Out, 1 bit
        A fold's last sum is being stored.
    """

    module_name = "accumulator_lane"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design, control = design, lane_control(design)
        ports: dict[str, Any] = {
            "control": In(control), "enabled": In(1), "sums": In(lane_sums_vector(design)),
            "read_address": In(design.address_bits), "read": Out(accumulators_vector(design)), "done": Out(1)}
        if not design.is_dot_product:
            ports["control_next"] = Out(control)
        if design.halves == 2:
            ports["read_half"] = In(1)
        if design.has_bias_slots:
            ports |= {"bias_write": In(1), "bias": In(signed(design.accumulators.bits))}
            if design.bias_slots > 1:
                ports["bias_slot"] = In((design.bias_slots - 1).bit_length())
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        ahead = 1 if design.reads_ahead and not design.is_output_stationary else 0
        control = Signal(self.control.shape(), name="at_sum")
        enabled = delayed(m, self.enabled, ahead, name="enabled_at_sum")
        m.d.comb += control.eq(self._passed(m, ahead, "requested"))
        if not design.is_dot_product:
            m.d.comb += self.control_next.eq(self._passed(m, design.lane_hop_cycles, "passing"))
        m.d.comb += self.done.eq(control.valid & control.last)
        start = self._start(m, control)
        for pixel in range(design.pixels):
            entries = self.hierarchy.place(m, numbered("memory", pixel, design.pixels), AccumulatorMemory, design)
            m.d.comb += [entries.write.eq(control.valid & enabled), entries.write_address.eq(control.address),
                         entries.written.eq(self._sum(m, entries, control, start, pixel)),
                         entries.read_address.eq(self.read_address), self.read[pixel].eq(entries.read)]
            if design.halves == 2:
                m.d.comb += [entries.write_half.eq(control.half), entries.read_half.eq(self.read_half)]
        return m

    def _passed(self, m: Module, cycles: int, name: str) -> Any:
        """The control some cycles later; reset clears what says that there is a sum, the rest is data."""
        if not cycles:
            return self.control
        valid = delayed(m, self.control.valid, cycles, name=f"{name}_valid", is_reset=True)
        passed = Signal(self.control.shape(), name=name)
        m.d.comb += [passed.eq(delayed(m, self.control, cycles, name=f"{name}_control")), passed.valid.eq(valid)]
        return passed

    def _sum(self, m: Module, entries: Any, control: Any, start: Any, pixel: int) -> Any:
        """What the entry becomes."""
        design = self._design
        if design.is_output_stationary:
            return self.sums[pixel]
        m.d.comb += [entries.add.eq(self.control.valid), entries.add_address.eq(self.control.address)]
        if design.halves == 2:
            m.d.comb += entries.add_half.eq(self.control.half)
        exact = Signal(signed(max(design.accumulators.bits, len(self.sums[pixel])) + 1), name=f"exact_{pixel}")
        m.d.comb += exact.eq(Mux(control.starts, start, entries.held) + self.sums[pixel])
        return kept(exact, design.accumulators.bits, design.accumulators.overflow)

    def _start(self, m: Module, control: Any) -> Any:
        """What a block starts from."""
        design = self._design
        if design.has_streamed_bias:
            return control.bias
        if not design.has_bias_slots:
            return Const(0)
        slots = [Signal(signed(design.accumulators.bits), name=f"bias_{place}", reset_less=True)
                 for place in range(design.bias_slots)]
        bias = Signal(signed(design.accumulators.bits), name="bias_of_sum")
        slot = control.slot if design.bias_slots > 1 else Const(0, unsigned(1))
        for place, register in enumerate(slots):
            with m.If(self.bias_write & (self.bias_slot == place if design.bias_slots > 1 else Const(1))):
                m.d.sync += register.eq(self.bias)
        with m.Switch(slot):
            for place, register in enumerate(slots):
                with m.Case(place):
                    m.d.comb += bias.eq(register)
        return bias


def lane_sums_vector(design: GridDesign) -> Any:
    """A lane's sums as they leave the grid."""
    if design.is_output_stationary:
        return accumulators_vector(design)
    return tree_vector(design) if design.is_dot_product else sums_vector(design)
