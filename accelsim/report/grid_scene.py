"""The moving picture of a PE grid: what each place shows in each clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.requantizer_lanes import clock_requantizer
from accelsim.report.grid_film import Frame, GridFilm
from accelsim.report.grid_paints import GridPaints
from accelsim.report.grid_places import LANE_HEIGHT, PARTS, GridPlaces
from accelsim.report.grid_timeline import HEIGHT, add_timeline
from accelsim.report.palette import INK, MUTED
from accelsim.report.pe_grid_drawing import FLOWS
from accelsim.report.scene import Paint, Scene, SceneBuilder, Slot
from accelsim.report.waveform import Clocks, requantizer_clocks, step_clocks


def grid_scene(step: LayerStep, *, clocks: Clocks) -> Scene:
    """A step's clocks from the first up to the last, which is left out, as a scene."""
    return GridScene(step, clocks).scene


class GridScene:
    """Fills the places of a picture, clock by clock.

    Parameters
    ----------
    places, paints : numbers of the scene's slots and paints by what they mean.
    """

    def __init__(self, step: LayerStep, clocks: Clocks) -> None:
        grid = step.accelerator.pe_grid
        total = step_clocks(step) + requantizer_clocks(step)
        first, end = clocks[0], min(clocks[1], total)
        hop = max(grid.registers_per_row_hop, grid.registers_per_column_hop, 1)
        late = grid.adder_tree_stages + grid.extra_stages if grid.dataflow == "dot_product" else 0
        self.step, self.grid = step, grid
        self.film = film = GridFilm.of(step, first=max(0, first - late), end=end + 2 * hop)
        self.builder = builder = SceneBuilder()
        self.paints = paints = GridPaints(builder)
        self.places = places = GridPlaces(film, builder)
        self._by_lane = self._sums_by_lane()
        self._clock, self._streams, self._loads, self._alarm = (
            builder.slot(slot) for slot in (
                Slot(places.width - 24 - 150, 14, 150, 24, size=19, align="right"),
                Slot(24, 62, 300, 22, size=12), Slot(334, 62, 200, 22, size=12),
                Slot(24, 86, places.width - 48, 16, size=11.5, align="left")))
        self._add_words()
        y = places.below
        if step.requantizes:
            self._add_requantizer_words(y)
            places.add_requantizer(y)
            y += 64
        cursor = add_timeline(builder, paints, film, x=24, y=y + 12, width=places.width - 48, clocks=total,
                              shown=(first, end))
        lanes = self._requantizer_clocks()
        for cycle in range(first, end):
            frame = film.frame(cycle)
            if frame is not None and cycle < film.run.clocks:
                self._show(frame)
            else:
                self._show_after(cycle, lanes)
            builder.next_frame()
        self.scene = Scene(step.title, places.width, int(y + 12 + HEIGHT), builder.paints, builder.slots, builder.frames,
                           range(first, end), cursor)

    # What never changes.

    def _add_words(self) -> None:
        step, grid, places, builder = self.step, self.grid, self.places, self.builder
        muted = Paint("", "", MUTED)
        builder.fix(Slot(24, 14, places.width - 200, 22, size=16, align="left"), Paint("", "", INK, 1, True),
                    f"{step.network} · {step.layer} · tile {step.tile} (of {step.tiles})")
        words = f"{step.accelerator.name}: {grid.rows} x {grid.columns} PEs, {grid.dataflow.replace('_', ' ')}"
        builder.fix(Slot(24, 39, places.width - 48, 16, size=11.5, align="left"), muted, f"{words} · {step.ranges_text}")
        self._add_legend(places.header - 38)
        flow = FLOWS[grid.dataflow]
        words = f"rows: {flow.rows} · columns: {flow.columns} · colour: step of the stream · tint of a PE: fold"
        builder.fix(Slot(24, places.header - 20, places.width - 48, 14, size=11, align="left"), muted, words)
        if self.film.is_tree:
            builder.fix(Slot(places.tree_x, places.y - 14, 110, 14, size=11, align="left"), muted, "adder tree")
        if self.film.has_lanes_at_right:
            builder.fix(Slot(places.lanes_x, places.y - 14, 110, 14, size=11, align="left"), muted, "accumulators")
        else:
            builder.fix(Slot(20, places.below - LANE_HEIGHT - 13, 84, 16, size=10, align="left"), muted, "accumulators")
        if places.is_cut:
            text = f"only the first {self.film.rows} x {self.film.columns} of {grid.rows} x {grid.columns} PEs are shown"
            builder.fix(Slot(places.x, places.bottom + 4, 420, 16, size=11, align="left"), Paint("", "", INK, 1, True), text)

    def _add_legend(self, y: float) -> None:
        """Small boxes with words."""
        builder, paints, kind = self.builder, self.paints, self.grid.dataflow
        moving, held = ("weight", "input") if kind == "input_stationary" else ("input", "weight")
        entries = {
            "output_stationary": (("token", "input, moves right"), ("token", "weight, moves down"), ("sum", "own sum"),
                                  ("drain", "result on its way out")),
            "dot_product": (("token", f"{moving}, to a whole column"), ("held", f"{held}, stays"),
                            ("next", "next fold's"), ("sum", "sum of a row")),
        }.get(kind, (("token", f"{moving}, moves right"), ("held", f"{held}, stays"), ("next", "next fold's"),
                     ("load", "being loaded"), ("sum", "partial sum, moves down")))
        if kind == "output_stationary" and self.step.is_held:
            entries = (*entries, ("load", "next fold's start"))
        looks = {"token": paints.token(0), "held": paints.held(0), "next": paints.next(1), "load": paints.load(1),
                 "sum": paints.sum(0), "drain": paints.drain(0)}
        x = 24.0
        for look, words in entries:
            builder.fix(Slot(x, y + 1, 20, 13, radius=6.5 if look == "token" else 3), builder.paints[looks[look]])
            builder.fix(Slot(x + 25, y, 200, 15, size=11, align="left"), Paint("", "", INK), words)
            x += 25 + 6.2 * len(words) + 16

    def _add_requantizer_words(self, y: float) -> None:
        unit, ink = self.step.accelerator.requantizer, Paint("", "", INK)
        for place, words in ((0, "requantizer reads"), (26, "and writes")):
            self.builder.fix(Slot(24, y + place, 110, 22, size=10, align="left"), ink, words)
        hidden = unit.lanes - min(unit.lanes, 16)
        if hidden:
            self.builder.fix(Slot(24, y + 48, 300, 12, size=10, align="left"), Paint("", "", MUTED),
                             f"{hidden} more lanes are not shown")

    # What a clock shows.

    def _show(self, frame: Frame) -> None:
        self._show_words(frame)
        self._show_cells(frame)
        self._show_queues(frame)
        if self.film.is_tree:
            self._show_tree(frame)
        self._show_lanes(frame)
        for slots in self.places.requantizer:
            for slot in slots:
                self.builder.put(slot, self.paints.idle)

    def _show_words(self, frame: Frame) -> None:
        builder, paints, activity = self.builder, self.paints, frame.activity
        folds = len(self.step.folds)
        builder.put(self._clock, paints.strong, f"clock {frame.cycle:,}")
        if activity.streams >= 0:
            step = f", step {activity.step} (of {self.step.folds[activity.streams].streamed})" if activity.step >= 0 else ""
            builder.put(self._streams, paints.chip(activity.streams), f"streams fold {activity.streams} (of {folds}){step}")
        if activity.loads >= 0:
            what = "start values of fold" if self.grid.dataflow == "output_stationary" else "loads fold"
            builder.put(self._loads, paints.chip(activity.loads), f"{what} {activity.loads}, row {activity.row}")
        if len(frame.events):
            builder.put(self._alarm, paints.alarm, self._alarm_text(frame))

    def _alarm_text(self, frame: Frame) -> str:
        events, first = self.film.run.events, int(frame.events[0])
        row, column = int(events.row[first]), int(events.column[first])
        if row >= 0 and column >= 0:
            where = f"PE ({row}, {column})"
        else:
            where = f"the accumulator of {'row' if row >= 0 else 'column'} {max(row, column)}"
        bits = self.step.wires.bits if events.on_wires[first] else self.step.accumulator.bits
        more = f", and {len(frame.events) - 1} more" if len(frame.events) > 1 else ""
        return (f"overflow at {where}: {events.exact[first]} does not fit {bits} bits, kept is {events.kept[first]}{more}")

    def _show_cells(self, frame: Frame) -> None:
        film, paints = self.film, self.paints
        token = frame.values["token"]
        for row in range(film.rows):
            for column in range(film.columns):
                number = int(token[0, 0] if film.is_tree else token[row, column])
                begun = int(frame.begun[row, column])
                self.builder.put(self.places.cells["pe", row, column], paints.pe(begun))
                step = film.hue(number)[1] if number > 0 else -1
                at = (column,) if film.is_tree else (row, column)
                self._put("token", "streamed", frame, row, column, paints.token(step), at)
                self._put("down", "streamed_down", frame, row, column, paints.token(step))
                self._put("held", "stationary", frame, row, column, paints.held(max(begun, 0)))
                if not film.is_tree:
                    own = self.grid.dataflow == "output_stationary"
                    self._put("sum", "sum", frame, row, column, paints.sum(step) if step >= 0 or not own else paints.kept)
                self._put("drain", "draining", frame, row, column, paints.drain(self._draining_fold(frame)))
                loaded = int(frame.loaded[row, column])
                if loaded > begun or (begun < 0 and loaded >= 0):
                    self._put("next", "shadow", frame, row, column, paints.next(loaded))
                loading = film.loading_fold(frame.cycle, row, column)
                if loading >= 0:
                    self._put("load", "loading", frame, row, column, paints.load(loading))
        events = film.run.events
        for row, column in zip(events.row[frame.events].tolist(), events.column[frame.events].tolist(), strict=True):
            if ("flash", row, column) in self.places.cells:
                self.builder.put(self.places.cells["flash", row, column], paints.flash)

    def _draining_fold(self, frame: Frame) -> int:
        """The latest fold whose stream is over."""
        now = frame.cycle - self.film.run.origin
        return max(0, sum(1 for fold in self.film.run.folds if fold.last_operand <= now) - 1)

    def _put(self, name: str, register: str, frame: Frame, row: int, column: int, paint: int,
             at: tuple[int, ...] | None = None) -> None:
        """A register of a PE, if the picture has a place for it and it holds something."""
        slot = self.places.cells.get((name, row, column))
        at = at or (row, column)
        if slot is not None and register in frame.values and frame.holds[register][at]:
            self.builder.put(slot, paint, str(int(frame.values[register][at])))

    def _show_queues(self, frame: Frame) -> None:
        """What will be at the first PE of a lane some clocks later."""
        film, places, grid = self.film, self.places, self.grid
        down = grid.registers_per_row_hop
        hops = {"token": grid.registers_per_column_hop, "down": down, "load": down}
        registers = {"token": "streamed", "down": "streamed_down", "load": "loading"}
        for (name, lane, distance), slot in places.queue.items():
            later = film.frame(frame.cycle + distance * (1 if film.is_tree else max(1, hops[name])))
            if later is None:
                continue
            if film.is_tree:
                at: tuple[int, ...] = (lane,)
            else:
                at = (lane, 0) if name == "token" else (0, lane)
            if not later.holds[registers[name]][at]:
                continue
            if name == "load":
                paint = self.paints.load(max(0, film.loading_fold(later.cycle, *at)))
            else:
                number = int(later.values["token"][0, 0] if film.is_tree else later.values["token"][at])
                paint = self.paints.token(film.hue(number)[1])
            self.builder.put(slot, paint, str(int(later.values[registers[name]][at])))

    def _show_tree(self, frame: Frame) -> None:
        """Sums of the rows, and those of earlier clocks on their way to the accumulators."""
        for (row, stage), slot in self.places.sums.items():
            earlier = self.film.frame(frame.cycle - stage)
            if earlier is None or not earlier.holds["sum"][row]:
                self.builder.put(slot, self.paints.idle)
                continue
            step = self.film.hue(int(earlier.values["token"][0, 0]))[1]
            sign = "" if stage else "Σ "
            self.builder.put(slot, self.paints.sum(step), sign + str(int(earlier.values["sum"][row])))

    def _show_lanes(self, frame: Frame) -> None:
        added = self.film.added[frame.cycle - self.film.first]
        events = self.film.run.events
        alarmed = {max(row, column) for row, column in zip(events.row[frame.events].tolist(),
                                                           events.column[frame.events].tolist(), strict=True)
                   if min(row, column) < 0}
        for lane, places in enumerate(self.places.lanes):
            value = self._show_latest(lane, frame.latest)
            if frame.lanes[lane]:
                step = self.film.hue(int(frame.writers[lane]))[1]
                self.builder.put(places.value, self.paints.arrival(step), value)
            if lane in alarmed:
                self.builder.put(places.flash, self.paints.flash)
            self._show_share(places.parts, int(added[lane]), int(self._by_lane[lane]))

    def _show_latest(self, lane: int, latest: tuple[NDArray[np.int64], NDArray[Any]]) -> str:
        """The output that got a sum last, and what it holds; returns the latter."""
        entry, places = int(latest[0][lane]), self.places.lanes[lane]
        text = str(int(latest[1][lane])) if entry else ""
        self.builder.put(places.label, self.paints.muted, self._entry_label(entry) if entry else "")
        self.builder.put(places.value, self.paints.kept if entry else self.paints.idle, text)
        return text

    def _show_share(self, parts: list[int], done: int, of: int) -> None:
        full = PARTS * done // of if of else 0
        for place, slot in enumerate(parts):
            self.builder.put(slot, self.paints.full if place < full else self.paints.empty)

    def _entry_label(self, entry: int) -> str:
        """Position and channel of an output, as the layer counts."""
        step = self.step.step
        group, m, n = (int(index) for index in np.unravel_index(entry - 1, self.step.layout.outputs))
        channel = "sum" if n == self.step.block.n else f"n{step.n[0] + n}"
        return (f"g{step.groups[0] + group} " if self.step.work.groups > 1 else "") + f"m{step.m[0] + m} {channel}"

    def _sums_by_lane(self) -> NDArray[np.int64]:
        """Sums that each lane's accumulators get in the whole step."""
        film, grid = self.film, self.grid
        found = np.zeros(grid.rows if film.has_lanes_at_right else grid.columns, np.int64)
        for fold in self.step.folds:
            entries = self.step.layout.entries(fold) > 0
            if grid.dataflow == "output_stationary" and grid.drain == "columns":
                entries = entries.swapaxes(-1, -2)
            found += entries.reshape(-1, entries.shape[-1]).sum(axis=0)
        return found

    # Behind the grid's last clock.

    def _requantizer_clocks(self) -> list[Mapping[str, NDArray[Any]]]:
        """The requantizer's registers, clock by clock."""
        if not self.step.requantizes:
            return []
        kept = _Kept()
        shape = (self.step.block.groups, self.step.block.positions, self.step.block.n)
        outputs = self.step.outputs if self.step.outputs is not None else np.zeros(shape, np.int64)
        clock_requantizer(self.step.accelerator.requantizer, outputs.reshape(-1), recorder=kept)
        return kept.clocks

    def _show_after(self, cycle: int, lanes: list[Mapping[str, NDArray[Any]]]) -> None:
        film, builder, paints = self.film, self.builder, self.paints
        builder.put(self._clock, paints.strong, f"clock {cycle:,}")
        builder.put(self._streams, paints.text, "the block is complete and is requantized")
        for row in range(film.rows):
            for column in range(film.columns):
                builder.put(self.places.cells["pe", row, column], paints.pe(int(film.begun[row, column])))
        for lane, places in enumerate(self.places.lanes):
            self._show_latest(lane, film.latest)
            self._show_share(places.parts, 1, 1)
        registers = lanes[cycle - film.run.clocks]
        held = film.run.held[..., :self.step.block.n].reshape(-1)
        for lane, (reads, writes) in enumerate(self.places.requantizer):
            place, out = int(registers["reading_place"][lane]), int(registers["writing_place"][lane])
            builder.put(reads, paints.reading if place else paints.idle, str(int(held[place - 1])) if place else "")
            text = str(int(registers["writing"][lane])) if out and self.step.outputs is not None else "?" if out else ""
            builder.put(writes, paints.writing if out else paints.idle, text)


class _Kept:
    """Copies of the requantizer's registers."""

    def __init__(self) -> None:
        self.clocks: list[Mapping[str, NDArray[Any]]] = []

    def clock(self, cycle: int, registers: Mapping[str, NDArray[Any]]) -> None:
        self.clocks.append({name: array.copy() for name, array in registers.items()})
