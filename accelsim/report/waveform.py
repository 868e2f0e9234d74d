"""A compute step of a layer as a waveform: every register of the PE grid in every clock cycle, for GTKWave and Surfer.

>>> from accelsim import load_accelerator, load_network
>>> from accelsim.report.shown_step import shown_step
>>> step = shown_step(load_accelerator("whitepaper_4x4"), load_network("mlperf_tiny_dscnn"), layer="conv1")
>>> step_clocks(step), requantizer_clocks(step)
(205, 0)
>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     write_waveform(step, Path(folder) / "grid.vcd")
...     print((Path(folder) / "grid.vcd").read_text().splitlines()[0])
$version accelsim 0.1.0 $end
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, HardwareError
from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.requantizer_lanes import clock_requantizer
from accelsim.machine.stepped.step_run import StepRun
from accelsim.machine.stepped.step_watch import SeenClock, StepWatch
from accelsim.mapping.fold import drain_cycles
from accelsim.report.step_signals import StepSignals
from accelsim.report.vcd import VcdWriter
from accelsim.units import format_scaled
from accelsim.version import __version__
from accelsim.whole_file import whole_file

#: A range of clock cycles, the last one left out.
Clocks = tuple[int, int]

#: IEEE Std 1364-2005, section 18.2: a time unit is 1, 10 or 100 s, ms, us, ns, ps or fs. Femtoseconds of each, the longest
#: first.
_UNITS = tuple((number * 1000**place, f"{number} {unit}") for place, unit in reversed(
    list(enumerate(("fs", "ps", "ns", "us", "ms", "s")))) for number in (100, 10, 1))

_FEMTOSECONDS_PER_SECOND = 10**15


def step_clocks(step: LayerStep) -> int:
    """Clock cycles of the grid: closed forms, equal to what the registers take."""
    grid, timing = step.accelerator.pe_grid, step.step.timing
    lag = max(0, step.step.port_cycles - timing.stream_cycles) if len(step.folds) > 1 else 0
    first = step.folds[0]
    comes_in = drain_cycles(grid, rows=first.rows, columns=first.columns) if step.is_held else 0
    return timing.total_cycles + lag + comes_in


def requantizer_clocks(step: LayerStep) -> int:
    """Clock cycles of the requantizer behind the step, 0 if it does not follow."""
    block, unit = step.block, step.accelerator.requantizer
    return unit.latency_cycles + -(-block.outputs // unit.lanes) if step.requantizes else 0


def write_waveform(step: LayerStep, path: str | Path, *, clocks: Clocks | None = None) -> None:
    """Write a step as a value change dump (IEEE Std 1364): clock, controller, PEs, accumulators, requantizer, overflows.

    `StepSignals` lists the signals. Equal steps give equal bytes.

    Parameters
    ----------
    clocks : that are written, counted from 0: first the grid's, then the requantizer's; all if left out.

    Raises
    ------
    OutputError : the file cannot be written. HardwareError : a clock too fast for a dump's time unit.
    AccelsimError : clocks that the step does not have.
    """
    total = step_clocks(step) + requantizer_clocks(step)
    shown, half = checked_clocks(step, clocks or (0, total)), _half_cycle(step)
    run = step.run()
    with whole_file(Path(path)) as target:
        _Dump(step, run, target, half=half, clocks=shown, total=total).write()


def checked_clocks(step: LayerStep, clocks: Clocks) -> Clocks:
    """A range of a step's clocks; an end behind the last is cut.

    Raises
    ------
    AccelsimError : no clock of the step is among them.
    """
    total = step_clocks(step) + requantizer_clocks(step)
    first, end = clocks[0], min(clocks[1], total)
    if not 0 <= first < end:
        raise AccelsimError(f"expected a first and an end within the step's 0:{total}, got {clocks[0]}:{clocks[1]}",
                            field="clocks")
    return first, end


class _Dump:
    """One file, from its header to the last clock."""

    def __init__(self, step: LayerStep, run: StepRun, target: BinaryIO, *, half: Fraction, clocks: Clocks,
                 total: int) -> None:
        self._step, self._run, self._clocks, self._half = step, run, clocks, half
        self._rest: SeenClock | None = None
        self._unit, unit_name = next(unit for unit in _UNITS if half % unit[0] == 0 or unit[0] == 1)
        self._writer = VcdWriter(target, timescale=unit_name, version=f"accelsim {__version__}",
                                 comments=self._comments(total))
        self._signals = StepSignals(step, run, self._writer, clocks=total)

    def _comments(self, total: int) -> list[str]:
        step, grid = self._step, self._step.accelerator.pe_grid
        first, end = self._clocks
        signs = {True: "signed", False: "unsigned"}
        frequency = format_scaled(step.accelerator.clock_hz, "Hz")
        cut = "" if self._half.denominator == 1 else "; its edges are cut to whole femtoseconds"
        return [
            f"model {step.network}, layer {step.layer}, tile {step.tile} of {step.tiles} (step {step.step.number} of its "
            f"program: {step.ranges_text})",
            f"accelerator {step.accelerator.name}: {grid.rows} x {grid.columns} PEs, {grid.dataflow}, clock "
            f"{frequency}{cut}",
            f"clock cycles {first} to {end - 1} of {total}: {self._run.clocks} of the grid, then "
            f"{total - self._run.clocks} of the requantizer",
            f"operands: {step.source}; inputs {signs[step.input_register.is_signed]} {step.input_register.bits} bits, "
            f"weights {signs[step.weight_register.is_signed]} {step.weight_register.bits} bits, all sums signed",
            *([step.remark] if step.remark else []),
            "x: holds nothing; memories (shadow, drain, accumulators) stand as a clock cycle leaves them",
        ]

    def write(self) -> None:
        self._signals.declare()
        first, end = self._clocks
        self._writer.begin(self._time(2 * first))
        try:
            self._step.run(StepWatch(self._step, self._run, self._tell))
            self._after()
        except _Enough:
            pass
        self._writer.end(self._time(2 * end))

    def _time(self, halves: int) -> int:
        """Time of an edge, in units; cut where a cycle is not a whole number of them."""
        return int(halves * self._half // self._unit)

    def _tell(self, clock: SeenClock) -> None:
        if self._begin(clock.cycle):
            self._signals.show(clock)
            self._finish(clock.cycle)
        if clock.cycle == self._run.clocks - 1:
            self._rest = clock.at_rest()

    def _after(self) -> None:
        """The requantizer's clocks."""
        step, block = self._step, self._step.block
        if not step.requantizes:
            return
        outputs = step.outputs if step.outputs is not None else np.zeros((block.groups, block.positions, block.n), np.int64)
        clock_requantizer(step.accelerator.requantizer, outputs.reshape(-1), recorder=_After(self))

    def tell_after(self, cycle: int, lanes: Mapping[str, NDArray[Any]]) -> None:
        """A clock of the requantizer, counted from 0."""
        cycle += self._run.clocks
        assert self._rest is not None, "the requantizer follows the grid's last clock"
        if self._begin(cycle):
            self._signals.show(replace(self._rest, cycle=cycle), lanes)
            self._finish(cycle)

    def _begin(self, cycle: int) -> bool:
        first, end = self._clocks
        if cycle >= end:
            raise _Enough
        if cycle < first:
            return False
        if cycle > first:
            self._writer.at(self._time(2 * cycle))
        self._signals.show_clock(1)
        return True

    def _finish(self, cycle: int) -> None:
        self._writer.at(self._time(2 * cycle + 1))
        self._signals.show_clock(0)


class _After:
    """A recorder of the requantizer."""

    def __init__(self, dump: _Dump) -> None:
        self._dump = dump

    def clock(self, cycle: int, registers: Mapping[str, NDArray[Any]]) -> None:
        self._dump.tell_after(cycle, registers)


class _Enough(Exception):
    """The last clock that is wanted has been written; no error."""


def _half_cycle(step: LayerStep) -> Fraction:
    """Half a clock cycle in femtoseconds."""
    hertz = step.accelerator.clock_hz
    if 2 * hertz > _FEMTOSECONDS_PER_SECOND:
        raise HardwareError(f"expected at most 500 THz, whose half cycle a waveform can tell, got {hertz} Hz", field="clock",
                            file=step.accelerator.name)
    return Fraction(_FEMTOSECONDS_PER_SECOND, 2 * hertz)
