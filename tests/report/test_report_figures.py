"""Every figure: for few and for hundreds of layers, and the same bytes on every run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import matplotlib
import pytest

from accelsim.report.canvas import render
from accelsim.report.figures import FIGURES, render_figures
from accelsim.report.latency_figure import draw_latency
from accelsim.report.palette import COMPONENTS, CYCLES
from accelsim.report.roofline_figure import draw_roofline
from accelsim.results.network_result import NetworkResult
from accelsim.results.stalls import STALL_CAUSES


def _texts(svg: bytes) -> str:
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("}text"))


def test_same_result_same_bytes(tiny_result: NetworkResult) -> None:
    assert render_figures(tiny_result) == render_figures(tiny_result)


def test_drawing_leaves_the_global_settings_as_they_were(tiny_result: NetworkResult) -> None:
    before = dict(matplotlib.rcParams)
    render_figures(tiny_result)
    assert dict(matplotlib.rcParams) == before


def test_no_figure_tells_a_date_or_its_maker(tiny_result: NetworkResult) -> None:
    for images in render_figures(tiny_result).values():
        assert b"dc:date" not in images["svg"]
        assert b"Matplotlib v" not in images["svg"]
        assert b"tEXt" not in images["png"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["tiny_result", "resnet_result", "long_result"])
def test_every_figure_is_drawn_for_networks_of_any_length(name: str, request: pytest.FixtureRequest) -> None:
    result = request.getfixturevalue(name)
    figures = render_figures(result)
    assert list(figures) == list(FIGURES)
    for images in figures.values():
        assert images["png"].startswith(b"\x89PNG")
        assert result.network in _texts(images["svg"])


@pytest.mark.filterwarnings("error")
def test_a_network_without_macs_time_or_energy_is_drawn(tiny_result: NetworkResult) -> None:
    render_figures(replace(tiny_result, layers=tiny_result.layers[-1:]))


def test_the_latency_legend_names_the_causes_that_occur_and_no_others(tiny_result: NetworkResult) -> None:
    quiet = replace(tiny_result.layers[0], stall_cycles={"drain": 5})
    texts = _texts(render_figures(replace(tiny_result, layers=(quiet,)))["latency"]["svg"])
    assert "compute" in texts
    assert "drain" in texts
    assert "wait for weights" not in texts


def test_a_layer_name_with_dollars_and_brackets_is_written_as_it_is(tiny_result: NetworkResult) -> None:
    odd = replace(tiny_result.layers[0], name="a$b$[x]_{2}")
    assert "a$b$[x]_{2}" in _texts(render_figures(replace(tiny_result, layers=(odd,)))["latency"]["svg"])


def test_hundreds_of_layers_name_every_kth(long_result: NetworkResult) -> None:
    assert "layer (one in 4 of 300 is named)" in _texts(render(lambda: draw_latency(long_result), name="latency")["svg"])


def test_the_roofline_tells_peak_ridge_and_bandwidth(resnet_result: NetworkResult) -> None:
    texts = _texts(render(lambda: draw_roofline(resnet_result), name="roofline")["svg"])
    for text in ("peak 256 MACs/cycle at 8/8 bits = 205 GMAC/s", "ridge at 16 MACs/B", "DRAM 12.8 GB/s"):
        assert text in texts


def test_the_roofline_counts_layers_without_dram_traffic(tiny_result: NetworkResult) -> None:
    layer = tiny_result.layers[0]
    kept = replace(layer, name="kept", counts=replace(layer.counts, dram_read_bytes={}, dram_write_bytes={}))
    texts = _texts(render_figures(replace(tiny_result, layers=(layer, kept)))["roofline"]["svg"])
    assert "operational intensity, MACs per DRAM byte (1 layers without DRAM traffic are not shown)" in texts


def test_a_relative_energy_table_shows_no_joules(
    build_accelerator: Callable[..., object], build_result: Callable[..., NetworkResult]
) -> None:
    from accelsim.hardware.accelerator import Accelerator

    chip = build_accelerator()
    assert isinstance(chip, Accelerator)
    relative = chip.model_copy(update={"energy": chip.energy.model_copy(update={"unit": "MAC"})})
    texts = _texts(render_figures(build_result(accelerator=relative))["energy_by_component"]["svg"])
    assert "MAC energies" in texts
    assert not re.search(r"\d [munp]?J", texts)


def test_every_cause_and_component_has_a_colour_of_its_own() -> None:
    assert list(CYCLES) == ["compute", *STALL_CAUSES]
    assert len(set(CYCLES.values())) == len(CYCLES)
    assert len(set(COMPONENTS.values())) == len(COMPONENTS)
