"""Energy of the additions of one MAC: into the partial sum, or through an adder tree.

A PE of a systolic grid adds its product to a partial sum of P bits. Where n products of a step belong to one sum (dataflow
dot_product, wires without registers down the rows, or several pairs of operands in a PE), a tree of n - 1 adders adds them
first: level l has n / 2^l adders of b + l - 1 bits for products of b bits, the first of which only half adds. Together they
are about n - 1 adders of b bits, so that a MAC costs ``(n - 1) / n`` of an addition of b bits and ``1 / n`` of one of P
bits. A step of c cycles costs it c times.

A bit-serial PE adds shifted products cycle by cycle: behind a tree into the partial sum's own register, which is written in
each cycle; without a tree into a register as wide as its whole product, which is then added to the partial sum. Where both
operands are serial, a first register sums the products of all bits of a weight with one piece of the input, and the second
register takes its sum only once for each piece (Loom's two accumulators, recalled from Sharify et al., DAC 2018).

What this gives beside a fixed 16-bit multiplier on the same grid is 1.5 times its energy for `stripes` and 6 times for
`loom`. Their authors publish whole chips, which draw 1.22 times (1.92 / 1.57) and 1.24 times (4.38 / 3.54) the power of a
bit-parallel one of equal peak (abstracts of Judd et al., MICRO 2016, and arXiv 1706.07853), most of it elsewhere.
"""

from __future__ import annotations

import math

from accelsim.energy.laws import add_pj, float_add_pj, register_pj
from accelsim.energy.multiplication import COMPOSABILITY_TAX, product_bits
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision


def additions_pj(accelerator: Accelerator, *, weight_bits: int, input_bits: int) -> float:
    """Energy of the additions of one MAC at the executed widths.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> additions_pj(load_accelerator("edge_16x16"), weight_bits=8, input_bits=8)  # 32 bits, Horowitz
    0.1
    >>> round(additions_pj(load_accelerator("whitepaper_4x4"), weight_bits=8, input_bits=8), 4)  # 3/4 of 16, 1/4 of 32 bits
    0.0625
    """
    table, precision, sums = accelerator.energy, accelerator.pe_grid.precision, accelerator.partial_sum_bits
    if precision.multiplies_floats(weight_bits=weight_bits, input_bits=input_bits):
        return float_add_pj(table, bits=sums)
    cost = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits)
    lanes = tree_lanes(accelerator.pe_grid)
    if isinstance(precision, BitFusionPrecision):
        whole = _summed_pj(accelerator, product=2 * precision.fused_bits, count=lanes)
        return COMPOSABILITY_TAX[precision.fused_bits] * whole / float(cost.macs_per_cycle)
    count = max(1, int(lanes * cost.reduction))
    product = product_bits(precision, weight_bits=weight_bits,
                           input_bits=input_bits + accelerator.pe_grid.zero_point_bits)
    if isinstance(precision, BitSerialPrecision):
        return _serial_pj(accelerator, precision, product=product, count=count, cycles=cost.cycles,
                          pieces=-(-input_bits // precision.bits_per_cycle))
    return cost.cycles * _summed_pj(accelerator, product=product, count=count)


def tree_lanes(grid: PeGrid) -> int:
    """PEs whose products are added by a tree before a register takes them; 1 where each PE has a register of its sum."""
    if grid.dataflow == "dot_product":
        return grid.columns
    return grid.rows if grid.has_column_sums and grid.registers_per_row_hop == 0 else 1


def _summed_pj(accelerator: Accelerator, *, product: int, count: int) -> float:
    """Of one product among `count` of a sum; no adder of the tree is wider than the register behind it."""
    table, sums = accelerator.energy, accelerator.partial_sum_bits
    return ((count - 1) * add_pj(table, bits=min(product, sums)) + add_pj(table, bits=sums)) / count


def _serial_pj(accelerator: Accelerator, precision: BitSerialPrecision, *, product: int, count: int, cycles: int,
               pieces: int) -> float:
    """Of one product among `count` of a sum, made in so many cycles; `pieces` are those of the input, if it is serial."""
    table, sums, has_tree = accelerator.energy, accelerator.partial_sum_bits, tree_lanes(accelerator.pe_grid) > 1
    tree = (count - 1) * add_pj(table, bits=min(product, sums))
    kept = [_kept_pj(table, bits=bits) for bits in own_sum_bits(accelerator, count=count)]
    last = _kept_pj(table, bits=sums) if has_tree else kept.pop(0)
    own = cycles * kept[0] + pieces * last if kept else cycles * last
    return (cycles * tree + own + (0.0 if has_tree else add_pj(table, bits=sums))) / count


def own_sum_bits(accelerator: Accelerator, *, count: int) -> list[int]:
    """Widths of the sums that a bit-serial PE keeps beside the partial sum, the widest first; none in other kinds.

    Parameters
    ----------
    count : products of a sum that are added before.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> own_sum_bits(load_accelerator("loom"), count=16), own_sum_bits(load_accelerator("edge_16x16"), count=1)
    ([20], [])
    """
    precision = accelerator.pe_grid.precision
    if not isinstance(precision, BitSerialPrecision):
        return []
    widths = [] if tree_lanes(accelerator.pe_grid) > 1 else [sum(precision.native_bits)]
    if precision.serial == "both":
        first = precision.weight_bits + precision.bits_per_cycle - 1 + math.ceil(math.log2(count))
        widths.append(min(first, accelerator.partial_sum_bits))
    return widths


def _kept_pj(table: EnergyTable, *, bits: int) -> float:
    """An addition into a register of its own."""
    return add_pj(table, bits=bits) + register_pj(table, bits=bits)
