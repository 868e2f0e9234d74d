"""An accumulator lane: A[n] of the white paper's Figure 1, a column's (dot_product: a row's) partial sums and adder."""

from __future__ import annotations

from itertools import product
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.accumulator_memory import AccumulatorMemory
from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_row import tree_vector
from accelsim.rtl.lane_control import lane_control
from accelsim.rtl.output_pe import accumulators_vector
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, kept, numbered, vector
from accelsim.rtl.stationary_pe import sums_vector


class AccumulatorLane(Part):
    """Adds the sums of a lane to its entries, ``entry = kept((bias or entry) + sum)``, one a cycle, pixel and channel.

    There is a memory for each pixel, and for each channel of the mode with the most. A mode with N of C channels writes N
    memories at once, those of its `part`: the part-th N of them.

    Control comes one cycle before the sum where the design reads ahead: the entry is then read in that cycle.
    An output-stationary grid's sums are complete; its lanes only store them.

    Ports
    -----
    control : In, `lane_control`
        Of the sums.
    enabled : In, 1 bit
        With the control: whether this lane has sums, or is left over by a partial fold.
    mode : In (with several channels)
        Which mode it is.
    sums : In, vector
        Of each pixel its channels', in the cycle of the addition.
    bias_write : In, 1 bit; bias_slot, bias : In (with bias slots)
        A fold's biases, one a channel.
    read_half, read_address : In
        An entry for the requantizer.
    read : Out, vector
        That entry: what each memory holds.
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
            ports |= {"bias_write": In(1), "bias": In(biases_vector(design))}
            if design.bias_slots > 1:
                ports["bias_slot"] = In((design.bias_slots - 1).bit_length())
        if design.channels > 1:
            ports["mode"] = In(design.mode_ports["mode"])
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
        for pixel, channel in product(range(design.pixels), range(design.channels)):
            place = pixel * design.channels + channel
            entries = self.hierarchy.place(m, numbered("memory", place, design.sums), AccumulatorMemory, design)
            sums = [self.sums[pixel * design.channels + of_channel] for of_channel in range(design.channels)]
            is_own, of_memory, bias = self._of_mode(m, control, sums, start, channel, place)
            m.d.comb += [entries.write.eq(control.valid & enabled & is_own), entries.write_address.eq(control.address),
                         entries.written.eq(self._sum(m, entries, control, bias, of_memory, place)),
                         entries.read_address.eq(self.read_address), self.read[place].eq(entries.read)]
            if design.halves == 2:
                m.d.comb += [entries.write_half.eq(control.half), entries.read_half.eq(self.read_half)]
        return m

    def _of_mode(self, m: Module, control: Any, sums: list[Any], start: Any, channel: int,
                 place: int) -> tuple[Any, Any, Any]:
        """(whether a channel's memory is written, its sum, its bias) in the mode at hand."""
        design = self._design
        if design.channels == 1:
            return Const(1), sums[0], None if start is None else start[0]
        is_own, of_memory = Signal(name=f"is_own_{place}"), Signal(sums[0].shape(), name=f"sum_{place}")
        bias = None if start is None else Signal(start[0].shape(), name=f"start_{place}")
        by_count: dict[int, list[int]] = {}
        for code, mode in zip(design.arithmetic.codes, design.arithmetic.modes, strict=True):
            by_count.setdefault(mode.channels, []).append(code)
        with m.Switch(self.mode):
            for count, codes in by_count.items():
                with m.Case(*codes):
                    m.d.comb += [is_own.eq(control.part == channel // count), of_memory.eq(sums[channel % count])]
                    if bias is not None and start is not None:
                        m.d.comb += bias.eq(start[channel % count])
        return is_own, of_memory, bias

    def _passed(self, m: Module, cycles: int, name: str) -> Any:
        """The control some cycles later; reset clears what says that there is a sum, the rest is data."""
        if not cycles:
            return self.control
        valid = delayed(m, self.control.valid, cycles, name=f"{name}_valid", is_reset=True)
        passed = Signal(self.control.shape(), name=name)
        m.d.comb += [passed.eq(delayed(m, self.control, cycles, name=f"{name}_control")), passed.valid.eq(valid)]
        return passed

    def _sum(self, m: Module, entries: Any, control: Any, start: Any, value: Any, place: int) -> Any:
        """What the entry becomes."""
        design = self._design
        if design.is_output_stationary:
            return value
        m.d.comb += [entries.add.eq(self.control.valid), entries.add_address.eq(self.control.address)]
        if design.halves == 2:
            m.d.comb += entries.add_half.eq(self.control.half)
        exact = Signal(signed(max(design.accumulators.bits, len(value)) + 1), name=f"exact_{place}")
        m.d.comb += exact.eq(Mux(control.starts, 0 if start is None else start, entries.held) + value)
        return kept(exact, design.accumulators.bits, design.accumulators.overflow)

    def _start(self, m: Module, control: Any) -> Any:
        """What a block starts from: a bias a channel; None for zeros."""
        design = self._design
        if design.has_streamed_bias:
            return control.bias
        if not design.has_bias_slots:
            return None
        slots = [Signal(biases_vector(design), name=f"bias_{place}", reset_less=True) for place in range(design.bias_slots)]
        bias = Signal(biases_vector(design), name="bias_of_sum")
        slot = control.slot if design.bias_slots > 1 else Const(0, unsigned(1))
        for place, register in enumerate(slots):
            with m.If(self.bias_write & (self.bias_slot == place if design.bias_slots > 1 else Const(1))):
                m.d.sync += register.eq(self.bias)
        with m.Switch(slot):
            for place, register in enumerate(slots):
                with m.Case(place):
                    m.d.comb += bias.eq(register)
        if design.preload_cycles or design.lag_cycles:
            return bias
        at_once = Signal(biases_vector(design), name="bias_at_once")
        is_coming = self.bias_write & (self.bias_slot == slot if design.bias_slots > 1 else Const(1))
        m.d.comb += at_once.as_value().eq(Mux(is_coming, self.bias.as_value(), bias.as_value()))
        return at_once


def biases_vector(design: GridDesign) -> Any:
    """A bias for each channel of a PE."""
    return vector(signed(design.accumulators.bits), design.channels)


def lane_sums_vector(design: GridDesign) -> Any:
    """A lane's sums as they leave the grid."""
    if design.is_output_stationary:
        return accumulators_vector(design)
    return tree_vector(design) if design.is_dot_product else sums_vector(design)
