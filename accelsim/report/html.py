"""The report as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.summary import summarize
from accelsim.report.cell import Cell
from accelsim.report.findings import findings
from accelsim.report.headlines import headlines
from accelsim.report.integers_section import IntegersSection
from accelsim.report.palette import CYCLES, GROUND, INK, MUTED, RULE
from accelsim.report.svg import paint
from accelsim.report.wording import cycles_label, energy_text, share_text, short_name
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.units import cycles_to_us, format_scaled, format_size, format_time

_TEMPLATES = Path(__file__).parent / "templates"


def report_page(result: NetworkResult, *, figures: Mapping[str, str], diagram: str) -> str:
    """The page. `figures` are SVG documents by the names of `accelsim.report.figures`, `diagram` the block
    diagram's."""
    from accelsim.report.figures import FIGURES
    from accelsim.report.value_figures import value_figures

    pictures = {name: Markup(inline_svg(svg)) for name, svg in figures.items()}
    return render_template(
        "report.html.j2",
        result=result,
        headlines=headlines(result),
        findings=findings(result),
        diagram=Markup(inline_svg(diagram)),
        figures=[(figure, pictures[name]) for name, figure in FIGURES.items()],
        integers=IntegersSection.of(result) if result.has_values else None,
        value_figures=[(figure, pictures[name]) for name, figure in value_figures(result).items()],
        causes=_causes(result),
        columns=_COLUMNS,
        rows=[_row(result, layer) for layer in result.layers],
        kinds=_kinds(result),
        description=describe(result.accelerator),
        unconfirmed=summarize(result.accelerator).unconfirmed,
    )


def render_template(name: str, **values: Any) -> str:
    """A template of this room with these values; text is escaped, unknown names are refused."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**values)


def inline_svg(document: str) -> str:
    """An SVG document as part of a page: no prologue, no ids that two figures share, the page's colours and
    font.

    >>> inline_svg('<?xml version="1.0"?><svg><g id="axes_1"><path style="fill: #fefefe"/></g></svg>')
    '<svg><g><path style="fill: var(--ground, #fefefe)"/></g></svg>'
    """
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", document[document.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for colour in (INK, MUTED, RULE, GROUND):
        svg = re.sub(rf"(?<!, ){colour}", paint(colour), svg)
    return svg.replace("'DejaVu Sans'", "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif").strip()


#: Headings of the layer table, and whether the column is one of numbers.
_COLUMNS = (
    ("#", True),
    ("Layer", False),
    ("Kind", False),
    ("Shape", False),
    ("Bits", True),
    ("MACs", True),
    ("Cycles", True),
    ("Time", True),
    ("Share", True),
    ("Util.", True),
    ("Bound", False),
    ("By cause", True),
    ("DRAM", True),
    ("Energy", True),
)


def _row(result: NetworkResult, layer: LayerResult) -> dict[str, Any]:
    """A row of the table: cells, the strip of causes, and what the row unfolds."""
    time_us = cycles_to_us(layer.total_cycles, clock_hz=result.accelerator.clock_hz)
    cells = [
        Cell(short_name(layer.name, longest=32), layer.name, False),
        Cell(layer.kind, layer.kind, False),
        Cell(layer.shape, layer.shape, False),
        Cell(_widths(layer), layer.weight_bits),
        Cell(format_scaled(layer.macs, "").strip() if layer.macs else "–", layer.macs),
        Cell(f"{layer.total_cycles:,}", layer.total_cycles),
        Cell(format_time(time_us), layer.total_cycles),
        Cell(share_text(layer.total_cycles, result.total_cycles), layer.total_cycles),
        Cell(share_text(layer.utilization, 1) if layer.macs else "–", layer.utilization),
        Cell(layer.bound, layer.bound, False),
    ]
    energy = energy_text(layer.total_energy_pj, unit=result.accelerator.energy.unit)
    tail = [
        Cell(format_size(layer.counts.dram_bytes), layer.counts.dram_bytes),
        Cell(energy, layer.total_energy_pj),
    ]
    stalls = sum(layer.stall_cycles.values())
    return {
        "cells": cells,
        "tail": tail,
        "strip": _strip(layer),
        "kind": layer.kind,
        "stalls": stalls,
        "title": f"{layer.name}; mapping: {layer.mapping or '–'}",
    }


def _widths(layer: LayerResult) -> str:
    """Of weights, inputs and outputs; and those of the multipliers where they are wider."""
    widths = f"{layer.weight_bits}/{layer.input_bits}/{layer.output_bits}"
    return f"{widths} as {layer.executed_weight_bits}/{layer.executed_input_bits}" if layer.runs_wider else widths


def _strip(layer: LayerResult) -> list[dict[str, Any]]:
    """Shares of the layer's cycles by cause, for the little bar in the table."""
    parts = {"compute": layer.compute_cycles, **layer.stall_cycles}
    return [
        {
            "colour": CYCLES.get(cause, MUTED),
            "percent": f"{100 * cycles / layer.total_cycles:.2f}",
            "title": f"{cycles_label(cause)}: {cycles:,} cycles, {share_text(cycles, layer.total_cycles)}",
        }
        for cause, cycles in parts.items()
        if cycles and layer.total_cycles
    ]


def _causes(result: NetworkResult) -> list[tuple[str, str]]:
    """(label, colour) of what the strips show somewhere."""
    stalls = result.stall_cycles
    return [(cycles_label(cause), colour) for cause, colour in CYCLES.items() if cause == "compute" or stalls.get(cause)]


def _kinds(result: NetworkResult) -> list[str]:
    return sorted({layer.kind for layer in result.layers})


def describe(accelerator: Accelerator) -> list[tuple[str, str]]:
    """The description as (dotted path, value), in the order of the YAML; the energy table is told by its
    name."""
    document = {**accelerator.to_document(), "energy": accelerator.energy.name}
    document.pop("unconfirmed", None)
    return list(_flat(document, ""))


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [entry for key, inner in value.items() for entry in _flat(inner, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [entry for place, item in enumerate(value) for entry in _flat(item, f"{path}.{place}")]
    if isinstance(value, list):
        return [(path, ", ".join(map(str, value)))]
    return [(path, _plain(value))]


def _plain(value: Any) -> str:
    """A scalar of the YAML for people.

    >>> _plain(True), _plain(None), _plain(16)
    ('yes', '–', '16')
    """
    if value is None:
        return "–"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
