"""The signals of a compute step in a waveform: what they are called, how wide they are, and what they show in each clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.step_run import StepRun
from accelsim.machine.stepped.step_watch import SeenClock
from accelsim.report.vcd import Signals, VcdWriter

#: Registers -> what they are called in a PE's scope, by dataflow; "{}" stands for the stationary operand.
_STATIONARY = {"token": "operand", "stationary": "{}", "shadow": "{}_shadow", "loading": "{}_loading",
               "loading_row": "loading_row", "sum": "partial_sum"}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "weight_stationary": {"streamed": "input", **_STATIONARY},
    "input_stationary": {"streamed": "weight", **_STATIONARY},
    "dot_product": {"streamed": "input", **_STATIONARY},
    "output_stationary": {"streamed": "input", "streamed_down": "weight", "token": "operand", "sum": "partial_sum",
                          "draining": "drain", "shadow": "start_shadow", "loading": "start_loading",
                          "loading_row": "loading_row"},
}


class StepSignals:
    """Declares the signals of a step, and shows them clock by clock.

    ::

        controller.clock                       1 in the first half of each clock cycle
        controller.cycle                       number of the clock cycle, from 0
        controller.load_fold, load_row         fold whose stationary operands enter, and their row
        controller.stream_fold, stream_step    fold whose operands enter or are worked on, and their step
        controller.enters                      whether operands enter in this clock
        grid.row03.pe05.input, weight, partial_sum, weight_shadow, weight_loading, loading_row, operand, drain, overflow
        accumulators.lane05.m007_n05           the entry of an output; operand: whose sum is added; overflow
        requantizer.lane05.accumulator, output and their places in the block, from 1 on
        overflow.event, count, row, column     of a clock's overflows; PE of the first, x for an accumulator

    Between two rising edges of the clock stands what the registers show in that clock; memories (shadow and drain registers,
    accumulators) stand as the clock leaves them. Where a PE works on several pairs, positions or channels at once, q, p and
    c behind a name number them.

    Parameters
    ----------
    run : of the step, for its overflows and what the accumulators hold in the end.
    clocks : of the step and the requantizer behind it.
    """

    def __init__(self, step: LayerStep, run: StepRun, writer: VcdWriter, *, clocks: int) -> None:
        self._step, self._run, self._writer, self._grid = step, run, writer, step.accelerator.pe_grid
        self._kind = self._grid.dataflow
        grid, layout = self._grid, step.layout
        self._lanes = grid.rows if self._kind == "dot_product" or grid.drain == "columns" else grid.columns
        folds, steps = len(step.folds), max(fold.streamed for fold in step.folds)
        rows = max(grid.rows, grid.columns, grid.preload_cycles or 0)
        one = writer.signals
        self._clock = one(bits=1, shape=())
        self._controller = {name: one(bits=bits, shape=()) for name, bits in (
            ("cycle", _bits(clocks)), ("load_fold", _bits(folds)), ("load_row", _bits(rows)),
            ("stream_fold", _bits(folds)), ("stream_step", _bits(steps)), ("enters", 1))}
        self._registers = {name: one(bits=bits, shape=shape) for name, (bits, shape) in self._sizes().items()}
        tokens = _bits(1 + sum(fold.streamed for fold in step.folds))
        outputs = int(np.prod(layout.outputs))
        self._accumulators = one(bits=step.accumulator.bits, shape=(outputs,))
        self._writers = one(bits=tokens, shape=(self._lanes,))
        self._overflows = one(bits=1, shape=(grid.rows, grid.columns)), one(bits=1, shape=(self._lanes,))
        self._events = {name: one(bits=bits, shape=()) for name, bits in (
            ("event", 1), ("count", _bits(2 * grid.pes * layout.sums * layout.slots + 1)), ("row", _bits(grid.rows)),
            ("column", _bits(grid.columns)))}
        lanes = step.accelerator.requantizer.lanes
        self._requantizer = {} if not step.requantizes else {name: one(bits=bits, shape=(lanes,)) for name, bits in (
            ("accumulator_place", _bits(1 + outputs)), ("accumulator", step.accumulator.bits),
            ("output_place", _bits(1 + outputs)), ("output", self._output_bits))}

    @property
    def _output_bits(self) -> int:
        return max(self._step.work.output_bits, 1)

    def _sizes(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """(bits, shape) of the recorder's registers."""
        step, grid, layout = self._step, self._grid, self._step.layout
        inputs, weights = step.input_register.bits, step.weight_register.bits
        at_pes = (grid.rows, grid.columns)
        tokens, rows = _bits(1 + sum(fold.streamed for fold in step.folds)), _bits(1 + max(at_pes))
        streamed_bits, held_bits = (weights, inputs) if self._kind == "input_stationary" else (inputs, weights)
        if self._kind == "output_stationary":
            sums = (layout.sums, *at_pes)
            sizes = {"streamed": (inputs, (grid.pixels, 1, layout.slots, *at_pes)),
                     "streamed_down": (weights, (1, step.cost.channels, layout.slots, *at_pes)),
                     "token": (tokens, at_pes), "sum": (step.accumulator.bits, sums),
                     "draining": (step.accumulator.bits, sums)}
            held = {"shadow": (step.accumulator.bits, sums), "loading": (step.accumulator.bits, sums),
                    "loading_row": (rows, at_pes)}
            return sizes | (held if step.is_held else {})
        is_tree = self._kind == "dot_product"
        lanes = layout.streamed_shape if is_tree else (*layout.streamed_shape, grid.columns)
        # The adder tree is exact: as wide as the sum of all products of a row can be.
        tree = inputs + weights + (grid.columns * layout.slots - 1).bit_length()
        return {"streamed": (streamed_bits, lanes), "token": (tokens, (1, 1) if is_tree else at_pes),
                "stationary": (held_bits, layout.held_shape), "shadow": (held_bits, layout.held_shape),
                "loading": (held_bits, layout.held_shape), "loading_row": (rows, at_pes),
                "sum": (tree, (layout.sums, grid.rows)) if is_tree else (step.wires.bits, (layout.sums, *at_pes))}

    def declare(self) -> None:
        """The header's scopes and variables."""
        writer = self._writer
        for scope, signals in (("controller", {"clock": self._clock, **self._controller}), ("overflow", self._events)):
            with writer.scope(scope):
                for name, signal in signals.items():
                    writer.variable(name, signal, 0)
        with writer.scope("grid"):
            self._declare_grid()
        with writer.scope("accumulators"):
            self._declare_accumulators()
        if self._requantizer:
            with writer.scope("requantizer"):
                lanes = self._step.accelerator.requantizer.lanes
                for lane in range(lanes):
                    with writer.scope(f"lane{_number(lane, lanes)}"):
                        for name, signal in self._requantizer.items():
                            writer.variable(name, signal, lane)

    def _declare_grid(self) -> None:
        writer, grid, is_tree = self._writer, self._grid, self._kind == "dot_product"
        if is_tree:
            writer.variable("operand", self._registers["token"], 0)
        for row in range(grid.rows):
            with writer.scope(f"row{_number(row, grid.rows)}"):
                if is_tree:
                    for place, suffix in self._places("sum", (row,)):
                        writer.variable("tree_sum" + suffix, self._registers["sum"], place)
                for column in range(grid.columns):
                    with writer.scope(f"pe{_number(column, grid.columns)}"):
                        self._declare_pe(row, column)

    def _declare_pe(self, row: int, column: int) -> None:
        held = "input" if self._kind == "input_stationary" else "weight"
        for register, name in _NAMES[self._kind].items():
            if register not in self._registers or (self._kind == "dot_product" and register in ("token", "sum")):
                continue
            at = (column,) if self._kind == "dot_product" and register == "streamed" else (row, column)
            for place, suffix in self._places(register, at):
                self._writer.variable(name.format(held) + suffix, self._registers[register], place)
        self._writer.variable("overflow", self._overflows[0], row * self._grid.columns + column)

    def _places(self, register: str, at: tuple[int, ...]) -> list[tuple[int, str]]:
        """(place, end of the name) of a register's variables at some PE: one a position, channel and pair."""
        shape, channels = self._registers[register].shape, self._step.cost.channels
        planes = shape[:len(shape) - len(at)]
        sizes = (planes[0] // channels, channels) if len(planes) == 1 else planes  # sums: positions times channels
        found = []
        for numbers in np.ndindex(*sizes):
            index = (numbers[0] * channels + numbers[1],) if len(planes) == 1 else numbers
            suffix = "".join(f"_{letter}{number}" for letter, number, size in zip("pcq", numbers, sizes, strict=False)
                             if size > 1)
            found.append((int(np.ravel_multi_index((*index, *at), shape)), suffix))
        return found

    def _declare_accumulators(self) -> None:
        writer, step = self._writer, self._step
        by_lane = lanes_of_outputs(step, self._lanes)
        groups, positions, channels = (start for start, _ in (step.step.groups, step.step.m, step.step.n))
        last = (step.step.groups[1], step.step.m[1], step.step.n[1])
        for lane in range(self._lanes):
            with writer.scope(f"lane{_number(lane, self._lanes)}"):
                writer.variable("operand", self._writers, lane)
                writer.variable("overflow", self._overflows[1], lane)
                for entry in np.nonzero(by_lane == lane)[0]:
                    group, m, n = (int(index) for index in np.unravel_index(entry - 1, step.layout.outputs))
                    is_sum = n == step.block.n  # the channel of ones
                    channel = "sum" if is_sum else f"n{_number(channels + n, last[2])}"
                    label = f"m{_number(positions + m, last[1])}_{channel}"
                    if step.work.groups > 1:
                        label = f"g{_number(groups + group, last[0])}_{label}"
                    writer.variable(label, self._accumulators, int(entry) - 1)

    def show(self, clock: SeenClock, lanes: Mapping[str, NDArray[Any]] | None = None) -> None:
        """What the signals hold in a clock; `lanes` are the requantizer's registers if it works."""
        activity, writer = clock.activity, self._writer
        loads, streams = activity.loads >= 0, activity.streams >= 0
        self._show_all(self._controller, {
            "cycle": (clock.cycle, True), "load_fold": (activity.loads, loads), "load_row": (activity.row, loads),
            "stream_fold": (activity.streams, streams), "stream_step": (activity.step, activity.step >= 0),
            "enters": (int(activity.enters), True)})
        for name, signals in self._registers.items():
            writer.show(signals, clock.registers[name], clock.holds[name])
        writer.show(self._accumulators, clock.registers["accumulators"][1:], clock.holds["accumulators"][1:])
        writer.show(self._writers, clock.writers, clock.writers > 0)
        self._show_overflows(clock)
        if lanes is not None:
            self._show_requantizer(lanes)
        else:
            for signals in self._requantizer.values():
                writer.show(signals, np.zeros(signals.shape, np.int64), False)

    def _show_overflows(self, clock: SeenClock) -> None:
        events, is_tree = self._run.events, self._kind == "dot_product"
        rows, columns = events.row[clock.events], events.column[clock.events]
        at_pe = (rows >= 0) & (columns >= 0)
        pes, lanes = (np.zeros(signals.shape, np.int64) for signals in self._overflows)
        pes[rows[at_pe], columns[at_pe]] = 1
        lanes[(rows if is_tree else columns)[~at_pe]] = 1
        self._writer.show(self._overflows[0], pes)
        self._writer.show(self._overflows[1], lanes)
        count = len(clock.events)
        row, column = (int(rows[0]), int(columns[0])) if count else (-1, -1)
        self._show_all(self._events, {"event": (int(count > 0), True), "count": (count, True), "row": (row, row >= 0),
                                      "column": (column, column >= 0)})

    def _show_requantizer(self, lanes: Mapping[str, NDArray[Any]]) -> None:
        """Each lane reads an accumulator, and some clocks later writes its output."""
        held = self._run.held[..., :self._step.block.n].reshape(-1)
        reading, writing = lanes["reading_place"], lanes["writing_place"]
        show = self._writer.show
        show(self._requantizer["accumulator_place"], reading, reading > 0)
        show(self._requantizer["accumulator"], held[np.maximum(reading - 1, 0)], reading > 0)
        show(self._requantizer["output_place"], writing, writing > 0)
        show(self._requantizer["output"], lanes["writing"], (writing > 0) & (self._step.outputs is not None))

    def show_clock(self, level: int) -> None:
        """The clock signal."""
        self._writer.show(self._clock, np.array(level))

    def _show_all(self, signals: Mapping[str, Signals], values: Mapping[str, tuple[int, bool]]) -> None:
        for name, (value, holds) in values.items():
            self._writer.show(signals[name], np.array(value), holds)


def lanes_of_outputs(step: LayerStep, lanes: int) -> NDArray[np.int64]:
    """The lane in which each entry of the accumulators lies; entry 0 in none, -1."""
    grid, found = step.accelerator.pe_grid, np.full(1 + int(np.prod(step.layout.outputs)), -1, np.int64)
    for fold in step.folds:
        entries = step.layout.entries(fold)
        if grid.dataflow == "output_stationary" and grid.drain == "columns":
            entries = entries.swapaxes(-1, -2)
        found[entries] = np.arange(lanes)
    found[0] = -1
    return found


def _bits(count: int) -> int:
    """Bits that numbers below `count` need."""
    return max(1, (count - 1).bit_length())


def _number(number: int, count: int) -> str:
    """A number in as many digits as the largest below `count` has, two at least.

    >>> _number(3, 4), _number(3, 128)
    ('03', '003')
    """
    return f"{number:0{max(2, len(str(count - 1)))}d}"
