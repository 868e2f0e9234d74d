"""The terminal's table: fits, shows brackets as they are, and adds up."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from accelsim.report.tables import layer_table
from accelsim.results.network_result import NetworkResult


def _lines(result: NetworkResult, *, top: int, width: int) -> list[str]:
    target = io.StringIO()
    Console(file=target, width=width, markup=False).print(layer_table(result, top=top, width=width))
    return [line.rstrip() for line in target.getvalue().split("\n")]


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["tiny_result", "resnet_result", "long_result"])
def test_no_cell_but_a_name_is_cut(name: str, width: int, request: pytest.FixtureRequest) -> None:
    lines = _lines(request.getfixturevalue(name), top=0, width=width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line.lstrip()[1:] for line in lines)


def test_the_table_of_a_small_run(tiny_result: NetworkResult) -> None:
    rule = " " + "─" * 99
    assert [line for line in _lines(tiny_result, top=0, width=120) if line] == [
        "tiny on edge_16x16",
        " layer         kind     bits    MACs  cycles  share  util.  bound   longest stall      DRAM   energy",
        rule,
        " conv          conv     8/8   65.5 k     597   71 %   43 %  memory  drain 20 %     8.56 KiB  1.48 uJ",
        " pool          pooling  8/8        –     241   29 %      –  memory  drain 50 %        2 KiB   339 nJ",
        " view          move     8/8        –       0    0 %      –  –       –                   0 B      0 J",
        " all 3 layers                 65.5 k     838  100 %   31 %          drain 29 %     10.6 KiB  1.82 uJ",
    ]


def test_the_others_are_summed_in_one_row(resnet_result: NetworkResult) -> None:
    lines = _lines(resnet_result, top=3, width=120)
    assert sum("conv2/Conv" in line or "/conv1/Conv" in line for line in lines) == 3
    assert any(line.startswith(" 69 other layers ") for line in lines)
    assert any(line.startswith(" all 72 layers ") and "18,968,582  100 %" in line for line in lines)


def test_brackets_in_a_name_are_printed_as_they_are(tiny_result: NetworkResult) -> None:
    odd = replace(tiny_result.layers[0], name="[bold]conv[/bold]")
    assert any(
        line.startswith(" [bold]conv[/bold] ") for line in _lines(replace(tiny_result, layers=(odd,)), top=0, width=120)
    )
