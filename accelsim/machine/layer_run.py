"""What the machine observed of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.results.counts import Counts


@dataclass(frozen=True, slots=True)
class LayerRun:
    """Times and counts of one layer, before energy; the fields mean what they mean in `LayerResult`."""

    layer: str
    start_cycle: int
    end_cycle: int
    ideal_cycles: int
    compute_cycles: int
    stall_cycles: Mapping[str, int]
    dram_cycles: int
    peak_buffer_bytes: Mapping[str, int]
    counts: Counts

    @property
    def total_cycles(self) -> int:
        return self.end_cycle - self.start_cycle
