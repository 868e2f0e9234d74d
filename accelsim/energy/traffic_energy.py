"""What moving a byte and waiting a cycle cost: all that a mapping can change about a layer's energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.energy.laws import sram_pj_per_bit
from accelsim.energy.layer_energy import leakage_pj_per_cycle
from accelsim.hardware.accelerator import Accelerator


@dataclass(frozen=True, slots=True)
class TrafficEnergy:
    """Coefficients of the mapper's energy objective, the same as those of `layer_energy_pj`.

    Parameters
    ----------
    dram_pj_per_byte : a byte on the DRAM bus.
    buffer_pj_per_byte : a byte read from or written to a buffer, by its name.
    leakage_pj_per_cycle : idle power times one clock period.
    """

    dram_pj_per_byte: float
    buffer_pj_per_byte: Mapping[str, float]
    leakage_pj_per_cycle: float


def traffic_pj_per_byte(accelerator: Accelerator) -> TrafficEnergy:
    """The coefficients of an accelerator, in the unit of its energy table.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> energy = traffic_pj_per_byte(load_accelerator("edge_16x16"))
    >>> energy.dram_pj_per_byte, round(energy.buffer_pj_per_byte["scratchpad"], 2), energy.leakage_pj_per_cycle
    (64.0, 9.06, 25.0)
    """
    table = accelerator.energy
    buffers = {name: 8 * sram_pj_per_bit(table, capacity_bytes=buffer.capacity_bytes)
               for name, buffer in accelerator.memory.buffers.items()}
    return TrafficEnergy(8 * accelerator.dram_pj_per_bit, buffers, leakage_pj_per_cycle(accelerator))
