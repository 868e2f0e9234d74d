"""What moving a byte and waiting a cycle cost: all that a mapping can change about a layer's energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrafficCost:
    """Coefficients of the mapper's energy objective; `accelsim.energy` fills them from the energy table.

    Parameters
    ----------
    dram_pj_per_byte : a byte on the DRAM bus.
    buffer_pj_per_byte : a byte read from or written to a buffer, by its name.
    idle_pj_per_cycle : idle power times one clock period.
    """

    dram_pj_per_byte: float
    buffer_pj_per_byte: Mapping[str, float]
    idle_pj_per_cycle: float
