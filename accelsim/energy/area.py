"""Silicon area of the parts whose area somebody published: PEs and memories.

Model: what a PE multiplies with at its kind's own widths (the input's one bit wider where its zero point is subtracted), and
what it adds with: an adder as wide as the partial sums, or its share of an adder tree, and a bit-serial PE's shifted sums
(`accelsim.energy.addition`), times the pixels. A PE with several modes has room for the largest; both are larger by the
composability tax where 2-bit bricks fuse. Then adders of the accumulators' width in a row-sum unit; and every bit of
accumulator, codebook and buffer memory at the table's area per bit. Left out: registers, requantizer, vector unit, DMA,
control, wires between the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.energy.addition import own_sum_bits, tree_lanes
from accelsim.energy.laws import adder_area_um2, float_adder_area_um2
from accelsim.energy.multiplication import COMPOSABILITY_AREA, multiplication_area_um2, product_bits
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_codebook import CodebookPrecision


@dataclass(frozen=True, slots=True)
class Area:
    """An estimate by component.

    Parameters
    ----------
    um2 : component ("multipliers", "adders", "accumulators", "codebook", "buffers.<name>") -> square micrometres.
    omitted : component -> why there is no number.
    """

    um2: Mapping[str, float]
    omitted: Mapping[str, str]

    @property
    def total_um2(self) -> float:
        """Sum of the components that have a number."""
        return sum(self.um2.values())


def estimate_area(accelerator: Accelerator) -> Area:
    """Area of the components that the accelerator's energy table has areas for.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> estimate_area(load_accelerator("edge_16x16")).um2["multipliers"]  # 256 x 282 um2
    72192.0
    """
    table, grid = accelerator.energy, accelerator.pe_grid
    multiplier = multiplication_area_um2(table, grid.precision, zero_point_bits=grid.zero_point_bits)
    adder = _adder_area_um2(accelerator)
    wide_adder = adder_area_um2(table, bits=accelerator.accumulators.bits)
    memories = {"accumulators": accelerator.accumulator_bytes}
    if isinstance(grid.precision, CodebookPrecision):
        memories["codebook"] = grid.precision.table_bytes
    memories |= {f"buffers.{name}": buffer.capacity_bytes for name, buffer in accelerator.memory.buffers.items()}
    bit = table.sram_area_um2_per_bit
    areas = {
        "multipliers": None if multiplier is None else grid.multipliers * multiplier,
        "adders": None if adder is None or wide_adder is None
        else grid.multipliers * adder + grid.row_sum_adders * wide_adder,
        **{name: None if bit is None else size * 8 * bit for name, size in memories.items()},
    }
    reason = f"the energy table {table.name} has no area for it"
    return Area(um2={name: area for name, area in areas.items() if area is not None},
                omitted={name: reason for name, area in areas.items() if area is None})


def _adder_area_um2(accelerator: Accelerator) -> float | None:
    """What a PE adds with, in the mode that needs most; None if the table has no areas for it."""
    precision = accelerator.pe_grid.precision
    areas = [_mode_adders_um2(accelerator, weight_bits=weight, input_bits=given) for weight, given in precision.stated_bits]
    known = [area for area in areas if area is not None]
    return max(known) if len(known) == len(areas) else None


def _mode_adders_um2(accelerator: Accelerator, *, weight_bits: int, input_bits: int) -> float | None:
    table, grid, sums = accelerator.energy, accelerator.pe_grid, accelerator.partial_sum_bits
    precision = grid.precision
    executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
    assert executed is not None, "a kind takes the widths that it states"
    cost = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits)
    if precision.multiplies_floats(weight_bits=weight_bits, input_bits=input_bits):
        area = float_adder_area_um2(table, bits=sums)
        return None if area is None else area * float(cost.macs_per_cycle)
    if isinstance(precision, BitFusionPrecision):
        tree = _tree_um2(accelerator, product=2 * precision.fused_bits, count=tree_lanes(grid))
        return None if tree is None else tree * COMPOSABILITY_AREA[precision.fused_bits]
    product = product_bits(precision, weight_bits=executed[0], input_bits=executed[1] + grid.zero_point_bits)
    count = max(1, int(tree_lanes(grid) * cost.reduction))
    tree = _tree_um2(accelerator, product=product, count=count)
    own = [adder_area_um2(table, bits=bits) for bits in own_sum_bits(accelerator, count=count)]
    if tree is None or None in own:
        return None
    products = max(1.0, float(cost.reduction * cost.channels))
    return (tree + sum(area for area in own if area is not None) / count) * products


def _tree_um2(accelerator: Accelerator, *, product: int, count: int) -> float | None:
    """Of one product among `count` of a sum: its share of the tree and of the adder behind it."""
    table, sums = accelerator.energy, accelerator.partial_sum_bits
    in_tree, behind = (adder_area_um2(table, bits=bits) for bits in (min(product, sums), sums))
    return None if in_tree is None or behind is None else ((count - 1) * in_tree + behind) / count
