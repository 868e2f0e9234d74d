"""Energy of the additions of one MAC: into the partial sum, or through an adder tree.

A PE of a systolic grid adds its product to a partial sum of P bits. Where n products of a step belong to one sum (dataflow
dot_product, wires without registers down the rows, or several pairs of operands in a PE), a tree of n - 1 adders adds them
first: level l has n / 2^l adders of b + l - 1 bits for products of b bits, together about n * (b + 1) bits, so that a MAC
costs ``(n - 1) / n`` of an addition of b + 1 bits and ``1 / n`` of one of P bits. A step of c cycles costs it c times.

A bit-serial PE adds shifted products cycle by cycle: behind a tree into the partial sum's own register, which is written in
each cycle; without a tree into a register as wide as its whole product, which is then added to the partial sum.
"""

from __future__ import annotations

from accelsim.energy.laws import add_pj, float_add_pj, register_pj
from accelsim.energy.multiplication import COMPOSABILITY_TAX, product_bits
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.hardware.precision_float import FloatPrecision
from accelsim.hardware.precision_subword import SubwordPrecision


def additions_pj(accelerator: Accelerator, *, weight_bits: int, input_bits: int) -> float:
    """Energy of the additions of one MAC at the executed widths.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> additions_pj(load_accelerator("edge_16x16"), weight_bits=8, input_bits=8)  # 32 bits, Horowitz
    0.1
    >>> round(additions_pj(load_accelerator("whitepaper_4x4"), weight_bits=8, input_bits=8), 4)  # 3/4 of 17, 1/4 of 32 bits
    0.0648
    """
    table, precision, sums = accelerator.energy, accelerator.pe_grid.precision, accelerator.partial_sum_bits
    if _is_float(accelerator, weight_bits=weight_bits, input_bits=input_bits):
        return float_add_pj(table, bits=sums)
    cost = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits)
    lanes = tree_lanes(accelerator.pe_grid)
    if isinstance(precision, BitFusionPrecision):
        whole = _summed_pj(accelerator, product=2 * precision.fused_bits, count=lanes)
        return COMPOSABILITY_TAX[precision.fused_bits] * whole / float(cost.macs_per_cycle)
    count = max(1, int(lanes * cost.reduction))
    product = product_bits(precision, weight_bits=weight_bits, input_bits=input_bits)
    if not isinstance(precision, BitSerialPrecision):
        return cost.cycles * _summed_pj(accelerator, product=product, count=count)
    if count > 1:
        return cost.cycles * (_summed_pj(accelerator, product=product, count=count) + register_pj(table, bits=sums) / count)
    own = sum(precision.native_bits)
    return cost.cycles * (add_pj(table, bits=own) + register_pj(table, bits=own)) + add_pj(table, bits=sums)


def tree_lanes(grid: PeGrid) -> int:
    """PEs whose products are added by a tree before a register takes them; 1 where each PE has a register of its sum."""
    if grid.dataflow == "dot_product":
        return grid.columns
    return grid.rows if grid.has_column_sums and grid.registers_per_row_hop == 0 else 1


def _summed_pj(accelerator: Accelerator, *, product: int, count: int) -> float:
    """Of one product among `count` of a sum; no adder of the tree is wider than the register behind it."""
    table, sums = accelerator.energy, accelerator.partial_sum_bits
    return ((count - 1) * add_pj(table, bits=min(product + 1, sums)) + add_pj(table, bits=sums)) / count


def _is_float(accelerator: Accelerator, *, weight_bits: int, input_bits: int) -> bool:
    precision = accelerator.pe_grid.precision
    if isinstance(precision, SubwordPrecision):
        mode = precision.mode(weight_bits=weight_bits, input_bits=input_bits)
        return mode is not None and mode.is_float
    return isinstance(precision, FloatPrecision)
