"""The terminal's table of accumulator widths and overflows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from accelsim.report.fitted_table import Justify, Row, fitted_table
from accelsim.report.observed_layers import ObservedLayer, is_trial, observed_layers, overflows_of, widths_of
from accelsim.report.wording import exact_share_text, registers_text
from accelsim.results.network_result import NetworkResult

_HEADINGS: dict[str, Justify] = {
    "layer": "left",
    "accumulator": "right",
    "worst case": "right",
    "running": "right",
    "final": "right",
    "overflows": "right",
    "outputs hit": "right",
}
_OWN = ("overflows", "outputs hit")
_FIRST_TO_GO = ("accumulator", "worst case")


def values_table(result: NetworkResult, *, width: int) -> Table:
    """Bits of the accumulators and the three widths that each layer asks for, then its overflows; layers off the PE grid
    have no accumulators. Overflows are left out where other widths were tried beside the run.

    Parameters
    ----------
    width : columns of the terminal; long names lose their beginning.
    """
    layers = observed_layers(result)
    bits = result.accelerator.accumulators.bits
    rows: list[Row] = [(_cells([layer], layer.name, bits), "bold" if layer.overflows.count else "") for layer in layers]
    name = "1 layer" if len(layers) == 1 else f"all {len(layers)} layers" if layers else "no layers"
    rows.append((_cells(layers, f"{name} on the grid", bits), "bold"))
    title = f"{result.network} on {result.accelerator.name}: {registers_text(result.accelerator)}"
    shown = {name: side for name, side in _HEADINGS.items() if not is_trial(layers) or name not in _OWN}
    return fitted_table(rows, headings=shown, title=title, width=width, first_to_go=_FIRST_TO_GO)


def _cells(layers: Sequence[ObservedLayer], name: str, bits: int) -> dict[str, str]:
    """A row for one layer or for all of them, by heading."""
    widths = widths_of(layers) if layers else None
    overflows = overflows_of(layers)
    return {
        "layer": name,
        "accumulator": str(bits),
        "worst case": str(widths.worst_case_bits) if widths else "–",
        "running": str(widths.running_bits) if widths else "–",
        "final": str(widths.final_bits) if widths else "–",
        "overflows": f"{overflows.count:,}" if overflows.count else "–",
        "outputs hit": exact_share_text(overflows.outputs_hit, overflows.outputs) if overflows.count else "–",
    }
