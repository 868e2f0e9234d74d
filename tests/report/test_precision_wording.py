"""Reports say at which widths the PEs multiplied where a layer's own are narrower, and which peak a layer was held to."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hand_made_results import make_accelerator, make_result
from rich.console import Console

from accelsim.report.block_diagram import draw_block_diagram
from accelsim.report.findings import findings
from accelsim.report.headlines import headlines
from accelsim.report.html import describe, report_page
from accelsim.report.roofline_figure import draw_roofline
from accelsim.report.tables import layer_table
from accelsim.report.wording import precision_text, widths_text
from accelsim.results.network_result import NetworkResult


@pytest.fixture
def fused_result() -> NetworkResult:
    """Three layers on 2-bit bricks: 3/3 as 4/4 bits, 4/4, and 3/3 again."""
    grid = {"rows": 16, "columns": 16, "dataflow": "weight_stationary", "precision": {"kind": "bit_fusion"}}
    result = make_result(network="fused", accelerator=make_accelerator(name="bricks", pe_grid=grid), layers=[
        (name, "conv", 65_536, 576, 8_192) for name in ("first", "second", "third")])
    layers = [replace(layer, weight_bits=bits, input_bits=bits, peak_macs_per_cycle=1024,
                      counts=replace(layer.counts, mac_weight_bits=4, mac_input_bits=4))
              for layer, bits in zip(result.layers, (3, 4, 3), strict=True)]
    return replace(result, layers=tuple(layers))


def table_lines(result: NetworkResult) -> list[str]:
    target = io.StringIO()
    Console(file=target, width=120, markup=False).print(layer_table(result, top=0, width=120))
    return target.getvalue().split("\n")


def test_the_table_says_the_executed_widths_where_they_differ(fused_result: NetworkResult) -> None:
    assert [widths_text(layer) for layer in fused_result.layers] == ["3/3 as 4/4", "4/4", "3/3 as 4/4"]
    rows = {line.split()[0]: line for line in table_lines(fused_result) if line.strip()}
    assert " 3/3 as 4/4 " in rows["first"]
    assert " 4/4 " in rows["second"]
    assert " as " not in rows["second"]


def test_the_findings_count_the_layers_that_run_wider(fused_result: NetworkResult) -> None:
    sentence = "2 layers are multiplied at wider operands, since the PEs have no narrower: weight/input bits 3/3 as 4/4."
    assert sentence in findings(fused_result)
    first, second, third = fused_result.layers
    mixed = replace(third, weight_bits=1, counts=replace(third.counts, mac_weight_bits=2))
    assert ("2 layers are multiplied at wider operands, since the PEs have no narrower: weight/input bits 3/3 as 4/4 (1), "
            "1/3 as 2/4 (1).") in findings(replace(fused_result, layers=(first, second, mixed)))
    alone = findings(replace(fused_result, layers=(first, second)))
    assert sentence.replace("2 layers are", "1 layer is") in alone
    assert not any("wider operands" in text for text in findings(replace(fused_result, layers=(second,))))


def test_the_page_says_them_too(fused_result: NetworkResult) -> None:
    from accelsim.report.figures import FIGURES
    from accelsim.report.value_figures import value_figures

    figures = dict.fromkeys([*FIGURES, *value_figures(fused_result)], "<svg></svg>")
    page = report_page(fused_result, figures=figures, diagram="<svg></svg>")
    assert page.count("3/3/8 as 4/4") == 2
    assert "4/4/8" in page


def test_modes_of_a_pe_are_described_one_by_one() -> None:
    modes = [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": "1/2"},
             {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 2}]
    grid = {"rows": 16, "columns": 16, "dataflow": "weight_stationary", "precision": {"kind": "subword", "modes": modes}}
    described = dict(describe(make_accelerator(pe_grid=grid)))
    assert described["pe_grid.precision.modes.0.macs_per_cycle"] == "1/2"
    assert described["pe_grid.precision.modes.1.weight_bits"] == "4"


def test_utilization_is_told_beside_the_peaks_of_the_layers(fused_result: NetworkResult) -> None:
    notes = {headline.label: headline.note for headline in headlines(fused_result)}
    assert notes["Utilization"] == "of 1,024 MACs/cycle"
    first, *others = fused_result.layers
    mixed = replace(fused_result, layers=(replace(first, peak_macs_per_cycle=32.5), *others))
    notes = {headline.label: headline.note for headline in headlines(mixed)}
    assert notes["Utilization"] == "of 32.5 to 1,024 MACs/cycle"


def test_the_roofline_has_a_roof_for_every_peak(fused_result: NetworkResult) -> None:
    texts = [text.get_text() for text in draw_roofline(fused_result).axes[0].texts]
    assert any(text.startswith("peak 256 MACs/cycle") for text in texts)
    assert any(text.startswith("peak 1,024 MACs/cycle") for text in texts)


def test_rows_of_the_results_have_the_executed_widths_and_the_peak(fused_result: NetworkResult) -> None:
    columns = ("weight_bits", "executed_weight_bits", "executed_input_bits", "peak_macs_per_cycle")
    assert [tuple(row[column] for column in columns) for row in fused_result.rows()] == [
        (3, 4, 4, 1024), (4, 4, 4, 1024), (3, 4, 4, 1024)]


@pytest.mark.parametrize(("precision", "expected"), [
    ({"kind": "fixed", "gated": True}, "8-bit × 8-bit, gated"),
    ({"kind": "bit_serial", "serial": "inputs", "weight_bits": 16, "input_bits": 16}, "bit serial 16 × 16"),
    ({"kind": "binary"}, "binary 1 × 1"),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2}]}, "subword 8 × 8"),
])
def test_the_block_diagram_names_the_precision_kind(precision: dict[str, object], expected: str) -> None:
    grid = {"rows": 16, "columns": 16, "dataflow": "weight_stationary", "precision": precision}
    accelerator = make_accelerator(pe_grid=grid)
    assert precision_text(accelerator.pe_grid.precision) == expected
    assert f"weight stationary, {expected}" in draw_block_diagram(accelerator)
