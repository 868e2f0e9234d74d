"""A latency table for the terminal: the whole network at every uniform choice of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import NetworkCost
from accelsim.lut.measured_times import UNKNOWN_ENERGY
from accelsim.lut.operand_bits import OperandBits
from accelsim.report.fitted_table import Justify, fitted_table
from accelsim.report.wording import energy_text
from accelsim.units import cycles_to_us, format_size, format_time

if TYPE_CHECKING:
    from rich.table import Table

_HEADINGS: dict[str, Justify] = {
    "bits": "left", "cycles": "right", "time": "right", "of widest": "right", "energy": "right", "DRAM": "right",
    "weights": "right", "layers": "right"}
_FIRST_TO_GO = ("layers", "DRAM", "cycles")


def uniform_totals(table: LatencyTable) -> dict[OperandBits, NetworkCost]:
    """What the network costs where all layers have the same bits, for every choice that all of them have a row of.

    Outputs have the bits of inputs where the table has such rows, else the widest that it has; vector layers and layers that
    read indices go along.
    """
    grid = [layer for layer in table.layers if table.choices(layer)[0].weight_bits is not None]
    totals = {}
    for bits in dict.fromkeys(bits for layer in grid for bits in table.choices(layer)):
        outputs = {other.output_bits for other in table.choices(grid[0])}
        if bits.output_bits != (bits.input_bits if bits.input_bits in outputs else max(outputs)):
            continue
        assignment = {layer: found for layer in table.layers if (found := _row(table, layer, bits)) is not None}
        if len(assignment) == len(table.layers):
            totals[bits] = table.total(assignment)
    return dict(sorted(totals.items(), key=lambda item: item[0].sort_key))


def _row(table: LatencyTable, layer: str, bits: OperandBits) -> OperandBits | None:
    choices = table.choices(layer)
    if choices[0].weight_bits is not None:
        return bits if (layer, bits) in table.costs else None
    given = {choice.input_bits for choice in choices}
    read = bits.input_bits if bits.input_bits in given else min(given)  # indices have one width, their own
    wanted = OperandBits(None, read, bits.output_bits)
    return wanted if (layer, wanted) in table.costs and (bits.input_bits in given or len(given) == 1) else None


def totals_table(table: LatencyTable, *, width: int) -> Table:
    """A row per uniform choice."""
    header, totals = table.header, uniform_totals(table)
    slowest = totals[max(totals, key=lambda bits: bits.sort_key)].cycles if totals else 0
    is_time_alone = header.energy_unit == UNKNOWN_ENERGY
    rows = []
    for bits, cost in totals.items():
        layers = sum(1 for layer in table.layers if _memory_bound(table, layer, bits))
        rows.append(({
            "bits": str(bits), "cycles": "–" if is_time_alone else f"{cost.cycles:,}",
            "time": format_time(cycles_to_us(cost.cycles, clock_hz=header.clock_hz)),
            "of widest": f"{cost.cycles / slowest:.2f}×" if slowest else "–",
            "energy": "–" if is_time_alone else energy_text(cost.energy_pj, unit=header.energy_unit),
            "DRAM": "–" if is_time_alone else format_size(cost.dram_bytes), "weights": format_size(cost.weight_bytes),
            "layers": "–" if is_time_alone else f"{layers} memory bound"}, ""))
    caption = "bits: weights/inputs/outputs of all layers" + (
        "/accumulators." if any(bits.accumulator_bits for bits in totals) else ".")
    return fitted_table(rows, headings=_HEADINGS, title=f"{header.network} on {header.hardware}: uniform bits", width=width,
                        first_to_go=_FIRST_TO_GO, caption=caption, has_total=False)


def _memory_bound(table: LatencyTable, layer: str, bits: OperandBits) -> bool:
    found = _row(table, layer, bits)
    return found is not None and table.cost(layer, found).bound == "memory"


def table_document(table: LatencyTable) -> dict[str, Any]:
    """The table as plain data for JSON: header and rows."""
    header = table.header
    return {
        "accelsim_version": header.accelsim_version, "network": header.network,
        "network_fingerprint": header.network_fingerprint, "accelerator": header.hardware,
        "accelerator_fingerprint": header.hardware_fingerprint, "options": dict(header.options),
        "clock_hz": header.clock_hz, "energy_unit": header.energy_unit, "accumulator_bits": header.accumulator_bits,
        "rows": table.rows()}
