"""An output block as the beats that a design takes: rows to load, operands to stream, entries to read.

Folds come in the order of `accelsim.mapping.fold_plan`, and every product lies on the PE and in the cycle that
`accelsim.mapping.fold_schedule` names. Unused PEs get zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.fold import FoldRun
from accelsim.mapping.fold_plan import (
    BlockShape,
    channel_lanes,
    fold_runs,
    groups_per_fold,
    position_lanes,
    reduction_lanes,
    reduction_segments,
)
from accelsim.mapping.lowering import GemmWork
from accelsim.rtl.design import GridDesign

#: What the ports of a channel carry in one handshake: port -> integers, the first in the lowest bits.
Beat = dict[str, tuple[int, ...]]

#: (group, position, channel) of an output.
Output = tuple[int, int, int]


class Entry(NamedTuple):
    """An accumulator: its address in a half, its lane, its pixel."""

    address: int
    lane: int
    pixel: int


@dataclass(frozen=True)
class BlockStreams:
    """Beats of one block.

    Parameters
    ----------
    loads, streams : in order.
    places : where each output is at the end.
    folds : for the closed forms.
    done_count : pulses of fold_done that the block gives.
    """

    loads: tuple[Beat, ...]
    streams: tuple[Beat, ...]
    places: dict[Output, Entry]
    folds: tuple[FoldRun, ...]
    done_count: int


def block_streams(design: GridDesign, work: GemmWork, block: BlockShape, *, inputs: NDArray[Any], weights: NDArray[Any],
                  bias: NDArray[Any], half: int = 0) -> BlockStreams:
    """The beats of a block.

    Parameters
    ----------
    inputs, weights : (G, M, K) and (G, N, K) as on the ports.
    bias : (G, N).
    half : of the accumulators.
    """
    kind = {"input_stationary": _KeptInputs, "output_stationary": _KeptOutputs}.get(design.grid.dataflow, _KeptWeights)
    builder = kind(design, work, block, inputs, weights, bias, half)
    builder.build()
    used = max(entry.address for entry in builder.places.values()) + 1
    assert used <= design.depth, f"a block of {used} entries a lane does not fit into {design.depth}"
    return BlockStreams(tuple(builder.loads), tuple(builder.streams), builder.places,
                        tuple(fold_runs(design.grid, work, block)), builder.done_count)


class _Builder:
    """Collects the beats of a block; what the dataflows share."""

    def __init__(self, design: GridDesign, work: GemmWork, block: BlockShape, inputs: NDArray[Any], weights: NDArray[Any],
                 bias: NDArray[Any], half: int) -> None:
        self.design, self.grid, self.block = design, design.grid, block
        self.inputs, self.weights, self.bias, self.half = inputs, weights, bias, half
        self.loads: list[Beat] = []
        self.streams: list[Beat] = []
        self.places: dict[Output, Entry] = {}
        self.done_count = 0
        self._per_fold = groups_per_fold(work, design.grid)
        is_split = design.grid.reduction == "channels" and work.window > 1
        #: Rows that a group of a shared fold takes.
        self.group_rows = work.channels if is_split else work.k
        lengths = [length for count, length in reduction_segments(design.grid, work, block) for _ in range(count)]
        self.segments = list(pairwise(np.cumsum([0, *lengths]).tolist()))

    def build(self) -> None:
        raise NotImplementedError

    def packs(self) -> Iterator[range]:
        """Groups that share a fold."""
        return self._cut(self.block.groups, self._per_fold)

    def pieces(self) -> list[tuple[int, int]]:
        """K ranges of the folds of one output tile."""
        lanes = reduction_lanes(self.grid)
        return [(first, min(first + lanes, last)) for start, last in self.segments for first in range(start, last, lanes)]

    @staticmethod
    def _cut(length: int, lanes: int) -> Iterator[range]:
        return (range(first, min(first + lanes, length)) for first in range(0, length, lanes))

    def channel_folds(self) -> list[range]:
        return list(self._cut(self.block.n, channel_lanes(self.grid)))

    def position_folds(self) -> list[range]:
        return list(self._cut(self.block.positions, position_lanes(self.grid)))

    def biases(self, values: Iterable[Any]) -> Beat:
        return {"biases": tuple(int(value) for value in values)} if self.design.accumulators.preloads_bias else {}

    def load(self, operand: str, matrix: NDArray[Any], biases: NDArray[Any]) -> None:
        """The R rows of a fold's stationary operand; biases with the last, of dot_product with each row its own."""
        for row, values in enumerate(matrix):
            beat: Beat = {operand: flat(values)}
            if self.design.has_bias_slots:
                beat |= self.biases(biases[row:row + 1] if self.design.is_dot_product else biases)
            self.loads.append(beat)

    def control(self, *, last: bool, starts: bool, address: int, lanes: Sequence[int]) -> Beat:
        used = set(lanes)
        beat: Beat = {"stream_last": (int(last),), "stream_starts": (int(starts),), "stream_address": (address,),
                      "stream_lanes": tuple(int(lane in used) for lane in range(self.design.lanes))}
        return beat | ({"stream_half": (self.half,)} if self.design.halves == 2 else {})


class _KeptWeights(_Builder):
    """Weight stationary, and dot_product."""

    def build(self) -> None:
        steps = list(self._cut(self.block.positions, self.grid.pixels))
        tiles = list(product(self.packs(), self.channel_folds()))
        for tile, (groups, channels) in enumerate(tiles):
            lanes = {(g, n): member * len(channels) + place for member, g in enumerate(groups)
                     for place, n in enumerate(channels)}
            for m, ((g, n), lane) in product(range(self.block.positions), lanes.items()):
                step, pixel = divmod(m, self.grid.pixels)
                self.places[g, m, n] = Entry(tile * len(steps) + step, lane, pixel)
            for piece, k in enumerate(self.pieces()):
                self._fold(groups, lanes, k, steps, starts=piece == 0, address=tile * len(steps))

    def _fold(self, groups: range, lanes: dict[tuple[int, int], int], k: tuple[int, int], steps: list[range], *,
              starts: bool, address: int) -> None:
        grid, depth = self.grid, k[1] - k[0]
        stationary = np.zeros((grid.rows, grid.columns), dtype=np.int64)
        biases = np.zeros(self.design.lanes, dtype=object)
        is_dot = self.design.is_dot_product
        for (g, n), lane in lanes.items():
            first = (g - groups[0]) * self.group_rows
            place = (lane, slice(0, depth)) if is_dot else (slice(first, first + depth), lane)
            stationary[place] = self.weights[g, n, k[0]:k[1]]
            biases[lane] = int(self.bias[g, n])
        self.load("weights", stationary, biases)
        self.done_count += 1
        for t, positions in enumerate(steps):
            streamed = np.zeros((grid.columns if is_dot else grid.rows, grid.pixels), dtype=np.int64)
            for member, g in enumerate(groups):
                rows = slice(member * self.group_rows, member * self.group_rows + depth)
                streamed[rows, :len(positions)] = self.inputs[g, list(positions), k[0]:k[1]].T
            self.streams.append({"inputs": flat(streamed)} | self.control(
                last=t == len(steps) - 1, starts=starts, address=address + t, lanes=list(lanes.values())))


class _KeptInputs(_Builder):
    """Input stationary."""

    def build(self) -> None:
        folds = self.position_folds()
        for (place, positions), groups in product(enumerate(folds), list(self.packs())):
            for g, m, n in product(groups, positions, range(self.block.n)):
                lane, pixel = divmod(m - positions[0], self.grid.pixels)
                self.places[g, m, n] = Entry(self._address(g, n, place, len(folds)), lane, pixel)
        for groups, (place, positions) in product(list(self.packs()), enumerate(folds)):
            for piece, k in enumerate(self.pieces()):
                self._fold(groups, positions, k, starts=piece == 0,
                           addresses={(g, n): self._address(g, n, place, len(folds))
                                      for g, n in product(groups, range(self.block.n))})

    def _address(self, g: int, n: int, fold: int, folds: int) -> int:
        return (g * self.block.n + n) * folds + fold

    def _fold(self, groups: range, positions: range, k: tuple[int, int], *, starts: bool,
              addresses: dict[tuple[int, int], int]) -> None:
        grid, depth = self.grid, k[1] - k[0]
        lanes = -(-len(positions) // grid.pixels)
        stationary = np.zeros((grid.rows, grid.columns * grid.pixels), dtype=np.int64)
        for member, g in enumerate(groups):
            rows = slice(member * self.group_rows, member * self.group_rows + depth)
            stationary[rows, :len(positions)] = self.inputs[g, list(positions), k[0]:k[1]].T
        self.load("inputs", stationary, np.zeros(0))
        self.done_count += 1
        for step, ((g, n), address) in enumerate(addresses.items()):
            streamed = np.zeros(grid.rows, dtype=np.int64)
            first = (g - groups[0]) * self.group_rows
            streamed[first:first + depth] = self.weights[g, n, k[0]:k[1]]
            self.streams.append({"weights": flat(streamed)} | self.biases([self.bias[g, n]]) | self.control(
                last=step == len(addresses) - 1, starts=starts, address=address, lanes=range(lanes)))


class _KeptOutputs(_Builder):
    """Output stationary."""

    def build(self) -> None:
        address = 0
        for g, positions, channels in product(range(self.block.groups), self.position_folds(), self.channel_folds()):
            rows = -(-len(positions) // self.grid.pixels)
            for m, n in product(positions, channels):
                row, pixel = divmod(m - positions[0], self.grid.pixels)
                column = n - channels[0]
                lane, slot = (row, column) if self.design.drains_sideways else (column, row)
                self.places[g, m, n] = Entry(address + slot, lane, pixel)
            slots, lanes = (len(channels), rows) if self.design.drains_sideways else (rows, len(channels))
            self._tile(g, positions, channels, address=address, slots=slots, lanes=lanes)
            address += slots

    def _tile(self, g: int, positions: range, channels: range, *, address: int, slots: int, lanes: int) -> None:
        grid = self.grid
        self.done_count += 1
        for place, (first, last) in enumerate(self.segments):
            for k in range(first, last):
                inputs, weights = np.zeros(grid.rows * grid.pixels, np.int64), np.zeros(grid.columns, np.int64)
                inputs[:len(positions)] = self.inputs[g, list(positions), k]
                weights[:len(channels)] = self.weights[g, list(channels), k]
                biases = np.zeros(grid.columns, dtype=object)
                biases[:len(channels)] = [int(value) for value in self.bias[g, list(channels)]]
                drains = place == len(self.segments) - 1
                self.streams.append({"inputs": flat(inputs), "weights": flat(weights)} | self.biases(biases) | self.control(
                    last=k == last - 1, starts=k == 0, address=address, lanes=range(lanes)) | {
                        "stream_drains": (int(drains),), "stream_count": (slots,)})


def flat(values: NDArray[Any]) -> tuple[int, ...]:
    """All values in C order: pixels before rows or columns."""
    return tuple(int(value) for value in values.ravel())
