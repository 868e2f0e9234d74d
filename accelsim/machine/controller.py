"""The controller: wires the units together and hands them one layer's steps after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.accumulators import Accumulators
from accelsim.machine.dma import Dma
from accelsim.machine.dram import Dram
from accelsim.machine.grid_times import GridTimes, TileTimes
from accelsim.machine.identities import check_layer
from accelsim.machine.layer_run import LayerRun
from accelsim.machine.layer_state import LayerState
from accelsim.machine.ledger import Ledger
from accelsim.machine.pe_array import PeArray
from accelsim.machine.recorder import Recorder, TimelineRecorder
from accelsim.machine.requantizer import Requantizer
from accelsim.machine.values.network_values import NetworkValues
from accelsim.machine.vector_unit import VectorUnit
from accelsim.mapping.program import Compute, LayerProgram, Load, Program, Requantize, Store, VectorCompute
from accelsim.results.span import Timeline

#: Called after each layer with its place (from 1) and its name.
Progress = Callable[[int, str], None]


def run_program(
    accelerator: Accelerator, program: Program, *, records_timeline: bool = False, progress: Progress | None = None,
    values: NetworkValues | None = None, times: GridTimes | None = None
) -> tuple[tuple[LayerRun, ...], Timeline | None]:
    """Execute a program on the accelerator.

    Layers follow one another: a layer begins when the last step of the one before has retired. Inside a
    layer the units run apart, tied by operands, room and results alone. Identities 1 and 2 are checked for every layer.
    With `values` the steps carry integers; no cycle depends on them. `times` tell how long grid and requantizer take; left
    out, closed forms do.

    Returns
    -------
    One `LayerRun` per layer, and the timeline if it was asked for.
    """
    controller = _Controller(accelerator, program, records_timeline=records_timeline, progress=progress, values=values,
                             times=times or TileTimes(accelerator))
    return controller.run()


class _Controller:
    def __init__(
        self, accelerator: Accelerator, program: Program, *, records_timeline: bool, progress: Progress | None,
        values: NetworkValues | None, times: GridTimes
    ) -> None:
        self._environment = simpy.Environment()
        self._recorder = TimelineRecorder(self._environment) if records_timeline else Recorder()
        self._accelerator = accelerator
        self._program = program
        self._progress = progress
        self._values = values
        self._runs: list[LayerRun] = []
        dram = Dram(self._environment, accelerator, self._recorder)
        self._dma = Dma(self._environment, accelerator, dram, self._recorder)
        accumulators = Accumulators(self._environment, accelerator.accumulators)
        self._requantizer = Requantizer(self._environment, times, accumulators, self._recorder)
        self._pe_array = PeArray(self._environment, accumulators, self._requantizer, self._recorder, times)
        self._vector_unit = VectorUnit(self._environment, accelerator.vector_unit, self._recorder)

    def run(self) -> tuple[tuple[LayerRun, ...], Timeline | None]:
        main = self._environment.process(self._layers())
        self._environment.run()
        assert main.processed, "the program is stuck: a step waits for something that never comes"
        return tuple(self._runs), self._recorder.timeline()

    def _layers(self) -> Generator[Any, Any, None]:
        programs = self._program.layers
        state = self._new_state(programs[0])
        for i, program in enumerate(programs):
            following = self._new_state(programs[i + 1]) if i + 1 < len(programs) else None
            start = int(self._environment.now)
            state.ledger = Ledger(start)
            if self._values is not None and state.carrier is not None:
                self._values.begin(program.layer, state.carrier)
            self._start_units(program, state, following)
            yield state.done
            state.ledger.stall("drain", int(self._environment.now))
            self._runs.append(self._finish(program, state, start))
            if self._progress is not None:
                self._progress(i + 1, program.layer)
            if following is not None:
                state = following

    def _new_state(self, program: LayerProgram) -> LayerState:
        carrier = self._values.carrier(program) if self._values is not None else None
        return LayerState(self._environment, program, self._accelerator.memory, self._recorder, carrier)

    def _start_units(self, program: LayerProgram, state: LayerState, following: LayerState | None) -> None:
        self._dma.start(_transfers(program, state, following))
        process = self._environment.process
        if program.unit == "pe_grid":
            process(self._requantizer.run([step for step in program.steps if isinstance(step, Requantize)], state))
            process(self._pe_array.run([step for step in program.steps if isinstance(step, Compute)], state))
        else:
            process(self._vector_unit.run([step for step in program.steps if isinstance(step, VectorCompute)], state))

    def _finish(self, program: LayerProgram, state: LayerState, start: int) -> LayerRun:
        run = LayerRun(
            layer=program.layer, start_cycle=start, end_cycle=int(self._environment.now), ideal_cycles=state.ideal_cycles,
            compute_cycles=state.ledger.compute_cycles, stall_cycles=dict(state.ledger.stall_cycles),
            dram_cycles=state.dram_cycles, peak_buffer_bytes=state.peak_buffer_bytes(), counts=state.counts())
        check_layer(program, state, run)
        if self._values is not None and state.carrier is not None:
            self._values.finish(program.layer, state.carrier)
        return run


def _transfers(
    program: LayerProgram, state: LayerState, following: LayerState | None
) -> list[tuple[Load | Store, LayerState]]:
    """Loads and stores of a layer in program order; the next layer's prefetch comes right behind its last load."""
    own: list[tuple[Load | Store, LayerState]] = [
        (step, state) for step in program.steps
        if isinstance(step, Store) or (isinstance(step, Load) and step.number not in program.prefetched)]
    if program.prefetch:
        assert following is not None
        last_load = max((i for i, (step, _) in enumerate(own) if isinstance(step, Load)), default=-1)
        own[last_load + 1:last_load + 1] = [(load, following) for load in program.prefetch]
    return own
