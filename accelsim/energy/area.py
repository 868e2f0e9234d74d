"""Silicon area of the parts whose area somebody published: PEs and memories.

Model: one multiplier at the grid's native widths (the input's one bit wider where its zero point is subtracted) and one
adder as wide as the partial sums in every PE (times the pixels); adders of the accumulators' width in a row-sum unit; every
bit of accumulator and buffer memory at the table's area per bit. Left out: registers, requantizer, vector unit, DMA,
control, wires between the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.energy.laws import adder_area_um2, multiplier_area_um2
from accelsim.hardware.accelerator import Accelerator


@dataclass(frozen=True, slots=True)
class Area:
    """An estimate by component.

    Parameters
    ----------
    um2 : component ("multipliers", "adders", "accumulators", "buffers.<name>") -> square micrometres.
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
    table, precision = accelerator.energy, accelerator.pe_grid.precision
    grid = accelerator.pe_grid
    multiplier = multiplier_area_um2(table, weight_bits=precision.weight_bits,
                                     input_bits=precision.input_bits + grid.zero_point_bits)
    adder = adder_area_um2(table, bits=accelerator.partial_sum_bits)
    wide_adder = adder_area_um2(table, bits=accelerator.accumulators.bits)
    memories = {"accumulators": accelerator.accumulator_bytes}
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
