"""A grid layer whose integers the registers of the stepped grid and requantizer compute, tile by tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.grid_times import GridTimes
from accelsim.machine.stepped.events import StepEvents
from accelsim.machine.stepped.fold import folds
from accelsim.machine.stepped.requantizer_lanes import clock_requantizer
from accelsim.machine.stepped.step_run import run_step
from accelsim.machine.values.grid_layer import GridLayer, block_shape
from accelsim.machine.values.tiled_grid import Block, TiledGrid
from accelsim.mapping.fold_schedule import Places
from accelsim.mapping.program import Compute
from accelsim.numerics.accumulation import Overflows
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.integer_array import Integers
from accelsim.results.layer_values import LayerValues
from accelsim.results.overflow import Place
from accelsim.workload.tensor import Shape


class SteppedGrid(TiledGrid):
    """Accumulators and overflows are those of `run_step`; what the layer's sums would need (`AccumulatorWidths`) is looked
    at beside it, as everywhere.

    Parameters
    ----------
    times : of the run, measured on the same registers without integers.
    """

    def __init__(self, layer: GridLayer, accelerator: Accelerator, shape: Shape, *, has_resident_inputs: bool,
                 keeps_output: bool, event_limit: int, times: GridTimes) -> None:
        super().__init__(layer, accelerator, shape, has_resident_inputs=has_resident_inputs, keeps_output=keeps_output,
                         event_limit=event_limit)
        self._times = times

    def _record_biases(self, step: Compute, start: int, bias: Integers) -> None:
        """The registers themselves will tell, in the clock in which they take a bias that does not fit."""

    def _add(self, step: Compute, start: int, products: BlockProducts, block: Block, order: AdditionOrder) -> None:
        layer, work, shape, grid = self._layer, self._operands.work, block_shape(step), self._accelerator.pe_grid
        of_step = folds(grid, work, shape)
        timing = self._times.timing(layer.name, step)
        lag = max(0, step.port_cycles - timing.stream_cycles)
        delays = [lag * number // max(1, len(of_step) - 1) for number in range(len(of_step))]
        begins = layer.start(step.groups, step.n, with_ones=bool(step.sum_channels)) if step.is_first else block.held
        run = run_step(grid, work, shape, inputs=products.inputs, weights=products.weights, start=begins,
                       is_held=not step.is_first, accumulator=layer.accumulator, wires=layer.wires, delays=delays)
        last = max(fold.last_result for fold in run.folds)
        assert lag or last + 1 == timing.stream_cycles + timing.tail_cycles, f"{layer.name}: a cycle depends on the integers"
        pieces = np.array([fold.piece for fold in of_step], dtype=np.int64)[run.events.fold]
        self._record_all(step, start, run.events, np.where(run.events.k < 0, -1, block.folds + pieces))
        block.held = run.held
        self._measure(products, block, order, is_safe=False)

    def _record_all(self, step: Compute, start: int, events: StepEvents, folds: NDArray[np.int64]) -> None:
        """Log the events of a step, place by place."""
        found = Overflows(events.group, events.m, events.n, events.k, events.on_wires, events.exact, events.kept)
        places, is_bias = Places(events.row, events.column, events.cycle), events.k < 0
        kinds: tuple[tuple[Place, NDArray[np.bool_]], ...] = (
            ("bias", is_bias), ("wires", events.on_wires), ("accumulator", ~is_bias & ~events.on_wires))
        for place, chosen in kinds:
            if chosen.any():
                self._record(step, start, place, found.chosen(chosen), folds[chosen], places.chosen(chosen))

    def _drained(self, outputs: NDArray[Any]) -> NDArray[Any]:
        moved = clock_requantizer(self._accelerator.requantizer, outputs.reshape(-1))
        return moved.outputs.reshape(outputs.shape)

    def observed(self) -> LayerValues:
        """As the tile engine's: a layer that provably cannot overflow is marked so."""
        return replace(super().observed(), is_proven=self._layer.is_safe)
