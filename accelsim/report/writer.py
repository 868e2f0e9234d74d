"""Reports on disk: whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelsim.results.network_result import NetworkResult
from accelsim.whole_file import as_output_error, check_writable, hidden_folder


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files by their path in this folder: all of them are on disk before the first one gets its name.

    A folder that did not exist appears with all of its files at once; in one that did, each file is replaced
    whole and files of other names stay.
    """
    check_writable(folder)
    with as_output_error(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(folder if folder.exists() else folder.parent) as hidden:
            made = hidden / "report"
            for name, content in files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_bytes(content)
            if not folder.exists():
                os.rename(made, folder)
                return
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(made / name, folder / name)


def write_report(result: NetworkResult, folder: str | Path) -> Path:
    """layers.csv, result.json, block_diagram.svg, figures/*.png and *.svg and index.html; returns the place
    of the page.

    Of a run that carried integers there are events.csv, overflow_by_channel.csv and overflow_by_fold.csv besides, or
    width_trials.csv where other widths of the accumulators were tried.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    folder = Path(folder)
    write_files(report_files(result), folder)
    return folder / "index.html"


def report_files(result: NetworkResult) -> dict[str, bytes]:
    """Every file of a report by its path in the folder; the same result gives the same bytes."""
    from accelsim.report.block_diagram import draw_block_diagram
    from accelsim.report.figures import render_figures
    from accelsim.report.html import report_page
    from accelsim.report.overflow_records import overflow_tables

    figures = render_figures(result)
    diagram = draw_block_diagram(result.accelerator)
    page = report_page(result, figures={name: images["svg"].decode() for name, images in figures.items()}, diagram=diagram)
    files = {
        "index.html": page.encode(),
        "layers.csv": csv_bytes(result.rows()),
        "result.json": json_bytes(result.to_dict()),
        "block_diagram.svg": diagram.encode(),
    }
    if result.has_values:
        files |= {name: csv_bytes(rows, columns=columns) for name, (columns, rows) in overflow_tables(result).items()}
    for name, images in figures.items():
        files |= {f"figures/{name}.{suffix}": content for suffix, content in images.items()}
    return files


def csv_bytes(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] | None = None) -> bytes:
    """Records of the same keys as CSV, floats with all of their digits; `columns` names them where there may be no record.

    >>> csv_bytes([{"layer": "a,b", "energy_pj": 0.1}])
    b'layer,energy_pj\\n"a,b",0.1\\n'
    >>> csv_bytes([], columns=["layer", "step"])
    b'layer,step\\n'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0] if columns is None else columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Plain data as JSON for programs and people."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
