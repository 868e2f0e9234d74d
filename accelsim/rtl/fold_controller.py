"""Says when a grid with a stationary operand loads and when it streams."""

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


class FoldController(Part):
    """Takes the stationary operands of a fold in P cycles, then its streamed operands until the last.

    P is R, a row a cycle, or the grid's own number where the PEs have banks; with P = 0 the stationary operands are taken as
    the fold starts. A fold streams for T cycles: one for each operand, or as many as its passes are, behind the fixed ones.
    With overlap, the next fold's loading begins in the cycle in which this fold starts; it starts behind this one's last
    operand, once it is loaded and the swap spacing is over. So folds start ``max(T, P, spacing)`` apart. Without, nothing is
    taken from the last operand until the last lane has added.

    Ports
    -----
    load_valid : In, 1 bit; load_ready : Out, 1 bit
        A row is offered (with banks: they have what is to be loaded), and taken where both are 1.
    stream_valid : In, 1 bit; stream_ready : Out, 1 bit
        A streamed operand is offered, and taken where both are 1. It stays offered until then.
    stream_last : In, 1 bit
        It is its fold's last.
    mode ports : In
        `GridDesign.mode_ports`.
    loads : Out, vector of R x 1 bit
        The rows that are being loaded.
    fills : Out, 1 bit
        They are the last of their fold.
    streams : Out, 1 bit
        An operand is being taken.
    passes : Out (where steps have several passes)
        Which digits this cycle multiplies.
    load_bank, bank : Out, 1 bit (with two registers a PE)
        The one that is being loaded, and the operand's.
    load_slot, slot : Out (with several bias slots)
        The same for biases.
    """

    module_name = "fold_controller"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "load_valid": In(1), "load_ready": Out(1), "stream_valid": In(1), "stream_ready": Out(1), "stream_last": In(1),
            "loads": Out(vector(unsigned(1), design.rows)), "fills": Out(1), "streams": Out(1)}
        ports |= {name: In(bits) for name, bits in design.mode_ports.items()}
        if design.arithmetic.has_passes:
            ports["passes"] = Out(pass_layout(design.arithmetic, "weight", "factor"))
        if design.has_two_registers:
            ports |= {"load_bank": Out(1), "bank": Out(1)}
        if design.has_bias_slots and design.bias_slots > 1:
            bits = (design.bias_slots - 1).bit_length()
            ports |= {"load_slot": Out(bits), "slot": Out(bits)}
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        steps = StreamSteps(m, design, valid=self.stream_valid, last=self.stream_last, controls=self)
        is_spaced: Any = Const(1)
        is_idle: Any = Const(1)
        if design.is_overlapped:
            is_spaced = is_over(m, steps.starts, design.grid.swap_spacing, name="spacing")
        else:
            is_idle = is_over(m, steps.streams & self.stream_last, design.tail_cycles + 1, name="tail")
        if design.preload_cycles:
            self._load(m, steps, is_spaced, is_idle)
        else:
            steps.run(self.load_valid & is_spaced & is_idle)
            m.d.comb += [self.load_ready.eq(steps.starts), self.fills.eq(steps.starts)]
            m.d.comb += [load.eq(steps.starts) for load in self.loads]
        m.d.comb += [self.streams.eq(steps.streams), self.stream_ready.eq(steps.ready)]
        if design.arithmetic.has_passes:
            passes = steps.passes()
            m.d.comb += [field.eq(passes[name]) for name, field in fields_of(self.passes)]
        self._count(m, steps.starts)
        return m

    def _load(self, m: Module, steps: StreamSteps, is_spaced: Any, is_idle: Any) -> None:
        """Loading in some cycles, and what waits for it."""
        design, cycles = self._design, self._design.preload_cycles
        is_full, taken, clock = Signal(name="is_full"), Signal(name="taken"), Signal(range(cycles), name="load_clock")
        m.d.comb += [taken.eq(self.load_valid & self.load_ready), self.fills.eq(taken & (clock == cycles - 1))]
        with m.If(taken):
            m.d.sync += clock.eq(Mux(self.fills, 0, clock + 1))
        m.d.comb += [self.loads[row].eq(taken & (clock == row * cycles // design.rows)) for row in range(design.rows)]
        m.d.sync += is_full.eq(self.fills | (is_full & ~steps.starts))
        steps.run(is_full & is_spaced)
        if design.is_overlapped:
            m.d.comb += self.load_ready.eq(~is_full | steps.starts)
        else:
            m.d.comb += self.load_ready.eq(~is_full & ~steps.is_streaming & is_idle)

    def _count(self, m: Module, starts: Any) -> None:
        """Banks and slots: the next one for each fold that is loaded; its operands find it again."""
        counted = [("load_bank", "bank", 2)] if self._design.has_two_registers else []
        if self._design.has_bias_slots and self._design.bias_slots > 1:
            counted.append(("load_slot", "slot", self._design.bias_slots))
        for loading, streaming, count in counted:
            next_one, full, current = (Signal(range(count), name=f"{label}_{streaming}")
                                       for label in ("next", "full", "current"))
            with m.If(self.fills):
                m.d.sync += [full.eq(next_one), next_one.eq(Mux(next_one == count - 1, Const(0), next_one + 1))]
            starting = full if self._design.preload_cycles else next_one
            with m.If(starts):
                m.d.sync += current.eq(starting)
            m.d.comb += [getattr(self, loading).eq(next_one), getattr(self, streaming).eq(Mux(starts, starting, current))]
