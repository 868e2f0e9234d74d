"""What travels along the accumulator lanes with the sums."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import signed
from amaranth.lib import data

from accelsim.rtl.design import GridDesign
from accelsim.rtl.registers import vector


def lane_control(design: GridDesign) -> data.StructLayout:
    """Fields of the control that accompanies a sum.

    valid : there are sums. last : they are their fold's last. address, half : of their entry.
    part : of the entry, in modes with fewer channels than there are sums in an entry (see `AccumulatorLane`).
    starts : they are their block's first; the entry does not count (not output stationary).
    slot : of the lane's biases (with bias slots). bias : of the sums' channels (with streamed biases).
    """
    fields: dict[str, Any] = {"valid": 1, "last": 1, "address": design.address_bits}
    if design.halves == 2:
        fields["half"] = 1
    if design.channels > 1:
        fields["part"] = (design.channels - 1).bit_length()
    if not design.is_output_stationary:
        fields["starts"] = 1
    if design.has_bias_slots and design.bias_slots > 1:
        fields["slot"] = (design.bias_slots - 1).bit_length()
    if design.has_streamed_bias:
        fields["bias"] = vector(signed(design.accumulators.bits), design.channels)
    return data.StructLayout(fields)
