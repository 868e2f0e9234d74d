"""One compute step of a layer with its integers, ready to be clocked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.step_cost import StepCost
from accelsim.machine.stepped.fold import Fold, folds
from accelsim.machine.stepped.layout import Layout
from accelsim.machine.stepped.operand_register import OperandRegister
from accelsim.machine.stepped.recorder import ClockRecorder
from accelsim.machine.stepped.step_run import StepRun, run_step
from accelsim.machine.values.grid_layer import block_shape
from accelsim.mapping.fold_plan import BlockShape, step_cost
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.program import Compute, LayerProgram, Requantize
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.register import Register


@dataclass(frozen=True, eq=False)
class LayerStep:
    """What the registers of an accelerator get in one compute step.

    Parameters
    ----------
    accelerator : whose grid, accumulators and requantizer are clocked.
    network, layer : names.
    tile, tiles : place of the step among the layer's compute steps, from 0, and their number.
    step : of the layer's program. work : the layer's matrix products.
    inputs, weights : (G, M, K) and (G, N, K), a channel of ones behind the weights if the step has one.
    input_register, weight_register : in which they travel.
    start : what the accumulators start from, (G, 1 or M, N): biases, or what they hold from earlier steps.
    outputs : what the requantizer makes of the block, (G, M, N) without a channel of ones; None if it does not follow this
        step, or if its outputs are not known.
    requantizes : whether the requantizer follows this step.
    source : in words, where the integers come from.
    remark : in words, what else there is to say of them.
    """

    accelerator: Accelerator
    network: str
    layer: str
    tile: int
    tiles: int
    step: Compute
    work: GemmWork
    inputs: NDArray[Any]
    weights: NDArray[Any]
    input_register: OperandRegister
    weight_register: OperandRegister
    start: Integers
    outputs: NDArray[Any] | None
    requantizes: bool
    source: str
    remark: str = ""

    def run(self, recorder: ClockRecorder | None = None) -> StepRun:
        """Clock the grid through the step; the buffers' ports hold it back as they do in the machine."""
        lag = max(0, self.step.port_cycles - self.step.timing.stream_cycles)
        count = len(self.folds)
        delays = [lag * number // max(1, count - 1) for number in range(count)]
        return run_step(self.accelerator.pe_grid, self.work, self.block, inputs=self.inputs, weights=self.weights,
                        start=self.start, is_held=self.is_held, accumulator=self.accumulator, wires=self.wires,
                        delays=delays, recorder=recorder)

    @property
    def is_held(self) -> bool:
        """Whether the accumulators hold partial sums of earlier steps."""
        return not self.step.is_first

    @property
    def block(self) -> BlockShape:
        return block_shape(self.step)

    @cached_property
    def folds(self) -> list[Fold]:
        """In order of execution."""
        return folds(self.accelerator.pe_grid, self.work, self.block)

    @cached_property
    def cost(self) -> StepCost:
        """Of a streamed step."""
        return step_cost(self.accelerator.pe_grid, self.work)

    @cached_property
    def layout(self) -> Layout:
        """Where operands and outputs lie on the grid."""
        block = self.block
        return Layout(self.accelerator.pe_grid, self.cost, (block.groups, block.positions, block.channels), self.inputs,
                      self.weights)

    @property
    def accumulator(self) -> Register:
        return self.accelerator.accumulators.register

    @property
    def wires(self) -> Register:
        """Between the PEs, where sums travel on them."""
        return self.accelerator.partial_sum_register or self.accumulator

    @property
    def title(self) -> str:
        """Network, layer, tile and accelerator in a line."""
        return f"{self.network}, {self.layer}, tile {self.tile} of {self.tiles} on {self.accelerator.name}"

    @property
    def ranges_text(self) -> str:
        """The step's ranges, as `LayerProgram.lines` has them."""
        step = self.step
        return " ".join(f"{name}[{first}:{last}]" for name, (first, last) in
                        (("g", step.groups), ("m", step.m), ("n", step.n), ("k", step.k)))


def chosen_step(program: LayerProgram, tile: int) -> tuple[Compute, int, Requantize | None]:
    """(compute step, number of compute steps, the requantization that follows it if it is the last of its block).

    Parameters
    ----------
    tile : place among the layer's compute steps, from 0.

    Raises
    ------
    WorkloadError : a layer of the vector unit, a tile that the layer does not have.
    """
    steps = [step for step in program.steps if isinstance(step, Compute)]
    if not steps:
        raise WorkloadError("expected a layer on the PE grid, got one that the vector unit executes", field=program.layer)
    if not 0 <= tile < len(steps):
        expected = f"0 to {len(steps) - 1}, one of its compute steps" if len(steps) > 1 else "0, its one compute step"
        raise WorkloadError(f"expected tile {expected}, got {tile}", field=program.layer)
    step = steps[tile]
    if not step.is_last:
        return step, len(steps), None
    behind = next(other for other in program.steps if isinstance(other, Requantize) and other.block == step.block)
    return step, len(steps), behind
