"""The report of a search: page, figures, tables, the policy, the quantized network, and what programs read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.report.cell import Cell
from accelsim.report.headlines import Headline
from accelsim.report.search_figures import render_search_figures
from accelsim.report.wording import energy_text, short_name
from accelsim.report.writer import csv_bytes, json_bytes, write_files
from accelsim.search.budget import cost_text
from accelsim.search.outcome import Contender, LayerProof, Outcome
from accelsim.search.sensitivities.given import COLUMNS, sensitivity_rows
from accelsim.units import format_size

if TYPE_CHECKING:
    from rich.table import Table

    from accelsim.quantization.bit_policy import BitPolicy

#: Columns of the table of contenders -> whether they are numbers.
CONTENDERS = {"network": False, "accuracy": True, "as float": True, "cycles": True, "of uniform 8": True, "energy": True,
              "weights": True, "overflows": True}


def contender_rows(outcome: Outcome) -> list[list[str]]:
    """A row per network, in the columns of `CONTENDERS`."""
    unit = outcome.table.header.energy_unit
    return [[each.name, _share(each.accuracy), _share(each.agreement), _count(each.cycles),
             "–" if each.cycles is None else f"{each.cycles / outcome.uniform['latency']:.3f}×",
             "–" if each.energy_pj is None else energy_text(each.energy_pj, unit=unit),
             "–" if each.weight_bytes is None else format_size(each.weight_bytes), _count(each.overflows)]
            for each in outcome.contenders]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def search_findings(outcome: Outcome) -> list[str]:
    """What the search found, in sentences."""
    unit = outcome.table.header.energy_unit
    found = []
    for budget in outcome.budgets:
        spent = outcome.simulated.get(budget.cost, outcome.solution.costs[budget.cost])
        word = "simulated" if budget.cost in outcome.simulated else "counted"
        kept = "keeps" if spent <= budget.limit * (1 + 1e-12) else "breaks"
        ratio = f" ({spent / outcome.uniform[budget.cost]:.3f} of uniform 8)" if outcome.uniform.get(budget.cost) else ""
        found.append(f"The choice {kept} the budget of {budget.cost}: {cost_text(budget.cost, spent, energy_unit=unit)} "
                     f"{word}{ratio}, {cost_text(budget.cost, budget.limit, energy_unit=unit)} allowed.")
    found.append(_accuracy_finding(outcome))
    found.append(_solver_finding(outcome))
    error = outcome.largest_error_cycles
    found.append("Every layer took exactly the cycles that the table predicted." if not error else
                 f"The run differs from the table by {error:,} cycles in one layer at most: layers are not independent "
                 "there.")
    return [*found, *(f"Remark: {remark}." for remark in outcome.remarks)]


def _accuracy_finding(outcome: Outcome) -> str:
    real, chosen = outcome.contenders[0], outcome.contenders[-1]
    count = f"{outcome.samples:,} samples"
    overflow = f"{chosen.overflows:,} overflow events" if chosen.overflows else "no overflow"
    if real.accuracy is None or chosen.accuracy is None:
        return (f"Executed in integers, the choice answers as the float network for {_share(chosen.agreement)} of {count}, "
                f"with {overflow}; the samples have no labels.")
    points = 100 * (real.accuracy - chosen.accuracy)
    away = "as accurate as" if not points else f"{abs(points):.2f} points {'below' if points > 0 else 'above'}"
    return (f"Executed in integers on {count}, the choice is right for {_share(chosen.accuracy)}, {away} the float network "
            f"({_share(real.accuracy)}), with {overflow}.")


def _solver_finding(outcome: Outcome) -> str:
    solution = outcome.solution
    if solution.is_optimal:
        proved = "proved optimal"
    elif solution.gap is not None:
        proved = f"proved within {100 * solution.gap:.3g} % of the optimum"
    else:
        proved = "without a proof"
    return f"Solver {solution.solver}: a sensitivity ({outcome.sensitivity}) of {solution.objective:.4g}, {proved}."


def contenders_table(outcome: Outcome) -> Table:
    """For the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{outcome.space.network.name} on {outcome.table.header.hardware}: {outcome.samples:,} samples",
                 style="bold")
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0), pad_edge=False)
    for heading, is_number in CONTENDERS.items():
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in contender_rows(outcome):
        table.add_row(*map(Text, row), style="bold" if row[0] == "chosen" else "")
    return table


def layers_table(outcome: Outcome, width: int) -> Table:
    """For the terminal: bits, and predicted against simulated cycles, layer by layer."""
    from accelsim.report.fitted_table import Justify, Row, fitted_table

    headings: dict[str, Justify] = {"layer": "left", "weights": "right", "inputs": "right", "output": "right",
                                    "accumulators": "right", "safe from": "right", "predicted": "right",
                                    "simulated": "right"}
    if all(layer.accumulator_bits is None for layer in outcome.layers):
        del headings["accumulators"]
    rows: list[Row] = [({name: cell for name, cell in _layer_cells(layer).items() if name in headings}, "")
                       for layer in outcome.layers]
    last = dict.fromkeys(headings, "") | {
        "layer": f"all {len(outcome.layers)} layers",
        "predicted": f"{sum(each.predicted_cycles for each in outcome.layers):,}",
        "simulated": f"{sum(each.simulated_cycles for each in outcome.layers):,}"}
    rows.append((last, "bold"))
    return fitted_table(rows, headings=headings, title="bits and cycles by layer", width=width, first_to_go=("safe from",))


def _layer_cells(layer: LayerProof) -> dict[str, str]:
    return {"layer": layer.name, "weights": "–" if layer.weight_bits is None else f"{layer.weight_bits} b",
            "inputs": f"{layer.input_bits} b", "output": f"{layer.output_bits} b",
            "accumulators": "–" if layer.accumulator_bits is None else f"{layer.accumulator_bits} b",
            "safe from": "–" if layer.safe_bits is None else f"{layer.safe_bits} b",
            "predicted": f"{layer.predicted_cycles:,}", "simulated": f"{layer.simulated_cycles:,}"}


def write_search(outcome: Outcome, folder: Path) -> Path:
    """index.html, figures, search.json, layers.csv, sensitivities.csv, table.csv, policy.yaml and quantized.onnx; returns
    the place of the page.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    write_files(search_files(outcome), folder)
    return folder / "index.html"


def search_files(outcome: Outcome) -> dict[str, bytes]:
    """Every file by its path in the folder; the same search gives the same bytes."""
    from accelsim.quantization.onnx_file import content_of

    figures = render_search_figures(outcome)
    files = {
        "index.html": _page(outcome, {name: images["svg"].decode() for name, (_, images) in figures.items()}).encode(),
        "search.json": json_bytes(outcome.to_dict()),
        "layers.csv": csv_bytes([outcome.layer_row(layer) for layer in outcome.layers]),
        "sensitivities.csv": csv_bytes(sensitivity_rows(outcome.sensitivities), columns=COLUMNS),
        "table.csv": outcome.table.to_csv().encode(),
        "policy.yaml": policy_yaml(outcome.policy).encode(),
        "quantized.onnx": content_of(outcome.quantized.proto()),
    }
    for name, (_, images) in figures.items():
        files |= {f"figures/{name}.{suffix}": content for suffix, content in images.items()}
    return files


def policy_yaml(policy: BitPolicy) -> str:
    """A policy as the YAML that `accelsim quantize --policy` reads."""
    from ruamel.yaml import YAML

    target = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = 110
    # Else ruamel sorts the keys.
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump({"schema_version": 1, **policy.to_document()}, target)
    return target.getvalue()


def _page(outcome: Outcome, figures: dict[str, str]) -> str:
    from markupsafe import Markup

    from accelsim.report.html import inline_svg, render_template
    from accelsim.report.search_figures import SEARCH_FIGURES

    shown = [(SEARCH_FIGURES[name][1], SEARCH_FIGURES[name][2], Markup(inline_svg(svg))) for name, svg in figures.items()]
    return render_template(
        "search.html.j2", outcome=outcome, headlines=_headlines(outcome), findings=search_findings(outcome), figures=shown,
        contender_columns=CONTENDERS, contenders=contender_rows(outcome), remarks=[
            (each.name, each.remark) for each in outcome.contenders if each.remark],
        layer_columns=_LAYER_COLUMNS, layers=[_page_row(layer, outcome) for layer in outcome.layers],
        made_from=_made_from(outcome))


_LAYER_COLUMNS = (("Layer", False), ("Weights", True), ("Inputs", True), ("Output", True), ("Multiplied as", True),
                  ("Accumulators", True), ("Safe from", True), ("Predicted", True), ("Simulated", True), ("Energy", True))


def _page_row(layer: LayerProof, outcome: Outcome) -> list[Cell]:
    cells = _layer_cells(layer)
    effective = "–" if layer.effective_bits is None else "{}/{}".format(*layer.effective_bits)
    energy = energy_text(layer.simulated_energy_pj, unit=outcome.table.header.energy_unit)
    return [Cell(short_name(layer.name, longest=36), layer.name, False), Cell(cells["weights"], layer.weight_bits or 0),
            Cell(cells["inputs"], layer.input_bits), Cell(cells["output"], layer.output_bits), Cell(effective, effective),
            Cell(cells["accumulators"], layer.accumulator_bits or 0), Cell(cells["safe from"], layer.safe_bits or 0),
            Cell(cells["predicted"], layer.predicted_cycles), Cell(cells["simulated"], layer.simulated_cycles),
            Cell(energy, layer.simulated_energy_pj)]


def _headlines(outcome: Outcome) -> list[Headline]:
    chosen: Contender = outcome.contenders[-1]
    real, unit = outcome.contenders[0], outcome.table.header.energy_unit
    latency = outcome.simulated["latency"]
    numbers = [
        Headline("Latency", f"{latency / outcome.uniform['latency']:.3f}×", f"of uniform 8: {latency:,.0f} cycles"),
        Headline("Energy", f"{outcome.simulated['energy'] / outcome.uniform['energy']:.3f}×",
                 f"of uniform 8: {energy_text(outcome.simulated['energy'], unit=unit)}"),
        Headline("Weights", f"{outcome.solution.costs['size'] / max(outcome.uniform['size'], 1):.3f}×",
                 f"of uniform 8: {format_size(int(outcome.solution.costs['size']))}")]
    if chosen.accuracy is not None:
        numbers.insert(0, Headline("Accuracy", _share(chosen.accuracy), f"in integers; float {_share(real.accuracy)}"))
    else:
        numbers.insert(0, Headline("As float", _share(chosen.agreement), "answers in integers"))
    gap = outcome.solution.gap
    proof = "optimal" if outcome.solution.is_optimal else "–" if gap is None else f"{100 * gap:.2g} %"
    return [*numbers, Headline("Proof", proof, f"solver {outcome.solution.solver}")]


def _made_from(outcome: Outcome) -> list[tuple[str, Any]]:
    header = outcome.table.header
    options = [(name.replace("_", " "), value) for name, value in outcome.result.options.items()]
    return [("accelsim", outcome.result.version), ("sensitivity", outcome.sensitivity),
            *((f"budget of {each.cost}", each.text) for each in outcome.budgets), *options,
            ("network", header.network_fingerprint), ("accelerator", header.hardware_fingerprint)]
