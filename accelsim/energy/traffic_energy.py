"""The energy of moving bytes, as the mapper's objective needs it."""

from __future__ import annotations

from accelsim.energy.laws import sram_pj_per_bit
from accelsim.energy.layer_energy import leakage_pj_per_cycle
from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.traffic_cost import TrafficCost


def traffic_cost(accelerator: Accelerator) -> TrafficCost:
    """The coefficients of an accelerator, the same as those of `layer_energy_pj`, in the unit of its energy table.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> cost = traffic_cost(load_accelerator("edge_16x16"))
    >>> cost.dram_pj_per_byte, round(cost.buffer_pj_per_byte["scratchpad"], 2), cost.idle_pj_per_cycle
    (64.0, 9.06, 25.0)
    """
    table = accelerator.energy
    buffers = {name: 8 * sram_pj_per_bit(table, capacity_bytes=buffer.capacity_bytes)
               for name, buffer in accelerator.memory.buffers.items()}
    return TrafficCost(8 * accelerator.dram_pj_per_bit, buffers, leakage_pj_per_cycle(accelerator))
