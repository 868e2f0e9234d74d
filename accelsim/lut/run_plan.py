"""Which runs are wanted, which of them are known, and who makes the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accelsim.errors import MappingError
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.layer_job import LayerJob, chip_of, nameless, run_key
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.store import Store
from accelsim.lut.workers import Processes, ThisProcess, Workers
from accelsim.mapping.options import MappingOptions
from accelsim.workload.layer import Layer

#: Told (done, all, name of a layer) as runs get their costs.
Told = Callable[[int, int, str], None]

#: Told (name of a layer, what is wrong with it) of a run that cannot be made.
Failed = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """A layer on an accelerator.

    Parameters
    ----------
    key : by which it is remembered.
    name : of the first layer that it is a run of, for people.
    layer : without names, at its widths.
    document : of the accelerator, as JSON.
    accumulator_bits : None is the accelerator's own.
    options : of the mapping.
    """

    key: str
    name: str
    layer: Layer
    document: str
    accumulator_bits: int | None
    options: MappingOptions


class ChipRuns:
    """Finds the runs of layers on one accelerator; equal layers at equal widths share one."""

    def __init__(self, accelerator: Accelerator, options: MappingOptions) -> None:
        self._document = json.dumps(accelerator.to_document())
        self._options = options
        self._options_text = json.dumps(options.to_text(), sort_keys=True)
        self._kinds: dict[str, int] = {}
        self._numbers: dict[Layer, int] = {}
        self._runs: dict[tuple[int, OperandBits | None], Run] = {}

    def run(self, layer: Layer, bits: OperandBits | None = None) -> Run:
        """The run of a layer at these widths, or at its own.

        Raises
        ------
        HardwareError : accumulators narrower than the accelerator's operands.
        """
        place = (self._kind(layer), bits)
        if place not in self._runs:
            sized = nameless(layer, bits)
            accumulators = None if bits is None else bits.accumulator_bits
            fingerprint = chip_of(self._document, accumulators).fingerprint
            self._runs[place] = Run(run_key(sized, fingerprint, self._options_text), layer.name, sized, self._document,
                                    accumulators, self._options)
        return self._runs[place]

    def _kind(self, layer: Layer) -> int:
        """A number that equal layers share. By name first, since to compare layers takes longer."""
        if layer.name not in self._kinds:
            self._kinds[layer.name] = self._numbers.setdefault(nameless(layer), len(self._numbers))
        return self._kinds[layer.name]


def costs_of(runs: Mapping[str, Run], *, store: Store | None, workers: int | Workers, told: Told | None = None,
             failed: Failed | None = None) -> dict[str, LayerCost]:
    """A cost for every run, by its key: from the store, or made now and put there at once.

    Parameters
    ----------
    runs : by their keys.
    workers : processes of this machine, or others who make them.
    failed : told of runs that cannot be made, by their key; left out, the first one ends the work.

    Raises
    ------
    MappingError : a layer that fits nowhere.
    """
    costs = {} if store is None else store.get(runs)
    jobs = _jobs([run for key, run in runs.items() if key not in costs])
    done = len(costs)
    if told is not None:
        told(done, len(runs), "")
    if not jobs:
        return costs
    runners = ThisProcess() if workers == 1 else Processes(workers) if isinstance(workers, int) else workers
    for place, outcome in runners.outcomes([job for job, _ in jobs]):
        group = jobs[place][1]
        done += len(group)
        if isinstance(outcome, str):
            if failed is None:
                raise MappingError(outcome, field=group[0].name)
            for run in group:
                failed(run.key, outcome)
        else:
            found = {run.key: cost for run, cost in zip(group, outcome, strict=True)}
            if store is not None:
                store.put(found)
            costs |= found
        if told is not None:
            told(done, len(runs), group[0].name)
    return costs


def _jobs(runs: list[Run]) -> list[tuple[LayerJob, list[Run]]]:
    """One job a layer, accelerator and widths of operands, whatever the accumulators."""
    groups: dict[tuple[str, MappingOptions, Layer], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.document, run.options, run.layer), []).append(run)
    return [(LayerJob(layer, document, tuple(run.accumulator_bits for run in group), options), group)
            for (document, options, layer), group in groups.items()]
