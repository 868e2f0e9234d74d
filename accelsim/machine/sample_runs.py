"""One program, run for every sample of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import Progress, run_program
from accelsim.machine.grid_times import GridTimes
from accelsim.machine.layer_run import LayerRun
from accelsim.machine.replay import replay
from accelsim.machine.values.grid_layer import GridLayer
from accelsim.machine.values.network_values import NetworkValues
from accelsim.mapping.program import Program
from accelsim.numerics.rule import Rule
from accelsim.results.layer_values import LayerValues
from accelsim.results.span import Timeline
from accelsim.workload.input_values import Sample
from accelsim.workload.quantized_network import QuantizedNetwork

#: Told of every layer's output as it is made: number of the sample, name of the layer, integers in the model's layout.
ToldOutput = Callable[[int, str, NDArray[Any]], None]

#: Number of a sample -> outputs of layers as another runtime computed them.
FedOutputs = Callable[[int], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class SampleRuns:
    """What the runs of all samples gave; their times are the same.

    Parameters
    ----------
    runs, timeline : of the first sample.
    values : what the integers did, by layer, over all samples.
    outputs : by the model's output names, the samples in front.
    """

    runs: tuple[LayerRun, ...]
    timeline: Timeline | None
    values: dict[str, LayerValues]
    outputs: dict[str, NDArray[Any]]


def run_samples(
    accelerator: Accelerator, program: Program, network: QuantizedNetwork, samples: Sequence[Sample], *, rule: Rule,
    event_limit: int = 0, tiles_always: bool = False, trial_bits: Sequence[int] = (), told: ToldOutput | None = None,
    fed: FedOutputs | None = None, records_timeline: bool = False, progress: Progress | None = None,
    times: GridTimes | None = None
) -> SampleRuns:
    """Execute a program with the integers of each sample: the first in time, the others in the same steps without it.

    Parameters
    ----------
    samples : at least one, as `workload.input_values.samples` gives them.
    rule, event_limit, tiles_always, trial_bits : see `NetworkValues`.
    records_timeline, progress : of the first sample.
    fed : of a sample's number, outputs by layer that its readers get instead (see `NetworkValues`).
    times : of grid and requantizer, see `run_program`. Those of the stepped engine also make it compute the integers.
    """
    prepared: dict[str, GridLayer] = {}

    def values_of(number: int) -> NetworkValues:
        return NetworkValues(accelerator, network, samples[number], rule=rule, event_limit=event_limit,
                             tiles_always=tiles_always, trial_bits=trial_bits, told=_for_sample(told, number),
                             fed=fed(number) if fed is not None else None, prepared=prepared, times=times)

    # Products of tiles are too small for several threads, which on a busy machine wait for one another most of the time.
    with threadpool_limits(limits=1, user_api="blas"):
        first = values_of(0)
        runs, timeline = run_program(accelerator, program, values=first, records_timeline=records_timeline,
                                     progress=progress, times=times)
        observed, outputs = dict(first.observed), [first.outputs]
        for number in range(1, len(samples)):
            values = values_of(number)
            replay(program, values, first.starts)
            for name, found in values.observed.items():
                observed[name] = observed[name].joined(found, sample=number, limit=event_limit)
            outputs.append(values.outputs)
    stacked = {name: np.stack([output[name] for output in outputs]) for name in outputs[0]}
    return SampleRuns(runs, timeline, observed, stacked)


def _for_sample(told: ToldOutput | None, number: int) -> Callable[[str, NDArray[Any]], None] | None:
    return None if told is None else lambda name, output: told(number, name, output)
