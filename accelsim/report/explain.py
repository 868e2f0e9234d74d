"""How far bit operations mislead: table, sentences, page and files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.lut.explanation import REASONS, Explanation, Halving, LayerExplanation, explain, rounded_up
from accelsim.lut.latency_table import LatencyTable
from accelsim.report.fitted_table import Justify, fitted_table
from accelsim.report.wording import share_text, short_name
from accelsim.report.writer import csv_bytes, write_files
from accelsim.units import cycles_to_us, format_scaled, format_time

if TYPE_CHECKING:
    from rich.table import Table

_HEADINGS: dict[str, Justify] = {
    "layer": "left", "MACs": "right", "time": "right", "ranks": "right", "weights ½": "right", "inputs ½": "right",
    "both ½": "right", "what holds it": "left"}
#: Pairs of bits that a sentence may list.
_MOST_PAIRS = 8

_FIRST_TO_GO = ("MACs", "time", "inputs ½")


def explanation_table(explanation: Explanation, table: LatencyTable, *, width: int) -> Table:
    """A row per layer on the grid: how well BOPs rank its choices, and how many times as fast half of the bits makes it."""
    caption = ("ranks: Spearman's correlation of BOPs with time over the layer's choices of bits, 1 where BOPs order them "
               "right. ½: times as fast with half of those bits; BOPs promise 2×, and 4× for both.")
    return fitted_table([(_cells(layer, table.header.clock_hz), "") for layer in explanation.layers], headings=_HEADINGS,
                        title=f"BOPs against time: {table.header.network} on {table.header.hardware}", width=width,
                        first_to_go=_FIRST_TO_GO, caption=caption, has_total=False)


def _cells(layer: LayerExplanation, clock_hz: int) -> dict[str, str]:
    return {
        "layer": layer.layer, "MACs": format_scaled(layer.macs, "").strip(),
        "time": format_time(cycles_to_us(layer.cycles, clock_hz=clock_hz)), "ranks": _rank_text(layer.correlation),
        "weights ½": _gain_text(layer.halving("weights")), "inputs ½": _gain_text(layer.halving("inputs")),
        "both ½": _gain_text(layer.halving("both")), "what holds it": _held_text(layer)}


def _rank_text(correlation: float | None) -> str:
    return "–" if correlation is None else f"{correlation:.2f}"


def _gain_text(halving: Halving | None) -> str:
    return "" if halving is None else f"{halving.gain:.2f}×"


def _held_text(layer: LayerExplanation) -> str:
    """Why which halving gains nothing; one reason once."""
    reasons: dict[str, list[str]] = {}
    for halving in layer.halvings:
        if halving.reason != "faster":
            reasons.setdefault(halving.reason, []).append(halving.what)
    every = len(layer.halvings)
    return "; ".join(reason if len(what) == every else f"{', '.join(what)}: {reason}" for reason, what in reasons.items())


def sentences(explanation: Explanation, table: LatencyTable) -> list[str]:
    """What the table shows as a whole."""
    layers = explanation.layers
    known = [layer.correlation for layer in layers if layer.correlation is not None]
    noun = "layers" if len(layers) > 1 else "layer"
    found = [f"{len(layers)} {noun} on the PE grid, compared at {explanation.output_bits}-bit outputs."]
    if known:
        found.append(f"Rank correlation of BOPs with time, by layer: from {min(known):.2f} to {max(known):.2f}, "
                     f"median {sorted(known)[len(known) // 2]:.2f}.")
    if len(known) < len(layers):
        found.append(f"{len(layers) - len(known)} layers take the same time at all bits.")
    if explanation.correlation is not None:
        wrong = share_text(explanation.misordered, 1)
        found.append(f"Whole network, {len(explanation.network)} uniform choices: rank correlation "
                     f"{explanation.correlation:.2f}; BOPs put {wrong} of all pairs of choices in the wrong order.")
    for what in ("weights", "inputs", "both"):
        held = [halving for layer in layers if (halving := layer.halving(what)) is not None]
        if held:
            found.append(_halving_sentence(what, held))
    return [*found, *([text] if (text := rounding_text(table)) else [])]


def rounding_text(table: LatencyTable) -> str:
    """Which bits the hardware rounds up, in a sentence; "" where it rounds none.

    By operand where one operand's rounding does not depend on the other's, else pair by pair.
    """
    wider = rounded_up(table)
    if not wider:
        return ""
    parts = []
    for place, name in ((0, "weights"), (1, "inputs")):
        single: dict[int, set[int]] = {}
        for (_, bits), cost in table.costs.items():
            if bits.weight_bits is not None and cost.effective_weight_bits is not None:
                own = (bits.weight_bits, bits.input_bits)
                single.setdefault(own[place], set()).add(wider.get(own, own)[place])
        if any(len(found) > 1 for found in single.values()):
            pairs = [f"{own[0]}/{own[1]} as {run[0]}/{run[1]}" for own, run in wider.items()]
            shown = ", ".join(pairs[:_MOST_PAIRS]) + (", ..." if len(pairs) > _MOST_PAIRS else "")
            return f"Multiplied at wider operands on {table.header.hardware} (weight/input bits): {shown}."
        texts = [f"{own} as {found}" for own, (found,) in sorted(single.items()) if found > own]
        parts += [f"{name} of {', '.join(texts)} bits"] if texts else []
    return f"Rounded up by {table.header.hardware}: {'; '.join(parts)}."


def _halving_sentence(what: str, halvings: list[Halving]) -> str:
    counts = Counter(halving.reason for halving in halvings)
    name = "weights and inputs" if what == "both" else what
    begin = f"Half of the bits of {name} ({halvings[0].wide} to {halvings[0].narrow})"
    held = ", ".join(f"{reason} {counts[reason]}" for reason in REASONS if reason != "faster" and counts[reason])
    gained = len(halvings) - counts["faster"]
    return f"{begin} gains nothing in {gained} of {len(halvings)} layers{': ' + held if held else ''}."


def records(explanation: Explanation) -> list[dict[str, Any]]:
    """A flat record per layer: the columns of explanation.csv."""
    rows = []
    for layer in explanation.layers:
        row: dict[str, Any] = {"layer": layer.layer, "macs": layer.macs, "cycles": layer.cycles,
                               "rank_correlation": layer.correlation}
        for what in ("weights", "inputs", "both"):
            halving = layer.halving(what)
            row |= {f"{what}_{name}": getattr(halving, name, None) for name in ("promised", "gain", "reason")}
        rows.append(row)
    return rows


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """The same as plain data for JSON, with the whole network's numbers."""
    return {
        "output_bits": explanation.output_bits, "accumulator_bits": explanation.accumulator_bits,
        "rank_correlation": explanation.correlation, "misordered": explanation.misordered,
        "uniform": [dict(zip(("weight_bits", "input_bits", "bops", "cycles"), choice, strict=True))
                    for choice in explanation.network],
        "layers": records(explanation)}


def write_explanation(table: LatencyTable, folder: Path) -> Path:
    """explanation.csv, figures and index.html; returns the place of the page.

    Raises
    ------
    OutputError : the folder cannot be written.
    TableError : a table that cannot be explained.
    """
    from accelsim.report.canvas import render
    from accelsim.report.explain_figure import draw_bops_against_latency, draw_gains

    explanation = explain(table)
    images = {name: render(lambda draw=draw: draw(explanation, table.header), name=name)  # type: ignore[misc]
              for name, draw in {"gains": draw_gains, "bops_and_time": draw_bops_against_latency}.items()}
    page = explanation_page(explanation, table, figures={name: image["svg"].decode() for name, image in images.items()})
    files = {"index.html": page.encode(), "explanation.csv": csv_bytes(records(explanation))}
    files |= {f"figures/{name}.{suffix}": content for name, image in images.items() for suffix, content in image.items()}
    write_files(files, folder)
    return folder / "index.html"


def explanation_page(explanation: Explanation, table: LatencyTable, *, figures: dict[str, str]) -> str:
    """The page. `figures` are SVG documents by name."""
    from markupsafe import Markup

    from accelsim.report.html import inline_svg, render_template

    header = table.header
    rows = [(layer, _cells(layer, header.clock_hz), {what: layer.halving(what) for what in ("weights", "inputs", "both")})
            for layer in explanation.layers]
    return render_template(
        "explain.html.j2", header=header, sentences=sentences(explanation, table), rows=rows, short=short_name,
        figures={name: Markup(inline_svg(svg)) for name, svg in figures.items()},
        reasons=[reason for reason in REASONS if any(halving.reason == reason for layer in explanation.layers
                                                     for halving in layer.halvings)])
