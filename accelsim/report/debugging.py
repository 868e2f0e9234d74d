"""The report of debugging: tables for the terminal, figures, page and files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.quantization.debugging.debug_result import ALL, DebuggedLayer, DebugResult, Remedy
from accelsim.quantization.debugging.output_score import OutputScore
from accelsim.report.debug_wording import VARIANTS, bits_text, debug_findings, percent_text, ratio_text
from accelsim.report.fitted_table import Justify, Row, fitted_table
from accelsim.report.writer import csv_bytes, json_bytes, write_files

if TYPE_CHECKING:
    from rich.table import Table

_SCORE_HEADINGS: dict[str, Justify] = {"quantized": "left", "SQNR dB": "right", "same class": "right", "accuracy": "right"}

_LAYER_HEADINGS: dict[str, Justify] = {
    "layer": "left", "kind": "left", "bits": "left", "weights alone": "right", "output alone": "right", "inside": "right",
    "drop": "right", "channels": "right"}

_CAPTION = ("SQNR in dB. Alone: of the network's outputs with that quantizer and no other; inside: of the layer's own "
            "output with all of them; channels: reach of the widest over that of the middle one, of its weights")


def score_table(result: DebugResult) -> Table:
    """A row per variant of the network, then one per remedy that was tried."""
    rows: list[Row] = [(_score_cells(VARIANTS[name], score), "bold" if name == ALL else "")
                       for name, score in result.scores.items()]
    best = result.recommended
    rows += [(_score_cells(f"+ {remedy.name}", remedy.score), "bold" if remedy is best else "dim")
             for remedy in result.remedies]
    title = f"{result.network}, {result.policy}, recipe {result.recipe}: {result.samples} samples"
    return fitted_table(rows, headings=_SCORE_HEADINGS, title=title, width=200, has_total=False)


def layer_table(result: DebugResult, *, top: int, width: int) -> Table:
    """A row per layer, the worst first.

    Parameters
    ----------
    top : so many; 0 shows all.
    width : columns of the terminal.
    """
    layers = worst_first(result)
    rows: list[Row] = [(_layer_cells(layer), "") for layer in (layers[:top] if top else layers)]
    title = f"worst of {len(layers)} layers first" if top and len(layers) > top else "worst layers first"
    return fitted_table(rows, headings=_LAYER_HEADINGS, title=title, width=width, caption=_CAPTION,
                        first_to_go=("kind", "channels", "drop"), has_total=False)


def worst_first(result: DebugResult) -> list[DebuggedLayer]:
    """All layers by what their quantizers cost."""
    return sorted(result.layers, key=lambda layer: layer.worst_db)


def _score_cells(name: str, score: OutputScore) -> dict[str, str]:
    return {"quantized": name, "SQNR dB": ratio_text(score.sqnr_db), "same class": percent_text(score.agreement),
            "accuracy": percent_text(score.accuracy)}


def _layer_cells(layer: DebuggedLayer) -> dict[str, str]:
    return {"layer": layer.name, "kind": layer.kind, "bits": bits_text(layer), "weights alone": ratio_text(layer.weights_db),
            "output alone": ratio_text(layer.output_db), "inside": ratio_text(layer.inside_db),
            "drop": "–" if layer.drop_db is None or math.isinf(layer.drop_db) else ratio_text(layer.drop_db),
            "channels": _spread_text(layer)}


def _spread_text(layer: DebuggedLayer) -> str:
    return "–" if layer.weights is None else f"{layer.weights.ranges.spread:.3g}×"


def write_debug_report(result: DebugResult, folder: Path) -> Path:
    """layers.csv, debug.json, figures and index.html; returns the place of the page.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    write_files(debug_files(result), folder)
    return folder / "index.html"


def debug_files(result: DebugResult) -> dict[str, bytes]:
    """Every file by its path in the folder; the same result gives the same bytes."""
    from accelsim.report.canvas import render
    from accelsim.report.debug_figures import draw_channels, draw_ratios

    images = {name: render(lambda draw=draw: draw(result), name=name)  # type: ignore[misc]
              for name, draw in (("sqnr", draw_ratios), ("channel_ranges", draw_channels))}
    page = _page(result, {name: image["svg"].decode() for name, image in images.items()})
    files = {"index.html": page.encode(), "layers.csv": csv_bytes([layer.to_dict() for layer in result.layers]),
             "debug.json": json_bytes(result.to_dict())}
    return files | {
        f"figures/{name}.{suffix}": content for name, image in images.items() for suffix, content in image.items()}


def _page(result: DebugResult, figures: dict[str, str]) -> str:
    from markupsafe import Markup

    from accelsim.report.html import inline_svg, render_template
    from accelsim.version import __version__

    return render_template(
        "debug.html.j2", result=result, version=__version__, findings=debug_findings(result),
        scores=[list(_score_cells(VARIANTS[name], score).values()) for name, score in result.scores.items()],
        score_headings=_SCORE_HEADINGS,
        remedies=[(remedy, list(_score_cells(remedy.name, remedy.score).values()), _change_text(remedy))
                  for remedy in result.remedies],
        headings=_LAYER_HEADINGS, layers=[_cells_with_keys(layer) for layer in worst_first(result)], caption=_CAPTION,
        figures=[Markup(inline_svg(svg)) for svg in figures.values()])


def _cells_with_keys(layer: DebuggedLayer) -> list[tuple[str, str | float]]:
    """(text, what its row is sorted by) of each cell."""
    numbers: Sequence[float | None] = (layer.weights_db, layer.output_db, layer.inside_db, layer.drop_db,
                                       None if layer.weights is None else layer.weights.ranges.spread)
    cells = list(_layer_cells(layer).values())
    keys: list[str | float] = [*cells[:3], *(1e9 if number is None else number for number in numbers)]
    return list(zip(cells, keys, strict=True))


def _change_text(remedy: Remedy) -> str:
    """What to write: JSON is YAML too."""
    return json.dumps(remedy.change, ensure_ascii=False)
