"""Where a fold's operands and outputs lie on the grid: arrays in the shape of its registers.

With d reduction steps a group and several groups in a fold, group i has the pairs of operands from ``i * d`` on (weight
stationary: and channels of its own, so that the groups lie block-diagonally). Pair s lies in PE ``s // reduction`` of a
column (dot_product: row; output stationary: in that step of the stream), whose multiplier may take several, one slot each.
Channel n of a fold lies in PE ``n`` modulo the PEs side by side. Registers that a fold does not use hold 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.fold import Fold

Numbers = NDArray[np.int64]


class Layout:
    """The operands of a step, laid out fold by fold.

    Parameters
    ----------
    cost : what a PE takes in a step.
    outputs : (G, M, N) of the step.
    inputs, weights : (G, M, K) and (G, N, K) in the type of the registers, a channel of ones behind the others if the step
        has one; None for a run of cycles alone, in which every register holds 0 and no output belongs to anybody.
    """

    def __init__(self, grid: PeGrid, cost: StepCost, outputs: tuple[int, int, int], inputs: NDArray[Any] | None,
                 weights: NDArray[Any] | None) -> None:
        self._grid, self._inputs, self._weights, self.cost = grid, inputs, weights, cost
        self.outputs = outputs
        #: Pairs of operands that a PE takes in a step, and sums that it makes: of pixels times channels.
        self.slots = -(-cost.reduction.numerator // cost.reduction.denominator)
        self.sums = grid.pixels * cost.channels
        #: Entry of each output in the accumulators; entry 0 is nobody's.
        self._entry = np.arange(1, 1 + math.prod(outputs), dtype=np.int64).reshape(outputs)

    @property
    def kind(self) -> np.dtype[Any]:
        """Of the registers."""
        return np.dtype(np.int64) if self._inputs is None else self._inputs.dtype

    def place(self, entries: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """(group, m, n) of some entries."""
        group, m, n = np.unravel_index(entries - 1, self.outputs)
        return group.astype(np.int64), m.astype(np.int64), n.astype(np.int64)

    def pair(self, lane: Numbers, slot: int) -> Numbers:
        """Number of the pair of operands in a slot of some PEs, counted along the reduction."""
        reduction = self.cost.reduction
        return -(-lane * reduction.numerator // reduction.denominator) + slot

    def _pairs(self, first: int, count: int) -> tuple[Numbers, Numbers]:
        """(PE, slot) of successive pairs."""
        reduction = self.cost.reduction
        pairs = np.arange(first, first + count, dtype=np.int64)
        lanes = pairs * reduction.denominator // reduction.numerator
        return lanes, pairs - self.pair(lanes, 0)

    @property
    def _held_planes(self) -> tuple[int, int]:
        return (self._grid.pixels, 1) if self._grid.dataflow == "input_stationary" else (1, self.cost.channels)

    @property
    def _streamed_planes(self) -> tuple[int, int]:
        return (1, self.cost.channels) if self._grid.dataflow == "input_stationary" else (self._grid.pixels, 1)

    @property
    def held_shape(self) -> tuple[int, ...]:
        """Of what the PEs hold: (pixels or 1, channels or 1, slots, R, C)."""
        return *self._held_planes, self.slots, self._grid.rows, self._grid.columns

    @property
    def streamed_shape(self) -> tuple[int, ...]:
        """Of what enters in one step: (pixels or 1, channels or 1, slots, lanes); lanes are rows (dot_product: columns)."""
        lanes = self._grid.columns if self._grid.dataflow == "dot_product" else self._grid.rows
        return *self._streamed_planes, self.slots, lanes

    def stationary(self, fold: Fold) -> NDArray[Any]:
        """What the PEs hold: weights, or inputs (input stationary); `held_shape`."""
        held = np.zeros(self.held_shape, self.kind)
        if self._inputs is None or self._weights is None:
            return held
        grid, k = self._grid, slice(*fold.k)
        for member, group in enumerate(range(*fold.groups)):
            pe, slot = self._pairs(member * fold.depth, fold.depth)
            if grid.dataflow == "input_stationary":
                held[:, 0, slot, pe] = self._spread(self._inputs[group, slice(*fold.m), k], grid.columns).transpose(1, 2, 0)
                continue
            side, part = self._channels(fold, member)
            weights = self._weights[group, slice(*fold.n), k]
            if grid.dataflow == "dot_product":
                held[0, part[:, None], slot, side[:, None], pe] = weights
            else:
                held[0, part[:, None], slot, pe, side[:, None]] = weights
        return held

    def streamed(self, fold: Fold) -> NDArray[Any]:
        """What enters in each step of the stream, (T, *streamed_shape)."""
        stream = np.zeros((fold.streamed, *self.streamed_shape), self.kind)
        if self._inputs is None or self._weights is None:
            return stream
        grid, k = self._grid, slice(*fold.k)
        for member, group in enumerate(range(*fold.groups)):
            pe, slot = self._pairs(member * fold.depth, fold.depth)
            if grid.dataflow == "output_stationary":
                stream[pe, :, 0, slot] = self._spread(self._inputs[group, slice(*fold.m), k], grid.rows).transpose(2, 1, 0)
            elif grid.dataflow == "input_stationary":
                step, part = self._channel_steps(fold, member)
                stream[step[:, None], 0, part[:, None], slot, pe] = self._weights[group, slice(*fold.n), k]
            else:
                stream[:, :, 0, slot, pe] = self._spread(self._inputs[group, :, k], fold.streamed)
        return stream

    def column_operands(self, fold: Fold) -> NDArray[Any]:
        """Output stationary: the weights that enter column by column, (T, 1, channels, slots, C)."""
        stream = np.zeros((fold.streamed, 1, self.cost.channels, self.slots, self._grid.columns), self.kind)
        if self._weights is not None:
            step, slot = self._pairs(0, fold.depth)
            side, part = self._channels(fold, 0)
            weights = self._weights[fold.groups[0], slice(*fold.n), slice(*fold.k)]
            stream[step, 0, part[:, None], slot, side[:, None]] = weights
        return stream

    def entries(self, fold: Fold) -> Numbers:
        """Which accumulator each lane's sums go to, (T, sums, lanes); output stationary: of each PE, (sums, R, C)."""
        grid, parts = self._grid, (self._grid.pixels, self.cost.channels)
        lanes = grid.rows if grid.dataflow == "dot_product" else grid.columns
        at_pes = np.zeros((*parts, grid.rows, grid.columns), np.int64)
        entries = np.zeros((fold.streamed, *parts, lanes), np.int64)
        if self._inputs is None:
            is_own = grid.dataflow == "output_stationary"
            return at_pes.reshape(-1, *at_pes.shape[2:]) if is_own else entries.reshape(fold.streamed, -1, lanes)
        own = self._entry[slice(*fold.groups), slice(*fold.m), slice(*fold.n)]
        if grid.dataflow == "output_stationary":
            side, part = self._channels(fold, 0)
            at_pes[:, part, :, side] = self._spread(own[0], grid.rows).transpose(2, 1, 0)
            return at_pes.reshape(self.sums, grid.rows, grid.columns)
        for member in range(fold.members):
            if grid.dataflow == "input_stationary":
                step, part = self._channel_steps(fold, member)
                entries[step, :, part] = self._spread(own[member], lanes).transpose(2, 1, 0)
            else:
                side, part = self._channels(fold, member)
                entries[:, :, part, side] = self._spread(own[member], fold.streamed)
        return entries.reshape(fold.streamed, self.sums, lanes)

    def _channels(self, fold: Fold, member: int) -> tuple[Numbers, Numbers]:
        """(PE side by side, which of its sums) of a group's channels."""
        channels = np.arange(member * fold.channels, (member + 1) * fold.channels)
        part, side = np.divmod(channels, self._grid.rows if self._grid.dataflow == "dot_product" else self._grid.columns)
        return side, part

    def _channel_steps(self, fold: Fold, member: int) -> tuple[Numbers, Numbers]:
        """Input stationary: (step of the stream, which of a PE's sums) of a group's channels."""
        step, part = np.divmod(np.arange(fold.channels), self.cost.channels)
        return member * -(-fold.channels // self.cost.channels) + step, part

    def _spread(self, values: NDArray[Any], lanes: int) -> NDArray[Any]:
        """(positions, X) -> (lanes, pixels, X): neighbouring positions are the pixels of a lane."""
        pixels = self._grid.pixels
        spread = np.zeros((lanes * pixels, values.shape[1]), values.dtype)
        spread[:values.shape[0]] = values
        return spread.reshape(lanes, pixels, values.shape[1])
