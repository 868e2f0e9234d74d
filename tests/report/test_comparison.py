"""Who wins each layer, and why."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.errors import AccelsimError
from accelsim.hardware.accelerator import Accelerator
from accelsim.report.compare import comparison_files, summary_rows, write_comparison
from accelsim.report.comparison import Comparison, Verdict
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult

Build = Callable[..., NetworkResult]


def _changed(layer: LayerResult, *, compute: int = 0, dram_bytes: int = 0, **stalls: int) -> LayerResult:
    """The layer with so many more cycles and bytes."""
    cycles = {cause: layer.stall_cycles.get(cause, 0) + stalls.get(cause, 0) for cause in {*layer.stall_cycles, *stalls}}
    counts = replace(layer.counts, dram_read_bytes={"weights": layer.counts.dram_read_bytes["weights"] + dram_bytes})
    return replace(
        layer,
        compute_cycles=layer.compute_cycles + compute,
        stall_cycles=cycles,
        counts=counts,
        end_cycle=layer.end_cycle + compute + sum(stalls.values()),
    )


def _one_layer(result: NetworkResult, **changes: int) -> NetworkResult:
    return replace(result, layers=(_changed(result.layers[0], **changes),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compute": 10}, "fewer compute cycles"),
        ({"requantizer": 10, "compute": 9}, "fewer stalls: requantizer"),
        ({"weights": 10, "dram_bytes": 64}, "fewer DRAM bytes"),
        ({"weights": 10}, "fewer stalls: wait for weights"),
        ({"buffer_port": 10, "compute": -3, "dram_bytes": 64}, "fewer stalls: buffer port"),
    ],
)
def test_the_reason_is_the_largest_difference(changes: dict[str, int], reason: str, tiny_result: NetworkResult) -> None:
    comparison = Comparison({"slow": _one_layer(tiny_result, **changes), "fast": _one_layer(tiny_result)})
    assert comparison.verdicts == (Verdict("conv", "conv", "fast", reason, "", "equal"),)


def test_the_clock_is_the_reason_where_cycles_are_not(
    tiny_result: NetworkResult, build_accelerator: Callable[..., Accelerator]
) -> None:
    quick = replace(tiny_result, accelerator=build_accelerator(clock="1.6 GHz"))
    verdict = Comparison({"slow": tiny_result, "fast": quick}).verdicts[0]
    assert (verdict.fastest, verdict.reason) == ("fast", "faster clock")


def test_equal_designs_have_no_winner(tiny_result: NetworkResult) -> None:
    comparison = Comparison({"a": tiny_result, "b": tiny_result})
    assert {
        (verdict.fastest, verdict.reason, verdict.most_frugal, verdict.energy_reason) for verdict in comparison.verdicts
    } == {("", "equal", "", "equal")}
    assert comparison.wins() == {"a": 0, "b": 0}


def test_the_energy_winner_is_told_by_component(tiny_result: NetworkResult) -> None:
    layer = tiny_result.layers[0]
    cheap = replace(layer, energy_pj={**layer.energy_pj, "dram": layer.energy_pj["dram"] / 2})
    comparison = Comparison({"a": replace(tiny_result, layers=(layer,)), "b": replace(tiny_result, layers=(cheap,))})
    assert comparison.verdicts == (Verdict("conv", "conv", "", "equal", "b", "less energy: DRAM"),)


def test_designs_that_cannot_be_compared_are_refused(tiny_result: NetworkResult, resnet_result: NetworkResult) -> None:
    with pytest.raises(AccelsimError) as caught:
        Comparison({"a": tiny_result})
    assert str(caught.value) == "expected at least two designs to compare, got 1"
    with pytest.raises(AccelsimError) as caught:
        Comparison({"a": tiny_result, "b": resnet_result})
    assert str(caught.value) == "b: expected the layers of a, got others"
    relative = tiny_result.accelerator.model_copy(
        update={"energy": tiny_result.accelerator.energy.model_copy(update={"unit": "MAC"})}
    )
    with pytest.raises(AccelsimError) as caught:
        Comparison({"a": tiny_result, "b": replace(tiny_result, accelerator=relative)})
    assert str(caught.value) == "b: expected energies in pJ as for a, got MAC"


def test_the_summary_is_relative_to_the_first_design(build_result: Build) -> None:
    rows = summary_rows(Comparison({"8/8": build_result(), "4/8": build_result(bits=4)}))
    assert rows == [
        ["8/8", "23.7 ms", "1.00×", "12.9 mJ", "1.00×", "79 %", "58.9 MiB", "buffer port 3.7 %", "0"],
        ["4/8", "23.6 ms", "1.01×", "10.4 mJ", "0.81×", "80 %", "46.8 MiB", "buffer port 3.7 %", "1"],
    ]


def test_the_files_of_a_comparison(build_result: Build, tmp_path: Path) -> None:
    comparison = Comparison({"8/8 [a]": build_result(), "4/8": build_result(bits=4)})
    assert comparison_files(comparison) == comparison_files(comparison)
    page = write_comparison(comparison, tmp_path / "out").read_text()
    assert not re.search(r"\bsrc=|@import|<link rel=\"stylesheet\"", page)
    assert set(re.findall(r"https?://[^\"'\s<)]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    with (tmp_path / "out" / "compare.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 72
    assert rows[-1]["fastest"] == "4/8"
    assert rows[-1]["reason"] == "fewer DRAM bytes"


def test_layers_that_take_no_time_do_not_break_the_figures(tiny_result: NetworkResult) -> None:
    assert "figures/compare_layers.svg" in comparison_files(Comparison({"a": tiny_result, "b": tiny_result}))
