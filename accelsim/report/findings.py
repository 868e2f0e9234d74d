"""What a result says, in plain sentences; every number in them is computed from the result."""

from __future__ import annotations

from accelsim.report.quantization_findings import quantization_findings
from accelsim.report.value_findings import value_findings
from accelsim.report.wording import component_label, cycles_label, energy_text, share_text, wider_operands_text
from accelsim.results.network_result import NetworkResult
from accelsim.results.stalls import STALL_CAUSES
from accelsim.units import format_scaled, format_time

#: Layers that the sentence about the longest ones names.
LONGEST_LAYERS = 3


def findings(result: NetworkResult) -> list[str]:
    """Where time and energy go, what would have to change first, and whether the integers that the run carried fitted into
    their registers.
    """
    of_integers = value_findings(result)[:1]
    sentences = [_speed(result), _stalls(result), _longest(result), _bound(result), wider_operands_text(result),
                 _energy(result), *quantization_findings(result), *of_integers]
    return [sentence for sentence in sentences if sentence]


def _speed(result: NetworkResult) -> str:
    cycles = f"{result.total_cycles:,} cycles at {format_scaled(result.accelerator.clock_hz, 'Hz')}"
    return (
        f"One run takes {format_time(result.latency_us)} ({cycles}); over it the PE grid does "
        f"{share_text(result.utilization, 1)} of the MACs that it could."
    )


def _stalls(result: NetworkResult) -> str:
    compute = sum(layer.compute_cycles for layer in result.layers)
    stalls = result.stall_cycles
    cause = max(stalls, key=lambda name: stalls[name])
    total = compute + sum(stalls.values())
    if not stalls[cause]:
        return "No unit ever waits."
    return (
        f"{share_text(compute, total)} of the cycles are work, {share_text(total - compute, total)} are "
        f"stalls; the largest cause is “{cycles_label(cause)}”, {share_text(stalls[cause], total)} "
        f"({STALL_CAUSES[cause]})."
    )


def _longest(result: NetworkResult) -> str:
    heaviest = sorted(result.layers, key=lambda layer: -layer.total_cycles)[:LONGEST_LAYERS]
    if len(result.layers) <= LONGEST_LAYERS:
        return (
            f"The longest layer is {heaviest[0].name} with "
            f"{share_text(heaviest[0].total_cycles, result.total_cycles)} of the time."
        )
    share = share_text(sum(layer.total_cycles for layer in heaviest), result.total_cycles)
    names = [layer.name for layer in heaviest]
    count = len(result.layers)
    return f"The {len(names)} longest of {count} layers take {share} of the time: {', '.join(names)}."


def _bound(result: NetworkResult) -> str:
    bound = [layer for layer in result.layers if layer.bound == "memory"]
    if not bound:
        return "No layer is memory bound: the DRAM is never busy for longer than the unit that computes."
    time = share_text(sum(layer.total_cycles for layer in bound), result.total_cycles)
    are = "layer is" if len(bound) == 1 else "layers are"
    names = ", ".join(layer.name for layer in sorted(bound, key=lambda layer: -layer.total_cycles)[:LONGEST_LAYERS])
    those = "above all " if len(bound) > LONGEST_LAYERS else ""
    return f"{len(bound)} of {len(result.layers)} {are} memory bound, {time} of the time: {those}{names}."


def _energy(result: NetworkResult) -> str:
    energy = result.energy_pj
    if not result.total_energy_pj:
        return ""
    largest = max(energy, key=lambda name: energy[name])
    total = energy_text(result.total_energy_pj, unit=result.accelerator.energy.unit)
    share = share_text(energy[largest], result.total_energy_pj)
    return f"Of {total}, {share} goes to {component_label(largest)}."
