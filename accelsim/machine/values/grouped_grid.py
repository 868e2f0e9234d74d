"""A grid layer whose weights have several scales a channel: sums of runs of K, rescaled by the requantizer and added.

It is computed as a whole when it ends, as `WholeGrid`, and only where it provably cannot overflow: neither the sum of a run
in the registers of the grid, nor the sum of the rescaled ones in the accumulators (of which 32 bits count, the requantizer's
outputs). Zero points are taken off run by run, so that a folded one becomes part of what each run's accumulators start from;
the bias is added to the rescaled sums.

Time is that of the layer, whose runs have equal lengths but for a shorter last one (`Layer.weight_scale_groups`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.values.grid_layer import GridLayer, step_order
from accelsim.machine.values.whole_grid import WholeGrid
from accelsim.mapping.program import Compute, LayerProgram, Range
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts, BlockWeights
from accelsim.numerics.exact_product import magnitude_sums
from accelsim.numerics.integer_array import Integers, extremes, magnitudes, product, total
from accelsim.numerics.reached_width import ReachedWidth, reached_width, signed_bits
from accelsim.numerics.rule import Rule
from accelsim.results.layer_values import LayerValues
from accelsim.results.overflow import AccumulatorWidths, Overflows
from accelsim.workload.tensor import Shape

#: What the requantizer hands back to the accumulators.
_PARTIAL_BITS = 32


class GroupedGrid(WholeGrid):
    """The sums of the runs, one after the other.

    Raises
    ------
    NumericsError : accumulators that may overflow; a ratio of scales that the rule cannot encode.
    """

    def __init__(self, layer: GridLayer, shape: Shape, accelerator: Accelerator, program: LayerProgram, rule: Rule) -> None:
        super().__init__(layer, shape)
        groups = layer.operands.kernel.scale_groups
        assert groups is not None
        try:
            self._units = groups.units(rule)
        except NumericsError as error:
            raise NumericsError(error.problem, field=": ".join(filter(None, (layer.name, error.field)))) from error
        self._ratios = groups.ratios
        self._runs = tuple(groups.ranges(layer.operands.work.k))
        self._orders = _orders(layer, accelerator, program, self._runs)
        room = min(layer.accumulator.bits, layer.wires.bits, _PARTIAL_BITS)
        if self.worst_case_bits > room:
            raise NumericsError(f"expected registers of {self.worst_case_bits} bits, in which the sums of several scales a "
                                f"channel cannot overflow, got {room}", field=layer.name)

    @cached_property
    def worst_case_bits(self) -> int:
        """What the largest sum of a run, and the largest sum of all rescaled ones, need, whatever the inputs."""
        operands = self._layer.operands
        weights = operands.kernel.weights
        assert weights is not None
        sums = magnitudes(operands.bias)[:, 0].astype(object)
        worst = 0
        for run, (first, last) in enumerate(self._runs):
            part = weights[..., first:last]
            most = total(product(magnitude_sums(part), np.asarray(operands.largest_input)),
                         magnitudes(operands.run_start(part))[:, 0])
            worst = max(worst, int(np.max(most)))
            # One more for the rounding, and for a ratio that the rule encodes a little too large.
            scaled = np.ceil(most.astype(np.float64) * self._ratios[:, run].reshape(most.shape) * (1 + 2.0**-6)) + 1
            sums = sums + scaled.astype(object)
        return max(worst, int(np.max(sums))).bit_length() + 1

    def _piece(self, groups: Range, m: Range) -> NDArray[Any]:
        layer, operands = self._layer, self._layer.operands
        n = operands.work.n
        inputs = operands.inputs(groups, m, (0, operands.work.k))
        channels = slice(groups[0] * n, groups[1] * n)
        held: Integers = layer.preloaded[slice(*groups)]
        for run, unit, order in zip(self._runs, self._units, self._orders, strict=True):
            weights = operands.weights(groups, (0, n), run)
            block, start = BlockProducts(inputs[..., slice(*run)], BlockWeights(weights)), operands.run_start(weights)
            self._reached = reached_width(block, start, order=order, known=self._reached)
            held = held + layer.requantized(total(block.integers, start), unit.channels(channels)).astype(np.int64)
            reached = signed_bits(*extremes(held))
            self._reached = self._reached.joined(ReachedWidth(reached, reached))
        return layer.outputs(held, None, groups, (0, n))

    def observed(self) -> LayerValues:
        work = self._layer.operands.work
        widths = AccumulatorWidths(self.worst_case_bits, self._reached.running_bits, self._reached.final_bits)
        return LayerValues(widths, Overflows(outputs=work.groups * work.m * work.n), is_proven=True)


def _orders(layer: GridLayer, accelerator: Accelerator, program: LayerProgram, runs: Sequence[Range]) -> list[AdditionOrder]:
    """The order of additions of each run: that of the program's steps, of which every output block has the same K ranges.

    A program cuts K into runs of equal length and a rest; where the model's are longer and its last one shorter, a run is
    added fold by fold as one step would.
    """
    steps = [step for step in program.steps if isinstance(step, Compute)]
    own = sorted((step for step in steps if (step.groups, step.m, step.n) == (steps[0].groups, steps[0].m, steps[0].n)),
                 key=lambda step: step.k)
    orders = []
    for first, last in runs:
        inside = [step for step in own if first <= step.k[0] and step.k[1] <= last]
        if sum(step.k[1] - step.k[0] for step in inside) < last - first:
            inside = [own[0]._replace(k=(first, last))]
        parts = [step_order(step, layer.operands, accelerator) for step in inside]
        orders.append(AdditionOrder(parts[0].kind, tuple(piece for part in parts for piece in part.pieces)))
    return orders
