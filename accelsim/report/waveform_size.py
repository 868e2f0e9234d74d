"""How large a waveform will be, before it is written: an estimate from what changes when operands pass."""

from __future__ import annotations

import math

from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.operand_register import OperandRegister

#: Bytes of a variable's declaration and first value, and of a scope's lines, about.
_DECLARATION_BYTES, _SCOPE_BYTES = 48, 40

#: Bytes of a clock's own lines: two times, the clock signal, its number, the controller's counters.
_CLOCK_BYTES = 60


def expected_bytes(step: LayerStep, *, clocks: int, of: int) -> int:
    """Bytes of `clocks` of the `of` clock cycles of a step, about.

    A streamed operand changes one register in each PE that it passes, and the sum there; a load passes its PEs too. Numbers
    are taken to be as long as random ones.
    """
    grid, layout, cost = step.accelerator.pe_grid, step.layout, step.cost
    pes, slots, sums = grid.pes, layout.slots, layout.sums
    variables = pes * (3 + slots * (grid.pixels + 3 * cost.channels) + sums) + math.prod(layout.outputs)
    code = 2 if variables < 94 * 94 else 3
    inputs, weights = (_line(register, code) for register in (step.input_register, step.weight_register))
    product_bits = step.input_register.bits + step.weight_register.bits + max(1, step.block.k).bit_length() // 2
    added = _sum_line(step.wires.bits, product_bits, code)
    kept = _sum_line(step.accumulator.bits, product_bits, code)
    streamed_number, held_number = (weights, inputs) if grid.dataflow == "input_stationary" else (inputs, weights)
    streamed_planes, held_planes = (shape[0] * shape[1] for shape in (layout.streamed_shape, layout.held_shape))
    token = max(fold.streamed for fold in step.folds).bit_length() + 3 + code
    tokens, loads = sum(fold.streamed for fold in step.folds), 0
    rows, columns = _used(step)
    if grid.dataflow == "dot_product":
        of_token = columns * streamed_planes * slots * inputs + rows * sums * (kept + kept + token) + token
    elif grid.dataflow == "output_stationary":
        of_token = (slots * (rows * grid.columns * grid.pixels * inputs + columns * grid.rows * cost.channels * weights)
                    + rows * columns * sums * kept + pes * token)
    else:
        of_token = (rows * grid.columns * streamed_planes * slots * streamed_number + columns * grid.rows * sums * added
                    + pes * token + columns * (sums * kept + token))
    held = held_planes * slots * held_number
    for fold in step.folds:
        if grid.dataflow == "output_stationary":
            loads += int(pes * sums * kept * (fold.rows + 1) / 2)
        elif grid.dataflow == "dot_product" or grid.preload_cycles is not None:
            loads += int(pes * (held + 2 * (3 + code)) + 2 * rows * columns * held)
        else:
            loads += int(fold.rows * pes * (columns / grid.columns * held + 3 + code) + 2 * rows * columns * held)
    outputs = step.block.outputs * (2 * kept + 8) if step.requantizes else 0
    changes = (tokens * of_token + loads + outputs + of * _CLOCK_BYTES) * clocks / of
    return int(variables * _DECLARATION_BYTES + pes * _SCOPE_BYTES + changes)


def _used(step: LayerStep) -> tuple[float, float]:
    """Rows and columns of the grid that a fold's operands fill, on average over the streamed steps."""
    grid, cost = step.accelerator.pe_grid, step.cost
    rows = columns = total = 0.0
    for fold in step.folds:
        lanes = -(-fold.positions // grid.pixels)
        depth = min(float(fold.members * fold.depth / cost.reduction), 1e9)
        pes = min(fold.members * fold.channels, grid.rows if grid.dataflow == "dot_product" else grid.columns)
        used = {"weight_stationary": (depth, pes), "input_stationary": (depth, lanes), "output_stationary": (lanes, pes),
                "dot_product": (pes, depth)}[grid.dataflow]
        rows += fold.streamed * min(used[0], grid.rows)
        columns += fold.streamed * min(used[1], grid.columns)
        total += fold.streamed
    return rows / total, columns / total


def _line(register: OperandRegister, code: int) -> float:
    """Bytes of an operand's change: leading zeros are left out, so half of the signed numbers are short."""
    bits = register.bits - 0.5 if register.is_signed else register.bits - 1
    return bits + 3 + code


def _sum_line(bits: int, used: int, code: int) -> float:
    return (bits + min(bits, used)) / 2 + 3 + code
