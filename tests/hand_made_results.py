"""Results made by hand: realistic enough for reports, and independent of the machine."""

from __future__ import annotations

from typing import Any

from accelsim.hardware.accelerator import Accelerator
from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.results.span import Sample, Span, Timeline

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
