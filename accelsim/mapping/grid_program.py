"""From a tiling to the program of a grid layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import OPERANDS, Operand
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.mapping.fold import StreamTiming, stream_timing
from accelsim.mapping.fold_plan import BlockShape, accumulator_updates, fold_runs, operand_reads, step_cost
from accelsim.mapping.footprint import Footprint, Positions, input_footprint, output_footprint, weight_footprint
from accelsim.mapping.lowering import GemmWork, lower
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.mapping.port import port_cycles
from accelsim.mapping.program import Compute, LayerProgram, Load, Range, Requantize, Step, Store
from accelsim.mapping.tiling import Scope, Tiling, computed_ranges, ranges
from accelsim.results.quantization_counts import QuantizationCounts
from accelsim.workload.layer import Layer


class _Tile(NamedTuple):
    """One compute step before it has operands: ranges of the loops.

    `m` numbers its positions; `loaded` is the K range that its operands are loaded for, `k` its own part of it. `begins` and
    `ends` say whether the accumulators start anew and are drained, as where scale groups begin and end.
    """

    block: int
    groups: Range
    positions: Positions
    m: Range
    n: Range
    k: Range
    loaded: Range
    begins: bool
    ends: bool
    costs: _ShapeCosts


@dataclass(slots=True)
class _Transfer:
    """One load: what it brings and which steps use it."""

    operand: Operand
    tensor: str
    ranges: tuple[Range, ...]
    footprint: Footprint
    first_step: int
    last_step: int
    number: int = -1


@dataclass(slots=True, eq=False)
class _ShapeCosts:
    """What all steps of one shape share; `outputs` by runs of positions and `ports` by bytes moved are found on the way."""

    shape: BlockShape
    timing: StreamTiming
    read_bytes: tuple[tuple[str, int], ...]
    macs: int
    accumulator_updates: int
    outputs: dict[int, Footprint] = field(default_factory=dict)
    ports: dict[tuple[int, int, int], int] = field(default_factory=dict)


def build_grid_program(
    layer: Layer, tiling: Tiling, accelerator: Accelerator, placement: Placement = IN_DRAM
) -> LayerProgram:
    """The steps of a grid layer under this tiling; the same tiling gives the same steps on every memory system."""
    work = lower(layer, has_row_sum_unit=accelerator.pe_grid.row_sum_unit)
    return _GridProgramBuilder(layer, work, tiling, accelerator, placement).build()


class _GridProgramBuilder:
    """Walks the loops once to find the loads, and once more to write the steps."""

    def __init__(
        self, layer: Layer, work: GemmWork, tiling: Tiling, accelerator: Accelerator, placement: Placement
    ) -> None:
        self.layer, self.work, self.tiling, self.accelerator = layer, work, tiling, accelerator
        self.placement = placement
        self.loads_inputs = layer.streamed.name not in placement.resident_inputs
        self.is_preloaded = {"inputs": accelerator.pe_grid.dataflow == "input_stationary"}
        self.is_preloaded["weights"] = not self.is_preloaded["inputs"]
        self.tiles = self._tiles()
        self.weight_loads = self._weight_loads()
        self.input_loads = self._input_loads()

    def _tiles(self) -> list[_Tile]:
        work, tiling, length = self.work, self.tiling, self.work.scale_group_length
        positions, channels = self._numbered(tiling.position_blocks(work)), list(ranges(work.n, tiling.n))
        depths = [(k[0] // length, k, loaded, k[0] % length == 0, k[1] == work.k or k[1] % length == 0)
                  for loaded in tiling.loaded_ranges(work) for k in computed_ranges(work, loaded)]
        found: dict[tuple[int, int, int, int], list[_ShapeCosts]] = {}
        tiles: list[_Tile] = []
        block = 0
        for groups in ranges(work.groups, tiling.groups):
            if tiling.order == "inputs_outer":
                blocks = [(p, n) for p in positions for n in channels]
            else:
                blocks = [(p, n) for n in channels for p in positions]
            for (where, m), n in blocks:
                size = groups[1] - groups[0], m[1] - m[0], n[1] - n[0], work.sum_channels if n[0] == 0 else 0
                if size not in found:
                    found[size] = [self._costs(BlockShape(*size[:3], k[0], k[1] - k[0], size[3])) for _, k, *_ in depths]
                tiles.extend([_Tile(block + depth[0], groups, where, m, n, *depth[1:], costs)
                              for depth, costs in zip(depths, found[size], strict=True)])
                block += work.scale_groups
        return tiles

    @staticmethod
    def _numbered(blocks: list[Positions]) -> list[tuple[Positions, Range]]:
        """Blocks with the ranges of their positions, which are numbered block by block."""
        ends = list(accumulate((block.count for block in blocks), initial=0))
        return list(zip(blocks, pairwise(ends), strict=True))

    def _weight_loads(self) -> list[_Transfer]:
        tiling, loads = self.tiling, _LoadList()
        for step, tile in enumerate(self.tiles):
            key = (tile.groups, tile.n, tile.loaded)
            epoch = _epoch(tiling.weight_scope, key)
            if not loads.reuse(step, key, epoch):
                loads.add(_Transfer("weights", self.layer.stationary.name, key, self._weight_footprint(tile), step, step),
                          key)
        return loads.per_step

    def _input_loads(self) -> list[_Transfer]:
        tiling, loads, whole = self.tiling, _LoadList(), (0, self.work.k)
        for step, tile in enumerate(self.tiles):
            k = tile.loaded if tiling.input_scope == "slice" else whole
            key = (tile.groups, tile.m, k)
            epoch = _epoch(tiling.input_scope, key)
            if not loads.reuse(step, key, epoch):
                footprint = input_footprint(self.work, tile.positions, groups=tile.groups[1] - tile.groups[0],
                                            k_first=k[0], k_last=k[1])
                loads.add(_Transfer("inputs", self.layer.streamed.name, key, footprint, step, step), key)
        return loads.per_step

    def _weight_footprint(self, tile: _Tile) -> Footprint:
        return weight_footprint(
            self.work, groups=tile.groups[1] - tile.groups[0], n=tile.n[1] - tile.n[0], k=tile.loaded[1] - tile.loaded[0],
            has_bias=tile.loaded[0] == 0, is_activation=self.layer.weights is None)

    def build(self) -> LayerProgram:
        steps = self._steps()
        return LayerProgram(layer=self.layer.name, unit="pe_grid", steps=tuple(steps), region_bytes=self._regions(),
                            mapping=self.tiling.text(self.work), placement=self.placement,
                            quantization=self._quantization(steps), position_order=self.tiling.position_order(self.work))

    def _quantization(self, steps: list[Step]) -> QuantizationCounts:
        drained = sum(step.outputs for step in steps if isinstance(step, Requantize))
        outputs = self.work.groups * self.work.m * self.work.n
        is_asymmetric = self.layer.has_asymmetric_weights
        summed = is_asymmetric and self.accelerator.pe_grid.row_sum_unit
        shapes = [tile.costs.shape for tile in self.tiles] if summed else []
        return QuantizationCounts(
            sum_macs=self.work.sum_macs, row_sum_additions=sum(s.groups * s.positions * s.k for s in shapes),
            corrected_sums=drained if is_asymmetric else 0, rescaled_sums=drained - outputs,
            codebook_reads=self._codebook_reads())

    def _codebook_reads(self) -> int:
        """One for each index of weights that the grid reads; neighbouring weights that share one come together."""
        precision = self.accelerator.pe_grid.precision
        if not isinstance(precision, CodebookPrecision):
            return 0
        weights = (operand_reads(self.accelerator.pe_grid, self.work, tile.costs.shape)[0] for tile in self.tiles)
        return sum(-(-count // precision.vector_length) for count in weights)

    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        delayed: Store | None = None
        following, depth = self._following_loads(), self.work.k
        self._append_loads(steps, 0)
        for i, tile in enumerate(self.tiles):
            if i in following:
                self._append_loads(steps, following[i])
            if delayed is not None:
                steps.append(delayed._replace(number=len(steps)))
                delayed = None
            steps.append(self._compute(len(steps), i))
            if not tile.ends:
                continue
            outputs = tile.costs.shape.outputs
            if tile.k[1] < depth:
                steps.append(Requantize(len(steps), tile.block, outputs, 0, has_outputs=False))
                continue
            footprint = self._output_footprint(tile)
            steps.append(Requantize(len(steps), tile.block, outputs, footprint.bytes))
            if self.placement.keeps_output:
                continue
            store = self._store(len(steps), tile, footprint)
            if self.tiling.store_lag and i + 1 < len(self.tiles):
                delayed = store
            else:
                steps.append(store)
        return steps

    def _following_loads(self) -> dict[int, int]:
        """First step of each loaded tile -> first step of the next one, whose loads overlap with it."""
        firsts = [i for i, tile in enumerate(self.tiles) if tile.k[0] == tile.loaded[0]]
        return dict(pairwise(firsts))

    def _append_loads(self, steps: list[Step], step: int) -> None:
        for transfer in self._transfers(step):
            if transfer.first_step == step:
                transfer.number = len(steps)
                steps.append(Load(transfer.number, transfer.operand, transfer.tensor, transfer.ranges,
                                  transfer.footprint.bytes, *self._bus(transfer.footprint)))

    def _transfers(self, step: int) -> list[_Transfer]:
        """The loads that a step uses; a resident input needs none."""
        weights, inputs = self.weight_loads[step], self.input_loads[step]
        return [weights, inputs] if self.loads_inputs else [weights]

    def _bus(self, footprint: Footprint) -> tuple[int, int]:
        return (footprint.bus_bytes(burst_bytes=self.accelerator.dram.burst_bytes),
                footprint.requests(burst_bytes=self.accelerator.dma.burst_bytes))

    def _compute(self, number: int, step: int) -> Compute:
        tile, transfers = self.tiles[step], self._transfers(step)
        costs = tile.costs
        fresh = [transfer for transfer in transfers if transfer.first_step == step]
        return Compute(
            number=number, block=tile.block, groups=tile.groups, m=tile.m, n=tile.n, k=tile.k,
            needs_preloaded=tuple([t.number for t in fresh if self.is_preloaded[t.operand]]),
            needs_streamed=tuple([t.number for t in fresh if not self.is_preloaded[t.operand]]),
            frees=tuple([t.number for t in transfers if t.last_step == step]),
            is_first=tile.begins, is_last=tile.ends, timing=costs.timing, port_cycles=self._ports(tile, fresh),
            macs=costs.macs, accumulator_updates=costs.accumulator_updates, read_bytes=costs.read_bytes,
            sum_channels=costs.shape.sum_channels)

    def _ports(self, tile: _Tile, fresh: list[_Transfer]) -> int:
        """Cycles of the ports in a step: reads, fills of tiles that it is the first to use, outputs."""
        moved = dict.fromkeys(OPERANDS, 0)
        for transfer in fresh:
            moved[transfer.operand] = transfer.footprint.bytes
        if tile.k[1] == self.work.k:  # written by the requantizer, and read again by the DMA if it is stored
            moved["outputs"] = (1 if self.placement.keeps_output else 2) * self._output_footprint(tile).bytes
        key = moved["weights"], moved["inputs"], moved["outputs"]
        if key not in tile.costs.ports:
            memory, traffic = self.accelerator.memory, dict(tile.costs.read_bytes)
            for operand, size in moved.items():
                home = memory.home(operand)
                traffic[home] = traffic.get(home, 0) + size
            tile.costs.ports[key] = port_cycles(memory, traffic)
        return tile.costs.ports[key]

    def _store(self, number: int, tile: _Tile, footprint: Footprint) -> Store:
        return Store(number, tile.block, self.layer.output.name, (tile.groups, tile.m, tile.n),
                     footprint.bytes, *self._bus(footprint))

    def _costs(self, shape: BlockShape) -> _ShapeCosts:
        grid, work, memory = self.accelerator.pe_grid, self.work, self.accelerator.memory
        weights, inputs = operand_reads(grid, work, shape)
        reads = {memory.home("weights"): -(-weights * work.weight_bits // 8)}
        reads[memory.home("inputs")] = reads.get(memory.home("inputs"), 0) + -(-inputs * work.input_bits // 8)
        return _ShapeCosts(
            shape=shape, timing=stream_timing(grid, fold_runs(grid, work, shape), step_cost(grid, work)),
            read_bytes=tuple(reads.items()), macs=shape.macs, accumulator_updates=accumulator_updates(grid, work, shape))

    def _output_footprint(self, tile: _Tile) -> Footprint:
        runs, shape, known = tile.positions.runs(self.work), tile.costs.shape, tile.costs.outputs
        if runs not in known:
            known[runs] = output_footprint(self.work, positions=shape.positions, groups=shape.groups, n=shape.n, runs=runs)
        return known[runs]

    def _regions(self) -> dict[Operand, int]:
        weights = self._region("weights", self.weight_loads, self.tiling.weight_scope)
        inputs = self._region("inputs", self.input_loads, self.tiling.input_scope) if self.loads_inputs else 0
        sizes = {tile.block: self._output_footprint(tile).bytes for tile in self.tiles if tile.k[1] == self.work.k}
        buffered = 2 if self.accelerator.memory.buffer_of("outputs").double_buffered else 1
        outputs = sum(sizes.values())
        if not self.placement.keeps_output:
            outputs = min(outputs, buffered * max(sizes.values()))
        return {"weights": weights, "inputs": inputs, "outputs": outputs}

    def _region(self, operand: Operand, loads: list[_Transfer], scope: Scope) -> int:
        """Room for the largest set of tiles that is live at once, twice if the next set loads meanwhile."""
        sets: list[int] = []
        current: object = None
        for step, transfer in enumerate(loads):
            if transfer.first_step != step:
                continue
            epoch = step if scope == "slice" else _epoch(scope, transfer.ranges)
            if epoch == current:
                sets[-1] += transfer.footprint.bytes
            else:
                sets.append(transfer.footprint.bytes)
            current = epoch
        buffered = 2 if self.accelerator.memory.buffer_of(operand).double_buffered else 1
        return min(sum(sets), buffered * max(sets))


def _epoch(scope: Scope, key: tuple[Range, ...]) -> object:
    """What stands still while a tile of these ranges (groups, positions or channels, K) stays."""
    return key if scope == "slice" else key[:2] if scope == "block" else key[0]


class _LoadList:
    """The load that each step uses, shared between steps while its tile stays on chip."""

    def __init__(self) -> None:
        self.per_step: list[_Transfer] = []
        self._kept: dict[object, _Transfer] = {}
        self._epoch: object = None

    def reuse(self, step: int, key: object, epoch: object) -> bool:
        if epoch != self._epoch:
            self._kept.clear()
            self._epoch = epoch
        kept = self._kept.get(key)
        if kept is None:
            return False
        kept.last_step = step
        self.per_step.append(kept)
        return True

    def add(self, transfer: _Transfer, key: object) -> None:
        self._kept[key] = transfer
        self.per_step.append(transfer)
