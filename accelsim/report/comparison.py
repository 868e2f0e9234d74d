"""Several designs, or several bit widths, on the same network: who wins each layer, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.report.wording import component_label, cycles_label
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.results.stalls import STALL_CAUSES
from accelsim.units import cycles_to_us

#: Version of the layout of `Comparison.to_dict`.
COMPARISON_SCHEMA_VERSION = 1

_MEMORY_CAUSES = ("weights", "activations", "dram")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One layer's winners: the design with the least time and that with the least energy, against the next
    best.

    `reason` and `energy_reason` name the largest single difference; where all are equal the winner is "" and
    the reason "equal".
    """

    layer: str
    kind: str
    fastest: str
    reason: str
    most_frugal: str
    energy_reason: str


@dataclass(frozen=True)
class Comparison:
    """Results of the same layers, by the designs' labels; the first design is the baseline.

    Raises
    ------
    AccelsimError : fewer than two designs, other layers, or energies in other units.
    """

    results: Mapping[str, NetworkResult]

    def __post_init__(self) -> None:
        if len(self.results) < 2:
            raise AccelsimError(f"expected at least two designs to compare, got {len(self.results)}")
        for label, result in self.results.items():
            if [layer.name for layer in result.layers] != [layer.name for layer in self.baseline.layers]:
                raise AccelsimError(f"expected the layers of {self.labels[0]}, got others", field=label)
            if result.accelerator.energy.unit != self.baseline.accelerator.energy.unit:
                raise AccelsimError(
                    f"expected energies in {self.baseline.accelerator.energy.unit} as for "
                    f"{self.labels[0]}, got {result.accelerator.energy.unit}",
                    field=label,
                )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.results)

    @property
    def baseline(self) -> NetworkResult:
        return next(iter(self.results.values()))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """In the order of execution."""
        return tuple(self._verdict(place) for place in range(len(self.baseline.layers)))

    def _verdict(self, place: int) -> Verdict:
        layers = {label: result.layers[place] for label, result in self.results.items()}
        times = {label: self._time_us(label, layer.total_cycles) for label, layer in layers.items()}
        energies = {label: layer.total_energy_pj for label, layer in layers.items()}
        first = self.baseline.layers[place]
        fastest, second = sorted(times, key=lambda label: times[label])[:2]
        frugal, next_frugal = sorted(energies, key=lambda label: energies[label])[:2]
        is_tie, is_energy_tie = times[fastest] == times[second], energies[frugal] == energies[next_frugal]
        return Verdict(
            first.name,
            first.kind,
            "" if is_tie else fastest,
            "equal" if is_tie else self._time_reason((fastest, layers[fastest]), (second, layers[second])),
            "" if is_energy_tie else frugal,
            "equal" if is_energy_tie else _energy_reason(layers[frugal], layers[next_frugal]),
        )

    def _time_us(self, label: str, cycles: int) -> float:
        return cycles_to_us(cycles, clock_hz=self.results[label].accelerator.clock_hz)

    def _time_reason(self, winner: tuple[str, LayerResult], loser: tuple[str, LayerResult]) -> str:
        """The part of the time that differs most."""
        if winner[1].total_cycles >= loser[1].total_cycles:
            return "faster clock"
        won, lost = (
            {"compute": self._time_us(label, layer.compute_cycles)}
            | {cause: self._time_us(label, layer.stall_cycles.get(cause, 0)) for cause in STALL_CAUSES}
            for label, layer in (winner, loser)
        )
        cause = max(won, key=lambda part: lost[part] - won[part])
        if cause == "compute":
            return "fewer compute cycles"
        if cause in _MEMORY_CAUSES and winner[1].counts.dram_bytes < loser[1].counts.dram_bytes:
            return "fewer DRAM bytes"
        return f"fewer stalls: {cycles_label(cause)}"

    def wins(self) -> dict[str, int]:
        """Layers in which each design alone is the fastest."""
        return {label: sum(verdict.fastest == label for verdict in self.verdicts) for label in self.labels}

    def rows(self) -> list[dict[str, Any]]:
        """One flat record per layer: the columns of compare.csv."""
        return [self._row(place, verdict) for place, verdict in enumerate(self.verdicts)]

    def _row(self, place: int, verdict: Verdict) -> dict[str, Any]:
        row: dict[str, Any] = {"layer": verdict.layer, "kind": verdict.kind}
        for label, result in self.results.items():
            layer = result.layers[place]
            row |= {
                f"latency_us {label}": self._time_us(label, layer.total_cycles),
                f"total_cycles {label}": layer.total_cycles,
                f"energy_pj {label}": layer.total_energy_pj,
                f"dram_bytes {label}": layer.counts.dram_bytes,
                f"utilization {label}": layer.utilization,
            }
        return row | {
            "fastest": verdict.fastest,
            "reason": verdict.reason,
            "least_energy": verdict.most_frugal,
            "energy_reason": verdict.energy_reason,
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain data for JSON."""
        designs = []
        for label, result in self.results.items():
            document = result.to_dict()
            designs.append(
                {"label": label}
                | {
                    key: document[key]
                    for key in (
                        "accelerator",
                        "accelerator_fingerprint",
                        "network_fingerprint",
                        "options",
                        "totals",
                    )
                }
            )
        return {
            "schema_version": COMPARISON_SCHEMA_VERSION,
            "accelsim_version": self.baseline.version,
            "network": self.baseline.network,
            "unsupported": dict(self.baseline.unsupported),
            "energy_unit": self.baseline.accelerator.energy.unit,
            "designs": designs,
            "layers": self.rows(),
        }


def _energy_reason(winner: LayerResult, loser: LayerResult) -> str:
    """The component whose energy differs most."""
    parts = {**loser.energy_pj, **winner.energy_pj}
    component = max(parts, key=lambda part: loser.energy_pj.get(part, 0.0) - winner.energy_pj.get(part, 0.0))
    return f"less energy: {component_label(component)}"
