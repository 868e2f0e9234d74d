"""Runs quantized networks on the machine, in integers, for the proof: time, energy, answers, overflows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.changes import with_changes
from accelsim.mapping.options import MappingOptions
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.search.samples import Samples
from accelsim.simulation import simulate


@dataclass(frozen=True, eq=False)
class Execution:
    """A run.

    Parameters
    ----------
    result : on the accelerator as it is.
    layers : by name; of a layer with accumulators of its own width from a run with these.
    answers : (samples,), the class with the largest output; None where the run carried no integers.
    overflows : events, of layers with accumulators of their own width at that width; None without integers.
    """

    result: NetworkResult
    layers: Mapping[str, LayerResult]
    answers: NDArray[np.int64] | None
    overflows: int | None


def execute(accelerator: Accelerator, quantized: QuantizedModel, samples: Samples | None, *, options: MappingOptions,
            accumulators: Mapping[str, int] | None = None) -> Execution:
    """Runs a network.

    Parameters
    ----------
    samples : whose integers are carried; None: times and energies alone.
    accumulators : layer -> width, where the search chose them. Each width is a run of its own, in which all accumulators
        have it; of it the layers that chose it count. Their events are those of right inputs (`trial_bits`), since the
        machine has one width at a time.

    Raises
    ------
    NumericsError : scales that the accelerator's requantizer does not take.
    """
    network = quantized.network()
    inputs = None if samples is None else samples.arrays()
    widths = sorted(set((accumulators or {}).values()), reverse=True)
    if inputs is None:
        result = simulate(accelerator, network.network, options=options)
    else:
        result = simulate(accelerator, network, options=options, inputs=inputs, event_limit=0, trial_bits=widths)
    layers = {layer.name: layer for layer in result.layers}
    for bits in widths:
        chip = with_changes(accelerator, {"accumulators.bits": bits})
        own = {layer.name: layer for layer in simulate(chip, network.network, options=options).layers}
        layers |= {name: own[name] for name, width in (accumulators or {}).items() if width == bits}
    overflows = None if inputs is None else _overflows(result, accumulators or {})
    return Execution(result, layers, None if inputs is None else answers_of(result, quantized.model.outputs[0]), overflows)


def _overflows(result: NetworkResult, accumulators: Mapping[str, int]) -> int:
    if not accumulators:
        return result.overflows
    count = 0
    for layer in result.layers:
        if layer.values is not None and layer.name in accumulators:
            count += sum(trial.events for trial in layer.values.trials if trial.bits == accumulators[layer.name])
    return count


def answers_of(result: NetworkResult, output: str) -> NDArray[np.int64]:
    """The class of each sample: where the first output is largest, over its last axis."""
    return classes_of(result.outputs[output])


def classes_of(outputs: NDArray[Any]) -> NDArray[np.int64]:
    """Classes of outputs (samples, ..., classes), or of (samples, classes, 1, 1).

    >>> classes_of(np.array([[[1, 5, 2]], [[7, 0, 0]]])).tolist()
    [1, 0]
    """
    return np.asarray(np.argmax(_rows(outputs), axis=1), dtype=np.int64)


def class_count(outputs: NDArray[Any]) -> int:
    """How many classes outputs have.

    >>> class_count(np.zeros((2, 1, 3))), class_count(np.zeros((2, 3, 1, 1)))
    (3, 3)
    """
    return int(_rows(outputs).shape[1])


def _rows(outputs: NDArray[Any]) -> NDArray[Any]:
    return outputs.reshape(-1, outputs.shape[-1]) if outputs.shape[-1] > 1 else outputs.reshape(len(outputs), -1)
