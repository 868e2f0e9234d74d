"""A grid layer with accumulators that are wide enough, and beside them what narrower ones would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.machine.values.grid_layer import GridLayer, require_one_scale
from accelsim.machine.values.whole_grid import WholeGrid
from accelsim.mapping.program import Range
from accelsim.numerics.accumulation import Overflows, accumulate, preloaded
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register
from accelsim.results.layer_values import LayerValues
from accelsim.results.width_trial import WidthTrial
from accelsim.workload.tensor import Shape


class TrialGrid(WholeGrid):
    """Hands on the right outputs, whatever the accelerator's own width is.

    Parameters
    ----------
    widths : to be tried, of accumulators and wires alike; under the accelerator's overflow rule ("error" counts as "wrap").
    """

    def __init__(self, layer: GridLayer, shape: Shape, widths: Sequence[int]) -> None:
        require_one_scale(layer)
        super().__init__(layer, shape)
        self._trials = {bits: WidthTrial(bits) for bits in sorted(widths, reverse=True)}

    def _examine(self, block: BlockProducts, row_sums: Integers | None, groups: Range, outputs: NDArray[Any]) -> None:
        for bits, trial in self._trials.items():
            # The bias may be as wide as the layer's worst case, which no bit of the tried width can change.
            if bits < self._reached.running_bits:
                trial = trial.joined(self._tried(bits, block, row_sums, groups, outputs))
            else:
                trial = trial.joined(WidthTrial(bits, outputs.size))
            self._trials[bits] = trial

    def _tried(self, bits: int, block: BlockProducts, row_sums: Integers | None, groups: Range,
               outputs: NDArray[Any]) -> WidthTrial:
        """A piece of the layer at one width."""
        layer = self._layer
        register = Register(bits, "saturate" if layer.accumulator.overflow == "saturate" else "wrap")
        start = layer.start(groups, (0, layer.operands.work.n), with_ones=layer.has_ones)
        shape = (start.shape[0], block.inputs.shape[1], start.shape[2])
        hit = np.zeros(shape, np.bool_)
        hit[:] = register.overflows(start) != 0
        events = int(np.count_nonzero(hit))

        def told(found: Overflows) -> None:
            nonlocal events
            events += found.m.size
            hit[found.group, found.m, found.n] = True

        held = np.broadcast_to(preloaded(start, register), shape).astype(np.int64)
        held = accumulate(block, held, order=layer.order, accumulator=register, wires=register, told=told)
        if layer.has_ones:  # outputs need the row sum of their position
            hit = hit[..., :-1] | hit[..., -1:]
        wrong = np.abs(self._outputs(held, row_sums, groups).astype(np.int64) - outputs)
        return WidthTrial(bits, outputs.size, events, int(np.count_nonzero(hit)), int(np.count_nonzero(wrong)),
                          int(wrong.max(initial=0)))

    def observed(self) -> LayerValues:
        return replace(super().observed(), is_proven=False, trials=tuple(self._trials.values()))

