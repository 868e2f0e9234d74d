"""The vector unit: one range of elements after the other."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from accelsim.hardware.vector_unit import VectorUnit as VectorUnitSpec
from accelsim.machine.layer_state import LayerState
from accelsim.machine.recorder import Recorder
from accelsim.mapping.program import VectorCompute


class VectorUnit:
    """Takes latency + ceil(operations / lanes) cycles a range, or as long as the buffers' ports need for its bytes."""

    def __init__(self, environment: simpy.Environment, spec: VectorUnitSpec, recorder: Recorder) -> None:
        self._environment = environment
        self._spec = spec
        self._recorder = recorder

    def run(self, steps: list[VectorCompute], state: LayerState) -> Generator[Any, Any, None]:
        """All ranges of a layer, in order."""
        ledger, outputs = state.ledger, state.regions["outputs"]
        for turn, step in enumerate(steps):
            for number in step.needs_inputs:
                yield from state.wait_for_load(number)
                state.charge_wait(number, until=self._now)
            yield from outputs.acquire(turn=turn, size_bytes=step.output_bytes)
            ledger.stall("output_room", self._now)
            start = self._now
            busy = -(-step.operations // self._spec.lanes)
            computed = start + self._spec.latency_cycles + busy
            end = max(computed, start + step.port_cycles)
            yield self._environment.timeout(end - start)
            ledger.compute(computed)
            ledger.stall("buffer_port", end)
            if state.carrier is not None:
                state.carrier.compute(step)
            state.free(step.frees)
            state.count_reads(step.read_bytes)
            state.vector_operations += step.operations
            state.ideal_cycles += busy
            state.finish_block(step.block, step.output_bytes)
            first, last = step.elements
            self._recorder.span("vector_unit", "vector", state.name, start, end, f"elements [{first}:{last}]")

    @property
    def _now(self) -> int:
        return int(self._environment.now)
