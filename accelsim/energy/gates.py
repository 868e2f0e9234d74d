"""Cost of small logic by its number of gates, relative to the 8-bit multiplier whose cost a table publishes.

Gate counts are NAND2 equivalents (an inverter is half of one) of a generic mapping without timing (yosys 0.23, ``synth
-flatten; abc -g NAND``): ratios are what they are good for, and all that is used of them.
"""

from __future__ import annotations

from accelsim.energy.laws import multiplier_area_um2, multiply_pj
from accelsim.hardware.energy_table import EnergyTable

# yosys 0.23 as above: a signed 8 x 8-bit multiplier.
MULTIPLIER_8X8_NAND2 = 686
# yosys 0.23 as above: XNOR of two bits; an XOR costs the same.
XNOR_NAND2 = 4.0
# yosys 0.23 as above: 1 x 8-bit product, 12 for 8 ANDs of a NAND2 and an inverter.
AND_NAND2 = 1.5


def gates_pj(table: EnergyTable, *, nand2: float) -> float:
    """Energy of logic of so many NAND2 equivalents.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> round(gates_pj(load_energy_table("horowitz_45nm"), nand2=XNOR_NAND2), 5)  # 0.2 pJ x 4 / 686
    0.00117
    """
    return multiply_pj(table, weight_bits=8, input_bits=8) * nand2 / MULTIPLIER_8X8_NAND2


def gates_area_um2(table: EnergyTable, *, nand2: float) -> float | None:
    """Area of logic of so many NAND2 equivalents; None if the table has no areas."""
    multiplier = multiplier_area_um2(table, weight_bits=8, input_bits=8)
    return None if multiplier is None else multiplier * nand2 / MULTIPLIER_8X8_NAND2


def sign_choice_nand2(*, input_bits: int) -> float:
    """Gates that negate a number if a bit says so: an XOR for each of its bits (the carry is the next adder's)."""
    return XNOR_NAND2 * input_bits


def pass_or_zero_nand2(*, input_bits: int) -> float:
    """Gates that let a number through if a bit says so: an AND for each of its bits, a 1 x n-bit product."""
    return AND_NAND2 * input_bits
