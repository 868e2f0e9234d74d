"""An output block as the beats that a design takes: rows to load, operands to stream, entries to read.

Folds and the places of operands on the grid are those of `accelsim.machine.stepped`; unused PEs get zeros, or words that say
that there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.fold import Fold, folds
from accelsim.machine.stepped.layout import Layout
from accelsim.mapping.fold import FoldRun
from accelsim.mapping.fold_plan import BlockShape, fold_runs, step_cost
from accelsim.mapping.lowering import GemmWork
from accelsim.rtl.design import GridDesign
from accelsim.rtl.products.mode import Mode

#: What the ports of a channel carry in one handshake: port -> integers, the first in the lowest bits.
Beat = dict[str, tuple[int, ...]]

#: (group, position, channel) of an output.
Output = tuple[int, int, int]


class Entry(NamedTuple):
    """An accumulator: its address in a half, its lane, its place among the sums of an entry."""

    address: int
    lane: int
    place: int


@dataclass(frozen=True)
class BlockStreams:
    """Beats of one block.

    Parameters
    ----------
    loads, streams : in order.
    banks : where PEs load from banks of their own, the words of each fold, row by row.
    places : where each output is at the end.
    folds, cost : for the closed forms.
    done_count : pulses of fold_done that the block gives.
    """

    loads: tuple[Beat, ...]
    streams: tuple[Beat, ...]
    banks: tuple[Beat, ...]
    places: dict[Output, Entry]
    folds: tuple[FoldRun, ...]
    cost: StepCost
    done_count: int


def block_streams(design: GridDesign, work: GemmWork, shape: BlockShape, mode: Mode, *, inputs: NDArray[Any],
                  weights: NDArray[Any], bias: NDArray[Any], half: int = 0, base: int = 0) -> BlockStreams:
    """The beats of a block.

    Parameters
    ----------
    inputs, weights : integers (G, M, K) and (G, N, K); of codebook PEs the places of the weights in the table.
    bias : (G, N).
    half, base : of the accumulators, and the first entry in it that the block may use.
    """
    builder = _Builder(design, work, shape, mode, inputs, weights, bias, half, base)
    builder.build()
    used = max(entry.address for entry in builder.places.values()) + 1
    assert used <= design.depth, f"a block of {used} entries a lane does not fit into {design.depth}"
    return BlockStreams(tuple(builder.loads), tuple(builder.streams), tuple(builder.banks), builder.places,
                        tuple(fold_runs(design.grid, work, shape)), step_cost(design.grid, work), builder.done_count)


class _Builder:
    """Collects the beats of a block, fold by fold."""

    def __init__(self, design: GridDesign, work: GemmWork, shape: BlockShape, mode: Mode, inputs: NDArray[Any],
                 weights: NDArray[Any], bias: NDArray[Any], half: int, base: int) -> None:
        self._design, self._grid, self._mode = design, design.grid, mode
        self._bias, self._half = bias, half
        cost, outputs = step_cost(design.grid, work), (shape.groups, shape.positions, shape.n)
        self._layout = Layout(design.grid, cost, outputs, inputs, weights)
        self._used = Layout(design.grid, cost, outputs, np.ones_like(inputs), np.ones_like(weights))
        self._folds = folds(design.grid, work, shape)
        self._next = _Entries(design, mode, base)
        self.loads: list[Beat] = []
        self.streams: list[Beat] = []
        self.banks: list[Beat] = []
        self.places: dict[Output, Entry] = {}
        self.done_count = 0

    def build(self) -> None:
        """All folds."""
        build = self._kept_outputs if self._design.is_output_stationary else self._kept_operands
        first = 0
        for number, fold in enumerate(self._folds):
            if fold.piece == 0:
                first = self._next.take(fold.streamed)
            follows = number + 1 < len(self._folds) and self._folds[number + 1].piece > 0
            build(fold, first, is_last=not follows)

    def _kept_operands(self, fold: Fold, first: int, *, is_last: bool) -> None:
        """A fold with a stationary operand."""
        entries = self._layout.entries(fold)  # (T, sums, lanes)
        self._load(fold, entries)
        self.done_count += 1
        streamed, used = self._layout.streamed(fold), self._used.streamed(fold)
        words = self._words("weight" if self._design.keeps_inputs else "input", streamed, used)  # (T, pixels or 1, lanes)
        operand = "weights" if self._design.keeps_inputs else "inputs"
        for step in range(fold.streamed):
            address, part = self._next.place(first + step)
            beat: Beat = {operand: flat(words[step].T)}
            if self._design.has_streamed_bias:
                beat |= self._biases(entries[step, :self._mode.channels, :1])
            self.streams.append(beat | self._control(
                is_last=step == fold.streamed - 1, starts=fold.piece == 0, address=address, part=part,
                lanes=entries[step].any(axis=0)))
            self._place(entries[step], address, part)

    def _load(self, fold: Fold, entries: NDArray[np.int64]) -> None:
        """The R rows of a fold's stationary operand, or what the PEs' banks have of it; biases beside them."""
        design = self._design
        name, operand = ("input", "inputs") if design.keeps_inputs else ("weight", "weights")
        held, used = self._layout.stationary(fold), self._used.stationary(fold)
        words = self._words(name, held, used, of_steps=False)  # (pixels or 1, R, C)
        of_lanes = entries[0, :self._mode.channels]
        if design.loads_from_banks:
            self.banks.append({operand: flat(words.transpose(1, 2, 0))})
            beat = self._biases(of_lanes) if design.has_bias_slots else {}
            self.loads += [beat] * max(1, design.preload_cycles)
            return
        for row in range(design.rows):
            beat = {operand: flat(words[:, row].T)}
            if design.has_bias_slots:
                beat |= self._biases(of_lanes[:, row:row + 1] if design.is_dot_product else of_lanes)
            self.loads.append(beat)

    def _kept_outputs(self, fold: Fold, first: int, *, is_last: bool) -> None:
        """A fold of an output-stationary grid."""
        design, layout = self._design, self._layout
        entries = layout.entries(fold)  # (sums, R, C)
        slots = entries.any(axis=(0, 1)) if design.drains_sideways else entries.any(axis=(0, 2))
        lanes = entries.any(axis=(0, 2)) if design.drains_sideways else entries.any(axis=(0, 1))
        self.done_count += is_last
        inputs = self._words("input", layout.streamed(fold), self._used.streamed(fold))  # (T, pixels, R)
        weights = self._words("weight", layout.column_operands(fold), self._used.column_operands(fold))  # (T, 1, C)
        address, part = self._next.place(first)
        for step in range(fold.streamed):
            beat: Beat = {"stream_drains": (int(is_last),), "stream_count": (int(slots.sum()),)}
            if design.is_overlapped:
                beat["stream_steps"] = (min(fold.streamed, design.drain_slots),)
            self.streams.append({"inputs": flat(inputs[step].T), "weights": flat(weights[step].T)}
                                | self._biases(entries[:self._mode.channels, 0])
                                | self._control(is_last=step == fold.streamed - 1, starts=fold.piece == 0 and step == 0,
                                                address=address, part=part, lanes=lanes) | beat)
        by_slot = entries.transpose(2, 0, 1) if design.drains_sideways else entries.transpose(1, 0, 2)
        for slot, of_slot in enumerate(by_slot):
            self._place(of_slot, address + slot, part)

    def _words(self, name: str, values: NDArray[Any], used: NDArray[Any], *, of_steps: bool = True) -> NDArray[Any]:
        """Words of the operands of PEs: of values (T, pixels or 1, channels or 1, slots, lanes), (T, pixels or 1, lanes);
        without steps of (pixels or 1, channels or 1, slots, R, C), (pixels or 1, R, C)."""
        inside = (2, 3) if of_steps else (1, 2)
        encode = self._design.arithmetic.weight_words if name == "weight" else self._design.arithmetic.input_words
        moved, mask = (np.moveaxis(array, inside, (-2, -1)) for array in (values, used))
        moved, mask = (array.reshape(*array.shape[:-2], -1) for array in (moved, mask))
        return encode(moved, mask, self._mode)

    def _place(self, entries: NDArray[np.int64], address: int, part: int) -> None:
        """Remember where outputs are: `entries` (sums, lanes) of the layout."""
        which = np.nonzero(entries)
        outputs = np.stack(self._layout.place(entries[which]), axis=-1).tolist()
        for (group, m, n), number, lane in zip(outputs, *(index.tolist() for index in which), strict=True):
            pixel, channel = divmod(number, self._mode.channels)
            place = pixel * self._design.channels + part * self._mode.channels + channel
            self.places[group, m, n] = Entry(address, lane, place)

    def _biases(self, entries: NDArray[np.int64]) -> Beat:
        """Of lanes (channels, lanes), in the order of the port; 0 for channels that are left over."""
        if not self._design.accumulators.preloads_bias:
            return {}
        biases = np.zeros((entries.shape[1], self._design.channels), dtype=object)
        group, _, n = self._layout.place(np.maximum(entries, 1))
        biases[:, :entries.shape[0]] = np.where(entries > 0, self._bias[group, n], 0).T
        return {"biases": flat(biases)}

    def _control(self, *, is_last: bool, starts: bool, address: int, part: int, lanes: Any) -> Beat:
        beat: Beat = {"stream_last": (int(is_last),), "stream_starts": (int(starts),), "stream_address": (address,),
                      "stream_lanes": flat(lanes)}
        if self._design.halves == 2:
            beat["stream_half"] = (self._half,)
        if self._design.channels > 1:
            beat["stream_part"] = (part,)
        return beat


class _Entries:
    """Which entries a block's outputs get: (address, part), of modes with fewer channels several parts of an address."""

    def __init__(self, design: GridDesign, mode: Mode, base: int) -> None:
        self._design, self._parts = design, design.channels // mode.channels
        self._taken, self._tiles, self._base = 0, 0, base

    def take(self, steps: int) -> int:
        """Entries for a tile that streams so many steps (output stationary: one for each slot of its drain)."""
        if not self._design.is_output_stationary:
            first, self._taken = self._taken, self._taken + steps
            return first
        self._tiles += 1
        return self._tiles - 1

    def place(self, number: int) -> tuple[int, int]:
        """The address and part of an entry (output stationary: of a tile's first slot)."""
        address, part = divmod(number, self._parts)
        return self._base + address * max(1, self._design.drain_slots), part


def entries_of(design: GridDesign, work: GemmWork, shape: BlockShape, mode: Mode) -> int:
    """Addresses that a block takes in each accumulator lane."""
    tiles = [fold.streamed for fold in folds(design.grid, work, shape) if fold.piece == 0]
    parts = design.channels // mode.channels
    if design.is_output_stationary:
        return -(-len(tiles) // parts) * design.drain_slots
    return -(-sum(tiles) // parts)


def flat(values: NDArray[Any] | Iterable[Any] | Sequence[Any]) -> tuple[int, ...]:
    """All values in C order: pixels before rows or columns."""
    return tuple(int(value) for value in np.asarray(values).ravel())
