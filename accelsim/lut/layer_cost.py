"""What one layer costs at one choice of bits, and what a whole assignment costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from accelsim.units import cycles_to_us

Bound = Literal["compute", "memory"]


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One run of one layer by itself: from empty buffers to its last store.

    Parameters
    ----------
    cycles : of the accelerator's clock.
    energy_pj : in the unit of the accelerator's energy table.
    dram_bytes : read and written.
    weight_bytes : of its constants (not the bias), whatever the hardware rounds their width up to.
    buffer_peak_bytes : each buffer at its own fullest moment, added up.
    bound : "memory" where the DRAM was busy for longer than the executing unit, else "compute".
    macs : multiply-accumulates; 0 off the grid.
    compute_cycles, ideal_cycles, dram_cycles : as in `accelsim.results.layer_result.LayerResult`.
    peak_macs_per_cycle : of the grid at these widths, for a layer of this form (depthwise, of one kernel position, any
        other), of which some PEs take fewer bits no faster.
    effective_weight_bits, effective_input_bits : at which the PEs really multiply; None off the grid.
    """

    cycles: int
    energy_pj: float
    dram_bytes: int
    weight_bytes: int
    buffer_peak_bytes: int
    bound: Bound
    macs: int = 0
    compute_cycles: int = 0
    ideal_cycles: int = 0
    dram_cycles: int = 0
    peak_macs_per_cycle: float = 0.0
    effective_weight_bits: int | None = None
    effective_input_bits: int | None = None

    def microseconds(self, *, clock_hz: int) -> float:
        """Its time at this clock."""
        return cycles_to_us(self.cycles, clock_hz=clock_hz)


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What a network costs when its layers run one after the other: sums, but for the buffers' peak.

    Parameters
    ----------
    cycles, energy_pj, dram_bytes, weight_bytes, macs : sums over the layers.
    buffer_peak_bytes : the largest of a layer.
    """

    cycles: int
    energy_pj: float
    dram_bytes: int
    weight_bytes: int
    buffer_peak_bytes: int
    macs: int

    @classmethod
    def of(cls, layers: Iterable[LayerCost]) -> NetworkCost:
        """Of layers in the order of the network, in which floats are added.

        >>> cost = LayerCost(cycles=3, energy_pj=0.5, dram_bytes=2, weight_bytes=1, buffer_peak_bytes=8, bound="compute")
        >>> NetworkCost.of([cost, cost])
        NetworkCost(cycles=6, energy_pj=1.0, dram_bytes=4, weight_bytes=2, buffer_peak_bytes=8, macs=0)
        """
        every = list(layers)
        return cls(
            cycles=sum(cost.cycles for cost in every), energy_pj=sum(cost.energy_pj for cost in every),
            dram_bytes=sum(cost.dram_bytes for cost in every), weight_bytes=sum(cost.weight_bytes for cost in every),
            buffer_peak_bytes=max((cost.buffer_peak_bytes for cost in every), default=0),
            macs=sum(cost.macs for cost in every))

    def microseconds(self, *, clock_hz: int) -> float:
        """Its time at this clock."""
        return cycles_to_us(self.cycles, clock_hz=clock_hz)
