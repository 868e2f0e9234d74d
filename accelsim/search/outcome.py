"""What a search ended in: the policy, what it promised, and what the machine made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.lut.latency_table import LatencyTable
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.results.network_result import NetworkResult
from accelsim.search.budget import Budget
from accelsim.search.pareto import ParetoFront
from accelsim.search.problem import Problem
from accelsim.search.sensitivities.measurement import WidthCosts
from accelsim.search.solution import Solution
from accelsim.search.space import SearchSpace


@dataclass(frozen=True)
class LayerProof:
    """One layer of the chosen network: what the table said, and what the run of the whole network took.

    Parameters
    ----------
    name : of the layer.
    weight_bits, input_bits, output_bits : its widths; None for weights that it does not have.
    accumulator_bits : where the search chose them.
    safe_bits : accumulators that nothing can overflow, by the bound; None off the grid or without integers.
    predicted_cycles, simulated_cycles, predicted_energy_pj, simulated_energy_pj : of the table, and of the run.
    effective_bits : at which the PEs multiply weights and inputs; None off the grid.
    """

    name: str
    weight_bits: int | None
    input_bits: int
    output_bits: int
    accumulator_bits: int | None
    safe_bits: int | None
    predicted_cycles: int
    simulated_cycles: int
    predicted_energy_pj: float
    simulated_energy_pj: float
    effective_bits: tuple[int, int] | None = None

    @property
    def is_rounded_up(self) -> bool:
        """Whether the hardware multiplies wider operands than the layer has."""
        own = (self.weight_bits or 0, self.input_bits)
        return self.effective_bits is not None and (self.effective_bits[0] > own[0] or self.effective_bits[1] > own[1])


@dataclass(frozen=True)
class Contender:
    """A network that the chosen one is compared with, or the chosen one itself.

    Parameters
    ----------
    name : float, uniform 8, uniform 4, chosen.
    accuracy : share of right answers, executed in integers on the machine (of float: by onnxruntime); None without labels.
    agreement : share of samples with the float network's answer.
    cycles, energy_pj, weight_bytes : of the machine's run; None for float.
    overflows : events in its accumulators; None for float, or where no integers were carried.
    remark : why something is missing.
    """

    name: str
    accuracy: float | None = None
    agreement: float | None = None
    cycles: int | None = None
    energy_pj: float | None = None
    weight_bytes: int | None = None
    overflows: int | None = None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """All of a search.

    Parameters
    ----------
    space, table, problem, budgets : what was asked.
    sensitivity : name of the measure; sensitivities : its numbers.
    solution : what the solver found; assignment : widths by variable, those of the last repair.
    policy, quantized, result : the policy, the network with integers, its run on the accelerator.
    layers : predicted against simulated.
    contenders : float, uniform and chosen.
    front : of the first budget's cost and the objective; None if not asked for.
    uniform : costs with 8 bits everywhere.
    samples : that accuracies were measured on.
    remarks : repairs, widths that the hardware rounds up, and the like; one line each.
    """

    space: SearchSpace
    table: LatencyTable
    problem: Problem
    budgets: tuple[Budget, ...]
    sensitivity: str
    sensitivities: WidthCosts
    solution: Solution
    policy: BitPolicy
    quantized: QuantizedModel
    result: NetworkResult
    layers: tuple[LayerProof, ...]
    contenders: tuple[Contender, ...]
    front: ParetoFront | None
    uniform: Mapping[str, float]
    samples: int
    remarks: tuple[str, ...] = field(default=())

    @property
    def assignment(self) -> Mapping[str, int]:
        """Widths by variable."""
        return self.solution.assignment

    @property
    def simulated(self) -> dict[str, float]:
        """Costs of the run by the names of the table's; sums over layers where accumulators differ."""
        return {"latency": float(sum(layer.simulated_cycles for layer in self.layers)),
                "energy": sum(layer.simulated_energy_pj for layer in self.layers)}

    @property
    def largest_error_cycles(self) -> int:
        """By how much a layer's prediction was off, at most."""
        return max(abs(layer.predicted_cycles - layer.simulated_cycles) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data for JSON."""
        return {
            "network": self.space.network.name, "accelerator": self.table.header.hardware,
            "accelerator_fingerprint": self.table.header.hardware_fingerprint,
            "network_fingerprint": self.table.header.network_fingerprint,
            "accelsim_version": self.result.version, "options": dict(self.result.options),
            "solver": self.solution.solver, "is_optimal": self.solution.is_optimal, "gap": self.solution.gap,
            "sensitivity": self.sensitivity,
            "budgets": [{"cost": each.cost, "text": each.text, "limit": each.limit,
                         "predicted": self.solution.costs[each.cost], "simulated": self.simulated.get(each.cost)}
                        for each in self.budgets],
            "costs": dict(self.solution.costs), "uniform_8": dict(self.uniform), "simulated": self.simulated,
            "largest_error_cycles": self.largest_error_cycles, "samples": self.samples,
            "contenders": [_record(each) for each in self.contenders],
            "layers": [self.layer_row(each) for each in self.layers],
            "widths": dict(self.assignment), "policy": self.policy.to_document(),
            "front": None if self.front is None else {"cost": self.front.cost, "points": self.front.points},
            "remarks": list(self.remarks),
        }

    def layer_row(self, layer: LayerProof) -> dict[str, Any]:
        """A flat record of one layer."""
        effective = layer.effective_bits or (None, None)
        return {"layer": layer.name, "weight_bits": layer.weight_bits, "input_bits": layer.input_bits,
                "output_bits": layer.output_bits, "accumulator_bits": layer.accumulator_bits,
                "safe_accumulator_bits": layer.safe_bits,
                "effective_weight_bits": effective[0], "effective_input_bits": effective[1],
                "predicted_cycles": layer.predicted_cycles, "simulated_cycles": layer.simulated_cycles,
                "predicted_energy_pj": layer.predicted_energy_pj, "simulated_energy_pj": layer.simulated_energy_pj}


def _record(contender: Contender) -> dict[str, Any]:
    return {name: getattr(contender, name) for name in (
        "name", "accuracy", "agreement", "cycles", "energy_pj", "weight_bytes", "overflows", "remark")}
