"""A grid layer whose integers travel with the steps: tiles into buffers, products into accumulators, blocks out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import Operand
from accelsim.machine.values.carrier import Carrier
from accelsim.machine.values.grid_layer import GridLayer, block_shape, require_one_scale, step_order, with_channel_of_ones
from accelsim.machine.values.overflow_log import Events, OverflowLog
from accelsim.mapping.fold_schedule import FoldSchedule, Places
from accelsim.mapping.program import Compute, Load, Range, Requantize, Store
from accelsim.numerics.accumulation import Overflows, accumulate_by_folds, is_safe, preloaded
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts, BlockWeights
from accelsim.numerics.integer_array import Integers, extremes, total
from accelsim.numerics.reached_width import ReachedWidth, reached_width, signed_bits
from accelsim.results.layer_values import LayerValues
from accelsim.results.overflow import AccumulatorWidths, Place
from accelsim.workload.tensor import Shape

#: Weights of which a layer remembers what was found out about them: 1 MB of int8, 8 MB with their forms for the products.
_MOST_KNOWN_WEIGHTS = 2**20


class _Tile(NamedTuple):
    """A tile in a buffer: ranges of groups, of positions or channels, and of reduction steps."""

    ranges: tuple[Range, ...]
    values: NDArray[Any]

    def part(self, wanted: tuple[Range, ...]) -> NDArray[Any] | None:
        """The wanted ranges of it, if it holds them."""
        if any(first < own[0] or last > own[1] for (first, last), own in zip(wanted, self.ranges, strict=True)):
            return None
        return self.values[tuple(slice(first - own[0], last - own[0])
                                 for (first, last), own in zip(wanted, self.ranges, strict=True))]


@dataclass(slots=True)
class Block:
    """An output block in the accumulators.

    `held` are the registers, a channel of ones behind the others if the layer has one; `unlimited` is what they would hold
    if they were wide enough, the same as long as nothing overflowed (`is_clean`). `row_sums` come from a unit beside the
    grid.
    """

    step: Compute
    held: Integers
    unlimited: Integers
    row_sums: Integers | None = None
    folds: int = 0
    is_clean: bool = True


class TiledGrid(Carrier):
    """Carries tiles through the steps of the program, and looks at every register on the way."""

    def __init__(self, layer: GridLayer, accelerator: Accelerator, shape: Shape, *, has_resident_inputs: bool,
                 keeps_output: bool, event_limit: int) -> None:
        require_one_scale(layer)
        self._layer, self._operands, self._shape, self._accelerator = layer, layer.operands, shape, accelerator
        self._has_resident_inputs, self._keeps_output = has_resident_inputs, keeps_output
        self._tiles: dict[Operand, dict[int, _Tile]] = {"weights": {}, "inputs": {}}
        self._blocks: dict[int, Block] = {}
        self._known_weights: dict[tuple[Range, ...], BlockWeights] = {}
        self._orders: dict[Range, AdditionOrder] = {}
        self._row_sums: dict[tuple[Range, Range], Integers] = {}
        self._finished: dict[int, NDArray[Any]] = {}
        self._output = layer.operands.new_output()
        self._written = np.zeros((layer.operands.work.groups, layer.operands.work.m, layer.operands.work.n), np.int8)
        self._log = OverflowLog(layer.name, layer.operands, shape, limit=event_limit)
        self._reached = ReachedWidth()
        #: Number of a compute step -> cycle at which its stream started.
        self.starts: dict[int, int] = {}

    def begin(self, inputs: Sequence[NDArray[Any]]) -> None:
        self._operands.bring(inputs)

    def load(self, load: Load) -> None:
        operands, (groups, middle, k) = self._operands, load.ranges
        brought = (operands.inputs(groups, self._layer.where(middle), k) if load.operand == "inputs"
                   else operands.weights(groups, middle, k))
        self._tiles[load.operand][load.number] = _Tile(load.ranges, brought.copy())

    def free(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            for tiles in self._tiles.values():
                tiles.pop(number, None)

    def _tile(self, operand: Operand, wanted: tuple[Range, ...]) -> NDArray[Any]:
        """Operands of a compute step, from the tiles that are in the buffer now."""
        for tile in reversed(self._tiles[operand].values()):
            found = tile.part(wanted)
            if found is not None:
                return found
        is_resident = operand == "inputs" and self._has_resident_inputs
        assert is_resident, f"{self._layer.name}: computes with {operand} {wanted} that are not on chip"
        groups, m, k = wanted
        return self._operands.inputs(groups, self._layer.where(m), k)

    def accumulate(self, step: Compute, start: int) -> None:
        layer = self._layer
        self.starts[step.number] = start
        if step.is_first:
            self._blocks[step.block] = self._preload(step, start)
        block = self._blocks[step.block]
        inputs = self._tile("inputs", (step.groups, step.m, step.k))
        products = BlockProducts(inputs, self._weights(step), largest_input=self._operands.largest_input)
        order = self._order(step)
        self._add(step, start, products, block, order)
        sums = layer.row_sums(inputs)
        if sums is not None:
            block.row_sums = sums if block.row_sums is None else block.row_sums + sums
        block.folds += len(order.pieces)

    def _add(self, step: Compute, start: int, products: BlockProducts, block: Block, order: AdditionOrder) -> None:
        """Add a step's products to the accumulators of a block."""
        layer = self._layer
        if block.is_clean and is_safe(products, block.held, order=order, accumulator=layer.accumulator, wires=layer.wires):
            self._measure(products, block, order, is_safe=True)
            block.held = block.unlimited
        else:
            self._walk(step, start, products, block, order)
            self._measure(products, block, order, is_safe=False)

    def _walk(self, step: Compute, start: int, products: BlockProducts, block: Block, order: AdditionOrder) -> None:
        """Add a step's products where something may overflow."""

        def told(found: Overflows) -> None:
            block.is_clean = False
            pieces = np.searchsorted(order.starts, found.k, side="right") - 1
            self._record(step, start, "wires" if found.on_wires[0] else "accumulator", found, block.folds + pieces)

        block.held = accumulate_by_folds(products, block.held, order=order, accumulator=self._layer.accumulator,
                                         wires=self._layer.wires, told=told)

    def _measure(self, products: BlockProducts, block: Block, order: AdditionOrder, *, is_safe: bool) -> None:
        """Add a step's products to registers without limits; find how wide they would have to be."""
        layer = self._layer
        if not is_safe or self._reached.running_bits < max(layer.accumulator.bits, layer.wires.bits):
            reached = reached_width(products, block.unlimited, order=order, known=self._reached)
            self._reached = ReachedWidth(reached.running_bits, self._reached.final_bits)
        block.unlimited = total(block.unlimited, products.integers)

    def _order(self, step: Compute) -> AdditionOrder:
        """The order of additions of a step; steps of the same K range share it."""
        if step.k not in self._orders:
            self._orders[step.k] = step_order(step, self._operands, self._accelerator)
        return self._orders[step.k]

    def _weights(self, step: Compute) -> BlockWeights:
        """The weights of a step, as they lie on chip now; what was found out about them before is remembered."""
        wanted = (step.groups, step.n, step.k)
        weights = self._tile("weights", wanted)
        if wanted not in self._known_weights:
            if sum(known.integers.size for known in self._known_weights.values()) > _MOST_KNOWN_WEIGHTS:
                self._known_weights.clear()
            integers = with_channel_of_ones(weights) if step.sum_channels else weights.copy()
            self._known_weights[wanted] = BlockWeights(integers)
        return self._known_weights[wanted]

    def _preload(self, step: Compute, start: int) -> Block:
        """Fill the accumulators of a block with its bias, which may not fit."""
        positions, bias = step.m[1] - step.m[0], self._layer.start(step.groups, step.n, with_ones=bool(step.sum_channels))
        shape, register = (bias.shape[0], positions, bias.shape[2]), self._layer.accumulator
        unlimited = np.broadcast_to(bias, shape)
        low, high = extremes(bias)
        if register.min <= low and high <= register.max:
            return Block(step, unlimited, unlimited)
        self._record_biases(step, start, bias)
        return Block(step, np.broadcast_to(preloaded(bias, register), shape), unlimited, is_clean=False)

    def _record_biases(self, step: Compute, start: int, bias: Integers) -> None:
        """Log biases (G, 1, N) that do not fit into the accumulators."""
        register, positions = self._layer.accumulator, step.m[1] - step.m[0]
        g, _, n = np.nonzero(register.overflows(bias))
        g, n, m = np.repeat(g, positions), np.repeat(n, positions), np.tile(np.arange(positions), g.size)
        exact, before = bias[g, 0, n], np.full(g.size, -1)
        self._record(step, start, "bias", Overflows(g, m, n, before, np.zeros(g.size, np.bool_), exact,
                                                    preloaded(exact, register)), before)

    def _record(self, step: Compute, start: int, place: Place, found: Overflows, folds: NDArray[np.int64],
                places: Places | None = None) -> None:
        """Log overflows of one place in a step, with their PEs and cycles: those of the fold schedule, if none are given."""
        if self._layer.accumulator.overflow == "error":
            self._refuse(found)
        if step.sum_channels:
            is_sum = found.n == step.n[1] - step.n[0]
            parts: tuple[tuple[Place, NDArray[np.bool_]], ...] = (("row_sum", is_sum), (place, ~is_sum))
            for part, chosen in parts:
                if chosen.any():
                    self._log_events(step, start, part, found.chosen(chosen), folds[chosen],
                                     places.chosen(chosen) if places is not None else None)
        else:
            self._log_events(step, start, place, found, folds, places)

    def _log_events(self, step: Compute, start: int, place: Place, found: Overflows, folds: NDArray[np.int64],
                    places: Places | None) -> None:
        group, m, n = found.group + step.groups[0], found.m + step.m[0], found.n + step.n[0]
        if self._layer.position_order is not None:
            m = self._layer.position_order.natural(m)
        self._log.count(place, group, m, n, folds)
        if not self._log.wants(start):
            return
        if places is None:
            lag = max(0, step.port_cycles - step.timing.stream_cycles)
            schedule = FoldSchedule(self._accelerator.pe_grid, self._operands.work, block_shape(step), lag)
            places = schedule.places(found.group, found.m, found.n, found.k, found.on_wires)
        k = np.where(found.k < 0, -1, found.k + step.k[0])
        self._log.keep(Events(place, group, m, n, k, places.rows, places.columns, places.cycles + start, found.exact,
                              found.kept))

    def _refuse(self, found: Overflows) -> None:
        bits = self._layer.wires.bits if found.on_wires[0] else self._layer.accumulator.bits
        raise NumericsError(f"a partial sum of {found.exact[0]} does not fit into {bits} bits, and the accelerator's "
                            "accumulators.overflow is error", field=self._layer.name)

    def requantize(self, step: Requantize) -> None:
        block = self._blocks.pop(step.block)
        of = block.step
        channels = of.n[1] - of.n[0]
        if of.sum_channels:  # the position's other channel blocks, which come later, wait for these sums
            self._row_sums[of.groups, of.m] = block.held[..., channels:]
        row_sums = self._row_sums[of.groups, of.m] if self._layer.has_ones else block.row_sums
        outputs = self._drained(self._layer.outputs(block.held[..., :channels], row_sums, of.groups, of.n))
        self._finished[step.block] = outputs
        self._written[slice(*of.groups), slice(*of.m), slice(*of.n)] += 1
        self._reached = self._reached.joined(ReachedWidth(1, signed_bits(*extremes(block.unlimited))))
        if self._keeps_output:
            self._put(self._finished.pop(step.block), of.groups, of.m, of.n)

    def _drained(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs (G, M, N) of a block on their way out of the requantizer."""
        return outputs

    def store(self, step: Store) -> None:
        groups, m, n = step.ranges
        self._put(self._finished.pop(step.block), groups, m, n)

    def _put(self, outputs: NDArray[Any], groups: Range, m: Range, n: Range) -> None:
        part = self._operands.part(self._output, groups, self._layer.where(m), n)
        part[...] = self._operands.shaped(outputs, part)

    def finish(self) -> NDArray[Any]:
        assert not self._finished, f"{self._layer.name}: blocks {sorted(self._finished)} were never stored"
        assert np.all(self._written == 1), f"{self._layer.name}: an output was never made, or twice"
        return self._operands.restored(self._output, self._shape)

    def observed(self) -> LayerValues:
        widths = AccumulatorWidths(self._layer.worst_case_bits, self._reached.running_bits, self._reached.final_bits)
        return LayerValues(widths, self._log.result(), is_proven=False)
