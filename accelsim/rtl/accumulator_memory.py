"""The memory of an accumulator lane."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed


class AccumulatorMemory(Part):
    """Partial sums of one lane (and pixel): one memory, or two halves of which one accumulates while the other is read.

    Each half has one port to read and one to write, as an SRAM macro has. The reading port belongs to the adder where the
    adder asks, else to the requantizer: both in the same half in one cycle is a mistake of whoever drives the design, and
    the adder wins. A value that is written can be read in the next cycle, as a request in the cycle of the writing.

    Ports
    -----
    add : In, 1 bit; add_half, add_address : In
        The adder will need this entry: in the next cycle where the design reads ahead, else in this one. Not with
        output-stationary grids, whose sums are complete.
    held : Out
        That entry.
    write : In, 1 bit; write_half, write_address, written : In
        Store a sum.
    read_half, read_address : In
        An entry for the requantizer.
    read : Out
        That entry, in the next cycle where the design reads ahead, else in this one.
    """

    module_name = "accumulator_memory"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        entry = signed(design.accumulators.bits)
        ports: dict[str, Any] = {"write": In(1), "written": In(entry), "read": Out(entry)}
        if not design.is_output_stationary:
            ports |= {"add": In(1), "held": Out(entry)}
        for name in ("write", "read") if design.is_output_stationary else ("add", "write", "read"):
            ports[f"{name}_address"] = In(design.address_bits)
            if design.halves == 2:
                ports[f"{name}_half"] = In(1)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        values = [self._half(m, place) for place in range(design.halves)]
        for name, value in (("add", "held"), ("read", "read")):
            if name == "read" or not design.is_output_stationary:
                m.d.comb += getattr(self, value).eq(self._chosen(m, values, name))
        return m

    def _in_half(self, name: str, place: int) -> Any:
        """Whether a request is for this half."""
        return getattr(self, f"{name}_half") == place if self._design.halves == 2 else Const(1)

    def _half(self, m: Module, place: int) -> Any:
        """One memory; returns what its reading port gives."""
        design = self._design
        name = f"half_{place}" if design.halves == 2 else "entries"
        entries = memory.Memory(shape=signed(design.accumulators.bits), depth=design.depth, init=[])
        m.submodules[name] = entries
        write = entries.write_port()
        port = entries.read_port(transparent_for=(write,)) if design.reads_ahead else entries.read_port(domain="comb")
        address = self.read_address
        if not design.is_output_stationary:
            address = Mux(self.add & self._in_half("add", place), self.add_address, self.read_address)
        m.d.comb += [write.en.eq(self.write & self._in_half("write", place)), write.addr.eq(self.write_address),
                     write.data.eq(self.written), port.addr.eq(address)]
        return port.data

    def _chosen(self, m: Module, values: list[Any], name: str) -> Any:
        if len(values) == 1:
            return values[0]
        half = Signal(1, name=f"{name}_from")
        m.d.comb += half.eq(delayed(m, getattr(self, f"{name}_half"), 1 if self._design.reads_ahead else 0,
                                    name=f"{name}_half_before"))
        return Mux(half, values[1], values[0])
