"""The table of layers for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from accelsim.report.fitted_table import Justify, fitted_table
from accelsim.report.wording import energy_text, share_text, stall_label, wider_operands_text, widths_text
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled, format_size

_HEADINGS: dict[str, Justify] = {
    "layer": "left",
    "kind": "left",
    "bits": "left",
    "MACs": "right",
    "cycles": "right",
    "share": "right",
    "util.": "right",
    "bound": "left",
    "longest stall": "left",
    "DRAM": "right",
    "energy": "right",
}
#: What a narrow terminal leaves out, one after the other.
_FIRST_TO_GO = ("kind", "bits", "bound", "DRAM", "MACs", "util.")

#: Layers that stand out.
HIGHLIGHTED = 3


def layer_table(result: NetworkResult, *, top: int, width: int) -> Table:
    """One row per layer in the order of execution, then the totals; below them, which operands ran at wider widths.

    Parameters
    ----------
    top : show only so many layers, those with the most cycles, and the others as one row; 0 shows all.
    width : columns of the terminal; a narrow one leaves out columns, and long names lose their beginning.
    """
    title = f"{result.network} on {result.accelerator.name}"
    return fitted_table(_rows(result, top), headings=_HEADINGS, title=title, width=width, first_to_go=_FIRST_TO_GO,
                        caption=wider_operands_text(result))


def _rows(result: NetworkResult, top: int) -> list[tuple[dict[str, str], str]]:
    """(cells, style) of the layers that are shown, of the others together, and of all."""
    by_weight = sorted(result.layers, key=lambda layer: -layer.total_cycles)
    shown = {layer.name for layer in (by_weight[:top] if top else by_weight)}
    heaviest = {layer.name for layer in by_weight[:HIGHLIGHTED]} if len(result.layers) > HIGHLIGHTED else set()
    rows = [
        (_cells([layer], layer.name, result), "bold" if layer.name in heaviest else "")
        for layer in result.layers
        if layer.name in shown
    ]
    others = [layer for layer in result.layers if layer.name not in shown]
    if others:
        rows.append((_cells(others, f"{len(others)} other layers", result), "dim"))
    return [*rows, (_cells(result.layers, f"all {len(result.layers)} layers", result), "bold")]


def _cells(layers: Sequence[LayerResult], name: str, result: NetworkResult) -> dict[str, str]:
    """A row for one layer or for the sum of some, by heading."""
    cycles = sum(layer.total_cycles for layer in layers)
    macs = sum(layer.macs for layer in layers)
    peak = sum(layer.peak_macs_per_cycle * layer.total_cycles for layer in layers)
    is_single = len(layers) == 1
    return {
        "layer": name,
        "kind": layers[0].kind if is_single else "",
        "bits": widths_text(layers[0]) if is_single else "",
        "MACs": format_scaled(macs, "").strip() if macs else "–",
        "cycles": f"{cycles:,}",
        "share": share_text(cycles, result.total_cycles),
        "util.": share_text(macs, peak) if macs else "–",
        "bound": "" if not is_single else layers[0].bound if cycles else "–",
        "longest stall": _longest_stall(layers, cycles),
        "DRAM": format_size(sum(layer.counts.dram_bytes for layer in layers)),
        "energy": energy_text(sum(layer.total_energy_pj for layer in layers), unit=result.accelerator.energy.unit),
    }


def _longest_stall(layers: Sequence[LayerResult], cycles: int) -> str:
    stalls: dict[str, int] = {}
    for layer in layers:
        for cause, stalled in layer.stall_cycles.items():
            stalls[cause] = stalls.get(cause, 0) + stalled
    if not any(stalls.values()):
        return "–"
    cause = max(stalls, key=lambda name: stalls[name])
    return f"{stall_label(cause)} {share_text(stalls[cause], cycles)}"
