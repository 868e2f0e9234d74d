"""What the benchmarks share: the network and the grids that are measured, cold caches, and the lines printed at the end."""

import gc
import sys
from pathlib import Path

import onnx
import pytest

from accelsim import load_accelerator, with_changes

_LINES: list[str] = []


def light_resnet50() -> Path:
    """ResNet-50 without its weights, as the onnx package ships it."""
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"


def grid_of(size: int, dataflow: str):
    """The default accelerator with a square grid of this size; ports as wide as a row of it."""
    return with_changes(load_accelerator("edge_16x16"), {
        "pe_grid.rows": size, "pe_grid.columns": size, "pe_grid.dataflow": dataflow, "requantizer.lanes": size,
        "memory.buffers.scratchpad.bytes_per_cycle": size})


def forget_everything() -> None:
    """Empty every cache of accelsim, so that a repeated run is as cold as the first."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "accelsim":
            for value in vars(module).values():
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()
    gc.collect()


@pytest.fixture
def resnet50_file():
    return light_resnet50()


@pytest.fixture
def make_grid():
    return grid_of


@pytest.fixture
def cold():
    return forget_everything


@pytest.fixture
def keeps():
    """Notes a figure beside its promise for the summary, and fails the benchmark if the promise is broken."""
    def note(*, what: str, measured: str, promise: str, holds: bool) -> None:
        line = f"{'kept  ' if holds else 'BROKEN'}  {what}: {measured}  (promise: {promise})"
        _LINES.append(line)
        assert holds, line
    return note


def pytest_terminal_summary(terminalreporter) -> None:
    if _LINES:
        terminalreporter.section("promises")
        for line in _LINES:
            terminalreporter.write_line(line)
