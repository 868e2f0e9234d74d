"""Results made by hand of runs that carried integers: widths, overflows, trials of other widths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hand_made_results import make_accelerator, make_result

from accelsim.results.layer_values import LayerValues
from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import AccumulatorWidths, OverflowEvent, Overflows
from accelsim.results.width_trial import WidthTrial


def with_values(result: NetworkResult, values: dict[str, LayerValues], *, samples: int = 1, **changes: Any) -> NetworkResult:
    """The run as one that carried integers; layers without values of their own are off the grid."""
    layers = tuple(replace(layer, values=values.get(layer.name, LayerValues())) for layer in result.layers)
    outputs = {"logits": np.arange(10 * samples, dtype=np.int8).reshape(samples, 1, 10)}
    return replace(result, layers=layers, **({"rounding": "tflite_double", "outputs": outputs} | changes))


def make_values(*, worst: int, running: int, final: int, **changes: Any) -> LayerValues:
    """A layer of 1000 outputs whose registers hold everything, unless the changes say otherwise."""
    fields = {"widths": AccumulatorWidths(worst, running, final), "overflows": Overflows(outputs=1000), "is_proven": False}
    return LayerValues(**(fields | changes))


def small_run(*, bits: int = 16, wires: int | None = None, overflow: str = "wrap") -> NetworkResult:
    """Two convolutions, a pooling between them and a matmul, without values yet."""
    accelerator = make_accelerator(
        accumulators={"entries": 2048, "bits": bits, "overflow": overflow},
        pe_grid={"rows": 16, "columns": 16, "dataflow": "weight_stationary", "partial_sum_bits": wires},
    )
    layers = [
        ("conv1", "conv", 65_536, 576, 8_192),
        ("pool", "pooling", 0, 0, 2_048),
        ("conv2", "conv", 65_536, 576, 8_192),
        ("fc", "matmul", 4_096, 4_096, 128),
    ]
    return make_result(accelerator=accelerator, network="small", layers=layers)


def overflowing_run() -> NetworkResult:
    """conv1 overflows in accumulators and wires, fc in a row sum and on a bias; conv2 provably does not."""
    wires = OverflowEvent("conv1", "wires", (0, 5, 7, 3), row=2, column=3, step=18, cycle=77, exact=9000, kept=-7384)
    edge = OverflowEvent(
        "conv1", "accumulator", (0, 5, 7, 3), row=-1, column=3, step=31, cycle=80, exact=-40000, kept=25536, sample=1
    )
    conv1 = Overflows(
        count=7,
        outputs_hit=3,
        outputs=1000,
        by_place={"accumulator": 4, "wires": 3},
        by_channel={0: 5, 3: 2},
        by_fold={0: 4, 1: 3},
        first=(wires, edge),
    )
    fc = Overflows(
        count=2,
        outputs_hit=1,
        outputs=20,
        by_place={"bias": 1, "row_sum": 1},
        by_channel={-1: 1, 2: 1},
        by_fold={-1: 1, 0: 1},
        first=(OverflowEvent("fc", "bias", (0, 2), row=-1, column=2, step=-1, cycle=900, exact=70000, kept=4464),),
    )
    values = {
        "conv1": make_values(worst=20, running=18, final=15, overflows=conv1),
        "conv2": make_values(worst=14, running=12, final=11, is_proven=True),
        "fc": make_values(worst=19, running=18, final=17, overflows=fc),
    }
    return with_values(small_run(wires=14), values, samples=2)


def safe_run() -> NetworkResult:
    """No overflow, all of it proven."""
    values = make_values(worst=20, running=18, final=15, is_proven=True)
    return with_values(small_run(bits=24), {"conv1": values, "conv2": values, "fc": values})


def trial_run() -> NetworkResult:
    """Widths of 18, 16 and 14 bits tried: conv2 goes wrong at 14 bits, fc overflows at 16 without harm."""
    right = tuple(WidthTrial(bits, 1000) for bits in (18, 16, 14))
    wrong = WidthTrial(14, 1000, events=90, outputs_hit=40, wrong_outputs=25, largest_error=12)
    harmless = tuple(WidthTrial(bits, 1000, events=5, outputs_hit=4) for bits in (16, 14))
    values = {
        "conv1": make_values(worst=17, running=13, final=12, trials=right),
        "conv2": make_values(worst=20, running=16, final=15, trials=(*right[:2], wrong)),
        "fc": make_values(worst=19, running=18, final=13, trials=(right[0], *harmless)),
    }
    return with_values(small_run(bits=32), values)


def long_run(count: int) -> NetworkResult:
    """This many layers on the grid, with overflows of all, some, few or none of their outputs, and trials of ten widths."""
    names = [f"/blocks.{index}/conv/Conv" for index in range(count)]
    layers = [(name, "conv", 65_536, 576, 8_192) for name in names]
    result = make_result(network="grid", layers=layers, accelerator=small_run(wires=14).accelerator)
    return with_values(result, {name: _values_of(index) for index, name in enumerate(names)})


def _values_of(index: int) -> LayerValues:
    hit = (1000, 40, 1, 0)[index % 4]
    places = {"accumulator": 3 * hit, "wires": hit} if hit else {}
    if index % 8 == 4:
        places |= {"bias": 1, "row_sum": 2}
    trials = tuple(
        WidthTrial(bits, 1000, hit * (20 - bits), hit, wrong_outputs=hit if bits < 15 else 0, largest_error=9)
        for bits in range(18, 8, -1)
    )
    overflows = Overflows(count=sum(places.values()), outputs_hit=hit, outputs=1000, by_place=places)
    widths = {"worst": 18 + index % 5, "running": 15 + index % 3, "final": 12 + index % 2}
    return make_values(**widths, overflows=overflows, trials=trials)
