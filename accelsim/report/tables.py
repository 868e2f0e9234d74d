"""The table of layers for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from accelsim.report.wording import energy_text, share_text, short_name, stall_label
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_scaled, format_size

#: Below this width the table leaves out kind and bits.
FULL_WIDTH = 116

_HEADINGS: dict[str, Literal["left", "right"]] = {
    "layer": "left",
    "kind": "left",
    "bits": "left",
    "MACs": "right",
    "cycles": "right",
    "time": "right",
    "util.": "right",
    "longest stall": "left",
    "DRAM": "right",
    "energy": "right",
}
_WIDE_HEADINGS = {"kind", "bits"}

#: Layers that stand out.
HIGHLIGHTED = 3


def layer_table(result: NetworkResult, *, top: int, width: int) -> Table:
    """One row per layer in the order of execution, then the totals.

    Parameters
    ----------
    top : show only so many layers, those with the most cycles, and the others as one row; 0 shows all.
    width : columns of the terminal; 100 suffice, more show kind and bits as well. Names are cut to fit.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(f"{result.network} on {result.accelerator.name}", style="bold"),
        title_justify="left",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    headings = {
        heading: justify
        for heading, justify in _HEADINGS.items()
        if width >= FULL_WIDTH or heading not in _WIDE_HEADINGS
    }
    for heading, justify in headings.items():
        table.add_column(heading, justify=justify, no_wrap=True)
    rows = _rows(result, top)
    for cells, _ in rows:
        for heading in _WIDE_HEADINGS - set(headings):
            del cells[heading]
    taken = sum(
        max(len(heading), *(len(cells[heading]) for cells, _ in rows)) + 2
        for heading in headings
        if heading != "layer"
    )
    for place, (cells, style) in enumerate(rows):
        cells["layer"] = short_name(cells["layer"], longest=max(12, width - taken - 3))
        if place == len(rows) - 1:
            table.add_section()
        table.add_row(*map(Text, cells.values()), style=style)
    return table


def _rows(result: NetworkResult, top: int) -> list[tuple[dict[str, str], str]]:
    """(cells, style) of the layers that are shown, of the others together, and of all."""
    by_weight = sorted(result.layers, key=lambda layer: -layer.total_cycles)
    shown = {layer.name for layer in (by_weight[:top] if top else by_weight)}
    heaviest = (
        {layer.name for layer in by_weight[:HIGHLIGHTED]} if len(result.layers) > HIGHLIGHTED else set()
    )
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
        "bits": f"{layers[0].weight_bits}/{layers[0].input_bits}" if is_single else "",
        "MACs": format_scaled(macs, "").strip() if macs else "–",
        "cycles": f"{cycles:,}",
        "time": share_text(cycles, result.total_cycles),
        "util.": share_text(macs, peak) if macs else "–",
        "longest stall": _longest_stall(layers, cycles),
        "DRAM": format_size(sum(layer.counts.dram_bytes for layer in layers)),
        "energy": energy_text(
            sum(layer.total_energy_pj for layer in layers), unit=result.accelerator.energy.unit
        ),
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
