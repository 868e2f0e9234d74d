"""The steps of a program without time: for further samples of a run whose cycles are known."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.machine.values.carrier import Carrier
from accelsim.machine.values.network_values import NetworkValues
from accelsim.mapping.program import Compute, LayerProgram, Load, Program, Requantize, Store, VectorCompute

#: Layer -> number of a compute step -> cycle at which its stream started.
Starts = Mapping[str, Mapping[int, int]]


def replay(program: Program, values: NetworkValues, starts: Starts) -> None:
    """Carry the integers of one sample through all steps, in program order.

    No cycle depends on integers, so a step's cycles are those of the sample that was simulated; `starts` date the overflows.
    """
    for layer in program.layers:
        carrier = values.carrier(layer)
        values.begin(layer.layer, carrier)
        _replay_layer(layer, carrier, starts.get(layer.layer, {}))
        values.finish(layer.layer, carrier)


def _replay_layer(layer: LayerProgram, carrier: Carrier, starts: Mapping[int, int]) -> None:
    if not carrier.follows_steps:
        return
    for step in layer.steps:
        match step:
            case Load():
                carrier.load(step)
            case Compute():
                carrier.accumulate(step, starts[step.number])
                carrier.free(step.frees)
            case Requantize():
                carrier.requantize(step)
            case VectorCompute():
                carrier.compute(step)
                carrier.free(step.frees)
            case Store():
                carrier.store(step)
