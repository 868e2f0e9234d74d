"""The PE grid: folds stream through it, weights preload behind them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import simpy

from accelsim.machine.accumulators import Accumulators
from accelsim.machine.grid_times import GridTimes
from accelsim.machine.layer_state import LayerState
from accelsim.machine.recorder import Recorder
from accelsim.machine.requantizer import Requantizer
from accelsim.mapping.fold import StreamTiming
from accelsim.mapping.program import Compute


class PeArray:
    """Two processes a layer: one preloads the stationary operand into the shadow registers, as soon as the last fold of
    the step before has started; the other streams.

    A step streams when its preload is done, its streamed operand is on chip, its block has accumulators, and the grid
    can start a fold. A stream lasts as long as its folds, or as the buffers' ports need for its bytes.
    """

    def __init__(
        self, environment: simpy.Environment, accumulators: Accumulators, requantizer: Requantizer, recorder: Recorder,
        times: GridTimes
    ) -> None:
        self._environment = environment
        self._times = times
        self._accumulators = accumulators
        self._requantizer = requantizer
        self._recorder = recorder
        self._shadow_free_at = 0
        self._streams_started = 0
        self._streamer_waiting: simpy.Event | None = None
        self._loader_waiting: simpy.Event | None = None
        self._preloaded: dict[int, _Preload] = {}

    def run(self, steps: list[Compute], state: LayerState) -> Generator[Any, Any, None]:
        """All compute steps of a layer, in order."""
        self._streams_started = 0
        self._shadow_free_at = self._now
        self._preloaded.clear()
        self._environment.process(self._preload(steps, state))
        ledger, next_start, block_start = state.ledger, self._now, 0
        for place, step in enumerate(steps):
            timing = self._times.timing(state.name, step)
            preload = yield from self._wait_for_preload(place)
            for arrival in preload.arrivals:
                state.charge_wait(arrival.load, until=arrival.landed_at)
            ledger.compute(preload.done_at)
            for load in step.needs_streamed:
                yield from state.wait_for_load(load)
                state.charge_wait(load, until=self._now)
            if step.is_first:
                yield from self._accumulators.acquire()
                ledger.stall("output_room", min(self._requantizer.room_at, self._now))
                ledger.stall("requantizer", self._now)
            start = max(self._now, next_start)
            if step.is_first:
                block_start = start
            self._start_stream(step, timing, start)
            if place + 1 < len(steps):
                next_start = self._shadow_free_at + self._times.next_start_cycles(state.name, step, steps[place + 1])
            end = start + max(timing.stream_cycles, step.port_cycles)
            yield self._environment.timeout(end - self._now)
            self._finish_stream(step, timing, state, start, end, block_start)

    def _start_stream(self, step: Compute, timing: StreamTiming, start: int) -> None:
        """Book the registers."""
        self._streams_started += 1
        # Ports that slow the stream down slow its folds alike, so the last one starts as much later.
        lag = max(0, step.port_cycles - timing.stream_cycles)
        self._shadow_free_at = start + timing.last_start_cycles + lag
        if self._loader_waiting is not None:
            waiter, self._loader_waiting = self._loader_waiting, None
            waiter.succeed()

    def _finish_stream(self, step: Compute, timing: StreamTiming, state: LayerState, start: int, end: int,
                       block_start: int) -> None:
        ledger = state.ledger
        ledger.compute(start + timing.stream_cycles)
        ledger.stall("buffer_port", end)
        ledger.keep_busy(end + timing.tail_cycles)
        if state.carrier is not None:
            state.carrier.accumulate(step, start)
        state.free(step.frees)
        state.count_reads(step.read_bytes)
        state.macs += step.macs
        state.ideal_cycles += timing.ideal_cycles
        state.accumulator_updates += step.accumulator_updates
        self._recorder.span("pe_grid", "stream", state.name, start, end, f"m{list(step.m)} n{list(step.n)} k{list(step.k)}")
        if step.is_last:
            self._requantizer.complete(step.block, end + timing.tail_cycles)
            self._recorder.span("accumulators", "accumulate", state.name, block_start, end + timing.tail_cycles,
                                f"block {step.block}")

    def _preload(self, steps: list[Compute], state: LayerState) -> Generator[Any, Any, None]:
        """Fill the shadow registers of one step after the other."""
        for place, step in enumerate(steps):
            arrivals = []
            for load in step.needs_preloaded:
                yield from state.wait_for_load(load)
                arrivals.append(_Arrival(load, self._now))
            if self._streams_started < place:
                self._loader_waiting = self._environment.event()
                yield self._loader_waiting
            start = max(self._now, self._shadow_free_at)
            preload_cycles = self._times.timing(state.name, step).preload_cycles
            done_at = start + preload_cycles
            if done_at > self._now:
                yield self._environment.timeout(done_at - self._now)
            if preload_cycles:
                self._recorder.span("pe_grid.preload", "preload", state.name, start, done_at,
                                    f"n{list(step.n)} k{list(step.k)}")
            self._preloaded[place] = _Preload(arrivals, done_at)
            if self._streamer_waiting is not None:
                waiter, self._streamer_waiting = self._streamer_waiting, None
                waiter.succeed()

    def _wait_for_preload(self, place: int) -> Generator[Any, Any, _Preload]:
        if place not in self._preloaded:
            self._streamer_waiting = self._environment.event()
            yield self._streamer_waiting
        return self._preloaded.pop(place)

    @property
    def _now(self) -> int:
        return int(self._environment.now)


class _Arrival(NamedTuple):
    """Until when the preload waited for a load."""

    load: int
    landed_at: int


class _Preload(NamedTuple):
    """What the stationary operand of a step waited for, and when it was shifted in."""

    arrivals: list[_Arrival]
    done_at: int
