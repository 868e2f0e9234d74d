"""Energy and area of the multiplication of one MAC, by precision kind.

==================  ========================================================================================================
kind                energy of the multiplication of one MAC at the executed widths w x a
==================  ========================================================================================================
fixed, codebook     one multiplication w x a; gated multipliers at the operands' own widths, as if the rest were not there
subword             one multiplication w x a of that mode, times the kind's overhead; floating point modes below
bit_fusion          a multiplication F x F, times the composability tax, times passes / pairs of operands that a PE takes
bit_serial          cycles of a step x (a product of the bits of one cycle: ANDs where one of the operands has a single bit)
binary              an XNOR for each input bit (one bit: the product; more: negate or not)
ternary             an AND (pass or zero) and an XOR (negate or not) for each input bit
shift_add           a shifter, and an AND (0) and an XOR (negate or not) for each bit of its output
float               the table's floating point multiplication
==================  ========================================================================================================

Left out: control of modes, the multiplexers that bring the operands, lookup tables that some bit-serial units (UNPU) use
instead of ANDs.
"""

from __future__ import annotations

import math

from accelsim.energy.gates import gates_area_um2, gates_pj, pass_or_zero_nand2, sign_choice_nand2
from accelsim.energy.laws import (
    float_multiplier_area_um2,
    float_multiply_pj,
    multiplier_area_um2,
    multiply_pj,
)
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.hardware.precision_float import FloatPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.hardware.precision_subword import SubwordPrecision

# hsharma35/bitfusion, results/systolic_array_synth.csv (45 nm, 500 MHz, one PE with accumulation): dynamic energy a cycle
# of a PE of 2-bit bricks over that of a fixed multiplier of its width: 0.1569 / 0.1202, 0.5599 / 0.2977, 2.3324 / 0.9474 pJ.
COMPOSABILITY_TAX = {4: 0.1569 / 0.1202, 8: 0.5599 / 0.2977, 16: 2.3324 / 0.9474}
# The same file: areas 431.5 / 282.2, 1733.1 / 687.6, 7492.4 / 2203.2 um2.
COMPOSABILITY_AREA = {4: 431.5 / 282.2, 8: 1733.1 / 687.6, 16: 7492.4 / 2203.2}

# Accelergy's Aladdin table (40 nm, 1 ns), as shipped by hwcomponents: a shifter of 32 bits 0.417 pJ, a multiplier 12.68 pJ.
SHIFTER_32_RATIO = 0.417 / 12.68
# Aladdin's own table (40 nm, 1 ns; cmos40_aladdin in github.com/ashleyswang/pm-tech-lib): 250 and 6350 um2.
SHIFTER_32_AREA_RATIO = 250 / 6350
#: Multiplexers of that shifter: 32 bits in each of the 5 stages that 32 distances take.
_SHIFTER_32_CELLS = 32 * 5


def multiplication_pj(table: EnergyTable, precision: PrecisionKind, *, weight_bits: int, input_bits: int) -> float:
    """Energy of the multiplication of one MAC.

    Parameters
    ----------
    weight_bits, input_bits : executed widths; an input whose zero point was subtracted is one bit wider.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> table, bricks = load_energy_table("horowitz_45nm"), BitFusionPrecision(kind="bit_fusion")
    >>> [round(multiplication_pj(table, bricks, weight_bits=bits, input_bits=bits), 3) for bits in (16, 8, 4, 2)]
    [1.505, 0.376, 0.094, 0.024]
    """
    match precision:
        case SubwordPrecision():
            mode = precision.mode(weight_bits=weight_bits, input_bits=input_bits)
            if mode is not None and mode.is_float:
                return float(precision.overhead) * float_multiply_pj(table, bits=max(weight_bits, input_bits))
            return float(precision.overhead) * multiply_pj(table, weight_bits=weight_bits, input_bits=input_bits)
        case BitFusionPrecision():
            fused = precision.fused_bits
            share = 1 / precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
            return COMPOSABILITY_TAX[fused] * multiply_pj(table, weight_bits=fused, input_bits=fused) * float(share)
        case BitSerialPrecision():
            cycles = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits).cycles
            return cycles * _serial_product_pj(table, precision, weight_bits=weight_bits, input_bits=input_bits)
        case BinaryPrecision() | TernaryPrecision():
            return gates_pj(table, nand2=_logic_nand2(precision, input_bits=input_bits))
        case ShiftAddPrecision():
            signs = gates_pj(table, nand2=_logic_nand2(precision, input_bits=input_bits))
            return shifter_pj(table, precision, input_bits=input_bits) + signs
        case FloatPrecision():
            return float_multiply_pj(table, bits=precision.bits)
    return multiply_pj(table, weight_bits=weight_bits, input_bits=input_bits)


def multiplication_area_um2(table: EnergyTable, precision: PrecisionKind, *, zero_point_bits: int) -> float | None:
    """Area of what one PE multiplies with; None if the table has no areas for it. A PE with several modes has room for the
    largest."""
    weight_bits, input_bits = _widest(precision)
    match precision:
        case SubwordPrecision():
            areas = [_mode_area_um2(table, precision, index) for index in range(len(precision.modes))]
            known = [area for area in areas if area is not None]
            return max(known) if len(known) == len(areas) else None
        case BitFusionPrecision():
            fixed = multiplier_area_um2(table, weight_bits=precision.fused_bits, input_bits=precision.fused_bits)
            return None if fixed is None else COMPOSABILITY_AREA[precision.fused_bits] * fixed
        case BitSerialPrecision():
            weight_bits, input_bits = _bits_of_a_cycle(precision, weight_bits=weight_bits, input_bits=input_bits)
            if min(weight_bits, input_bits) == 1:
                row = max(weight_bits, input_bits + zero_point_bits)
                return gates_area_um2(table, nand2=pass_or_zero_nand2(input_bits=row))
        case BinaryPrecision() | TernaryPrecision():
            return gates_area_um2(table, nand2=_logic_nand2(precision, input_bits=input_bits))
        case ShiftAddPrecision():
            signs = gates_area_um2(table, nand2=_logic_nand2(precision, input_bits=input_bits + zero_point_bits))
            shifter = shifter_area_um2(table, precision, input_bits=input_bits + zero_point_bits)
            return None if signs is None or shifter is None else signs + shifter
        case FloatPrecision():
            return float_multiplier_area_um2(table, bits=precision.bits)
    return multiplier_area_um2(table, weight_bits=weight_bits, input_bits=input_bits + zero_point_bits)


def product_bits(precision: PrecisionKind, *, weight_bits: int, input_bits: int) -> int:
    """Width of the product of one MAC (of the products of one cycle, where an operand is serial).

    Examples
    --------
    >>> product_bits(BinaryPrecision(kind="binary"), weight_bits=1, input_bits=1)
    1
    >>> product_bits(ShiftAddPrecision(kind="shift_add", weight_bits=4), weight_bits=4, input_bits=8)
    15
    """
    match precision:
        case BinaryPrecision() | TernaryPrecision():
            return input_bits
        case ShiftAddPrecision():
            return input_bits + precision.shifts - 1
        case BitSerialPrecision():
            weights, inputs = _bits_of_a_cycle(precision, weight_bits=weight_bits, input_bits=input_bits)
            return max(weights, inputs) if min(weights, inputs) == 1 else weights + inputs
    return weight_bits + input_bits


def shifter_pj(table: EnergyTable, precision: ShiftAddPrecision, *, input_bits: int) -> float:
    """A shifter of as many bits as its widest output, with a stage for each bit of the exponent.

    Shifting 8 bits at 45 nm costs 0.024 pJ and 34 um2 in You et al., "ShiftAddNet", NeurIPS 2020 (as quoted elsewhere).

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> precision = ShiftAddPrecision(kind="shift_add", weight_bits=4)  # 8 distances: 15 bits, 3 stages
    >>> round(shifter_pj(load_energy_table("horowitz_45nm"), precision, input_bits=8), 4)
    0.0287
    """
    whole = multiply_pj(table, weight_bits=32, input_bits=32)
    return whole * SHIFTER_32_RATIO * _shifter_share(precision, input_bits=input_bits)


def shifter_area_um2(table: EnergyTable, precision: ShiftAddPrecision, *, input_bits: int) -> float | None:
    """Area of that shifter; None if the table has no areas."""
    whole = multiplier_area_um2(table, weight_bits=32, input_bits=32)
    return None if whole is None else whole * SHIFTER_32_AREA_RATIO * _shifter_share(precision, input_bits=input_bits)


def _shifter_share(precision: ShiftAddPrecision, *, input_bits: int) -> float:
    """Of a 32-bit shifter."""
    return (input_bits + precision.shifts - 1) * int(math.log2(precision.shifts)) / _SHIFTER_32_CELLS


def _logic_nand2(precision: PrecisionKind, *, input_bits: int) -> float:
    """What zeroes and negates an input, or an input that was shifted."""
    bits = input_bits + precision.shifts - 1 if isinstance(precision, ShiftAddPrecision) else input_bits
    zeroes = 0.0 if isinstance(precision, BinaryPrecision) else pass_or_zero_nand2(input_bits=bits)
    return zeroes + sign_choice_nand2(input_bits=bits)


def _bits_of_a_cycle(precision: BitSerialPrecision, *, weight_bits: int, input_bits: int) -> tuple[int, int]:
    return (precision.bits_per_cycle if precision.is_serial("weights") else weight_bits,
            precision.bits_per_cycle if precision.is_serial("inputs") else input_bits)


def _serial_product_pj(table: EnergyTable, precision: BitSerialPrecision, *, weight_bits: int, input_bits: int) -> float:
    weights, inputs = _bits_of_a_cycle(precision, weight_bits=weight_bits, input_bits=input_bits)
    if min(weights, inputs) == 1:
        return gates_pj(table, nand2=pass_or_zero_nand2(input_bits=max(weights, inputs)))
    return multiply_pj(table, weight_bits=weights, input_bits=inputs)


def _mode_area_um2(table: EnergyTable, precision: SubwordPrecision, index: int) -> float | None:
    mode = precision.modes[index]
    one = (float_multiplier_area_um2(table, bits=max(mode.bits)) if mode.is_float
           else multiplier_area_um2(table, weight_bits=mode.weight_bits, input_bits=mode.input_bits))
    return None if one is None else one * float(mode.macs_per_cycle * precision.overhead)


def _widest(precision: PrecisionKind) -> tuple[int, int]:
    """The multiplier's own widths."""
    weight_bits, input_bits = precision.native_bits
    executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
    return precision.native_bits if executed is None else executed
