"""The requantizer: one block of accumulators after the other becomes outputs."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from accelsim.machine.accumulators import Accumulators
from accelsim.machine.grid_times import GridTimes
from accelsim.machine.layer_state import LayerState
from accelsim.machine.recorder import Recorder
from accelsim.mapping.program import Requantize


class Requantizer:
    """Takes latency + ceil(outputs / lanes) cycles a block (`GridTimes`), from when the block is complete and its outputs
    have room."""

    def __init__(
        self, environment: simpy.Environment, times: GridTimes, accumulators: Accumulators, recorder: Recorder
    ) -> None:
        self._environment = environment
        self._times = times
        self._accumulators = accumulators
        self._recorder = recorder
        self._completed: dict[int, int] = {}
        self._waiter: tuple[int, simpy.Event] | None = None
        #: When the block released last got the room for its outputs: until then the grid waited for that room.
        self.room_at = 0

    def complete(self, block: int, cycle: int) -> None:
        """The last partial sum of a block will be in at this cycle (now or later)."""
        self._completed[block] = cycle
        if self._waiter is not None and self._waiter[0] == block:
            waiter, self._waiter = self._waiter[1], None
            waiter.succeed()

    def run(self, steps: list[Requantize], state: LayerState) -> Generator[Any, Any, None]:
        """All blocks of a layer, in order."""
        self._completed.clear()
        outputs = state.regions["outputs"]
        for turn, step in enumerate(steps):
            if step.block not in self._completed:
                self._waiter = (step.block, self._environment.event())
                yield self._waiter[1]
            complete_at = self._completed[step.block]
            yield from outputs.acquire(turn=turn, size_bytes=step.output_bytes)
            start = max(self._now, complete_at)
            end = start + self._times.requantize_cycles(step.outputs)
            yield self._environment.timeout(end - self._now)
            if state.carrier is not None:
                state.carrier.requantize(step)
            state.requantized_outputs += step.outputs
            self.room_at = start
            self._accumulators.release()
            state.finish_block(step.block, step.output_bytes)
            self._recorder.span("requantizer", "requantize", state.name, start, end, f"block {step.block}")

    @property
    def _now(self) -> int:
        return int(self._environment.now)
