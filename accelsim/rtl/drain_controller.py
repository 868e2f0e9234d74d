"""Says when an output-stationary grid streams and when it hands over its results."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.countdown import is_over
from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import vector


class DrainController(Part):
    """Takes a fold's operands, one a cycle until the last, and gives the slots of the result bus to the PEs behind it.

    With overlap folds start ``max(T, drain, spacing)`` apart, and a fold's results leave behind its last operand while the
    next one streams. Two drains need ``drain`` cycles from one to the other, as folds do: a fold that streams fewer steps
    than that behind a longer one would hand over too early, and its last operand waits. (Folds that go on with a block's
    sums, drained with the last of them, have no such wait.) Without overlap nothing is taken until the last lane has stored.

    The PEs next to the edge go first. Results of rows (drained along the rows: columns) that a partial fold leaves over are
    not stored.

    Ports
    -----
    stream_valid : In, 1 bit; stream_ready : Out, 1 bit
        Operands are offered, and taken where both are 1.
    stream_last : In, 1 bit
        They are their fold's last.
    stream_drains : In, 1 bit
        With the last: the sums are complete, hand them over.
    stream_count : In
        With the last: how many rows (columns) of the grid have results.
    streams : Out, 1 bit
        Operands are being taken.
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
        super().__init__({
            "stream_valid": In(1), "stream_ready": Out(1), "stream_last": In(1), "stream_drains": In(1),
            "stream_count": In(slots.bit_length()), "streams": Out(1), "captures": Out(1),
            "injects": Out(vector(unsigned(1), slots)), "stores": Out(1), "place": Out(max(1, (slots - 1).bit_length())),
            "last_slot": Out(1)}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        is_streaming, starts, ends = Signal(name="is_streaming"), Signal(name="starts"), Signal(name="ends")
        m.d.comb += [self.streams.eq(self.stream_valid & self.stream_ready), starts.eq(self.streams & ~is_streaming),
                     ends.eq(self.streams & self.stream_last & self.stream_drains)]
        with m.If(self.streams):
            m.d.sync += is_streaming.eq(~self.stream_last)
        if design.is_overlapped:
            may_start = is_over(m, starts, max(design.drain_slots, design.grid.swap_spacing), name="start")
            may_drain = is_over(m, ends, design.drain_slots, name="drain")
            waits = self.stream_last & self.stream_drains & ~may_drain
            m.d.comb += self.stream_ready.eq((is_streaming | may_start) & ~waits)
        else:
            is_idle = is_over(m, self.streams & self.stream_last, design.tail_cycles + 1, name="tail")
            m.d.comb += self.stream_ready.eq(is_streaming | is_idle)
        self._give_slots(m, ends)
        return m

    def _give_slots(self, m: Module, ends: Any) -> None:
        slots = self._design.drain_slots
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
