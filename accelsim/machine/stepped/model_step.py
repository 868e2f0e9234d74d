"""A compute step of a layer with the integers that a quantized model brings it to."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.replay import replay
from accelsim.machine.stepped.layer_step import LayerStep, chosen_step
from accelsim.machine.stepped.operand_register import OperandRegister, operand_bits
from accelsim.machine.values.grid_layer import GridLayer
from accelsim.machine.values.network_values import NetworkValues
from accelsim.machine.values.tiled_grid import Block, TiledGrid
from accelsim.mapping.program import Compute, LayerProgram, Load, Program, Requantize, Store
from accelsim.numerics.addition_order import AdditionOrder
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.integer_array import Integers
from accelsim.numerics.rule import Rule
from accelsim.workload.input_values import Sample
from accelsim.workload.quantized_network import QuantizedNetwork


def model_step(accelerator: Accelerator, program: Program, network: QuantizedNetwork, sample: Sample, *, layer: str,
               tile: int, rule: Rule, source: str) -> LayerStep:
    """Run the network up to this layer, and the layer's steps up to the chosen one, without time.

    Integers that the accumulators (``overflow: error``) or the rule do not take end the run: if that happens in the chosen
    step or behind it, the step is shown, without outputs, and its remark says so.

    Parameters
    ----------
    program : of the whole network. sample : the network's inputs.
    layer : its name, which the program has. tile : place among its compute steps, from 0.
    rule : of the requantizer and the vector unit.
    source : in words, where the sample comes from.

    Raises
    ------
    WorkloadError : see `chosen_step`. HardwareError : see `operand_bits`.
    NumericsError : integers that a layer or step before the chosen one does not take.
    """
    place = next(number for number, mapped in enumerate(program.layers) if mapped.layer == layer)
    mapped, described = program.layers[place], next(known for known in network.network.layers if known.name == layer)
    step, tiles, behind = chosen_step(mapped, tile)
    prepared: dict[str, GridLayer] = {}
    values = NetworkValues(accelerator, network, sample, rule=rule, prepared=prepared)
    with threadpool_limits(limits=1, user_api="blas"):
        replay(Program(program.layers[:place]), values, _starts(program))
        values.carrier(mapped)  # prepares the layer
        carrier = _StepCatcher(prepared[layer], accelerator, network.layers[layer].output_shape,
                               has_resident_inputs=described.streamed.name in mapped.placement.resident_inputs,
                               keeps_output=mapped.placement.keeps_output, wanted=step)
        values.begin(layer, carrier)
        remark = _follow(mapped, carrier, behind)
    own, found = prepared[layer], carrier.found
    assert found is not None, "the chosen step was carried out"
    registers = _registers(accelerator, own, with_ones=bool(step.sum_channels))
    return LayerStep(accelerator, network.network.name, layer, tile, tiles, step, own.operands.work, found.inputs,
                     found.weights, *registers, found.start, carrier.outputs, behind is not None, source, remark)


def _starts(program: Program) -> dict[str, dict[int, int]]:
    """No step has a time."""
    return {layer.layer: {step.number: 0 for step in layer.steps if isinstance(step, Compute)} for layer in program.layers}


def _follow(program: LayerProgram, carrier: _StepCatcher, behind: Requantize | None) -> str:
    """Carry the steps of the layer until the chosen one's integers are known; returns what ended the run early, if so."""
    try:
        for step in program.steps:
            match step:
                case Load():
                    carrier.load(step)
                case Compute():
                    carrier.accumulate(step, 0)
                    carrier.free(step.frees)
                case Requantize():
                    carrier.requantize(step)
                case Store():
                    carrier.store(step)
            if carrier.found is not None and (behind is None or step is behind):
                break
    except NumericsError as error:
        if carrier.found is None:
            raise
        return f"the run ends here: {error}"
    return ""


class _Found(NamedTuple):
    """What a step computes with: inputs, weights, and what the accumulators start from."""

    inputs: NDArray[Any]
    weights: NDArray[Any]
    start: Integers


class _StepCatcher(TiledGrid):
    """Keeps the operands of one step, and the outputs of its block."""

    def __init__(self, layer: GridLayer, accelerator: Accelerator, shape: tuple[int, ...], *, has_resident_inputs: bool,
                 keeps_output: bool, wanted: Compute) -> None:
        super().__init__(layer, accelerator, shape, has_resident_inputs=has_resident_inputs, keeps_output=keeps_output,
                         event_limit=0)
        self._wanted = wanted
        self._is_its_block = False
        self._unfit: tuple[int, Integers] | None = None
        self.found: _Found | None = None
        self.outputs: NDArray[Any] | None = None

    def _record_biases(self, step: Compute, start: int, bias: Integers) -> None:
        """Those of the chosen step may end the run, but only once its operands are known."""
        if step.number == self._wanted.number:
            self._unfit = start, bias
        else:
            super()._record_biases(step, start, bias)

    def _add(self, step: Compute, start: int, products: BlockProducts, block: Block, order: AdditionOrder) -> None:
        if step.number == self._wanted.number:
            begins = (self._layer.start(step.groups, step.n, with_ones=bool(step.sum_channels)) if step.is_first
                      else block.held.copy())
            self.found = _Found(products.inputs.copy(), products.weights.copy(), begins)
            if self._unfit is not None:
                super()._record_biases(step, *self._unfit)
        super()._add(step, start, products, block, order)

    def requantize(self, step: Requantize) -> None:
        self._is_its_block = step.block == self._wanted.block
        super().requantize(step)

    def _drained(self, outputs: NDArray[Any]) -> NDArray[Any]:
        if self._is_its_block and self.found is not None:
            self.outputs = outputs
        return super()._drained(outputs)


def _registers(accelerator: Accelerator, layer: GridLayer, *, with_ones: bool) -> tuple[OperandRegister, OperandRegister]:
    """(input, weight) registers; operands whose zero point was taken off beforehand have one bit more if they need it."""
    grid, kernel, operands = accelerator.pe_grid, layer.operands.kernel, layer.operands
    weight_bits, input_bits = operand_bits(grid, operands.work)
    is_folded = grid.zero_points == "fold_into_bias" and kernel.weights is not None
    shift = 0 if is_folded else int(kernel.input.zero_point)
    inputs = OperandRegister.holding(input_bits, kernel.input.qtype.min - shift, kernel.input.qtype.max - shift)
    point = int(kernel.weight.zero_point) if kernel.weights is None else 0
    high = kernel.weight.qtype.max - point
    return inputs, OperandRegister.holding(weight_bits, kernel.weight.qtype.min - point, max(1, high) if with_ones else high)
