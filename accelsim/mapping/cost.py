"""A fast estimate of what each candidate costs: which of them are worth a run in the simulator.

Whole columns of candidates are computed at once. Compute cycles follow the closed forms of `accelsim.mapping.fold`; traffic
follows from how often each schedule loads each tile; a step lasts as long as its compute or as the loads of the step behind
it, and the first load and the last store show. Capacities are exact or on the safe side: what passes here fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import OPERANDS
from accelsim.mapping.candidates import Candidates
from accelsim.mapping.fold import FoldRun, drain_cycles, preload_cycles, serial_fold_cycles, tail_cycles
from accelsim.mapping.fold_plan import (
    accumulator_entries,
    channel_lanes,
    groups_per_fold,
    position_lanes,
    reduction_lanes,
    step_cost,
)
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.placement import Placement
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.numerics.axis import Axis

Column = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Columns over the candidates: bytes of room needed by buffer, cycles, picojoules, steps."""

    region_bytes: dict[str, Column]
    entries: Column
    cycles: Floats
    energy_pj: Floats
    steps: Column


def _ceil(a: Column | int, b: Column | int) -> Column:
    return np.asarray(-(-np.asarray(a) // np.asarray(b)))


class CostModel:
    """Scores the candidates of one layer on one accelerator."""

    def __init__(
        self, work: GemmWork, accelerator: Accelerator, placement: Placement, *, loads_inputs: bool,
        traffic: TrafficCost
    ) -> None:
        self.work, self.accelerator, self.placement = work, accelerator, placement
        self.loads_inputs = loads_inputs
        self.traffic = traffic
        self.cost = step_cost(accelerator.pe_grid, work)

    def estimate(self, c: Candidates) -> Estimate:
        """All columns of the estimate."""
        work = self.work
        counts = _LoopCounts(work, c)
        weight_tile, input_tile, input_block, output_tile = self._tile_bytes(c)
        regions = self._regions(c, counts, weight_tile, input_tile, input_block, output_tile)
        is_cut = c.has_scope("inputs", "slice") & (c.k < work.channels)
        is_cut = is_cut | (work.has_channel_groups & (c.groups < work.groups))
        loaded_inputs = np.where(c.has_scope("inputs", "slice"), input_tile, input_block) * self._burst_factor(
            np.minimum(c.k, work.channels) * c.groups, work.input_bits, is_cut)
        weight_loads, input_loads = self._load_counts(c, counts)
        loads = _Loads(weight_tile, loaded_inputs, weight_loads, input_loads)
        compute, reads = self._compute_cycles(c, counts)
        outputs = -(-work.groups * work.m * work.n * work.output_bits // 8)
        stored = (0 if self.placement.keeps_output else outputs) * self._burst_factor(
            c.groups * c.n, work.output_bits, c.groups * c.n < work.groups * work.n)
        latency = self._pipelined_cycles(loads, counts, compute)
        latency = np.maximum(latency, self._port_cycles(reads, loads.by_operand, outputs))
        latency = np.maximum(latency, self._dram_cycles(loads.bytes + stored, loads.transfers + counts.blocks))
        latency = latency + self._dram_cycles(weight_tile + loaded_inputs, 2) + self._requantize_cycles(output_tile)
        requantize = self._requantize_cycles(work.groups * work.m * work.n) * work.scale_groups
        hides = self.accelerator.accumulators.double_buffered
        latency = np.maximum(latency, requantize) if hides else latency + requantize
        latency = np.rint(np.maximum(latency, self._accumulator_cycles(counts, compute, output_tile)))
        energy = self._energy(loads.bytes + stored, reads, latency)
        return Estimate(regions, self._entries(c), latency, energy, counts.computed_steps)

    def _entries(self, c: Candidates) -> Column:
        """Accumulator entries per lane: of a block and, with channels of ones, of the sums of its positions. Several scale
        groups have sums of their own, which wait for the block's other channels."""
        grid, work, positions = self.accelerator.pe_grid, self.work, c.images * c.rows * c.columns
        entries = accumulator_entries(grid, work, groups=c.groups, positions=positions, n=c.n + work.sum_channels)
        if work.sum_channels == 0 or work.scale_groups == 1:
            return entries
        sums = accumulator_entries(grid, work, groups=c.groups, positions=positions, n=np.ones_like(c.n))
        return entries + np.where(c.n < work.n, (work.scale_groups - 1) * sums, 0)

    def _pipelined_cycles(self, loads: _Loads, counts: _LoopCounts, compute: Floats) -> Floats:
        """Steps in a row, each as long as its compute or as the loads of the step behind it, whichever takes longer.

        Inputs come with `input_loads` of the steps, weights evenly with all; without a second buffer nothing overlaps.
        """
        step = compute / counts.steps
        weight, inputs = self._dram_cycles(loads.weight_tile, 1), self._dram_cycles(loads.input_tile, 1)
        share = loads.weight_loads / counts.steps
        if not all(self.accelerator.memory.buffer_of(operand).double_buffered for operand in OPERANDS[:2]):
            return np.asarray(compute + loads.weight_loads * weight + loads.input_loads * inputs)
        with_inputs = np.maximum(step, inputs + share * weight)
        without = share * np.maximum(step, weight) + (1 - share) * step
        return np.asarray(loads.input_loads * with_inputs + (counts.steps - loads.input_loads) * without)

    def _accumulator_cycles(self, counts: _LoopCounts, compute: Floats, output_tile: Column) -> Floats:
        """Blocks one behind the other in the accumulators, of which there are one or two sets.

        A block has its set from its first operand until its last output is requantized: its own folds, the way through the
        grid, the requantizer. Blocks of a few positions spend most of that on the way.
        """
        accelerator, grid = self.accelerator, self.accelerator.pe_grid
        sets = np.minimum(2 if accelerator.accumulators.double_buffered else 1, counts.blocks)
        way = tail_cycles(grid, rows=grid.rows, columns=grid.columns) if grid.overlap == "full" else 0
        outputs = output_tile * 8 // self.work.output_bits
        own = compute / counts.blocks + way + self._requantize_cycles(outputs) + accelerator.requantizer.latency_cycles
        return np.asarray(counts.blocks * own / sets)

    # Room --------------------------------------------------------------------------------------------------------

    def _tile_bytes(self, c: Candidates) -> tuple[Column, Column, Column, Column]:
        """(weights of a step, inputs of a step, inputs of a block over all K, outputs of a block)."""
        work = self.work
        weights = _ceil(c.groups * c.n * c.k * work.weight_bits, 8) + _ceil(c.groups * c.n * work.bias_bits, 8)
        # A K range inside one kernel position needs its own channels under one tap; any other, all of the window.
        length = work.scale_group_length  # K ranges begin anew with each scale group
        is_aligned = (c.k >= length) | (length % c.k == 0) | (work.channels % length == 0)
        stays_inside = (c.k <= work.channels) & (((work.channels % c.k == 0) & is_aligned) | (work.window == 1))
        pixels = c.images * self._pixels(c, is_whole_window=True)
        slice_pixels: Column = np.where(stays_inside, c.images * self._pixels(c, is_whole_window=False), pixels)
        channels = np.where(stays_inside, c.k, work.channels)
        inputs = _ceil(slice_pixels * c.groups * channels * work.input_bits, 8)
        block = _ceil(pixels * c.groups * work.channels * work.input_bits, 8)
        positions = c.images * c.rows * c.columns
        outputs = _ceil(c.groups * positions * c.n * work.output_bits, 8)
        # Every run is rounded up to whole bytes: one byte a run at most, where elements are not whole bytes themselves.
        runs: Column = np.ones_like(c.groups) if work.has_channel_groups else c.groups
        if work.input_bits % 8:
            inputs, block = inputs + slice_pixels * runs, block + pixels * runs
        if work.output_bits % 8:
            outputs = outputs + positions * runs
        if work.weight_bits % 8 and not work.has_channel_groups:
            weights = weights + c.groups * c.k
        return weights, inputs, block, outputs

    def _pixels(self, c: Candidates, *, is_whole_window: bool) -> Column:
        """Input rows times columns under a block of one image, at most: for all taps or for one."""
        rows, columns = self.work.rows, self.work.columns
        if not is_whole_window:
            rows, columns = replace(rows, kernel=1), replace(columns, kernel=1)
        return np.minimum(rows.in_size, _reach(rows, c.rows)) * np.minimum(columns.in_size, _reach(columns, c.columns))

    def _regions(
        self, c: Candidates, counts: _LoopCounts, weight_tile: Column, input_tile: Column, input_block: Column,
        output_tile: Column
    ) -> dict[str, Column]:
        memory = self.accelerator.memory
        buffered = {operand: 2 if memory.buffer_of(operand).double_buffered else 1 for operand in OPERANDS}
        weight_set = np.where(c.has_scope("weights", "layer"), weight_tile * counts.k * counts.n,
                              np.where(c.has_scope("weights", "block"), weight_tile * counts.k, weight_tile))
        input_set = np.where(c.has_scope("inputs", "layer"), input_block * counts.m,
                             np.where(c.has_scope("inputs", "block"), input_block, input_tile))
        weights = np.minimum(buffered["weights"], counts.weight_sets(c)) * weight_set
        inputs = np.minimum(buffered["inputs"], counts.input_sets(c)) * input_set
        outputs = np.minimum(buffered["outputs"], counts.blocks) * output_tile
        if self.placement.keeps_output:
            outputs = counts.blocks * output_tile
        if not self.loads_inputs:
            inputs = np.zeros_like(inputs)
        needed: dict[str, Column] = {}
        for operand, size in zip(OPERANDS, (weights, inputs, outputs), strict=True):
            home = memory.home(operand)
            needed[home] = needed[home] + size if home in needed else size
        return needed

    # Traffic -----------------------------------------------------------------------------------------------------

    def _load_counts(self, c: Candidates, counts: _LoopCounts) -> tuple[Column, Column]:
        """How many weight tiles and input tiles (or blocks) are loaded."""
        outer = c.is_weights_outer
        weight_tiles = counts.g * counts.n * counts.k
        is_kept = c.has_scope("weights", "layer") | c.has_scope("weights", "block")
        stays = is_kept | (outer & (counts.k == 1)) | ((counts.n == 1) & (counts.k == 1))
        weights = np.where(stays, weight_tiles, weight_tiles * counts.m)
        # A slice meets its successor only where K is whole and the inner loop does not move it.
        by_block = counts.g * counts.m * np.where(outer & (counts.m > 1) & ~c.has_scope("inputs", "layer"), counts.n, 1)
        by_slice = np.where(counts.k == 1, by_block, counts.g * counts.m * counts.n * counts.k)
        inputs = np.where(c.has_scope("inputs", "slice"), by_slice, by_block)
        if not self.loads_inputs:
            inputs = np.zeros_like(inputs)
        return weights, inputs

    def _burst_factor(self, run_elements: Column, bits: int, is_cut: npt.NDArray[np.bool_]) -> Floats:
        """Bus bytes per byte where tiles are cut into short runs: each takes whole bursts."""
        burst = self.accelerator.dram.burst_bytes
        run = np.maximum(1, _ceil(run_elements * bits, 8))
        return np.asarray(np.where(is_cut, _ceil(run, burst) * burst / run, 1.0))

    def _dram_cycles(self, size: Column | Floats, transfers: Column | int) -> Floats:
        accelerator = self.accelerator
        latency = (accelerator.read_latency_cycles + accelerator.write_latency_cycles) / 2
        return np.asarray(size / accelerator.dram_bytes_per_cycle + transfers * latency / accelerator.dma.queues)

    def _requantize_cycles(self, outputs: Column | int) -> Column:
        return _ceil(outputs, self.accelerator.requantizer.lanes)

    # Compute -----------------------------------------------------------------------------------------------------

    def _compute_cycles(self, c: Candidates, counts: _LoopCounts) -> tuple[Floats, tuple[Column, Column]]:
        """Cycles of all folds, and (weight bytes, input bytes) that the grid reads from its buffers.

        Channels of ones come with the first channel block of every position block.
        """
        work, grid = self.work, self.accelerator.pe_grid
        other = self._step_cost(c, c.n)
        first = self._step_cost(c, c.n + work.sum_channels) if work.sum_channels else other
        first_steps = counts.g * counts.m * counts.computed_k
        cycles = first.cycles * first_steps + other.cycles * (counts.computed_steps - first_steps)
        cycles = cycles * np.where(c.is_rectangle(work), self._filled(c), 1.0)
        weights = work.groups * work.n * work.k * first.weight_reads * counts.m * work.weight_bits // 8
        input_reads = first.input_reads + other.input_reads * (counts.n - 1)
        inputs = work.groups * work.m * work.k * input_reads * work.input_bits // 8
        edge = preload_cycles(grid, rows=grid.rows) + tail_cycles(grid, rows=grid.rows, columns=grid.columns)
        return (cycles + (edge if grid.overlap == "full" else 0)).astype(np.float64), (weights, inputs)

    def _filled(self, c: Candidates) -> Floats:
        """Position folds of all blocks, the smaller ones at the ends of rows and columns among them, as a share of those
        that whole blocks would have. Small rectangles have many such ends."""
        work, lanes = self.work, position_lanes(self.accelerator.pe_grid)
        rows, columns = _sizes(work.rows.out_size, c.rows), _sizes(work.columns.out_size, c.columns)
        folds = sum(_ceil(c.images * height * width, lanes) * high * wide
                    for height, high in rows for width, wide in columns)
        whole = _ceil(c.images * c.rows * c.columns, lanes) * _ceil(work.rows.out_size, c.rows) * _ceil(
            work.columns.out_size, c.columns)
        return np.asarray(folds / whole)

    def _step_cost(self, c: Candidates, n: Column) -> _StepCost:
        """One compute step with so many channels."""
        work, grid, cost = self.work, self.accelerator.pe_grid, self.cost
        positions = c.images * c.rows * c.columns
        position_folds, channel_folds = _ceil(positions, position_lanes(grid)), _ceil(n, channel_lanes(grid, cost))
        lanes = reduction_lanes(grid, cost)
        packs = _ceil(c.groups, groups_per_fold(work, grid))
        depth = np.minimum(c.k, work.scale_group_length)
        pieces, length = np.ones_like(depth), depth
        if grid.reduction == "channels":
            pieces, length = _ceil(depth, work.channels), np.minimum(depth, work.channels)
        if grid.dataflow == "output_stationary":
            folds = c.groups * position_folds * channel_folds * pieces
            streamed = _ceil(length * cost.reduction.denominator, cost.reduction.numerator)
            weight_reads, input_reads = position_folds, channel_folds
        elif grid.dataflow == "input_stationary":
            folds = packs * position_folds * pieces * _ceil(length, lanes)
            streamed = np.minimum(c.groups, groups_per_fold(work, grid)) * channel_folds
            weight_reads, input_reads = position_folds, np.ones_like(channel_folds)
        else:
            folds = packs * channel_folds * pieces * _ceil(length, lanes)
            streamed = _ceil(positions, grid.pixels)
            weight_reads, input_reads = np.ones_like(position_folds), channel_folds
        return _StepCost(folds * self._fold_cycles(streamed), weight_reads, input_reads)

    def _fold_cycles(self, streamed: Column) -> Column:
        grid, stream = self.accelerator.pe_grid, self.cost.fixed_cycles + streamed * self.cost.cycles
        if grid.overlap == "none":
            return stream + serial_fold_cycles(grid, FoldRun(1, 0, grid.rows, grid.columns))
        hidden = max(preload_cycles(grid, rows=grid.rows), grid.swap_spacing,
                     drain_cycles(grid, rows=grid.rows, columns=grid.columns))
        return np.maximum(stream, hidden)

    def _port_cycles(self, reads: tuple[Column, Column], fills: tuple[Column, Floats], outputs: int) -> Floats:
        memory = self.accelerator.memory
        traffic: dict[str, Any] = {}
        passes = 1 if self.placement.keeps_output else 2  # in from the requantizer, and out to the DMA
        moved = (reads[0] + fills[0], reads[1] + fills[1], np.full_like(fills[1], passes * outputs))
        for operand, size in zip(OPERANDS, moved, strict=True):
            home = memory.home(operand)
            traffic[home] = traffic.get(home, 0.0) + size
        busy = [size / (memory.buffers[name].bytes_per_cycle * memory.buffers[name].ports)
                for name, size in traffic.items()]
        return np.asarray(np.max(busy, axis=0))

    def _energy(self, dram_bytes: Floats, reads: tuple[Column, Column], cycles: Floats) -> Floats:
        memory, cost = self.accelerator.memory, self.traffic
        energy = dram_bytes * cost.dram_pj_per_byte + cycles * cost.idle_pj_per_cycle
        for operand, size in zip(OPERANDS, reads, strict=False):
            energy = energy + size * cost.buffer_pj_per_byte[memory.home(operand)]
        return np.asarray(energy)


class _StepCost(NamedTuple):
    """Cycles of a compute step's folds, and how often it reads each weight and each input."""

    cycles: Column
    weight_reads: Column
    input_reads: Column


class _Loads(NamedTuple):
    """Bus bytes of the tiles and how often they are loaded."""

    weight_tile: Column
    input_tile: Floats
    weight_loads: Column
    input_loads: Column

    @property
    def by_operand(self) -> tuple[Column, Floats]:
        """Bus bytes of all weight loads and of all input loads."""
        return self.weight_loads * self.weight_tile, self.input_loads * self.input_tile

    @property
    def bytes(self) -> Floats:
        weights, inputs = self.by_operand
        return weights + inputs

    @property
    def transfers(self) -> Column:
        return self.weight_loads + self.input_loads


class _LoopCounts:
    """Trip counts of the loops over groups, positions, channels and K.

    A step loads one tile of K; it is computed in one step, or in one for each of its scale groups.
    """

    def __init__(self, work: GemmWork, c: Candidates) -> None:
        self.g = _ceil(work.groups, c.groups)
        self.m = (_ceil(work.images, c.images) * _ceil(work.rows.out_size, c.rows)
                  * _ceil(work.columns.out_size, c.columns))
        self.n = _ceil(work.n, c.n)
        length = work.scale_group_length
        in_groups = work.k // length * _ceil(length, c.k) + _ceil(work.k % length, c.k)
        self.k = np.where(c.k >= length, _ceil(work.k, c.k), in_groups)
        self.computed_k = np.where(c.k >= length, work.scale_groups, in_groups)
        self.blocks = self.g * self.m * self.n
        self.steps = self.blocks * self.k
        self.computed_steps = self.blocks * self.computed_k

    def weight_sets(self, c: Candidates) -> Column:
        """How many sets of weight tiles follow one another in the weights' region."""
        return np.where(c.has_scope("weights", "layer"), self.g,
                        np.where(c.has_scope("weights", "block"), self.g * self.n, self.g * self.n * self.k))

    def input_sets(self, c: Candidates) -> Column:
        return np.where(c.has_scope("inputs", "layer"), self.g,
                        np.where(c.has_scope("inputs", "block"), self.g * self.m, self.g * self.m * self.k))


def _sizes(extent: int, block: Column) -> tuple[tuple[Column, Column], tuple[Column, Column]]:
    """(size, number) of the whole blocks that an axis is cut into, and of the rest."""
    rest = extent % block
    return (block, extent // block), (np.maximum(rest, 1), np.minimum(rest, 1))


def _reach(axis: Axis, outputs: Column) -> Column:
    """Inputs under a window that slides over so many outputs, at most."""
    stretched = (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
    if axis.stride > (axis.kernel - 1) * axis.dilation + 1:  # the window leaves inputs out
        stretched = outputs * axis.kernel
    return np.maximum(1, _ceil(stretched, axis.upsampling))
