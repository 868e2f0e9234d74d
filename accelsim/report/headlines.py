"""The numbers that people look for first."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.report.observed_layers import is_trial, observed_layers, overflows_of
from accelsim.report.wording import energy_text, exact_share_text, power_text, rate_text, share_text
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled, format_size, format_time


@dataclass(frozen=True, slots=True)
class Headline:
    """A number that the page begins with."""

    label: str
    value: str
    note: str = ""


def headlines(result: NetworkResult) -> list[Headline]:
    """In the order of importance."""
    unit, clock = result.accelerator.energy.unit, format_scaled(result.accelerator.clock_hz, "Hz")
    rate = 1e6 / result.latency_us if result.latency_us else 0.0
    numbers = [
        Headline("Latency", format_time(result.latency_us), f"{result.total_cycles:,} cycles at {clock}"),
        Headline("Runs/s", f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}", "one run after the other"),
        Headline("Energy", energy_text(result.total_energy_pj, unit=unit), result.accelerator.energy.name),
        Headline(
            "Average power",
            power_text(result.total_energy_pj, unit=unit, time_us=result.latency_us),
            "energy over latency" if unit == "pJ" else "the table has no joules",
        ),
        Headline(
            "Utilization",
            share_text(result.utilization, 1),
            f"of {_peaks(result)} MACs/cycle",
        ),
        Headline(
            "DRAM traffic",
            format_size(result.dram_bytes),
            f"{share_text(_dram_share(result), 1)} of the bandwidth",
        ),
        Headline("MACs", format_scaled(result.macs, "").strip(), f"in {len(result.layers)} layers"),
    ]
    return [*numbers, *_overflows(result)] if result.has_values else numbers


def _peaks(result: NetworkResult) -> str:
    """The grid's peak; its range where layers of other widths have another."""
    peaks = {layer.peak_macs_per_cycle for layer in result.layers if layer.macs} or {result.accelerator.peak_macs_per_cycle}
    lowest, highest = rate_text(min(peaks)), rate_text(max(peaks))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _overflows(result: NetworkResult) -> list[Headline]:
    """None for a run beside which other widths were tried: its own accumulators cannot overflow."""
    layers = observed_layers(result)
    total = overflows_of(layers)
    if is_trial(layers):
        return []
    if not total.count:
        return [Headline("Overflows", "0", f"{result.accelerator.accumulators.bits}-bit accumulators")]
    hit = sum(layer.overflows.count > 0 for layer in layers)
    share = exact_share_text(total.outputs_hit, total.outputs)
    value = format_scaled(total.count, "").strip() if total.count >= 100_000 else f"{total.count:,}"
    return [Headline("Overflows", value, f"{share} of the outputs, {hit} of {len(layers)} layers")]


def _dram_share(result: NetworkResult) -> float:
    most = result.accelerator.dram_bytes_per_cycle * result.total_cycles
    return result.dram_bytes / most if most else 0.0
