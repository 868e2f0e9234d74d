"""The report of a sweep: table, CSV, figure, page and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.lut.sweep import Design, Sweep
from accelsim.report.fitted_table import Justify, fitted_table
from accelsim.report.sweep_figure import area_text, design_label
from accelsim.report.wording import energy_text
from accelsim.report.writer import csv_bytes, json_bytes, write_files
from accelsim.units import format_size, format_time

if TYPE_CHECKING:
    from rich.table import Table

_FIRST_TO_GO = ("layers", "DRAM", "cycles")


def sweep_table(sweep: Sweep, *, width: int) -> Table:
    """A row per design, the best ones in bold; impossible ones with their reason."""
    headings: dict[str, Justify] = {
        "design": "left", "cycles": "right", "time": "right", "energy": "right", "area": "right", "DRAM": "right",
        "layers": "right", "": "left"}
    best = set(sweep.front)
    rows = [(_cells(design, sweep, design in best), "bold" if design in best else "") for design in sweep.designs]
    problems = [design.problem for design in sweep.designs if design.problem]
    caption = f"design: {' · '.join(sweep.fields)}. best: no other design has less time, energy" + (
        " and area." if sweep.has_area else ".")
    if problems:
        caption += f" impossible {len(problems)}, e.g. {problems[0]}."
    return fitted_table(rows, headings=headings, title=f"{sweep.header.network} on {len(sweep.designs)} variations of "
                        f"{sweep.header.hardware}", width=width, first_to_go=_FIRST_TO_GO, caption=caption, has_total=False)


def _cells(design: Design, sweep: Sweep, is_best: bool) -> dict[str, str]:
    if design.total is None:
        return {"design": design_label(design), "cycles": "–", "time": "–", "energy": "–", "area": "–", "DRAM": "–",
                "layers": "–", "": "impossible"}
    area = "–" if design.area_um2 is None else area_text(design.area_um2)
    return {
        "design": design_label(design), "cycles": f"{design.total.cycles:,}", "time": format_time(design.latency_us),
        "energy": energy_text(design.total.energy_pj, unit=sweep.header.energy_unit), "area": area,
        "DRAM": format_size(design.total.dram_bytes), "layers": f"{design.memory_bound_layers} memory bound",
        "": "best" if is_best else ""}


def sweep_records(sweep: Sweep) -> list[dict[str, Any]]:
    """A flat record per design: the columns of sweep.csv."""
    best = set(sweep.front)
    return [{
        **dict(zip(sweep.fields, design.values, strict=True)),
        "cycles": None if design.total is None else design.total.cycles,
        "latency_us": None if design.total is None else design.latency_us,
        "energy_pj": None if design.total is None else design.total.energy_pj,
        "area_um2": design.area_um2, "area_omitted": " ".join(design.area_omitted),
        "dram_bytes": None if design.total is None else design.total.dram_bytes,
        "buffer_peak_bytes": None if design.total is None else design.total.buffer_peak_bytes,
        "macs": None if design.total is None else design.total.macs,
        "memory_bound_layers": design.memory_bound_layers, "is_best": "yes" if design in best else "no",
        "accelerator_fingerprint": design.fingerprint, "problem": design.problem} for design in sweep.designs]


def sweep_document(sweep: Sweep) -> dict[str, Any]:
    """The same as plain data for JSON, with what it was made of."""
    header = sweep.header
    return {
        "accelsim_version": header.accelsim_version, "network": header.network,
        "network_fingerprint": header.network_fingerprint, "accelerator": header.hardware,
        "accelerator_fingerprint": header.hardware_fingerprint, "options": dict(header.options),
        "energy_unit": header.energy_unit, "fields": list(sweep.fields), "unsupported": dict(sweep.unsupported),
        "designs": sweep_records(sweep)}


def write_sweep(sweep: Sweep, folder: Path) -> Path:
    """sweep.csv, sweep.json, the figure and index.html; returns the place of the page.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    from accelsim.report.canvas import render
    from accelsim.report.sweep_figure import draw_pareto

    image = render(lambda: draw_pareto(sweep), name="pareto")
    write_files({
        "index.html": sweep_page(sweep, image["svg"].decode()).encode(),
        "sweep.csv": csv_bytes(sweep_records(sweep)), "sweep.json": json_bytes(sweep_document(sweep)),
        **{f"figures/pareto.{suffix}": content for suffix, content in image.items()}}, folder)
    return folder / "index.html"


def sweep_page(sweep: Sweep, figure: str) -> str:
    """The page. `figure` is an SVG document."""
    from markupsafe import Markup

    from accelsim.report.html import inline_svg, render_template

    best = set(sweep.front)
    return render_template(
        "sweep.html.j2", sweep=sweep, header=sweep.header, figure=Markup(inline_svg(figure)),
        rows=[(design, _cells(design, sweep, design in best)) for design in sweep.designs],
        omitted=sorted({part for design in sweep.possible for part in design.area_omitted}))
