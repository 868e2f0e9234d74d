"""The table of layers for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from accelsim.report.wording import cycles_label, energy_text, share_text, short_name
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled, format_size

#: Below this width the table leaves out kind and bits.
FULL_WIDTH = 116

#: Layers that stand out.
HIGHLIGHTED = 3


def layer_table(result: NetworkResult, *, top: int, width: int) -> Table:
    """One row per layer in the order of execution, then the totals.

    Parameters
    ----------
    top : show only so many layers, those with the most cycles, and the others as one row; 0 shows all.
    width : columns of the terminal; 100 suffice, more show kind and bits as well.
    """
    is_wide = width >= FULL_WIDTH
    title = f"{result.network} on {result.accelerator.name}"
    table = Table(box=box.SIMPLE_HEAD, title=Text(title, style="bold"), title_justify="left", show_footer=False,
                  padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True)
    for heading in ("kind", "W/A bits") if is_wide else ():
        table.add_column(heading, no_wrap=True)
    for heading in ("MACs", "cycles", "time", "util."):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("longest stall", no_wrap=True)
    for heading in ("DRAM", "energy"):
        table.add_column(heading, justify="right", no_wrap=True)
    by_weight = sorted(result.layers, key=lambda layer: -layer.total_cycles)
    shown = {layer.name for layer in (by_weight[:top] if top else by_weight)}
    heaviest = {layer.name for layer in by_weight[:HIGHLIGHTED]} if len(result.layers) > HIGHLIGHTED else set()
    for layer in result.layers:
        if layer.name in shown:
            table.add_row(*_cells([layer], layer.name, result, is_wide), style="bold" if layer.name in heaviest else "")
    others = [layer for layer in result.layers if layer.name not in shown]
    if others:
        table.add_row(*_cells(others, f"{len(others)} other layers", result, is_wide), style="dim")
    table.add_section()
    table.add_row(*_cells(result.layers, f"all {len(result.layers)} layers", result, is_wide), style="bold")
    return table


def _cells(layers: Sequence[LayerResult], name: str, result: NetworkResult, is_wide: bool) -> list[Text]:
    """A row for one layer or for the sum of some."""
    cycles = sum(layer.total_cycles for layer in layers)
    macs = sum(layer.macs for layer in layers)
    peak = sum(layer.peak_macs_per_cycle * layer.total_cycles for layer in layers)
    energy = sum(layer.total_energy_pj for layer in layers)
    kind = [layers[0].kind, f"{layers[0].weight_bits}/{layers[0].input_bits}"] if len(layers) == 1 else ["", ""]
    cells = [short_name(name, longest=30), *(kind if is_wide else []), format_scaled(macs, "").strip() if macs else "–",
             f"{cycles:,}", share_text(cycles, result.total_cycles), share_text(macs, peak) if macs else "–",
             _longest_stall(layers, cycles), format_size(sum(layer.counts.dram_bytes for layer in layers)),
             energy_text(energy, unit=result.accelerator.energy.unit)]
    return [Text(cell) for cell in cells]


def _longest_stall(layers: Sequence[LayerResult], cycles: int) -> str:
    stalls: dict[str, int] = {}
    for layer in layers:
        for cause, stalled in layer.stall_cycles.items():
            stalls[cause] = stalls.get(cause, 0) + stalled
    if not any(stalls.values()):
        return "–"
    cause = max(stalls, key=lambda name: stalls[name])
    return f"{cycles_label(cause)} {share_text(stalls[cause], cycles)}"
