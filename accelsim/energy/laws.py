"""Cost of one operation at any width or size, from the few points that a table publishes.

Every law goes exactly through the table's points; what lies between and beyond is an estimate.

======================  ============================  =======================  ============================
cost of                 grows with                    between two points       beyond the ends
======================  ============================  =======================  ============================
multiplier w x a        x = w * a                     power law in x           proportional to x
adder of n bits         n                             linear in n              proportional to n
float operation         width n                       power law in n           proportional to n
SRAM bit                capacity C in bytes           power law in C           proportional to sqrt(C)
register bit, DRAM bit  nothing                       -                        -
======================  ============================  =======================  ============================

A multiplier has w * a partial-product cells, hence x; an adder has n full adders. An SRAM's bit and word lines are as
long as its side, hence the root of its capacity: Horowitz's points (8 KiB 10 pJ, 32 KiB 20 pJ) show exactly that.

Narrow multipliers cost too much here rather than too little: of synthesized exact ones (EvoApproxLib, 45 nm) 8 x 4 bits take
0.35 and 8 x 2 bits 0.08 of the energy of 8 x 8 bits, where this law says 0.5 and 0.25; 16 x 16 bits take 5.6 times, not 4.

References
----------
Horowitz, "Computing's energy problem", ISSCC 2014 (points); QKeras' qtools (google/qkeras, multiplier_impl.py: E by
w * a); Accelergy/hwcomponents (adders and registers linear in their width); CACTI at 45 nm (BitFusion's
cacti_sweep.csv): 0.021 pJ a bit at 128 B, where the root law gives 0.020; EvoApproxLib (github.com/ehw-fit/evoapproxlib):
PDK45_PWR of its multipliers without error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from accelsim.hardware.energy_table import EnergyTable

_Point = tuple[float, float]
_Between = Callable[[_Point, _Point, float], float]


def multiply_pj(table: EnergyTable, *, weight_bits: int, input_bits: int) -> float:
    """Energy of one integer multiplication of `weight_bits` x `input_bits`.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> table = load_energy_table("horowitz_45nm")
    >>> multiply_pj(table, weight_bits=8, input_bits=8), multiply_pj(table, weight_bits=8, input_bits=4)
    (0.2, 0.1)
    >>> round(multiply_pj(table, weight_bits=16, input_bits=16), 2)  # published nowhere; qtools' fit says 0.78
    0.79
    """
    points = [(float(point.bits**2), point.energy_pj) for point in table.multiply]
    return _interpolated(points, weight_bits * input_bits, between=_power_law, exponent=1.0)


def add_pj(table: EnergyTable, *, bits: int) -> float:
    """Energy of one integer addition of `bits` bits.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> table = load_energy_table("horowitz_45nm")
    >>> add_pj(table, bits=32), round(add_pj(table, bits=20), 4), round(add_pj(table, bits=4), 4)
    (0.1, 0.0625, 0.015)
    """
    points = [(float(point.bits), point.energy_pj) for point in table.add]
    return _interpolated(points, bits, between=_straight_line, exponent=1.0)


def float_multiply_pj(table: EnergyTable, *, bits: int) -> float:
    """Energy of one floating point multiplication; the table must have some.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> float_multiply_pj(load_energy_table("horowitz_45nm"), bits=16)
    1.1
    """
    points = [(float(point.bits), point.energy_pj) for point in table.float_multiply]
    return _interpolated(points, bits, between=_power_law, exponent=1.0)


def float_add_pj(table: EnergyTable, *, bits: int) -> float:
    """Energy of one floating point addition; the table must have some."""
    points = [(float(point.bits), point.energy_pj) for point in table.float_add]
    return _interpolated(points, bits, between=_power_law, exponent=1.0)


def sram_pj_per_bit(table: EnergyTable, *, capacity_bytes: int) -> float:
    """Energy of reading or writing one bit of an SRAM of this size; reads and writes cost the same.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> table = load_energy_table("horowitz_45nm")
    >>> sram_pj_per_bit(table, capacity_bytes=8192) == 10 / 64
    True
    >>> sram_pj_per_bit(table, capacity_bytes=4 * 2**20) == 2 * 100 / 64
    True
    """
    points = [(float(point.capacity_bytes), point.energy_pj / point.access_bits) for point in table.sram]
    return _interpolated(points, capacity_bytes, between=_power_law, exponent=0.5)


def register_pj(table: EnergyTable, *, bits: int) -> float:
    """Energy of writing and reading a register of this width once.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> round(register_pj(load_energy_table("horowitz_45nm"), bits=8), 3)
    0.072
    """
    return table.register_pj_per_bit * bits


def multiplier_area_um2(table: EnergyTable, *, weight_bits: int, input_bits: int) -> float | None:
    """Area of a multiplier by the law of its energy; None if the table has no areas.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> multiplier_area_um2(load_energy_table("horowitz_45nm"), weight_bits=4, input_bits=8)
    141.0
    """
    points = [(float(point.bits**2), point.area_um2) for point in table.multiply if point.area_um2 is not None]
    return _interpolated(points, weight_bits * input_bits, between=_power_law, exponent=1.0) if points else None


def float_multiplier_area_um2(table: EnergyTable, *, bits: int) -> float | None:
    """Area of a floating point multiplier; None if the table has no areas."""
    points = [(float(point.bits), point.area_um2) for point in table.float_multiply if point.area_um2 is not None]
    return _interpolated(points, bits, between=_power_law, exponent=1.0) if points else None


def float_adder_area_um2(table: EnergyTable, *, bits: int) -> float | None:
    """Area of a floating point adder; None if the table has no areas."""
    points = [(float(point.bits), point.area_um2) for point in table.float_add if point.area_um2 is not None]
    return _interpolated(points, bits, between=_power_law, exponent=1.0) if points else None


def adder_area_um2(table: EnergyTable, *, bits: int) -> float | None:
    """Area of an adder by the law of its energy; None if the table has no areas.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> adder_area_um2(load_energy_table("horowitz_45nm"), bits=32)
    137.0
    """
    points = [(float(point.bits), point.area_um2) for point in table.add if point.area_um2 is not None]
    return _interpolated(points, bits, between=_straight_line, exponent=1.0) if points else None


def _interpolated(points: list[_Point], x: float, *, between: _Between, exponent: float) -> float:
    """`between` two neighbouring points; beyond the ends the end's value times (x / its x) ** exponent."""
    for at, value in points:
        if x == at:
            return value
    for low, high in pairwise(points):
        if low[0] < x < high[0]:
            return between(low, high, x)
    at, value = points[0] if x < points[0][0] else points[-1]
    return float(value * (x / at) ** exponent)


def _power_law(low: _Point, high: _Point, x: float) -> float:
    """y = y0 * (x / x0) ** p with p so that the second point is met; a cost of 0 has no power law: a straight line."""
    if low[1] <= 0 or high[1] <= 0:
        return _straight_line(low, high, x)
    share = math.log(x / low[0]) / math.log(high[0] / low[0])
    return float(low[1] * (high[1] / low[1]) ** share)


def _straight_line(low: _Point, high: _Point, x: float) -> float:
    return low[1] + (high[1] - low[1]) * (x - low[0]) / (high[0] - low[0])
