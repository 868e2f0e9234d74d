"""The stream of steps that the machine executes: what is loaded, computed, requantized and stored, in which order.

Steps hold index ranges and sizes, never data. The program order is the order of the DMA's grants (arbitration
`program_order`), of room in the buffers and of every unit's queue; the units run apart from each other and wait only for
operands, room and each other's results.

Program order of a layer: the loads of step i + 1 stand before the compute of step i, so that they overlap where the
buffers have room for both; without room they wait for step i to release its tiles. Every wait is for a step that stands
earlier, or for the one compute step just behind a load, which needs nothing behind itself: so no program can deadlock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from accelsim.hardware.memory import Operand
from accelsim.mapping.fold import StreamTiming
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.mapping.position_order import PositionOrder
from accelsim.results.quantization_counts import QuantizationCounts

#: A half-open index range.
Range = tuple[int, int]


class Load(NamedTuple):
    """Bring a tile from DRAM into the region of its operand.

    `ranges` are (first, last) of the tile's loops: groups, positions (m) or channels (n), and k for grid layers; flat
    element ranges for vector layers.
    """

    number: int
    operand: Operand
    tensor: str
    ranges: tuple[Range, ...]
    tile_bytes: int
    bus_bytes: int
    requests: int


class Compute(NamedTuple):
    """An output block [m] x [n] (of groups [g]) times a K range on the PE grid.

    `is_first` and `is_last` say whether the accumulators of `block` begin and end with this step. Where weights have scale
    groups, each group of an output block is a `block` of its own. `sum_channels` is 1 where the step also computes a channel
    of ones for each group; the sums of a layer's positions come with the first channel block (n from 0) of each.
    `needs_preloaded` and `needs_streamed` are the loads that this step is the first to use: of the operand that stays in the
    PEs, and of the one that flows past it (output stationary: both flow; weights count as preloaded, in no time).
    """

    number: int
    block: int
    groups: Range
    m: Range
    n: Range
    k: Range
    needs_preloaded: tuple[int, ...]
    needs_streamed: tuple[int, ...]
    frees: tuple[int, ...]
    is_first: bool
    is_last: bool
    timing: StreamTiming
    port_cycles: int
    macs: int
    accumulator_updates: int
    read_bytes: tuple[tuple[str, int], ...]
    sum_channels: int = 0


class Requantize(NamedTuple):
    """Turn a finished block of accumulators into outputs.

    With `has_outputs` False it is the block of a scale group that is not the last of its output block: its partial sums pass
    the multiplier and are added to running sums in the requantizer, one to each accumulator entry of a block, and nothing is
    written (`output_bytes` is 0).
    """

    number: int
    block: int
    outputs: int
    output_bytes: int
    has_outputs: bool = True


class VectorCompute(NamedTuple):
    """A range of output elements on the vector unit."""

    number: int
    block: int
    elements: Range
    needs_inputs: tuple[int, ...]
    frees: tuple[int, ...]
    operations: int
    port_cycles: int
    output_bytes: int
    read_bytes: tuple[tuple[str, int], ...]


class Store(NamedTuple):
    """Write a block of outputs to DRAM and free its room."""

    number: int
    block: int
    tensor: str
    ranges: tuple[Range, ...]
    tile_bytes: int
    bus_bytes: int
    requests: int


Step = Load | Compute | Requantize | VectorCompute | Store


@dataclass(frozen=True, slots=True)
class LayerProgram:
    """The steps of one layer.

    Parameters
    ----------
    layer : its name. unit : "pe_grid" or "vector_unit".
    steps : in program order; `number` of a step is its place.
    region_bytes : room of each operand in its buffer while this layer runs.
    mapping : tile sizes and loop order in words.
    placement : which inputs are on chip already, and whether the output stays there.
    prefetch : loads of the next layer's first weights, carried out right behind this layer's last load; their numbers are
        the next layer's.
    prefetched : numbers of own loads that the layer before carried out.
    quantization : what the steps do because of how the layer is quantized.
    position_order : how the m of its steps are numbered, where blocks of positions are rectangles; None for the usual order.
    """

    layer: str
    unit: str
    steps: tuple[Step, ...]
    region_bytes: Mapping[Operand, int]
    mapping: str
    placement: Placement = IN_DRAM
    prefetch: tuple[Load, ...] = ()
    prefetched: frozenset[int] = frozenset()
    quantization: QuantizationCounts = field(default_factory=QuantizationCounts)
    position_order: PositionOrder | None = None

    def lines(self) -> Iterator[str]:
        """The program as text, a line a step."""
        yield f"layer {self.layer}: {self.unit}; {self.mapping}"
        for operand, size in self.region_bytes.items():
            yield f"  region {operand}: {size} B"
        if self.position_order is not None:
            yield f"  m counts positions in blocks of {self.position_order.rows} x {self.position_order.columns}"
        for step in self.steps:
            yield f"  {step.number:5d}  {_step_text(step)}"
        for load in self.prefetch:
            yield f"  prefetch for the next layer: {_step_text(load)}"


@dataclass(frozen=True, slots=True)
class Program:
    """The programs of a network's layers, in order of execution."""

    layers: tuple[LayerProgram, ...]

    def __str__(self) -> str:
        return "\n".join(line for layer in self.layers for line in layer.lines())


def _ranges_text(ranges: tuple[Range, ...]) -> str:
    return " ".join(f"[{first}:{last}]" for first, last in ranges)


def _step_text(step: Step) -> str:
    match step:
        case Load():
            return f"load {step.operand} {step.tensor}{_ranges_text(step.ranges)}: {step.tile_bytes} B"
        case Compute():
            first = ", first of its block" if step.is_first else ""
            first += ", with the sums of the inputs" if step.sum_channels else ""
            return (f"compute g{_ranges_text((step.groups,))} m{_ranges_text((step.m,))} n{_ranges_text((step.n,))} "
                    f"k{_ranges_text((step.k,))}: {step.timing.ideal_cycles} cycles of operands{first}")
        case Requantize():
            if not step.has_outputs:
                return f"rescale block {step.block}: {step.outputs} partial sums"
            return f"requantize block {step.block}: {step.outputs} outputs"
        case VectorCompute():
            return f"vector {_ranges_text((step.elements,))}: {step.operations} operations"
        case Store():
            return f"store {step.tensor}{_ranges_text(step.ranges)}: {step.tile_bytes} B"
