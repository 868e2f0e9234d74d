"""Figures and page of a run that carried integers; nothing of them without."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace

import pytest
from hand_made_integers import long_run, make_values, with_values

from accelsim.report.canvas import render
from accelsim.report.figures import FIGURES, render_figures
from accelsim.report.overflow_figure import draw_overflow
from accelsim.report.value_figures import VALUE_FIGURES, value_figures
from accelsim.report.width_trials_figure import draw_overflow_by_width
from accelsim.report.widths_figure import draw_accumulator_widths
from accelsim.report.writer import report_files
from accelsim.results.network_result import NetworkResult
from accelsim.results.width_trial import WidthTrial


def _texts(svg: bytes) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("}text")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 10, 60, 300])
def test_every_figure_is_drawn_for_networks_of_any_length(count: int) -> None:
    result = long_run(count)
    for name, figure in VALUE_FIGURES.items():
        images = render(lambda figure=figure: figure.draw(result), name=name)  # type: ignore[misc]
        assert images["png"].startswith(b"\x89PNG")
        assert any(text.endswith(": grid on edge_16x16") for text in _texts(images["svg"]))
        assert b"data:image" not in images["svg"]


def test_same_result_same_bytes(overflowing_result: NetworkResult) -> None:
    assert render_figures(overflowing_result) == render_figures(overflowing_result)


def test_a_figure_without_content_is_left_out(
    overflowing_result: NetworkResult, safe_result: NetworkResult, trial_result: NetworkResult, tiny_result: NetworkResult
) -> None:
    assert list(value_figures(overflowing_result)) == ["accumulator_widths", "overflow"]
    assert list(value_figures(safe_result)) == ["accumulator_widths"]
    assert list(value_figures(trial_result)) == ["accumulator_widths", "overflow_by_width"]
    assert value_figures(with_values(tiny_result, {})) == {}
    assert value_figures(tiny_result) == {}


def test_widths_stand_beside_their_marks_and_the_accelerators_own_in_the_legend(overflowing_result: NetworkResult) -> None:
    texts = _texts(render(lambda: draw_accumulator_widths(overflowing_result), name="widths")["svg"])
    assert "the accelerator's accumulators, 16 bits" in texts
    assert "its wires between PEs, 14 bits" in texts
    numbers = Counter(text for text in texts if text.isdecimal())
    # conv1 20, 18, 15; conv2 14, 12, 11; fc 19, 18, 17: each once, beside the ticks of the axis
    ticks = Counter(map(str, range(10, 22)))
    assert numbers - ticks == Counter({"20": 1, "18": 2, "15": 1, "14": 1, "12": 1, "11": 1, "19": 1, "17": 1})


def test_the_overflow_figure_tells_shares_zeros_and_places(overflowing_result: NetworkResult) -> None:
    texts = _texts(render(lambda: draw_overflow(overflowing_result), name="overflow")["svg"])
    assert {"overflow, 2 of 3 layers", "no overflow, 1 of 3 layers", "all layers together, 0.2 %"} < set(texts)
    assert {"0.3 %", "5.0 %", "0", "0.1 %", "100 %"} < set(texts)
    assert {"accumulators, 4", "wires between PEs, 3", "bias, 1", "row sums, 1"} < set(texts)


def test_the_heat_map_tells_shares_harmless_overflow_and_what_is_unknown(trial_result: NetworkResult) -> None:
    texts = _texts(render(lambda: draw_overflow_by_width(trial_result), name="trials")["svg"])
    for text in ("18 bits", "16 bits", "14 bits", "2.5 %", "none wrong", "none wrong, though sums overflow"):
        assert text in texts
    assert "?" not in texts
    values = {
        "conv1": make_values(worst=17, running=13, final=13, trials=(WidthTrial(12, 1000),)),
        "fc": make_values(worst=17, running=15, final=12),
    }
    unknown = with_values(trial_result, values)
    texts = _texts(render(lambda: draw_overflow_by_width(unknown), name="trials")["svg"])
    assert "?" in texts
    assert "none wrong, though sums overflow" not in texts


def test_the_page_has_the_integers_with_rule_table_events_and_outputs(overflowing_result: NetworkResult) -> None:
    page = report_files(overflowing_result)["index.html"].decode()
    section = page[page.index('<section id="integers">') :]
    section = section[: section.index("<h2>Layers</h2>")]
    assert "requantized them by the rule tflite_double." in section
    assert re.findall(r"<h2>([^<]*)</h2>", section) == ["Integers", "Accumulator widths", "Overflow"]
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr[^>]*>(?:(?!</tr>).)*</tr>", section)]
    assert [row for row in rows if row][:4] == [
        ["1", "conv1", "20 bits", "18 bits", "15 bits", "no", "7", "3", "0.3 %", "accumulators, wires between PEs"],
        ["2", "conv2", "14 bits", "12 bits", "11 bits", "yes", "–", "–", "–", ""],
        ["3", "fc", "19 bits", "18 bits", "17 bits", "no", "2", "1", "5.0 %", "bias, row sums"],
        [
            "",
            "all 3 layers",
            "20 bits",
            "18 bits",
            "17 bits",
            "1 of 3",
            "9",
            "4",
            "0.2 %",
            "bias, accumulators, wires between PEs, row sums",
        ],
    ]
    assert "<summary>3 of the 9 overflow events</summary>" in section
    assert ["conv1", "wires between PEs", "0", "0;5;7;3", "2", "3", "18", "77", "9,000", "-7,384"] in rows
    assert ["fc", "bias", "0", "0;2", "–", "2", "-1", "900", "70,000", "4,464"] in rows
    assert "<code>logits</code> (1×10 int8)" in section


def test_the_page_says_in_a_sentence_that_nothing_overflowed(safe_result: NetworkResult) -> None:
    page = report_files(safe_result)["index.html"].decode()
    assert page.count("No partial sum overflows: all of them fit into 24-bit accumulators.") == 2
    assert "<summary>" not in page
    assert "<h2>Overflow</h2>" not in page


def test_the_page_of_trials_claims_nothing_about_the_accelerators_own_registers(trial_result: NetworkResult) -> None:
    page = report_files(trial_result)["index.html"].decode()
    assert "Its accumulators were as wide as it takes; other widths were tried beside them, layer by layer." in page
    assert "No partial sum overflows" not in page
    assert "Overflow events" not in page
    assert "<h2>Wrong outputs by accumulator width</h2>" in page


def test_the_page_with_integers_still_needs_no_other_file(overflowing_result: NetworkResult) -> None:
    evil = replace(overflowing_result.layers[0], name="<script>alert(1)</script>")
    page = report_files(replace(overflowing_result, layers=(evil, *overflowing_result.layers[1:])))["index.html"].decode()
    assert "<script>alert" not in page
    assert set(re.findall(r'href="([^#"][^"]*)"', page)) == {"data:,"}
    identities = Counter(re.findall(r'\bid="([^"]+)"', page))
    assert [name for name, count in identities.items() if count > 1] == []


def test_a_run_without_integers_shows_nothing_of_them(overflowing_result: NetworkResult) -> None:
    files = report_files(replace(overflowing_result, rounding="", outputs={}))
    assert set(files) == {
        "index.html",
        "layers.csv",
        "result.json",
        "block_diagram.svg",
        *(f"figures/{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")),
    }
    page = files["index.html"].decode()
    assert not re.search(r"[Ii]ntegers|Overflows|worst case", page)
    assert '<dl class="headlines">' in page
    assert b"running_bits" not in files["layers.csv"]
    assert b'"values"' not in files["result.json"]
