"""The ports of the whole design, by channel: what enters or leaves together, in the order in which a vector packs it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.output_pe import accumulators_vector
from accelsim.rtl.products.codebook import CodebookArithmetic
from accelsim.rtl.registers import shape_of, vector
from accelsim.rtl.requantizer import plural
from accelsim.rtl.requantizer_lane import channel_ports


def table_ports(design: GridDesign) -> dict[str, Any]:
    """An entry of the table that weights are decoded with; none without one."""
    arithmetic = design.arithmetic
    if not isinstance(arithmetic, CodebookArithmetic):
        return {}
    return {"table_address": unsigned(arithmetic.place_bits), "table_entry": shape_of(arithmetic.weight.whole)}


def load_ports(design: GridDesign) -> dict[str, Any]:
    """A row of the stationary operand (from banks: only what comes beside it); none of an output-stationary grid."""
    if design.is_output_stationary:
        return {}
    ports = {} if design.loads_from_banks else {stationary_operand(design): _stationary_row(design)}
    if design.has_bias_slots:
        by_row = design.is_dot_product and not design.loads_from_banks
        ports["biases"] = _biases(design, 1 if by_row else design.lanes)
    return ports


def bank_ports(design: GridDesign) -> dict[str, Any]:
    """What stands first in the bank of each PE, row by row; none without banks."""
    if design.is_output_stationary or not design.loads_from_banks:
        return {}
    return {stationary_operand(design): vector(_stationary_row(design), design.rows)}


def stationary_operand(design: GridDesign) -> str:
    """Name of the port of what stays in the PEs."""
    return "inputs" if design.keeps_inputs else "weights"


def _stationary_row(design: GridDesign) -> Any:
    return vector(_input_words(design) if design.keeps_inputs else _weight_words(design), design.columns)


def stream_ports(design: GridDesign) -> dict[str, Any]:
    """Operands of a step, and what becomes of their sums."""
    ports: dict[str, Any] = {}
    if design.keeps_inputs:
        ports["weights"] = vector(_weight_words(design), design.rows)
    else:
        ports["inputs"] = vector(_input_words(design), design.columns if design.is_dot_product else design.rows)
    if design.is_output_stationary:
        ports["weights"] = vector(_weight_words(design), design.columns)
    if design.accumulators.preloads_bias and not design.has_bias_slots:
        ports["biases"] = _biases(design, 1 if design.keeps_inputs else design.columns)
    ports |= {"stream_last": unsigned(1), "stream_starts": unsigned(1), "stream_address": unsigned(design.address_bits),
              "stream_lanes": vector(unsigned(1), design.lanes)}
    if design.halves == 2:
        ports["stream_half"] = unsigned(1)
    if design.channels > 1:
        ports["stream_part"] = unsigned((design.channels - 1).bit_length())
    if design.is_output_stationary:
        ports |= {"stream_drains": unsigned(1), "stream_count": unsigned(design.drain_slots.bit_length())}
        if design.is_overlapped:
            ports["stream_steps"] = unsigned(design.drain_slots.bit_length())
    return ports


def _weight_words(design: GridDesign) -> Any:
    return shape_of(design.arithmetic.weight.port)


def _input_words(design: GridDesign) -> Any:
    """A PE's, of all pixels."""
    return vector(shape_of(design.arithmetic.factor.port), design.pixels)


def _biases(design: GridDesign, lanes: int) -> Any:
    """Of each lane's channels."""
    return vector(signed(design.bias_bits), lanes * design.channels)


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
    ports: dict[str, Any] = {name: unsigned(bits) for name, bits in design.mode_ports.items()}
    if design.grid.zero_points == "subtract":
        ports["input_zero_point"] = shape_of(design.arithmetic.factor.port)
    if design.requantizer is not None:
        output = shape_of(design.output_number)
        ports |= {"output_zero_point": output, "clamp_min": output, "clamp_max": output}
    return ports


def result_shape(design: GridDesign) -> Any:
    """Outputs of a request, or raw accumulators of an entry."""
    if design.requantizer is not None:
        return vector(shape_of(design.output_number), design.outputs_per_read)
    return vector(accumulators_vector(design), design.lanes)


def top_ports(design: GridDesign) -> dict[str, Any]:
    """All of them."""
    ports: dict[str, Any] = {}
    if table_ports(design):
        ports |= {"table_valid": In(1)} | {name: In(shape) for name, shape in table_ports(design).items()}
    if not design.is_output_stationary:
        ports |= {"load_valid": In(1), "load_ready": Out(1)}
    if bank_ports(design):
        ports["takes"] = Out(vector(vector(1, design.columns), design.rows))
    ports |= {name: In(shape) for name, shape in (load_ports(design) | bank_ports(design)).items()}
    ports |= {"stream_valid": In(1), "stream_ready": Out(1)}
    ports |= {name: In(shape) for name, shape in stream_ports(design).items()}
    ports |= {"fold_done": Out(1), "read_valid": In(1)}
    ports |= {name: In(shape) for name, shape in (read_ports(design) | layer_ports(design)).items()}
    return ports | {"outputs_valid": Out(1), "outputs": Out(result_shape(design))}
