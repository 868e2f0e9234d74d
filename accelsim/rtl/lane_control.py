"""What travels along the accumulator lanes with the sums."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import signed
from amaranth.lib import data

from accelsim.rtl.design import GridDesign


def lane_control(design: GridDesign) -> data.StructLayout:
    """Fields of the control that accompanies a sum.

    valid : there is a sum. last : it is its fold's last. address, half : of its entry.
    starts : it is its block's first; the entry does not count (not output stationary).
    slot : of the lane's bias (with bias slots). bias : of the sum's channel (with streamed biases).
    """
    fields: dict[str, Any] = {"valid": 1, "last": 1, "address": design.address_bits}
    if design.halves == 2:
        fields["half"] = 1
    if not design.is_output_stationary:
        fields["starts"] = 1
    if design.has_bias_slots and design.bias_slots > 1:
        fields["slot"] = (design.bias_slots - 1).bit_length()
    if design.has_streamed_bias:
        fields["bias"] = signed(design.accumulators.bits)
    return data.StructLayout(fields)
