"""The requantizer: lanes side by side."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.output_pe import accumulators_vector
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, numbered, shape_of, vector
from accelsim.rtl.requantizer_lane import RequantizerLane, channel_ports


class Requantizer(Part):
    """Turns as many accumulators a cycle as it has lanes into outputs, ``latency_cycles`` after their request.

    Ports
    -----
    valid : In, 1 bit
        A request: the accumulators of an entry are being read.
    accumulators : In, vector over the lanes
        What was read: a cycle after the request where the design reads ahead.
    channel ports, in the plural : In, vectors over the lanes
        `requantizer_lane.channel_ports`, with the request.
    zero_point, clamp_min, clamp_max : In
        Of the outputs.
    outputs_valid : Out, 1 bit; outputs : Out, vector over the lanes
        The outputs of a request.
    """

    module_name = "requantizer"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        assert design.requantizer is not None
        self._design, self._lanes = design, design.requantizer.lanes
        self._channel_ports = channel_ports(design)
        output = shape_of(design.output_number)
        ports: dict[str, Any] = {
            "valid": In(1), "accumulators": In(requested_vector(design)), "outputs_valid": Out(1),
            "zero_point": In(output), "clamp_min": In(output), "clamp_max": In(output),
            "outputs": Out(vector(output, self._lanes))}
        for name, member in self._channel_ports.items():
            ports[plural(name)] = In(vector(member.shape, self._lanes))
        super().__init__(ports, hierarchy=hierarchy)
        self.is_clocked = design.read_latency_cycles > 0

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        ahead = 1 if design.reads_ahead else 0
        latency = design.read_latency_cycles
        m.d.comb += self.outputs_valid.eq(delayed(m, self.valid, latency, name="valid_stages", is_reset=True))
        channels = {name: delayed(m, getattr(self, plural(name)), ahead, name=f"{plural(name)}_of_read")
                    for name in self._channel_ports}
        for place in range(self._lanes):
            lane = self.hierarchy.place(m, numbered("lane", place, self._lanes), RequantizerLane, design)
            m.d.comb += [getattr(lane, name).eq(values[place]) for name, values in channels.items()]
            m.d.comb += [getattr(lane, name).eq(getattr(self, name)) for name in ("zero_point", "clamp_min", "clamp_max")]
            m.d.comb += [lane.accumulator.eq(self.accumulators[place]), self.outputs[place].eq(lane.requantized)]
        return m


def requested_vector(design: GridDesign) -> Any:
    """The accumulators of a request."""
    return vector(accumulators_vector(design).elem_shape, design.outputs_per_read)


def plural(name: str) -> str:
    """The name of a port that has a lane for each of what `name` names.

    >>> plural("bias"), plural("shift")
    ('biases', 'shifts')
    """
    return name + ("es" if name.endswith("s") else "s")
