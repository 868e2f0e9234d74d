"""On-chip buffer ports as a bound on a step's cycles."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.hardware.memory import Memory


def port_cycles(memory: Memory, traffic_bytes: Mapping[str, int]) -> int:
    """Cycles that the busiest buffer needs for a step's traffic.

    A buffer moves ``bytes_per_cycle * ports`` a cycle. Whatever moves for the step counts: the unit's own reads, the fills
    of the tiles that it is the first to use and the outputs' way in and out; fills and drains steal cycles from the unit.
    Bank conflicts are left out.
    """
    return max(-(-size // (memory.buffers[name].bytes_per_cycle * memory.buffers[name].ports))
               for name, size in traffic_bytes.items())
