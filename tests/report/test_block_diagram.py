"""The block diagram: every block with its numbers, for every arrangement of buffers and every dataflow."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from accelsim.hardware.accelerator import Accelerator
from accelsim.report.block_diagram import draw_block_diagram
from accelsim.report.pe_grid_drawing import FLOWS

Build = Callable[..., Accelerator]


def _texts(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("}text")]


@pytest.mark.parametrize(
    ("arrangement", "dataflow", "size"),
    list(itertools.product(["shared", "separate", "unified"], FLOWS, [(4, 4), (256, 256), (1, 7), (64, 5)])),
)
def test_every_combination_is_drawn_inside_the_picture(
    arrangement: str,
    dataflow: str,
    size: tuple[int, int],
    build_accelerator: Build,
    buffer_arrangements: dict[str, Any],
) -> None:
    buffers = buffer_arrangements[arrangement]
    svg = draw_block_diagram(build_accelerator(buffers=buffers, rows=size[0], columns=size[1], dataflow=dataflow))
    root = ET.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for node in root.iter():
        x, y = node.get("x"), node.get("y")
        if x is not None and y is not None:
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    texts = _texts(svg)
    for block in ("DRAM", "DMA", "Requantizer", "Vector unit", *buffers):
        assert block in texts
    assert f"{size[0]} row{'s' if size[0] > 1 else ''}: {FLOWS[dataflow].rows}" in texts


def test_the_numbers_of_the_description_are_shown(build_accelerator: Build) -> None:
    texts = _texts(draw_block_diagram(build_accelerator()))
    for text in (
        "12.8 GB/s",
        "16 B/cycle",
        "read +48 cycles",
        "burst 64 B",
        "512 KiB",
        "64 B/cycle × 2 ports",
        "PE grid 16 × 16",
        "256 MACs/cycle at 8/8 bits = 205 GMAC/s",
        "Accumulators 16 × 2,048 × 32 bits",
        "16 outputs/cycle, latency 4",
        "tflite_double",
        "32 lanes, latency 0 cycles",
        "clock 800 MHz",
    ):
        assert text in texts


def test_a_small_grid_shows_every_pe_and_a_large_one_its_corners(build_accelerator: Build) -> None:
    def labels(rows: int) -> set[str]:
        svg = draw_block_diagram(build_accelerator(rows=rows, columns=rows))
        return {text for text in _texts(svg) if text.startswith("C") and "," in text}

    assert labels(4) == {f"C{row},{column}" for row in range(1, 5) for column in range(1, 5)}
    assert {"C1,1", "C1,16", "C16,1", "C16,16"} < labels(16)


def test_dot_product_accumulators_stand_at_the_rows(build_accelerator: Build) -> None:
    texts = _texts(draw_block_diagram(build_accelerator(rows=4, columns=8, dataflow="dot_product")))
    assert "4 lanes ×" in texts


def test_markup_in_a_name_is_text(build_accelerator: Build) -> None:
    texts = _texts(draw_block_diagram(build_accelerator(name="<b>&[npu]")))
    assert "<b>&[npu]" in texts
