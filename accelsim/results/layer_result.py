"""What one layer took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelsim.results.counts import Counts
from accelsim.results.layer_values import LayerValues
from accelsim.results.quantization_counts import QuantizationCounts


@dataclass(frozen=True, slots=True)
class LayerResult:
    """Time, traffic and energy of one layer on one accelerator.

    Parameters
    ----------
    name, kind : the layer's name and kind word ("conv", "depthwise", "matmul", "pooling", ...).
    shape : its sizes in words ("3x224x224 -> 64x112x112, 7x7/2").
    unit : "pe_grid" or "vector_unit": who executed it.
    mapping : tile sizes and loop order in words.
    weight_bits, input_bits, output_bits : widths of the tensors.
    start_cycle, end_cycle : its interval of the run; intervals of successive layers partition the run.
    ideal_cycles : cycles in which the unit took in new work: neither fill nor drain nor stall.
    compute_cycles : ideal cycles plus fill and drain.
    stall_cycles : by cause (`accelsim.results.stalls`), zero causes left out.
    steps : load, compute, requantize and store steps of its program.
    dram_cycles : cycles in which the DRAM bus was busy with this layer's bytes, those of prefetched weights included
        although they passed while the layer before ran.
    peak_buffer_bytes : largest occupancy by buffer name; a weight tile prefetched for the next layer counts there.
    counts : what happened how often.
    energy_pj : by component ("multipliers", "adders", "registers", "accumulators", "requantizer", "vector_unit",
        "buffers.<name>", "dram", "leakage"; with weights from a table "codebook"), in the energy table's unit.
    peak_macs_per_cycle : the grid's peak at this layer's operand widths, an int where it is whole.
    quantization : what it did only because of how it is quantized: asymmetric weights, several scales a channel.
    values : what its integers did, in a run that carried them.
    """

    name: str
    kind: str
    shape: str
    unit: str
    mapping: str
    weight_bits: int
    input_bits: int
    output_bits: int
    start_cycle: int
    end_cycle: int
    ideal_cycles: int
    compute_cycles: int
    stall_cycles: Mapping[str, int]
    steps: int
    dram_cycles: int
    peak_buffer_bytes: Mapping[str, int]
    counts: Counts
    energy_pj: Mapping[str, float]
    peak_macs_per_cycle: float
    quantization: QuantizationCounts = field(default_factory=QuantizationCounts)
    values: LayerValues | None = None

    @property
    def total_cycles(self) -> int:
        return self.end_cycle - self.start_cycle

    @property
    def macs(self) -> int:
        """Those of the layer itself; `counts.macs` has those of channels of ones too."""
        return self.counts.macs - self.quantization.sum_macs

    @property
    def executed_weight_bits(self) -> int:
        """Width at which the PEs multiplied the weights."""
        return self.counts.mac_weight_bits

    @property
    def executed_input_bits(self) -> int:
        """Width at which the PEs multiplied the inputs."""
        return self.counts.mac_input_bits

    @property
    def runs_wider(self) -> bool:
        """Whether the PEs multiplied wider operands than the layer has."""
        is_wider = self.executed_weight_bits > self.weight_bits or self.executed_input_bits > self.input_bits
        return self.counts.macs > 0 and is_wider

    @property
    def total_energy_pj(self) -> float:
        return sum(self.energy_pj.values())

    @property
    def spatial_utilization(self) -> float:
        """MACs / (peak * ideal cycles): how much of the grid did useful work while it worked."""
        return self.macs / (self.peak_macs_per_cycle * self.ideal_cycles) if self.ideal_cycles else 0.0

    @property
    def temporal_utilization(self) -> float:
        """Ideal / total cycles: how much of the time the unit took in new work."""
        return self.ideal_cycles / self.total_cycles if self.total_cycles else 0.0

    @property
    def utilization(self) -> float:
        """MACs / (peak * total cycles)."""
        return self.spatial_utilization * self.temporal_utilization

    @property
    def bound(self) -> str:
        """"memory" where the DRAM was busy for longer than the executing unit, else "compute"."""
        return "memory" if self.dram_cycles > self.compute_cycles else "compute"

    @property
    def macs_per_dram_byte(self) -> float:
        """Operational intensity, the roofline's x axis; 0 for a layer without DRAM traffic."""
        return self.macs / self.counts.dram_bytes if self.counts.dram_bytes else 0.0
