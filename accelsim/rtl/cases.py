"""Cases for a design: beats to drive it with, and what the simulator says that must come out, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.fold import stream_timing
from accelsim.mapping.fold_plan import BlockShape, step_cost
from accelsim.mapping.fold_schedule import addition_order
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.accumulation import Overflows, accumulate, preloaded
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.integer_array import Integers, total
from accelsim.numerics.requantization import Requantization
from accelsim.rtl.block_streams import Beat, BlockStreams, Output, block_streams, entries_of
from accelsim.rtl.design import GridDesign
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.rescaling import rescaling_of


@dataclass(frozen=True)
class Block:
    """An output block with its integers.

    Parameters
    ----------
    mode : in which the PEs work.
    inputs, weights : (G, M, K) and (G, N, K): inputs as on the port, what weights stand for.
    bias : (G, N).
    input_zero_point : taken off each input where the design does so.
    requantization : one multiplier, or one for each of N channels, the same in all groups; None for raw accumulators.
    table, places : of codebook PEs: what weights are decoded with, and where in it the weights stand, (G, N, K).
    """

    work: GemmWork
    shape: BlockShape
    mode: Mode
    inputs: NDArray[Any]
    weights: NDArray[Any]
    bias: NDArray[Any]
    input_zero_point: int
    requantization: Requantization | None
    table: tuple[int, ...] = ()
    places: NDArray[np.int64] | None = None

    def sums(self, design: GridDesign) -> tuple[Integers, int]:
        """(accumulators (G, M, N) as the simulator's numerics give them, overflows on the way)."""
        accumulators = design.accumulators
        register, wires = accumulators.register, accumulators.register_of(design.sum_bits)
        entering = self.inputs
        if design.grid.zero_points == "subtract":
            entering = entering - self.input_zero_point
        found: list[Overflows] = []
        start = preloaded(self.bias, register) if accumulators.preloads_bias else np.zeros_like(self.bias)
        shape = (self.shape.groups, self.shape.positions, self.shape.n)
        held = np.broadcast_to(np.asarray(start, dtype=np.int64)[:, None], shape)
        order = addition_order(design.grid, self.work, self.shape)
        result = accumulate(BlockProducts(entering, self.weights), held, order=order, accumulator=register, wires=wires,
                            told=found.append)
        return result, sum(overflows.k.size for overflows in found)

    def outputs(self, design: GridDesign, sums: Integers) -> NDArray[Any]:
        """What the requantizer makes of them; the accumulators themselves without one."""
        if self.requantization is None:
            return sums
        if not design.accumulators.preloads_bias:
            sums = total(sums, self.bias[:, None])
        return self.requantization.requantize(sums)


@dataclass(frozen=True)
class Read:
    """A request.

    Parameters
    ----------
    after : pulses of fold_done, from the case's beginning, after which it may come.
    beat : what the request carries.
    expected : the integer of each output (or accumulator), None where a partial fold left it over.
    """

    after: int
    beat: Beat
    expected: tuple[int | None, ...]


@dataclass(frozen=True)
class Case:
    """Blocks that run back to back.

    Parameters
    ----------
    layer : what stays the same for the whole case. table : entries to be written before it begins.
    banks : what PEs that load from banks find there, a beat a fold.
    grid_cycles : from the first offer to the last fold_done, both inclusive: the tile engine's closed form.
    requantize_cycles : from the request after it to the last output, both inclusive; 0 where several blocks overlap.
    overflow_count : sums that did not fit.
    """

    name: str
    layer: Beat
    table: tuple[Beat, ...]
    banks: tuple[Beat, ...]
    loads: tuple[Beat, ...]
    streams: tuple[Beat, ...]
    reads: tuple[Read, ...]
    grid_cycles: int
    requantize_cycles: int
    overflow_count: int

    @property
    def output_count(self) -> int:
        return sum(value is not None for read in self.reads for value in read.expected)


def case_of(name: str, design: GridDesign, blocks: Sequence[Block]) -> Case:
    """A case of one block, of one in each half of the accumulators, or of any number that fit into one half side by side.

    Of one in each half, the first is read while the second runs; of others, all are read at the end. The blocks share their
    layer's mode, table, zero points and clamps, which are those of the first.
    """
    shares_a_half = len(blocks) > design.halves
    reads: list[Read] = []
    streams: list[BlockStreams] = []
    overflow_count = after = base = 0
    for number, block in enumerate(blocks):
        half, base = (0, base) if shares_a_half else (number, 0)
        stream = block_streams(design, block.work, block.shape, block.mode, inputs=block.inputs, bias=block.bias, half=half,
                               weights=block.weights if block.places is None else block.places, base=base)
        streams.append(stream)
        base += entries_of(design, block.work, block.shape, block.mode)
        after += stream.done_count
        sums, events = block.sums(design)
        overflow_count += events
        reads += _reads(design, block, stream, block.outputs(design, sums), half=half, after=after)
    if shares_a_half:
        reads = [replace(read, after=after) for read in reads]
    folds = [fold for stream in streams for fold in stream.folds]
    return Case(
        name=name, layer=_layer(design, blocks[0]), table=_table(blocks[0]),
        banks=tuple(beat for stream in streams for beat in stream.banks),
        loads=tuple(beat for stream in streams for beat in stream.loads),
        streams=tuple(beat for stream in streams for beat in stream.streams), reads=tuple(reads),
        grid_cycles=stream_timing(design.grid, folds, streams[0].cost).total_cycles,
        requantize_cycles=design.read_latency_cycles + len(reads) if len(blocks) == 1 else 0, overflow_count=overflow_count)


def _table(block: Block) -> tuple[Beat, ...]:
    return tuple({"table_address": (place,), "table_entry": (entry,)} for place, entry in enumerate(block.table))


def _layer(design: GridDesign, block: Block) -> Beat:
    values = design.arithmetic.mode_values(block.mode)
    if "is_depthwise" in design.mode_ports:
        values["is_depthwise"] = int(step_cost(design.grid, block.work).fixed_cycles == design.fixed_cycles[1])
    layer: Beat = {name: (value,) for name, value in values.items()}
    if design.grid.zero_points == "subtract":
        layer["input_zero_point"] = (block.input_zero_point,)
    if block.requantization is not None:
        unit = block.requantization
        layer |= {"output_zero_point": (unit.zero_point,), "clamp_min": (unit.clamp_min,), "clamp_max": (unit.clamp_max,)}
    return layer


def _reads(design: GridDesign, block: Block, stream: BlockStreams, outputs: NDArray[Any], *, half: int,
           after: int) -> list[Read]:
    """One request for every part of an entry that holds an output, in order of addresses."""
    lanes = design.outputs_per_read
    requests: dict[tuple[int, int], list[Output | None]] = {}
    for output, entry in stream.places.items():
        group, place = divmod(entry.lane * design.sums + entry.place, lanes)
        requests.setdefault((entry.address, group), [None] * lanes)[place] = output
    reads = []
    for (address, group), held in sorted(requests.items()):
        beat: Beat = {"read_address": (address,)}
        if design.halves == 2:
            beat["read_half"] = (half,)
        if design.requantizer is not None:
            if design.read_groups > 1:
                beat["read_group"] = (group,)
            beat |= _channels(design, block, held)
        expected = tuple(None if output is None else int(outputs[output]) for output in held)
        reads.append(Read(after, beat, expected))
    return reads


def _channels(design: GridDesign, block: Block, held: Sequence[Output | None]) -> Beat:
    """Multipliers, shifts, addends and biases of a request's channels; 0 for lanes that are left over."""
    assert block.requantization is not None
    assert design.requantizer is not None
    rule, multiplier = rescaling_of(design.requantizer), block.requantization.multiplier

    def of(values: NDArray[np.int64]) -> tuple[int, ...]:
        each = np.broadcast_to(values, (block.shape.n,))
        return tuple(0 if output is None else int(each[output[2]]) for output in held)

    beat: Beat = {"shifts": of(multiplier.shift)}
    if rule.multiplier is not None:
        beat["multipliers"] = of(multiplier.mantissa)
    if rule.has_addend:
        beat["addends"] = of(multiplier.addend)
    if not design.accumulators.preloads_bias:
        beat["biases"] = tuple(0 if output is None else int(block.bias[output[0], output[2]]) for output in held)
    return beat
