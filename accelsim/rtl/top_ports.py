"""The ports of the whole design, by channel: what enters or leaves together, in the order in which a vector packs it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.output_pe import accumulators_vector
from accelsim.rtl.registers import shape_of, vector
from accelsim.rtl.requantizer import plural
from accelsim.rtl.requantizer_lane import channel_ports


def load_ports(design: GridDesign) -> dict[str, Any]:
    """A row of the stationary operand; none of an output-stationary grid."""
    if design.is_output_stationary:
        return {}
    ports: dict[str, Any] = {}
    if design.keeps_inputs:
        ports["inputs"] = vector(vector(shape_of(design.input_number), design.pixels), design.columns)
    else:
        ports["weights"] = vector(shape_of(design.weight_number), design.columns)
    if design.has_bias_slots:
        ports["biases"] = vector(signed(design.bias_bits), 1 if design.is_dot_product else design.columns)
    return ports


def stream_ports(design: GridDesign) -> dict[str, Any]:
    """Operands of a step, and what becomes of their sums."""
    inputs = vector(shape_of(design.input_number), design.pixels)
    ports: dict[str, Any] = {}
    if design.keeps_inputs:
        ports["weights"] = vector(shape_of(design.weight_number), design.rows)
    else:
        ports["inputs"] = vector(inputs, design.columns if design.is_dot_product else design.rows)
    if design.is_output_stationary:
        ports["weights"] = vector(shape_of(design.weight_number), design.columns)
    if design.accumulators.preloads_bias and not design.has_bias_slots:
        ports["biases"] = vector(signed(design.bias_bits), 1 if design.keeps_inputs else design.columns)
    ports |= {"stream_last": unsigned(1), "stream_starts": unsigned(1), "stream_address": unsigned(design.address_bits),
              "stream_lanes": vector(unsigned(1), design.lanes)}
    if design.halves == 2:
        ports["stream_half"] = unsigned(1)
    if design.is_output_stationary:
        ports |= {"stream_drains": unsigned(1), "stream_count": unsigned(design.drain_slots.bit_length())}
    return ports


def read_ports(design: GridDesign) -> dict[str, Any]:
    """A request for accumulators or, with a requantizer, for outputs."""
    ports: dict[str, Any] = {"read_address": unsigned(design.address_bits)}
    if design.halves == 2:
        ports["read_half"] = unsigned(1)
    if design.requantizer is None:
        return ports
    if design.read_groups > 1:
        ports["read_group"] = unsigned((design.read_groups - 1).bit_length())
    for name, member in channel_ports(design).items():
        ports[plural(name)] = vector(member.shape, design.outputs_per_read)
    return ports


def layer_ports(design: GridDesign) -> dict[str, Any]:
    """What stays the same while a layer runs."""
    ports: dict[str, Any] = {}
    if design.grid.zero_points == "subtract":
        ports["input_zero_point"] = shape_of(design.input_number)
    if design.requantizer is not None:
        output = shape_of(design.input_number)
        ports |= {"output_zero_point": output, "clamp_min": output, "clamp_max": output}
    return ports


def result_shape(design: GridDesign) -> Any:
    """Outputs of a request, or raw accumulators of an entry."""
    if design.requantizer is not None:
        return vector(shape_of(design.input_number), design.outputs_per_read)
    return vector(accumulators_vector(design), design.lanes)


def top_ports(design: GridDesign) -> dict[str, Any]:
    """All of them."""
    ports: dict[str, Any] = {}
    if not design.is_output_stationary:
        ports |= {"load_valid": In(1), "load_ready": Out(1)}
    ports |= {name: In(shape) for name, shape in load_ports(design).items()}
    ports |= {"stream_valid": In(1), "stream_ready": Out(1)}
    ports |= {name: In(shape) for name, shape in stream_ports(design).items()}
    ports |= {"fold_done": Out(1), "read_valid": In(1)}
    ports |= {name: In(shape) for name, shape in (read_ports(design) | layer_ports(design)).items()}
    return ports | {"outputs_valid": Out(1), "outputs": Out(result_shape(design))}
