"""How often each thing happened while a layer ran: what energy is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of one layer, counted by the machine as they happen.

    Parameters
    ----------
    macs : multiply-accumulates.
    mac_weight_bits, mac_input_bits : operand widths at which the PEs really multiplied.
    accumulator_updates : additions of a column sum (or drained result) into the accumulator memory.
    requantized_outputs : accumulators turned into outputs.
    vector_operations : lane operations of the vector unit.
    buffer_read_bytes, buffer_write_bytes : by buffer name; reads by grid, vector unit and DMA, writes by DMA,
        requantizer and vector unit.
    dram_read_bytes, dram_write_bytes : by operand (weights, inputs, outputs); the tensors' own bytes.
    dram_bus_bytes : the same with every contiguous run rounded up to whole bursts: what the bus was busy with.
    """

    macs: int = 0
    mac_weight_bits: int = 0
    mac_input_bits: int = 0
    accumulator_updates: int = 0
    requantized_outputs: int = 0
    vector_operations: int = 0
    buffer_read_bytes: Mapping[str, int] = field(default_factory=dict)
    buffer_write_bytes: Mapping[str, int] = field(default_factory=dict)
    dram_read_bytes: Mapping[str, int] = field(default_factory=dict)
    dram_write_bytes: Mapping[str, int] = field(default_factory=dict)
    dram_bus_bytes: int = 0

    @property
    def dram_bytes(self) -> int:
        return sum(self.dram_read_bytes.values()) + sum(self.dram_write_bytes.values())
