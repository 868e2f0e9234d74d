"""Silicon area of the parts whose area somebody published: PEs and memories.

Model: one multiplier of the grid's precision kind at its native widths (the input's one bit wider where its zero point is
subtracted) and one adder as wide as the partial sums in every PE (times the pixels), both larger by the composability tax
where 2-bit bricks fuse; adders of the accumulators' width in a row-sum unit; every bit of accumulator, codebook and buffer
memory at the table's area per bit. Left out: registers, requantizer, vector unit, DMA, control, wires between the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.energy.laws import adder_area_um2, float_adder_area_um2
from accelsim.energy.multiplication import COMPOSABILITY_AREA, multiplication_area_um2
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
    """What a PE adds with; None if the table has no areas for it."""
    table, precision, bits = accelerator.energy, accelerator.pe_grid.precision, accelerator.partial_sum_bits
    if precision.uses_float:
        return float_adder_area_um2(table, bits=bits)
    area = adder_area_um2(table, bits=bits)
    if area is None or not isinstance(precision, BitFusionPrecision):
        return area
    return COMPOSABILITY_AREA[precision.fused_bits] * area
