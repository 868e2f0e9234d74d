"""The trace: valid structure, spans that nest, exact times."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from accelsim.hardware.accelerator import Accelerator
from accelsim.report.timeline import trace_json
from accelsim.results.network_result import NetworkResult


def _events(result: NetworkResult) -> list[dict[str, Any]]:
    document = json.loads(trace_json(result), parse_float=Decimal)
    assert document["displayTimeUnit"] == "ns"
    events: list[dict[str, Any]] = document["traceEvents"]
    return events


def test_every_unit_has_a_named_and_sorted_track(tiny_result: NetworkResult) -> None:
    events = _events(tiny_result)
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert names == {1: "layers", 2: "dma.0", 3: "dma.1", 4: "pe_grid", 5: "pe_grid (2)", 6: "requantizer"}
    order = {event["tid"]: event["args"]["sort_index"] for event in events if event["name"] == "thread_sort_index"}
    assert order == {thread: thread for thread in names}
    assert events[0] == {"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": "tiny on edge_16x16"}}


def test_a_span_tells_exact_microseconds_and_its_cycles(tiny_result: NetworkResult) -> None:
    assert {
        "ph": "X",
        "pid": 1,
        "tid": 3,
        "ts": Decimal("0.005"),
        "dur": Decimal("0.07"),
        "name": "load inputs",
        "cat": "dma.1",
        "args": {"layer": "conv", "start_cycle": 4, "end_cycle": 60},
    } in _events(tiny_result)


@pytest.mark.parametrize("clock", ["800 MHz", "700 MHz", "1 GHz", "333333333 Hz"])
def test_spans_of_a_track_never_overlap(
    clock: str, tiny_result: NetworkResult, build_accelerator: Callable[..., Accelerator]
) -> None:
    events = [
        event for event in _events(replace(tiny_result, accelerator=build_accelerator(clock=clock))) if event["ph"] == "X"
    ]
    for thread in {event["tid"] for event in events}:
        track = [event for event in events if event["tid"] == thread]
        for before, after in pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"]


def test_layers_touch_also_where_a_cycle_has_no_finite_decimal(
    tiny_result: NetworkResult, build_accelerator: Callable[..., Accelerator]
) -> None:
    events = _events(replace(tiny_result, accelerator=build_accelerator(clock="700 MHz")))
    first, second, *_ = [event for event in events if event.get("cat") == "layers"]
    assert first["ts"] + first["dur"] == second["ts"]


def test_counters_carry_their_unit(tiny_result: NetworkResult) -> None:
    counters = [event for event in _events(tiny_result) if event["ph"] == "C"]
    assert [(event["name"], event["ts"], event["args"]) for event in counters] == [
        ("dram", 0, {"bytes_per_cycle": 16}),
        ("dram", Decimal("0.075"), {"bytes_per_cycle": 0}),
        ("buffer.weights", Decimal("0.05"), {"bytes": 4096}),
    ]


def test_same_result_same_trace(tiny_result: NetworkResult) -> None:
    assert trace_json(tiny_result) == trace_json(tiny_result)
