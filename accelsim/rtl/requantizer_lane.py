"""A lane of the requantizer: one accumulator becomes one output integer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, shape_of
from accelsim.rtl.rescaling import SHIFT_BITS, clamped, rescaling_of


class RequantizerLane(Part):
    """``output = clamp(rescale(accumulator) + zero_point)``; a new accumulator every cycle.

    The stages that the description's latency leaves stand behind the product, the rounding shift and the clamp, in this
    order; more of them follow at the end (for retiming). Where the accumulators are read ahead, that reading is the first.

    Ports
    -----
    accumulator : In
        A cycle after its request where the design reads ahead, else with it; so also the four that follow.
    bias : In (without preloaded biases)
        Added first, exactly.
    multiplier : In (not of power_of_two); shift : In; addend : In (shift_floor)
        Of the output's channel.
    zero_point, clamp_min, clamp_max : In
        Of the outputs; they do not change while one is on its way.
    requantized : Out
        An integer.
    """

    module_name = "requantizer_lane"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design, output = design, shape_of(design.output_number)
        super().__init__({
            "accumulator": In(signed(design.accumulators.bits)), **channel_ports(design), "zero_point": In(output),
            "clamp_min": In(output), "clamp_max": In(output), "requantized": Out(output)}, hierarchy=hierarchy)
        self.is_clocked = lane_stages(design) > 0

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        assert design.requantizer is not None
        rule, stages = rescaling_of(design.requantizer), lane_stages(design)
        value, shift = self.accumulator, self.shift
        if not design.accumulators.preloads_bias:
            value = self.accumulator + self.bias
        factor = self.multiplier if rule.multiplier is not None else Const(1)
        scaled = rule.scaled(value, factor, shift, self.addend if rule.has_addend else Const(0))
        if stages > 0:
            scaled, shift = _stage(m, scaled, "scaled"), _stage(m, shift, "shift_of_scaled")
        rounded = rule.rounded(scaled, shift)
        if stages > 1:
            rounded = _stage(m, rounded, "rounded")
        output = Signal(self.requantized.shape(), name="clamped")
        m.d.comb += [output.eq(clamped(rounded + self.zero_point, self.clamp_min, self.clamp_max)),
                     self.requantized.eq(delayed(m, output, max(0, stages - 2), name="requantized_stages"))]
        return m


def _stage(m: Module, value: Any, name: str) -> Any:
    return delayed(m, value, 1, name=name)


def lane_stages(design: GridDesign) -> int:
    """Registers behind the accumulators' reading."""
    assert design.requantizer is not None
    return design.requantizer.latency_cycles - (1 if design.reads_ahead else 0)


def channel_ports(design: GridDesign) -> dict[str, Any]:
    """What a lane needs of its output's channel."""
    assert design.requantizer is not None
    rule = rescaling_of(design.requantizer)
    ports: dict[str, Any] = {"shift": In(unsigned(SHIFT_BITS))}
    if rule.multiplier is not None:
        ports["multiplier"] = In(shape_of(rule.multiplier))
    if rule.has_addend:
        assert rule.multiplier is not None
        ports["addend"] = In(signed(design.accumulators.bits + rule.multiplier.bits))
    if not design.accumulators.preloads_bias:
        ports["bias"] = In(signed(design.bias_bits))
    return ports
