"""What a whole run gave: layers, totals, and what it was a run of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from accelsim.hardware.accelerator import Accelerator
from accelsim.results.energy_level import component_level
from accelsim.results.layer_result import LayerResult
from accelsim.results.quantization_counts import QuantizationCounts
from accelsim.results.span import Timeline
from accelsim.results.stalls import STALL_CAUSES
from accelsim.results.value_records import output_records, overflow_totals, trial_records, value_columns
from accelsim.units import cycles_to_us

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray

#: Version of the layout of `NetworkResult.to_dict`.
RESULT_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class NetworkResult:
    """Results of all layers of one run, in the order of execution.

    Parameters
    ----------
    network : name of the network. accelerator : the description that it ran on.
    network_fingerprint : SHA-256 of the network; the accelerator knows its own.
    options : the mapping options that the run used, as text.
    layers : at least one.
    unsupported : operators that were not simulated, with their number; their time and energy are missing here.
    timeline : spans and samples, when they were asked for.
    version : of accelsim.
    rounding : the requantization rule of a run that carried integers, else "".
    outputs : of such a run: integers by the model's output names, the samples in front.
    """

    network: str
    accelerator: Accelerator
    network_fingerprint: str
    options: Mapping[str, str]
    layers: tuple[LayerResult, ...]
    version: str
    unsupported: Mapping[str, int] = field(default_factory=dict)
    timeline: Timeline | None = None
    rounding: str = ""
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def has_values(self) -> bool:
        """Whether the run carried integers."""
        return bool(self.rounding)

    @property
    def samples(self) -> int:
        """Samples whose integers it carried."""
        return next((len(array) for array in self.outputs.values()), 0)

    @property
    def has_quantization_costs(self) -> bool:
        """Whether asymmetric weights or several scales a channel cost some layer something."""
        return any(layer.quantization != QuantizationCounts() for layer in self.layers)

    @property
    def overflows(self) -> int:
        """Overflow events of all layers."""
        return sum(layer.values.overflows.count for layer in self.layers if layer.values is not None)

    @property
    def total_cycles(self) -> int:
        return self.layers[-1].end_cycle

    @property
    def latency_us(self) -> float:
        return cycles_to_us(self.total_cycles, clock_hz=self.accelerator.clock_hz)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def total_energy_pj(self) -> float:
        return sum(layer.total_energy_pj for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        return sum(layer.counts.dram_bytes for layer in self.layers)

    @property
    def utilization(self) -> float:
        """MACs / (peak * total cycles), peak at each layer's widths weighted by its time."""
        peak = sum(layer.peak_macs_per_cycle * layer.total_cycles for layer in self.layers)
        return self.macs / peak if peak else 0.0

    @property
    def stall_cycles(self) -> dict[str, int]:
        """By cause, summed over the layers; every cause is present."""
        total: Counter[str] = Counter(dict.fromkeys(STALL_CAUSES, 0))
        for layer in self.layers:
            total.update(layer.stall_cycles)
        return dict(total)

    @property
    def energy_pj(self) -> dict[str, float]:
        """By component, summed over the layers."""
        total: dict[str, float] = {}
        for layer in self.layers:
            for component, energy in layer.energy_pj.items():
                total[component] = total.get(component, 0.0) + energy
        return total

    @property
    def energy_by_level_pj(self) -> dict[str, float]:
        """By level (grid, accumulators, buffers, dram, vector, leakage), summed over the layers."""
        total: dict[str, float] = {}
        for component, energy in self.energy_pj.items():
            level = component_level(component)
            total[level] = total.get(level, 0.0) + energy
        return total

    def rows(self) -> list[dict[str, Any]]:
        """One flat record per layer: the columns of layers.csv."""
        return [self._row(layer) for layer in self.layers]

    def _row(self, layer: LayerResult) -> dict[str, Any]:
        counts = layer.counts
        row: dict[str, Any] = {
            "layer": layer.name, "kind": layer.kind, "shape": layer.shape, "unit": layer.unit,
            "weight_bits": layer.weight_bits, "input_bits": layer.input_bits, "output_bits": layer.output_bits,
            "executed_weight_bits": layer.executed_weight_bits if layer.counts.macs else 0,
            "executed_input_bits": layer.executed_input_bits if layer.counts.macs else 0,
            "peak_macs_per_cycle": layer.peak_macs_per_cycle,
            "macs": layer.macs, "vector_operations": counts.vector_operations,
            "start_cycle": layer.start_cycle, "total_cycles": layer.total_cycles,
            "latency_us": cycles_to_us(layer.total_cycles, clock_hz=self.accelerator.clock_hz),
            "compute_cycles": layer.compute_cycles, "ideal_cycles": layer.ideal_cycles,
        }
        row |= {f"stall_{cause}_cycles": layer.stall_cycles.get(cause, 0) for cause in STALL_CAUSES}
        row |= {
            "bound": layer.bound, "utilization": layer.utilization,
            "spatial_utilization": layer.spatial_utilization, "temporal_utilization": layer.temporal_utilization,
            "dram_cycles": layer.dram_cycles,
            "dram_read_bytes": sum(counts.dram_read_bytes.values()),
            "dram_write_bytes": sum(counts.dram_write_bytes.values()),
            "dram_weight_bytes": counts.dram_read_bytes.get("weights", 0),
            "dram_bus_bytes": counts.dram_bus_bytes, "steps": layer.steps, "mapping": layer.mapping,
            "energy_pj": layer.total_energy_pj,
        }
        if self.has_quantization_costs:
            row |= asdict(layer.quantization)
        row |= {f"energy_{component}_pj": layer.energy_pj.get(component, 0.0) for component in self.energy_pj}
        row |= {f"peak_{buffer}_bytes": layer.peak_buffer_bytes.get(buffer, 0)
                for buffer in self.accelerator.memory.buffers}
        return row | value_columns(layer.values) if self.has_values else row

    def to_frame(self) -> pandas.DataFrame:
        """One row per layer, as pandas."""
        import pandas  # late: it takes longer to import than a small network to simulate

        return pandas.DataFrame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the timeline, as plain data for JSON; the same run gives the same bytes. Of the integers that a run
        carried there are the counts, and the outputs' fingerprints."""
        return {
            "schema_version": RESULT_SCHEMA_VERSION, "accelsim_version": self.version,
            "network": self.network, "network_fingerprint": self.network_fingerprint,
            "accelerator": self.accelerator.name, "accelerator_fingerprint": self.accelerator.fingerprint,
            "accelerator_description": self.accelerator.to_document(),
            "options": dict(self.options), "unsupported": dict(self.unsupported),
            "energy_unit": self.accelerator.energy.unit,
            "totals": {
                "cycles": self.total_cycles, "latency_us": self.latency_us, "macs": self.macs,
                "utilization": self.utilization, "energy_pj": self.total_energy_pj,
                "energy_by_component_pj": self.energy_pj, "energy_by_level_pj": self.energy_by_level_pj,
                "stall_cycles": self.stall_cycles,
                "dram_bytes": self.dram_bytes,
            },
            **({"values": self._values_record()} if self.has_values else {}),
            "layers": self.rows(),
        }

    def _values_record(self) -> dict[str, Any]:
        """What the run's integers did, all layers together."""
        accelerator = self.accelerator
        trials = trial_records((layer.name, layer.values) for layer in self.layers)
        overflows = [layer.values.overflows for layer in self.layers if layer.values is not None]
        return {
            "rounding": self.rounding, "samples": self.samples, "accumulator_bits": accelerator.accumulators.bits,
            "partial_sum_bits": accelerator.partial_sum_bits, "overflow": accelerator.accumulators.overflow,
            **({"width_trials": trials} if trials else overflow_totals(overflows)),
            "model_outputs": output_records(self.outputs),
        }
