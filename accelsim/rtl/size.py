"""How large the modules of a design may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from accelsim.errors import HardwareError
from accelsim.rtl.accumulator_lane import lane_sums_vector
from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import MODULE_BITS
from accelsim.rtl.requantizer import requested_vector
from accelsim.rtl.requantizer_lane import channel_ports
from accelsim.rtl.top_ports import top_ports


def check_size(design: GridDesign) -> None:
    """Refuse a design with a module of too many inputs or outputs: the top, a grid, or the requantizer.

    Raises
    ------
    HardwareError : with the number of bits.
    """
    grids = 1 if design.is_dot_product else design.lanes
    sizes = {"inputs of the top": _bits(member.shape for member in top_ports(design).values() if member.flow == In),
             "sums of the grid": grids * _bits([lane_sums_vector(design)])}
    if design.requantizer is not None:
        channel = _bits(member.shape for member in channel_ports(design).values())
        sizes["inputs of the requantizer"] = _bits([requested_vector(design)]) + design.outputs_per_read * channel
    for name, bits in sizes.items():
        if bits > MODULE_BITS:
            raise HardwareError(f"expected a grid with at most {MODULE_BITS} bits of {name} in RTL, got {bits}",
                                field="pe_grid")


def _bits(shapes: Iterable[Any]) -> int:
    return sum(int(Shape.cast(shape).width) for shape in shapes)
