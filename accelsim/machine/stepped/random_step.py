"""A compute step of a layer without integers of its own, filled with random ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.machine.stepped.layer_step import LayerStep, chosen_step
from accelsim.machine.stepped.operand_register import OperandRegister, operand_bits
from accelsim.machine.values.grid_layer import with_channel_of_ones
from accelsim.mapping.lowering import GemmWork, lower
from accelsim.mapping.program import Compute, LayerProgram, Requantize
from accelsim.numerics.block_products import BlockProducts
from accelsim.numerics.integer_array import Integers, magnitude, total
from accelsim.numerics.qtype import QType
from accelsim.numerics.register import Register
from accelsim.workload.layer import Layer


def random_step(accelerator: Accelerator, network: str, layer: Layer, program: LayerProgram, *, tile: int,
                seed: int) -> LayerStep:
    """The step with signed integers of the layer's widths, each as likely.

    Weights are numbers that the PE's kind has: -1 and +1, or 0 too, powers of two, entries of a codebook. A bias is as large
    as a product. Accumulators of a step that is not the first of its block hold what the earlier steps of the same integers
    leave. Outputs come from a scale that is a power of two and lets the largest accumulator just fit.

    Parameters
    ----------
    program : of this layer. tile : place among its compute steps, from 0.

    Raises
    ------
    WorkloadError : see `chosen_step`. HardwareError : see `operand_bits`.
    """
    step, tiles, behind = chosen_step(program, tile)
    work = lower(layer, has_row_sum_unit=accelerator.pe_grid.row_sum_unit)
    bits = operand_bits(accelerator.pe_grid, work)
    rng = np.random.default_rng(seed)
    weight_numbers, input_numbers = numbers_of(accelerator.pe_grid.precision, work)
    groups, positions, channels, last = (end - first for first, end in (step.groups, step.m, step.n, (0, step.k[1])))
    inputs = rng.choice(input_numbers, (groups, positions, last))
    weights = rng.choice(weight_numbers, (groups, channels, last))
    largest = magnitude(input_numbers) * magnitude(weight_numbers) if layer.bias is not None else 0
    largest = min(largest, accelerator.accumulators.register.max)
    bias = rng.integers(-largest, largest, (groups, 1, channels), endpoint=True)
    if not accelerator.accumulators.preloads_bias:
        bias = np.zeros_like(bias)
    if step.sum_channels:
        weights, bias = with_channel_of_ones(weights), np.concatenate([bias, np.zeros_like(bias[..., :1])], axis=2)
    own = slice(step.k[0], last)
    highest = max(1, int(weight_numbers.max())) if step.sum_channels else int(weight_numbers.max())
    given = LayerStep(
        accelerator, network, layer.name, tile, tiles, step, work, inputs[..., own], weights[..., own],
        OperandRegister.holding(bits[1], int(input_numbers.min()), int(input_numbers.max())),
        OperandRegister.holding(bits[0], int(weight_numbers.min()), highest),
        _start(accelerator.accumulators.register, step, inputs, weights, bias), None, behind is not None,
        f"random integers of seed {seed}, at the layer's widths")
    return _with_outputs(given, work, behind)


def numbers_of(precision: PrecisionKind, work: GemmWork) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The (weights, inputs) that a PE of this kind takes at a layer's widths, in ascending order.

    Wide types are thinned out to 2^16 numbers, their ends included.

    Examples
    --------
    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(1, 1), channels=6, n=4, has_channel_groups=False,
    ...                 weight_bits=3, input_bits=2, output_bits=8)
    >>> weights, inputs = numbers_of(ShiftAddPrecision(kind="shift_add", weight_bits=3), work)
    >>> weights.tolist(), inputs.tolist()
    ([-8, -4, -2, -1, 1, 2, 4, 8], [-2, -1, 0, 1])
    """
    inputs = _integers(work.input_bits)
    if isinstance(precision, BinaryPrecision):
        signs = np.array([-1, 1])
        return signs, signs if precision.input_bits == 1 else inputs
    if isinstance(precision, TernaryPrecision):
        return np.array([-1, 0, 1]), inputs
    if isinstance(precision, ShiftAddPrecision):
        powers = 1 << np.arange(1 << (work.weight_bits - 1))
        return np.concatenate([-powers[::-1], powers]), inputs
    return _integers(precision.entry_bits if isinstance(precision, CodebookPrecision) else work.weight_bits), inputs


def _integers(bits: int) -> NDArray[np.int64]:
    kind = QType(bits, is_signed=True)
    return np.unique(np.linspace(kind.min, kind.max, num=min(1 << bits, 1 << 16)).round().astype(np.int64))


def _start(register: Register, step: Compute, inputs: NDArray[Any], weights: NDArray[Any], bias: Integers) -> Integers:
    """The bias, or what K steps before this one's leave in the register."""
    if step.is_first:
        return bias
    before = slice(0, step.k[0])
    sums = total(BlockProducts(inputs[..., before], weights[..., before]).integers, bias)
    return Register(register.bits, "saturate" if register.overflow == "saturate" else "wrap").store(sums)


def _with_outputs(step: LayerStep, work: GemmWork, behind: Requantize | None) -> LayerStep:
    """The same with the outputs of its block, where this step is the last and a rule gives them."""
    if behind is None or not behind.has_outputs:
        return step
    held = step.run().held[..., :step.block.n]
    bits = work.output_bits
    if bits >= step.accumulator.bits:  # accumulators that leave as they are, for a scale that is found during the run
        return replace(step, outputs=held)
    try:
        qtype = QType(min(bits, 32), is_signed=True)
        shift = max(0, magnitude(held).bit_length() - (qtype.bits - 1))
        unit = step.accelerator.rule.requantization(2.0 ** -shift, zero_point=0, qtype=qtype)
        return replace(step, outputs=unit.requantize(held))
    except NumericsError as error:
        return replace(step, remark=f"no outputs: {error}")
