"""Says when a grid with a stationary operand loads and when it streams."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.countdown import is_over
from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import vector


class FoldController(Part):
    """Takes the rows of a fold's stationary operand, one a cycle, then its streamed operands, one a cycle until the last.

    With overlap, the next fold's rows are taken from the cycle in which this fold's first operand is; its operands follow
    the last of this fold's, once all rows are in and the swap spacing is over. So folds start ``max(T, R, spacing)`` apart.
    Without, nothing is taken from the last operand until the last lane has added.

    Ports
    -----
    load_valid : In, 1 bit; load_ready : Out, 1 bit
        A row is offered, and taken where both are 1.
    stream_valid : In, 1 bit; stream_ready : Out, 1 bit
        A streamed operand is offered, and taken where both are 1.
    stream_last : In, 1 bit
        It is its fold's last.
    loads : Out, vector of R x 1 bit
        Where the row that is being taken belongs.
    fills : Out, 1 bit
        It is the last of its fold.
    streams : Out, 1 bit
        An operand is being taken.
    load_bank, bank : Out, 1 bit (with overlap)
        Of the row, and of the operand.
    load_slot, slot : Out (with several bias slots)
        The same for biases.
    """

    module_name = "fold_controller"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "load_valid": In(1), "load_ready": Out(1), "stream_valid": In(1), "stream_ready": Out(1), "stream_last": In(1),
            "loads": Out(vector(unsigned(1), design.rows)), "fills": Out(1), "streams": Out(1)}
        if design.is_overlapped:
            ports |= {"load_bank": Out(1), "bank": Out(1)}
        if design.has_bias_slots and design.bias_slots > 1:
            bits = (design.bias_slots - 1).bit_length()
            ports |= {"load_slot": Out(bits), "slot": Out(bits)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        is_full, is_streaming, starts = Signal(name="is_full"), Signal(name="is_streaming"), Signal(name="starts")
        m.d.comb += [self.streams.eq(self.stream_valid & self.stream_ready), starts.eq(self.streams & ~is_streaming)]
        with m.If(self.streams):
            m.d.sync += is_streaming.eq(~self.stream_last)
        taken, row = Signal(name="taken"), Signal(range(design.rows), name="row")
        m.d.comb += [taken.eq(self.load_valid & self.load_ready), self.fills.eq(taken & (row == design.rows - 1))]
        with m.If(taken):
            m.d.sync += row.eq(Mux(self.fills, 0, row + 1))
        m.d.comb += [self.loads[place].eq(taken & (row == place)) for place in range(design.rows)]
        m.d.sync += is_full.eq(self.fills | (is_full & ~starts))
        if design.is_overlapped:
            may_start = is_over(m, starts, design.grid.swap_spacing, name="spacing")
            m.d.comb += [self.load_ready.eq(~is_full | starts), self.stream_ready.eq(is_streaming | (is_full & may_start))]
        else:
            is_idle = is_over(m, self.streams & self.stream_last, design.tail_cycles + 1, name="tail")
            m.d.comb += [self.load_ready.eq(~is_full & ~is_streaming & is_idle),
                         self.stream_ready.eq(is_streaming | is_full)]
        self._count(m, starts)
        return m

    def _count(self, m: Module, starts: Any) -> None:
        """Banks and slots: the next one for each fold that is loaded; its operands find it again."""
        counted = [("load_bank", "bank", 2)] if self._design.is_overlapped else []
        if self._design.has_bias_slots and self._design.bias_slots > 1:
            counted.append(("load_slot", "slot", self._design.bias_slots))
        for loading, streaming, count in counted:
            next_one, full, current = (Signal(range(count), name=f"{label}_{streaming}")
                                       for label in ("next", "full", "current"))
            with m.If(self.fills):
                m.d.sync += [full.eq(next_one), next_one.eq(Mux(next_one == count - 1, Const(0), next_one + 1))]
            with m.If(starts):
                m.d.sync += current.eq(full)
            m.d.comb += [getattr(self, loading).eq(next_one), getattr(self, streaming).eq(Mux(starts, full, current))]
