"""Reports say at which widths the PEs multiplied where a layer's own are narrower, and which peak a layer was held to."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hand_made_results import make_accelerator, make_result
from rich.console import Console

from accelsim.hardware import load_accelerator, load_energy_table, preset_names
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


@pytest.mark.parametrize(("own", "executed", "expected"), [
    ((4, 3), (4, 4), "4/3 as 4/4"), ((3, 4), (4, 4), "3/4 as 4/4"), ((4, 4), (4, 4), "4/4"), ((2, 8), (8, 8), "2/8 as 8/8")])
def test_one_wider_operand_is_enough_to_be_told(fused_result: NetworkResult, own: tuple[int, int], executed: tuple[int, int],
                                                expected: str) -> None:
    layer = fused_result.layers[0]
    counts = replace(layer.counts, mac_weight_bits=executed[0], mac_input_bits=executed[1])
    assert widths_text(replace(layer, weight_bits=own[0], input_bits=own[1], counts=counts)) == expected


def test_a_narrow_terminal_without_the_column_of_bits_says_them_too(fused_result: NetworkResult) -> None:
    target = io.StringIO()
    Console(file=target, width=60, markup=False).print(layer_table(fused_result, top=0, width=60))
    text = " ".join(target.getvalue().split())
    assert " bits " not in text.split("all 3 layers")[0]
    assert text.endswith("2 layers are multiplied at wider operands, since the PEs have no narrower: weight/input bits "
                         "3/3 as 4/4.")


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
    assert "peak 256 MACs/cycle at 8/8 bits = 205 GMAC/s" in texts
    assert "peak 1,024 MACs/cycle at 3/3, 4/4 bits = 819 GMAC/s" in texts


def test_the_roofline_names_three_pairs_of_widths_of_a_roof_at_most(fused_result: NetworkResult) -> None:
    first, second, third = fused_result.layers
    layers = (first, replace(second, weight_bits=5), replace(third, input_bits=6), replace(third, name="fourth"),
              replace(third, name="fifth", weight_bits=7))
    texts = [text.get_text() for text in draw_roofline(replace(fused_result, layers=layers)).axes[0].texts]
    assert "peak 1,024 MACs/cycle at 3/3, 5/4, 3/6 bits and others = 819 GMAC/s" in texts


def test_rows_of_the_results_have_the_executed_widths_and_the_peak(fused_result: NetworkResult) -> None:
    columns = ("weight_bits", "executed_weight_bits", "executed_input_bits", "peak_macs_per_cycle")
    assert [tuple(row[column] for column in columns) for row in fused_result.rows()] == [
        (3, 4, 4, 1024), (4, 4, 4, 1024), (3, 4, 4, 1024)]


MODES = [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2}, {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 4},
         {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": 1, "is_float": True}]


@pytest.mark.parametrize(("precision", "expected", "native"), [
    ({"kind": "fixed", "gated": True}, "8-bit × 8-bit, gated", "8/8"),
    ({"kind": "subword", "modes": MODES}, "bits 8×8, 4×4, float 16×16", "8/8"),
    ({"kind": "bit_fusion"}, "2-bit bricks that fuse to 8 × 8 bits", "8/8"),
    ({"kind": "bit_serial", "serial": "inputs", "weight_bits": 16, "input_bits": 16},
     "inputs bit by bit, up to 16 × 16 bits", "16/16"),
    ({"kind": "bit_serial", "serial": "both"}, "both operands bit by bit, up to 8 × 8 bits", "8/8"),
    ({"kind": "binary"}, "XNOR of one-bit operands", "1/1"),
    ({"kind": "binary", "input_bits": 4}, "weights ±1 × 4-bit", "1/4"),
    ({"kind": "ternary", "input_bits": 8}, "ternary weights × 8-bit", "2/8"),
    ({"kind": "shift_add"}, "4-bit powers of two × 8-bit, shifted", "4/8"),
    ({"kind": "codebook"}, "4-bit indices to 8-bit × 8-bit", "4/8"),
    ({"kind": "float", "bits": 16}, "float 16 × 16 bits", "16/16"),
])
def test_the_block_diagram_says_what_a_pe_multiplies(precision: dict[str, object], expected: str, native: str) -> None:
    grid = {"rows": 16, "columns": 16, "dataflow": "weight_stationary", "precision": precision}
    accelerator = make_accelerator(pe_grid=grid, energy=load_energy_table("horowitz_45nm").to_document())
    assert precision_text(accelerator.pe_grid.precision) == expected
    diagram = draw_block_diagram(accelerator)
    assert f">{expected}<" in diagram
    assert f" MACs/cycle at {native} bits = " in diagram


def test_every_shipped_grid_is_described_without_cuts() -> None:
    for name in preset_names():
        diagram = draw_block_diagram(load_accelerator(name))
        assert f">{precision_text(load_accelerator(name).pe_grid.precision)}<" in diagram, name
