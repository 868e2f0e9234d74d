"""Says when an output-stationary grid streams and when it hands over its results."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.countdown import is_over
from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.registers import fields_of, vector
from accelsim.rtl.stream_steps import StreamSteps


class DrainController(Part):
    """Takes a fold's operands until the last, and gives the slots of the result bus to the PEs behind it.

    With overlap a fold's results leave behind its last operand while the next one streams, and keep the bus for `drain`
    cycles. So a fold of T cycles and the next one of T' start ``max(T, drain, spacing, T - T' + drain)`` apart: a short fold
    behind a longer one would hand over while the bus is taken, and its first operand waits. The bus counts as taken behind
    every fold, also one that only goes on with a block's sums. What a slow source loses within a fold delays that fold's
    own results, which the bus is free for all the more. Without overlap nothing is taken until the last lane has stored.

    The PEs next to the edge go first. Results of rows (drained along the rows: columns) that a partial fold leaves over are
    not stored.

    Ports
    -----
    stream_valid : In, 1 bit; stream_ready : Out, 1 bit
        Operands are offered, and taken where both are 1. They stay offered until then.
    stream_last : In, 1 bit
        They are their fold's last.
    stream_steps : In (with overlap)
        With the first: how many steps their fold streams, or `drain` where there are more.
    stream_drains : In, 1 bit
        With the last: the sums are complete, hand them over.
    stream_count : In
        With the last: how many rows (columns) of the grid have results.
    mode ports : In
        `GridDesign.mode_ports`.
    streams : Out, 1 bit
        Operands are being taken.
    passes : Out (where steps have several passes)
        Which digits this cycle multiplies.
    captures : Out, 1 bit
        The slot of the first PE to hand over: all have their sums.
    injects : Out, vector of 1 bit
        Whose slot it is.
    stores : Out, 1 bit
        That PE's result counts.
    place : Out
        Which row (column) it is.
    last_slot : Out, 1 bit
        The last slot.
    """

    module_name = "drain_controller"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        slots = design.drain_slots
        ports: dict[str, Any] = {
            "stream_valid": In(1), "stream_ready": Out(1), "stream_last": In(1), "stream_drains": In(1),
            "stream_count": In(slots.bit_length()), "streams": Out(1), "captures": Out(1),
            "injects": Out(vector(unsigned(1), slots)), "stores": Out(1), "place": Out(max(1, (slots - 1).bit_length())),
            "last_slot": Out(1)}
        ports |= {name: In(bits) for name, bits in design.mode_ports.items()}
        if design.arithmetic.has_passes:
            ports["passes"] = Out(pass_layout(design.arithmetic, "weight", "factor"))
        if design.is_overlapped:
            ports["stream_steps"] = In(slots.bit_length())
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        steps = StreamSteps(m, design, valid=self.stream_valid, last=self.stream_last, controls=self)
        if design.is_overlapped:
            may_start = is_over(m, steps.starts, max(design.drain_slots, design.grid.swap_spacing), name="start")
            steps.run(may_start & (self.stream_steps * steps.cycles + steps.fixed >= self._booked(m, steps)))
        else:
            steps.run(is_over(m, steps.streams & self.stream_last, design.tail_cycles + 1, name="tail"))
        m.d.comb += [self.streams.eq(steps.streams), self.stream_ready.eq(steps.ready)]
        if design.arithmetic.has_passes:
            passes = steps.passes()
            m.d.comb += [field.eq(passes[name]) for name, field in fields_of(self.passes)]
        self._give_slots(m)
        return m

    def _booked(self, m: Module, steps: StreamSteps) -> Any:
        """Cycles that a fold which starts now has to stream at least, so that the bus is free for its results."""
        booked = Signal(range(self._design.drain_slots + 1), name="booked")
        with m.If(steps.streams & self.stream_last):
            m.d.sync += booked.eq(self._design.drain_slots)
        with m.Elif(booked != 0):
            m.d.sync += booked.eq(booked - 1)
        return booked

    def _give_slots(self, m: Module) -> None:
        slots, ends = self._design.drain_slots, Signal(name="ends")
        m.d.comb += ends.eq(self.streams & self.stream_last & self.stream_drains)
        is_draining, place = Signal(name="is_draining"), Signal(self.place.shape(), name="slot_place")
        count = Signal(self.stream_count.shape(), name="slot_count")
        with m.If(ends):
            m.d.sync += [is_draining.eq(1), place.eq(slots - 1), count.eq(self.stream_count)]
        with m.Elif(self.last_slot):
            m.d.sync += is_draining.eq(0)
        with m.Else():
            m.d.sync += place.eq(Mux(place == 0, Const(0), place - 1))
        m.d.comb += [self.captures.eq(is_draining & (place == slots - 1)), self.last_slot.eq(is_draining & (place == 0)),
                     self.stores.eq(is_draining & (place < count)), self.place.eq(place)]
        m.d.comb += [self.injects[row].eq(is_draining & (place == row)) for row in range(slots)]
