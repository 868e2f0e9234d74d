"""The report of a comparison: table, figures, page and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.report.comparison import Comparison
from accelsim.report.wording import energy_text, share_text, short_name, stall_label
from accelsim.report.writer import csv_bytes, json_bytes, write_files
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_size, format_time

if TYPE_CHECKING:
    from rich.table import Table

#: Column of the summary -> whether it is a number.
COLUMNS = {
    "design": False,
    "latency": True,
    "speed": True,
    "energy": True,
    "energy ×": True,
    "util.": True,
    "DRAM": True,
    "longest stall": False,
    "layers won": True,
}


def summary_rows(comparison: Comparison) -> list[list[str]]:
    """A row per design, in the columns of `COLUMNS`; speed and energy are multiples of the first design's."""
    base, wins = comparison.baseline, comparison.wins()
    rows = []
    for label, result in comparison.results.items():
        speed = base.latency_us / result.latency_us if result.latency_us else 1.0
        energy = result.total_energy_pj / base.total_energy_pj if base.total_energy_pj else 1.0
        rows.append(
            [
                label,
                format_time(result.latency_us),
                f"{speed:.2f}×",
                energy_text(result.total_energy_pj, unit=result.accelerator.energy.unit),
                f"{energy:.2f}×",
                share_text(result.utilization, 1),
                format_size(result.dram_bytes),
                _longest_stall(result),
                str(wins[label]),
            ]
        )
    return rows


def _longest_stall(result: NetworkResult) -> str:
    stalls = result.stall_cycles
    cause = max(stalls, key=lambda name: stalls[name])
    return f"{stall_label(cause)} {share_text(stalls[cause], result.total_cycles)}" if stalls[cause] else "–"


def comparison_table(comparison: Comparison) -> Table:
    """For the terminal: a row per design; the fastest one stands out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{comparison.baseline.network}: {len(comparison.results)} designs", style="bold")
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0), pad_edge=False)
    for heading, is_number in COLUMNS.items():
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    fastest = min(comparison.results, key=lambda label: comparison.results[label].latency_us)
    for row in summary_rows(comparison):
        style = "bold" if row[0] == fastest else ""
        table.add_row(Text(short_name(row[0], longest=32)), *map(Text, row[1:]), style=style)
    return table


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """compare.csv, compare.json, figures and index.html; returns the place of the page.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    write_files(comparison_files(comparison), folder)
    return folder / "index.html"


def comparison_files(comparison: Comparison) -> dict[str, bytes]:
    """Every file by its path in the folder; the same results give the same bytes."""
    from accelsim.report import comparison_figure as figure
    from accelsim.report.canvas import render

    draws = {
        "compare_latency": figure.draw_design_latency,
        "compare_energy": figure.draw_design_energy,
        "compare_layers": figure.draw_layer_ratios,
    }
    images = {
        name: render(lambda draw=draw: draw(comparison), name=name)  # type: ignore[misc]
        for name, draw in draws.items()
    }
    page = comparison_page(comparison, figures={name: image["svg"].decode() for name, image in images.items()})
    files = {
        "index.html": page.encode(),
        "compare.csv": csv_bytes(comparison.rows()),
        "compare.json": json_bytes(comparison.to_dict()),
    }
    return files | {
        f"figures/{name}.{suffix}": content for name, image in images.items() for suffix, content in image.items()
    }


def comparison_page(comparison: Comparison, *, figures: dict[str, str]) -> str:
    """The page. `figures` are SVG documents by name."""
    from markupsafe import Markup

    from accelsim.report.html import inline_svg, render_template

    times = [[format_time(row[f"latency_us {label}"]) for label in comparison.labels] for row in comparison.rows()]
    keys = [[row[f"latency_us {label}"] for label in comparison.labels] for row in comparison.rows()]
    return render_template(
        "compare.html.j2",
        comparison=comparison,
        short=short_name,
        columns=COLUMNS,
        summary=summary_rows(comparison),
        figures=[Markup(inline_svg(svg)) for svg in figures.values()],
        rows=list(
            zip(
                comparison.verdicts,
                [list(zip(*pair, strict=True)) for pair in zip(times, keys, strict=True)],
                strict=True,
            )
        ),
        kinds=sorted({verdict.kind for verdict in comparison.verdicts}),
    )
