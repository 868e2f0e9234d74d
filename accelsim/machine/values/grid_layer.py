"""What both ways of carrying a grid layer's integers share: registers, order of additions, the way out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.values.grid_operands import GridOperands
from accelsim.mapping.fold_plan import BlockShape
from accelsim.mapping.fold_schedule import addition_order
from accelsim.mapping.footprint import Positions
from accelsim.mapping.position_order import PositionOrder
from accelsim.mapping.program import Compute, LayerProgram, Range
from accelsim.numerics.accumulator_bound import bits_for
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.integer_array import Integers, magnitudes, product, total
from accelsim.numerics.register import Register
from accelsim.numerics.requantization import Requantization


@dataclass(frozen=True, eq=False)
class GridLayer:
    """A grid layer under the accelerator's registers and rule.

    Parameters
    ----------
    name : of the layer. operands : its integers. requantization : its way out.
    accumulator, wires : the registers; without wires between PEs, `wires` is the accumulator.
    preloads_bias : whether the accumulators start from the bias, else the requantizer adds it.
    order : of the additions of one output, over all of K.
    position_order : how the program numbers its positions; None for the usual order.
    """

    name: str
    operands: GridOperands
    requantization: Requantization
    accumulator: Register
    wires: Register
    preloads_bias: bool
    order: AdditionOrder
    position_order: PositionOrder | None = None

    def where(self, m: Range) -> Range | Positions:
        """A block of the program's positions, as the operands take it."""
        return m if self.position_order is None else self.position_order.block(m)

    @property
    def preloaded(self) -> Integers:
        """What the accumulators start from, before it has to fit, (groups, 1, n)."""
        return self.operands.bias if self.preloads_bias else np.zeros_like(self.operands.bias)

    def start(self, groups: Range, n: Range, *, with_ones: bool) -> Integers:
        """What some accumulators start from, (G, 1, N), with that of the channel of ones behind them, if they have one."""
        bias = self.preloaded[slice(*groups), :, slice(*n)]
        return np.concatenate([bias, np.zeros_like(bias[..., :1])], axis=2) if with_ones else bias

    def row_sums(self, inputs: NDArray[Any]) -> Integers | None:
        """Sums of the inputs (G, M, K) over K, (G, M, 1), where a unit beside the grid makes them; None elsewhere."""
        if not self.is_asymmetric or self.has_ones:
            return None
        return np.asarray(inputs.sum(axis=2, keepdims=True, dtype=np.int64))

    @property
    def has_ones(self) -> bool:
        """Whether a channel of ones on the grid sums the inputs of each position."""
        return bool(self.operands.work.sum_channels)

    @property
    def is_asymmetric(self) -> bool:
        """Whether the sum of the inputs is needed behind the accumulators."""
        return self.operands.kernel.weights is not None and self.operands.kernel.has_asymmetric_weights

    @property
    def worst_case_bits(self) -> int:
        """``|b'| + sum |w| * max|x'|`` in bits, of the worst channel; column sums start at 0 and are smaller."""
        return int(bits_for(self._worst_sums[1]))

    @cached_property
    def is_safe(self) -> bool:
        """Whether that bound proves that nothing overflows, whatever the inputs."""
        column, accumulated = self._worst_sums
        return accumulated <= self.accumulator.max and (self.order.kind != "column_sums" or column <= self.wires.max)

    @cached_property
    def _worst_sums(self) -> tuple[int, int]:
        """The largest column sum, and the largest sum with the bias, that any inputs can make; row sums included."""
        operands = self.operands
        bias = magnitudes(self.preloaded)[:, 0]
        row_sum = operands.work.k * operands.largest_input if operands.work.sum_channels else 0
        sums = operands.worst_sums
        return max(row_sum, int(np.max(sums))), max(row_sum, int(np.max(total(sums, bias))))

    def outputs(self, accumulated: Integers, row_sums: Integers | None, groups: Range, n: Range) -> NDArray[Any]:
        """Output integers (G, M, N) of accumulators (G, M, N); `row_sums` (G, M, 1) with asymmetric weights.

        Raises
        ------
        NumericsError : values that the requantization rule does not take; names the layer.
        """
        operands, work = self.operands, self.operands.work
        part = (slice(*groups), slice(None), slice(*n))
        if not self.preloads_bias:
            accumulated = total(accumulated, operands.bias[part])
        if row_sums is not None:
            accumulated = total(accumulated, product(row_sums, -operands.weight_zero_points[part]))
        first, last = groups[0] * work.n + n[0], (groups[1] - 1) * work.n + n[1]
        return self.requantized(accumulated, self.requantization.channels(slice(first, last)))

    def requantized(self, values: Integers, unit: Requantization) -> NDArray[Any]:
        """Integers (G, M, N) through a unit of these G * N channels.

        Raises
        ------
        NumericsError : values that the requantization rule does not take; names the layer.
        """
        count, positions, channels = values.shape
        by_channel = values.transpose(1, 0, 2).reshape(positions, count * channels)
        try:
            made = unit.requantize(by_channel)
        except NumericsError as error:
            raise NumericsError(error.problem, field=f"{self.name}: {error.field}") from error
        return made.reshape(positions, count, channels).transpose(1, 0, 2)


def require_one_scale(layer: GridLayer) -> None:
    """Refuse runs of K with scales of their own where accumulators are looked at one by one.

    Raises
    ------
    NumericsError : names the layer.
    """
    if layer.operands.kernel.scale_groups is not None:
        raise NumericsError("expected one scale a channel for a run that looks at single accumulators (the stepped engine, "
                            "widths to be tried), got several", field=layer.name)


def with_channel_of_ones(weights: NDArray[Any]) -> NDArray[Any]:
    """Weights (G, N, K) with the channel behind them that asymmetric weights ask for."""
    return np.concatenate([weights, np.ones_like(weights[:, :1])], axis=1)


def grid_layer(name: str, operands: GridOperands, requantization: Requantization, accelerator: Accelerator,
               program: LayerProgram) -> GridLayer:
    """The layer on this accelerator; its order of additions is the program's."""
    register = accelerator.accumulators.register
    return GridLayer(name, operands, requantization, register, accelerator.partial_sum_register or register,
                     accelerator.accumulators.preloads_bias, _whole_order(operands, accelerator, program),
                     program.position_order)


def _whole_order(operands: GridOperands, accelerator: Accelerator, program: LayerProgram) -> AdditionOrder:
    """All of K: every block of a layer has the same K ranges, each with folds of its own."""
    steps = [step for step in program.steps if isinstance(step, Compute)]
    parts = [step_order(step, operands, accelerator) for step in steps if step.block == steps[0].block]
    return AdditionOrder(parts[0].kind, tuple(piece for part in parts for piece in part.pieces))


def step_order(step: Compute, operands: GridOperands, accelerator: Accelerator) -> AdditionOrder:
    """The order of additions of one compute step."""
    return addition_order(accelerator.pe_grid, operands.work, block_shape(step))


def block_shape(step: Compute) -> BlockShape:
    """The sizes of a compute step."""
    return BlockShape(groups=step.groups[1] - step.groups[0], positions=step.m[1] - step.m[0], n=step.n[1] - step.n[0],
                      k_first=step.k[0], k=step.k[1] - step.k[0], sum_channels=step.sum_channels)
