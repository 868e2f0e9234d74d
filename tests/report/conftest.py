"""Runs that reports are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hand_made_integers
import pytest
from hand_made_results import SEPARATE, SHARED, UNIFIED, make_accelerator, make_result, make_timeline

from accelsim.hardware.accelerator import Accelerator
from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult


@pytest.fixture
def buffer_arrangements() -> dict[str, dict[str, Any]]:
    """One scratchpad; a buffer per operand; inputs and outputs together."""
    return {"shared": SHARED, "separate": SEPARATE, "unified": UNIFIED}


@pytest.fixture
def build_accelerator() -> Callable[..., Accelerator]:
    return make_accelerator


@pytest.fixture
def build_result() -> Callable[..., NetworkResult]:
    return make_result


@pytest.fixture
def resnet_result() -> NetworkResult:
    return make_result(unsupported={"NonMaxSuppression": 1, "TopK": 2})


@pytest.fixture
def tiny_result() -> NetworkResult:
    """Three layers; the last one does nothing and costs nothing."""
    result = make_result(
        network="tiny",
        layers=[
            ("conv", "conv", 65_536, 576, 8_192),
            ("pool", "pooling", 0, 0, 2_048),
            ("view", "move", 0, 0, 0),
        ],
        timeline=make_timeline(),
    )
    view = result.layers[-1]
    empty = LayerResult(
        name="view",
        kind="move",
        shape="16 -> 4x4",
        unit="vector_unit",
        mapping="",
        weight_bits=8,
        input_bits=8,
        output_bits=8,
        start_cycle=view.start_cycle,
        end_cycle=view.start_cycle,
        ideal_cycles=0,
        compute_cycles=0,
        stall_cycles={},
        steps=0,
        dram_cycles=0,
        peak_buffer_bytes={},
        counts=Counts(),
        energy_pj={},
        peak_macs_per_cycle=256,
    )
    return replace(result, layers=(*result.layers[:-1], empty))


@pytest.fixture
def long_result() -> NetworkResult:
    """Three hundred layers."""
    kinds = ("conv", "depthwise", "matmul", "elementwise")
    layers = [
        (
            f"/blocks.{index}/mixer/{kinds[index % 4]}/Node_with_a_rather_long_name_{index}",
            kinds[index % 4],
            0 if index % 4 == 3 else 1_000_000 + 37_000 * (index * index % 101),
            10_000 + 911 * (index % 57),
            200_000 + 5_000 * (index % 13),
        )
        for index in range(300)
    ]
    return make_result(network="long_network", layers=layers)


@pytest.fixture(scope="session")
def resnet_page() -> str:
    """The page of `resnet_result`, made once."""
    from accelsim.report.writer import report_files

    return report_files(make_result(unsupported={"NonMaxSuppression": 1, "TopK": 2}))["index.html"].decode()


@pytest.fixture
def overflowing_result() -> NetworkResult:
    return hand_made_integers.overflowing_run()


@pytest.fixture
def safe_result() -> NetworkResult:
    return hand_made_integers.safe_run()


@pytest.fixture
def trial_result() -> NetworkResult:
    return hand_made_integers.trial_run()
