"""The program of a layer that runs on the vector unit.

Output elements are cut into contiguous ranges (of whole rows, where an operation needs those together); every input gives
each range its share as one run. Rows that overlap between pooling windows stay on chip from one range to the next, so each
input is read once.
"""

from __future__ import annotations

from itertools import pairwise

from accelsim.errors import MappingError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import Operand
from accelsim.mapping.footprint import Footprint
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.mapping.port import port_cycles
from accelsim.mapping.program import LayerProgram, Load, Range, Step, Store, VectorCompute
from accelsim.units import transfer_cycles
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Move, Normalization, Softmax
from accelsim.workload.tensor import Tensor

#: Moves that read only what they put out, not the whole of their input.
_SELECTING_MOVES = frozenset({"slice", "split", "gather"})

_SOURCES: tuple[Operand, ...] = ("weights", "inputs")

#: More ranges than this hide no more of the first load and the last store.
_MOST_RANGES = 64


def row_elements(layer: Layer) -> int:
    """Elements that must be on chip together: a row for softmax and normalizations, else one."""
    operation = layer.operation
    return operation.row_length if isinstance(operation, Softmax | Normalization) else 1


def reads(layer: Layer) -> list[tuple[Operand, Tensor, int]]:
    """(operand, tensor, elements read) of a vector layer: its activations as inputs, its tables as weights."""
    is_selecting = isinstance(layer.operation, Move) and layer.operation.kind in _SELECTING_MOVES
    found: list[tuple[Operand, Tensor, int]] = []
    sources: list[tuple[Operand, Tensor]] = [("inputs", tensor) for tensor in layer.inputs]
    if layer.weights is not None:
        sources.append(("weights", layer.weights))
    for operand, tensor in dict.fromkeys(sources):  # a tensor that stands twice is read once
        elements = min(tensor.elements, layer.output.elements) if is_selecting else tensor.elements
        found.append((operand, tensor, elements))
    return found


def build_vector_program(
    layer: Layer, accelerator: Accelerator, placement: Placement = IN_DRAM
) -> LayerProgram:
    """The steps of a vector layer.

    Raises
    ------
    MappingError : one row of inputs and outputs is larger than its buffer.
    """
    rows = -(-layer.output.elements // row_elements(layer))
    count = max(_fewest_ranges(layer, accelerator, rows, placement), _useful_ranges(layer, accelerator, rows))
    return _build(layer, accelerator, _row_ranges(layer, rows, count), placement)


def _share(total: int, part: Range, whole: int) -> int:
    """Elements of a tensor that belong to a range of the output, so that all ranges together have them all."""
    return part[1] * total // whole - part[0] * total // whole


def _bytes(elements: int, tensor: Tensor) -> int:
    return -(-elements * tensor.bits // 8)


def _row_ranges(layer: Layer, rows: int, count: int) -> list[Range]:
    row, elements = row_elements(layer), layer.output.elements
    edges = [min(elements, i * rows // count * row) for i in range(count)] + [elements]
    return [(first, last) for first, last in pairwise(edges) if last > first]


def _regions(
    layer: Layer, accelerator: Accelerator, parts: list[Range], placement: Placement
) -> dict[Operand, int]:
    whole = layer.output.elements
    sizes: dict[Operand, int] = {}
    for operand in _SOURCES:
        own = [(tensor, elements) for kind, tensor, elements in reads(layer)
               if kind == operand and tensor.name not in placement.resident_inputs]
        per_part = [sum(_bytes(_share(elements, part, whole), tensor) for tensor, elements in own) for part in parts]
        sizes[operand] = _room(accelerator, operand, per_part)
    outputs = [_bytes(last - first, layer.output) for first, last in parts]
    sizes["outputs"] = sum(outputs) if placement.keeps_output else _room(accelerator, "outputs", outputs)
    return sizes


def _room(accelerator: Accelerator, operand: Operand, per_part: list[int]) -> int:
    buffered = 2 if accelerator.memory.buffer_of(operand).double_buffered else 1
    return min(sum(per_part), buffered * max(per_part))


def _overfull(accelerator: Accelerator, regions: dict[Operand, int], free_bytes: dict[str, int]) -> tuple[str, int] | None:
    """The first buffer that the regions do not fit into, and the bytes that they need there."""
    for name, buffer in accelerator.memory.buffers.items():
        needed = sum(regions[operand] for operand in buffer.holds)
        if needed > free_bytes[name]:
            return name, needed
    return None


def _fewest_ranges(
    layer: Layer, accelerator: Accelerator, rows: int, placement: Placement
) -> int:
    count, free_bytes = 1, placement.free_bytes(accelerator)
    while True:
        regions = _regions(layer, accelerator, _row_ranges(layer, rows, count), placement)
        overfull = _overfull(accelerator, regions, free_bytes)
        if overfull is None:
            return count
        if count == rows:
            name, needed = overfull
            raise MappingError(f"one row needs at least {needed} B in buffer {name}, which has {free_bytes[name]} B",
                               field=layer.name)
        count = min(rows, count * 2)


def _useful_ranges(layer: Layer, accelerator: Accelerator, rows: int) -> int:
    """Ranges that balance the exposed first load and last store against the latency that every transfer pays."""
    traffic = layer.output.bytes + sum(_bytes(elements, tensor) for _, tensor, elements in reads(layer))
    cycles = transfer_cycles(transferred_bytes=traffic, clock_hz=accelerator.clock_hz,
                             bytes_per_second=accelerator.dram.bandwidth_bytes_per_second)
    cycles += -(-layer.vector_operations // accelerator.vector_unit.lanes)
    latency = (accelerator.read_latency_cycles + accelerator.write_latency_cycles) // accelerator.dma.queues
    per_range = max(1, latency + accelerator.vector_unit.latency_cycles)
    # Exposed: cycles / count; paid: per_range * count. The sum is least where both are equal.
    return max(1, min(rows, _MOST_RANGES, int((cycles / per_range) ** 0.5)))


def _build(
    layer: Layer, accelerator: Accelerator, parts: list[Range], placement: Placement
) -> LayerProgram:
    steps: list[Step] = []
    loads = [_part_loads(layer, accelerator, part, placement) for part in parts]
    numbers: list[tuple[int, ...]] = []

    def append_loads(i: int) -> None:
        numbered = [load._replace(number=len(steps) + j) for j, load in enumerate(loads[i])]
        steps.extend(numbered)
        numbers.append(tuple(load.number for load in numbered))

    append_loads(0)
    done = 0
    for i, part in enumerate(parts):
        if i + 1 < len(parts):
            append_loads(i + 1)
        operations = layer.vector_operations * part[1] // layer.output.elements
        steps.append(_vector_compute(layer, accelerator, len(steps), i, part, numbers[i], operations - done,
                                     placement))
        done = operations
        if not placement.keeps_output:
            steps.append(_store(layer, accelerator, len(steps), i, part))
    return LayerProgram(
        layer=layer.name, unit="vector_unit", steps=tuple(steps), mapping=f"{len(parts)} ranges of elements",
        region_bytes=_regions(layer, accelerator, parts, placement), placement=placement)


def _part_loads(layer: Layer, accelerator: Accelerator, part: Range, placement: Placement) -> list[Load]:
    found = []
    whole = layer.output.elements
    for operand, tensor, elements in reads(layer):
        if tensor.name in placement.resident_inputs:
            continue
        first, last = part[0] * elements // whole, part[1] * elements // whole
        if last > first:
            footprint = Footprint(1, _bytes(last - first, tensor))
            found.append(Load(-1, operand, tensor.name, ((first, last),), footprint.bytes,
                              footprint.bus_bytes(burst_bytes=accelerator.dram.burst_bytes),
                              footprint.requests(burst_bytes=accelerator.dma.burst_bytes)))
    return found


def _vector_compute(
    layer: Layer, accelerator: Accelerator, number: int, block: int, part: Range, loads: tuple[int, ...], operations: int,
    placement: Placement
) -> VectorCompute:
    memory, whole = accelerator.memory, layer.output.elements
    taken: dict[str, int] = {}
    traffic: dict[str, int] = {}
    for operand, tensor, elements in reads(layer):
        home, size = memory.home(operand), _bytes(_share(elements, part, whole), tensor)
        taken[home] = taken.get(home, 0) + size
        is_filled = tensor.name not in placement.resident_inputs  # by the DMA, through the same ports
        traffic[home] = traffic.get(home, 0) + (2 * size if is_filled else size)
    written = _bytes(part[1] - part[0], layer.output)
    traffic[memory.home("outputs")] = traffic.get(memory.home("outputs"), 0) + (
        written if placement.keeps_output else 2 * written)
    return VectorCompute(number=number, block=block, elements=part, needs_inputs=loads, frees=loads, operations=operations,
                         port_cycles=port_cycles(memory, traffic), output_bytes=written, read_bytes=tuple(taken.items()))


def _store(layer: Layer, accelerator: Accelerator, number: int, block: int, part: Range) -> Store:
    footprint = Footprint(1, _bytes(part[1] - part[0], layer.output))
    return Store(number, block, layer.output.name, (part,), footprint.bytes,
                 footprint.bus_bytes(burst_bytes=accelerator.dram.burst_bytes),
                 footprint.requests(burst_bytes=accelerator.dma.burst_bytes))
