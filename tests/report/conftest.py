"""Results made by hand: realistic enough for reports, and independent of the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.hardware.accelerator import Accelerator
from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult
from accelsim.results.layer_values import LayerValues
from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import AccumulatorWidths, OverflowEvent, Overflows
from accelsim.results.span import Sample, Span, Timeline
from accelsim.results.width_trial import WidthTrial

ENERGY_TABLE: dict[str, Any] = {
    "name": "horowitz_45nm",
    "technology": "45 nm, 0.9 V",
    "source": "Horowitz, ISSCC 2014",
    "multiply": [{"bits": 8, "energy": "0.2 pJ"}],
    "add": [{"bits": 32, "energy": "0.1 pJ"}],
    "register": "0.01 pJ/bit",
    "sram": [{"capacity": "8 KiB", "access_bits": 64, "energy": "10 pJ"}],
    "dram": "20 pJ/bit",
    "unconfirmed": ["register"],
}

SHARED = {
    "scratchpad": {
        "capacity": "512 KiB",
        "holds": ["weights", "inputs", "outputs"],
        "bytes_per_cycle": 64,
        "ports": 2,
    }
}
SEPARATE = {
    "weight_buffer": {"capacity": "256 KiB", "holds": ["weights"], "bytes_per_cycle": 16},
    "input_buffer": {"capacity": "128 KiB", "holds": ["inputs"], "bytes_per_cycle": 16, "ports": 2},
    "output_buffer": {
        "capacity": "64 KiB",
        "holds": ["outputs"],
        "bytes_per_cycle": 16,
        "double_buffered": False,
    },
}
UNIFIED = {
    "weight_fifo": {"capacity": "256 KiB", "holds": ["weights"], "bytes_per_cycle": 256},
    "unified_buffer": {"capacity": "24 MiB", "holds": ["inputs", "outputs"], "bytes_per_cycle": 256},
}


def make_accelerator(
    *,
    buffers: dict[str, Any] = SHARED,
    rows: int = 16,
    columns: int = 16,
    dataflow: str = "weight_stationary",
    name: str = "edge_16x16",
    **changes: Any,
) -> Accelerator:
    """An accelerator with the fields that reports show."""
    document: dict[str, Any] = {
        "schema_version": 1,
        "name": name,
        "description": "A small edge accelerator.",
        "clock": "800 MHz",
        "pe_grid": {"rows": rows, "columns": columns, "dataflow": dataflow},
        "accumulators": {"entries": 2048},
        "requantizer": {"lanes": columns, "latency_cycles": 4},
        "vector_unit": {"lanes": 32},
        "memory": {"buffers": buffers},
        "dma": {},
        "dram": {"bandwidth": "12.8 GB/s", "read_latency": "60 ns"},
        "energy": ENERGY_TABLE,
        "leakage": "20 mW",
        "unconfirmed": ["dram.bandwidth"],
    }
    return Accelerator.model_validate(document | changes)


def _resnet_layers() -> list[tuple[str, str, int, int, int]]:
    """(name, kind, macs, weight bytes, activation bytes) of ResNet-50."""
    layers = [
        ("/conv1/Conv", "conv", 118_013_952, 9_408, 953_344),
        ("/maxpool/MaxPool", "pooling", 0, 0, 1_003_520),
    ]
    width, size, inputs = 64, 56, 64
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            prefix, area = f"/layer{stage}/layer{stage}.{block}", size * size
            shapes = [("conv1", inputs, width, 1), ("conv2", width, width, 9), ("conv3", width, 4 * width, 1)]
            if block == 0:
                shapes.append(("downsample/downsample.0", inputs, 4 * width, 1))
            for name, given, made, window in shapes:
                layers.append(
                    (
                        f"{prefix}/{name}/Conv",
                        "conv",
                        area * given * made * window,
                        given * made * window,
                        area * (given + made),
                    )
                )
            layers.append((f"{prefix}/Add", "elementwise", 0, 0, 3 * area * 4 * width))
            inputs = 4 * width
        width, size = 2 * width, size // 2
    return [
        *layers,
        ("/avgpool/GlobalAveragePool", "reduction", 0, 0, 102_400),
        ("/fc/Gemm", "matmul", 2_048_000, 2_048_000, 3_048),
    ]


def make_layer(
    *,
    name: str,
    kind: str,
    macs: int,
    weight_bytes: int,
    activation_bytes: int,
    start_cycle: int,
    accelerator: Accelerator,
    bits: int = 8,
) -> LayerResult:
    """Plausible time and energy of a layer: compute, then stalls for what DRAM could not deliver in time."""
    peak = accelerator.peak_macs_per_cycle
    ideal = -(-macs * 10 // (peak * 9)) if macs else activation_bytes // 32
    compute = ideal + min(ideal // 10 + 40, 4_000)
    weight_bytes = weight_bytes * bits // 8
    dram_cycles = round((weight_bytes + activation_bytes) / accelerator.dram_bytes_per_cycle)
    missing = max(0, dram_cycles - compute)
    stalls = {
        "weights": missing * weight_bytes // max(1, weight_bytes + activation_bytes),
        "dram": missing // 10,
        "activations": missing // 3,
        "buffer_port": compute // 25,
        "requantizer": compute // 60 if macs else 0,
        "output_room": missing // 20,
        "drain": 120,
    }
    stalls = {cause: cycles for cause, cycles in stalls.items() if cycles}
    total = compute + sum(stalls.values())
    counts = Counts(
        macs=macs,
        mac_weight_bits=bits,
        mac_input_bits=8,
        vector_operations=0 if macs else activation_bytes,
        dram_read_bytes={"weights": weight_bytes, "inputs": activation_bytes // 2},
        dram_write_bytes={"outputs": activation_bytes - activation_bytes // 2},
        dram_bus_bytes=weight_bytes + activation_bytes,
    )
    energy = {
        "multipliers": 0.2 * macs * bits / 8,
        "adders": 0.1 * macs,
        "registers": 0.16 * macs,
        "accumulators": 0.05 * macs,
        "requantizer": 0.3 * activation_bytes if macs else 0.0,
        "vector_unit": 0.0 if macs else 0.4 * activation_bytes,
    }
    energy |= {
        f"buffers.{buffer}": 0.12 * macs / (1 + index) + 2.0 * activation_bytes
        for index, buffer in enumerate(accelerator.memory.buffers)
    }
    energy |= {"dram": 160.0 * (weight_bytes + activation_bytes), "leakage": 25.0 * total}
    return LayerResult(
        name=name,
        kind=kind,
        shape="64x56x56 -> 64x56x56, 3x3",
        unit="pe_grid" if macs else "vector_unit",
        mapping="m 3136/64, k 576/16, n 64/16; n k m",
        weight_bits=bits,
        input_bits=8,
        output_bits=8,
        start_cycle=start_cycle,
        end_cycle=start_cycle + total,
        ideal_cycles=ideal,
        compute_cycles=compute,
        stall_cycles=stalls,
        steps=200,
        dram_cycles=dram_cycles,
        peak_buffer_bytes=dict.fromkeys(accelerator.memory.buffers, 65536),
        counts=counts,
        energy_pj=energy,
        peak_macs_per_cycle=peak,
    )


def make_result(
    *,
    accelerator: Accelerator | None = None,
    layers: list[tuple[str, str, int, int, int]] | None = None,
    network: str = "resnet50",
    bits: int = 8,
    **changes: Any,
) -> NetworkResult:
    """A run of these (name, kind, macs, weight bytes, activation bytes), one after the other."""
    accelerator = accelerator or make_accelerator()
    results: list[LayerResult] = []
    for name, kind, macs, weight_bytes, activation_bytes in layers or _resnet_layers():
        start = results[-1].end_cycle if results else 0
        results.append(
            make_layer(
                name=name,
                kind=kind,
                macs=macs,
                weight_bytes=weight_bytes,
                start_cycle=start,
                activation_bytes=activation_bytes,
                accelerator=accelerator,
                bits=bits,
            )
        )
    fields: dict[str, Any] = {
        "network": network,
        "accelerator": accelerator,
        "network_fingerprint": "ab" * 32,
        "options": {"objective": "latency", "keeps_activations": "no"},
        "layers": tuple(results),
        "version": "0.1.0",
        "unsupported": {},
    }
    return NetworkResult(**(fields | changes))


def with_values(result: NetworkResult, values: dict[str, LayerValues], *, samples: int = 1, **changes: Any) -> NetworkResult:
    """The run as one that carried integers; layers without values of their own are off the grid."""
    layers = tuple(replace(layer, values=values.get(layer.name, LayerValues())) for layer in result.layers)
    outputs = {"logits": np.arange(10 * samples, dtype=np.int8).reshape(samples, 1, 10)}
    return replace(result, layers=layers, **({"rounding": "tflite_double", "outputs": outputs} | changes))


def make_values(*, worst: int, running: int, final: int, outputs: int = 1000, **changes: Any) -> LayerValues:
    """A layer whose registers hold everything, unless the changes say otherwise."""
    return LayerValues(**({"widths": AccumulatorWidths(worst, running, final), "overflows": Overflows(outputs=outputs),
                           "is_proven": False} | changes))


def small_integer_run(*, bits: int = 16, wires: int | None = None, overflow: str = "wrap") -> NetworkResult:
    """Two convolutions, a pooling between them and a matmul, without values yet."""
    accelerator = make_accelerator(
        accumulators={"entries": 2048, "bits": bits, "overflow": overflow},
        pe_grid={"rows": 16, "columns": 16, "dataflow": "weight_stationary", "partial_sum_bits": wires},
    )
    layers = [("conv1", "conv", 65_536, 576, 8_192), ("pool", "pooling", 0, 0, 2_048),
              ("conv2", "conv", 65_536, 576, 8_192), ("fc", "matmul", 4_096, 4_096, 128)]
    return make_result(accelerator=accelerator, network="small", layers=layers)


def grid_run(count: int) -> NetworkResult:
    """This many layers on the grid, with widths and overflows from 0 to all outputs, and with trials of ten widths."""
    result = make_result(network="grid", layers=[(f"/blocks.{i}/conv/Conv", "conv", 65_536, 576, 8_192) for i in range(count)],
                         accelerator=small_integer_run(wires=14).accelerator)
    values = {}
    for index in range(count):
        hit = (0, 1, 40, 1000)[index % 4]
        places = {"accumulator": 3 * hit, "wires": hit} | ({"bias": 1, "row_sum": 2} if index % 8 == 3 else {})
        overflows = Overflows(count=sum(places.values()), outputs_hit=hit, outputs=1000, by_place=places if hit else {})
        trials = tuple(WidthTrial(bits, 1000, events=hit * (20 - bits), outputs_hit=hit, wrong_outputs=hit if bits < 15 else 0,
                                  largest_error=9) for bits in range(18, 8, -1))
        values[f"/blocks.{index}/conv/Conv"] = make_values(
            worst=18 + index % 5, running=15 + index % 3, final=12 + index % 2, overflows=overflows if hit else
            Overflows(outputs=1000), trials=trials)
    return with_values(result, values)


def make_timeline() -> Timeline:
    """Two loads, two tiles that overlap in the pipelined grid, one drain."""
    return Timeline(
        spans=(
            Span("dma.0", "load weights", "conv", 0, 40, "n 0:16"),
            Span("dma.1", "load inputs", "conv", 4, 60),
            Span("pe_grid", "compute", "conv", 60, 160, "tile 0"),
            Span("pe_grid", "compute", "conv", 140, 240, "tile 1"),
            Span("requantizer", "requantize", "conv", 240, 250),
        ),
        samples=(Sample("dram", 0, 16.0), Sample("dram", 60, 0.0), Sample("buffer.weights", 40, 4096)),
    )


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
    """conv1 overflows in accumulators and wires, fc in a row sum and on a bias; conv2 provably does not."""
    event = OverflowEvent("conv1", "wires", (0, 5, 7, 3), row=2, column=3, step=18, cycle=77, exact=9000, kept=-7384)
    conv1 = Overflows(
        count=7, outputs_hit=3, outputs=1000, by_place={"accumulator": 4, "wires": 3}, by_channel={0: 5, 3: 2},
        by_fold={0: 4, 1: 3}, first=(event, event._replace(place="accumulator", row=-1, step=31, cycle=80, exact=-40000,
                                                           kept=25536, sample=1)))
    fc = Overflows(count=2, outputs_hit=1, outputs=20, by_place={"bias": 1, "row_sum": 1}, by_channel={-1: 1, 2: 1},
                   by_fold={-1: 1, 0: 1},
                   first=(OverflowEvent("fc", "bias", (0, 2), row=-1, column=2, step=-1, cycle=900, exact=70000, kept=4464),))
    return with_values(small_integer_run(wires=14), {
        "conv1": make_values(worst=20, running=18, final=15, overflows=conv1),
        "conv2": make_values(worst=14, running=12, final=11, is_proven=True),
        "fc": make_values(worst=19, running=18, final=17, overflows=fc)}, samples=2)


@pytest.fixture
def safe_result() -> NetworkResult:
    """No overflow, all of it proven."""
    values = make_values(worst=20, running=18, final=15, is_proven=True)
    return with_values(small_integer_run(bits=24), {"conv1": values, "conv2": values, "fc": values})


@pytest.fixture
def trial_result() -> NetworkResult:
    """Widths of 18, 16 and 14 bits tried; conv2 goes wrong at 14, fc at 16 without harm."""
    right = tuple(WidthTrial(bits, 1000) for bits in (18, 16, 14))
    wrong = (*right[:2], WidthTrial(14, 1000, events=90, outputs_hit=40, wrong_outputs=25, largest_error=12))
    harmless = (right[0], WidthTrial(16, 1000, events=5, outputs_hit=4), WidthTrial(14, 1000, events=8, outputs_hit=6))
    return with_values(small_integer_run(bits=32), {
        "conv1": make_values(worst=17, running=13, final=12, trials=right),
        "conv2": make_values(worst=20, running=16, final=15, trials=wrong),
        "fc": make_values(worst=19, running=18, final=13, trials=harmless)})


@pytest.fixture
def build_grid_run() -> Callable[[int], NetworkResult]:
    return grid_run


@pytest.fixture
def add_values() -> Callable[..., NetworkResult]:
    return with_values


@pytest.fixture
def build_values() -> Callable[..., LayerValues]:
    return make_values
