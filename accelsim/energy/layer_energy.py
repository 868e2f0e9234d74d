"""Counts times costs: the energy of a layer by component.

==============  ==============================================================================================
component       model
==============  ==============================================================================================
multipliers     MACs x one multiplication of the PEs' precision kind at the widths at which they really multiplied
                (inputs one bit wider where their zero point is subtracted before): `accelsim.energy.multiplication`
adders          MACs x one addition of the partial sums' width, or the share of an adder tree:
                `accelsim.energy.addition`; and additions of the accumulator's width in a row-sum unit
registers       MACs x the bits that a PE hands on, see `register_bits_per_mac`
codebook        only with weights from a table: its reads x bits of an entry x SRAM bit at the table's size
accumulators    updates x (read + write) of one accumulator, in an SRAM of one lane's size (lanes are apart); a read for each
                sum of inputs that corrects an accumulator, and a read and a write for each rescaled partial sum
requantizer     outputs and rescaled sums x (accumulator x 16-bit multiplication, rounding addition, shift as a second
                addition), one more addition for a rescaled sum; corrections x (z_w x sum of inputs, one addition)
vector_unit     lane operations x (8 x 8-bit multiplication + 32-bit addition)
buffers.<name>  bytes read and written x 8 x SRAM bit at the buffer's whole size (banks do not make it cheaper)
dram            bus bytes (whole bursts) x 8 x DRAM bit
leakage         idle power x total time
==============  ==============================================================================================

Left out: control, clock tree, the network between buffers and grid, instruction fetch, shifting the stationary
operand into the grid, accumulator preload and the requantizer's own reads of the accumulators, subtracting the zero
point of the inputs, idle PEs (taken as clock gated; their leakage is in the idle power), and how the values of the
operands toggle the wires.
"""

from __future__ import annotations

from fractions import Fraction

from accelsim.energy.addition import additions_pj
from accelsim.energy.laws import add_pj, multiply_pj, register_pj, sram_pj_per_bit
from accelsim.energy.multiplication import multiplication_pj
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.results.counts import Counts
from accelsim.results.quantization_counts import QuantizationCounts

# A choice: multipliers of 16 to 32 bits are built; tests of requantizers synthesize 32x16 (7605 NAND2) and 32x32 (13942).
#: Width of the multiplier that scales an accumulator.
SCALE_BITS = 16
#: Widths of the operation that stands for a lane operation of the vector unit.
VECTOR_MULTIPLY_BITS = 8
VECTOR_ADD_BITS = 32

#: 1 mW during 1 s is 10**9 pJ.
_PJ_PER_MILLIJOULE = 10**9


def layer_energy_pj(counts: Counts, accelerator: Accelerator, *, total_cycles: int,
                    quantization: QuantizationCounts | None = None) -> dict[str, float]:
    """Energy by component, every component present, in the unit of the accelerator's energy table.

    Parameters
    ----------
    counts : what happened how often.
    accelerator : what it happened on.
    total_cycles : how long the layer took, for the idle power.
    quantization : what it did because of how it is quantized; nothing if left out.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> energy = layer_energy_pj(Counts(dram_bus_bytes=100), load_accelerator("edge_16x16"), total_cycles=800)
    >>> energy["dram"], energy["leakage"], energy["multipliers"]  # 100 x 8 x 8 pJ; 20 mW for 1 us
    (6400.0, 20000.0, 0.0)
    """
    table = accelerator.energy
    bits = accelerator.accumulators.bits
    accumulator_bit = sram_pj_per_bit(
        table, capacity_bytes=accelerator.accumulator_bytes // accelerator.accumulator_lanes)
    energy = {
        **_grid_energy_pj(counts, accelerator),
        **_codebook_energy_pj(accelerator, reads=0 if quantization is None else quantization.codebook_reads),
        "accumulators": counts.accumulator_updates * 2 * bits * accumulator_bit,
        "requantizer": counts.requantized_outputs * requantization_pj(table, accumulator_bits=bits),
        "vector_unit": counts.vector_operations * vector_operation_pj(table),
    }
    if quantization is not None:
        corrected, rescaled = quantization.corrected_sums, quantization.rescaled_sums
        energy["adders"] += quantization.row_sum_additions * add_pj(table, bits=bits)
        energy["accumulators"] += (corrected + 2 * rescaled) * bits * accumulator_bit
        energy["requantizer"] += corrected * correction_pj(
            table, accumulator_bits=bits, weight_bits=counts.mac_weight_bits) + rescaled * add_pj(table, bits=bits)
    for name, buffer in accelerator.memory.buffers.items():
        moved = counts.buffer_read_bytes.get(name, 0) + counts.buffer_write_bytes.get(name, 0)
        energy[f"buffers.{name}"] = moved * 8 * sram_pj_per_bit(table, capacity_bytes=buffer.capacity_bytes)
    energy["dram"] = counts.dram_bus_bytes * 8 * accelerator.dram_pj_per_bit
    energy["leakage"] = total_cycles * leakage_pj_per_cycle(accelerator)
    return energy


def register_bits_per_mac(accelerator: Accelerator, *, weight_bits: int, input_bits: int) -> float:
    """Bits of registers that are written for one MAC.

    Systolic: the operands that hop from PE to PE (weight stationary the input, input stationary the weight, output
    stationary both) and one partial sum of its own width; the stationary operand's register is only read. An input whose
    zero point was subtracted is one bit wider. Wires without a register (0 registers a hop) cost none.
    dot_product: the register of a broadcast input is written once for all rows of its column, and the adder tree has no
    register in the PE.
    A PE that takes several pairs of operands writes one partial sum for them; one with several output channels takes one
    input for them. The register in which a bit-serial PE shifts its sum belongs to its additions.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> register_bits_per_mac(load_accelerator("edge_16x16"), weight_bits=8, input_bits=8)
    40.0
    >>> register_bits_per_mac(load_accelerator("whitepaper_4x4"), weight_bits=8, input_bits=8)
    2.0
    """
    grid = accelerator.pe_grid
    cost = grid.precision.step_cost(weight_bits=weight_bits, input_bits=input_bits)
    own_input = (input_bits + grid.zero_point_bits) / cost.channels
    if grid.dataflow == "dot_product":
        return own_input / grid.rows
    partial_sum = accelerator.partial_sum_bits / float(max(Fraction(1), cost.reduction))
    down, across = min(1, grid.registers_per_row_hop), min(1, grid.registers_per_column_hop)
    return float({"weight_stationary": across * own_input + down * partial_sum,
                  "input_stationary": across * weight_bits + down * partial_sum,
                  "output_stationary": across * own_input + down * weight_bits + partial_sum}[grid.dataflow])


def requantization_pj(table: EnergyTable, *, accumulator_bits: int) -> float:
    """One output integer: scale by a 16-bit multiplier, add the rounding offset, shift (taken as another addition).

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> round(requantization_pj(load_energy_table("horowitz_45nm"), accumulator_bits=32), 2)
    1.76
    """
    return (multiply_pj(table, weight_bits=accumulator_bits, input_bits=SCALE_BITS)
            + 2 * add_pj(table, bits=accumulator_bits))


def correction_pj(table: EnergyTable, *, accumulator_bits: int, weight_bits: int) -> float:
    """One accumulator less z_w times the sum of its inputs: a multiplication and a subtraction.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> round(correction_pj(load_energy_table("horowitz_45nm"), accumulator_bits=32, weight_bits=8), 3)
    0.887
    """
    return (multiply_pj(table, weight_bits=accumulator_bits, input_bits=weight_bits)
            + add_pj(table, bits=accumulator_bits))


def vector_operation_pj(table: EnergyTable) -> float:
    """One lane operation of the vector unit, whatever it is: an 8-bit multiplication and a 32-bit addition.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_energy_table
    >>> round(vector_operation_pj(load_energy_table("horowitz_45nm")), 2)
    0.3
    """
    return (multiply_pj(table, weight_bits=VECTOR_MULTIPLY_BITS, input_bits=VECTOR_MULTIPLY_BITS)
            + add_pj(table, bits=VECTOR_ADD_BITS))


def leakage_pj_per_cycle(accelerator: Accelerator) -> float:
    """Idle power times one clock period.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> leakage_pj_per_cycle(load_accelerator("edge_16x16"))  # 20 mW x 1.25 ns
    25.0
    """
    return accelerator.idle_mw * _PJ_PER_MILLIJOULE / accelerator.clock_hz


def _codebook_energy_pj(accelerator: Accelerator, *, reads: int) -> dict[str, float]:
    """Of the table of weights, where there is one."""
    precision = accelerator.pe_grid.precision
    if not isinstance(precision, CodebookPrecision):
        return {}
    bit = sram_pj_per_bit(accelerator.energy, capacity_bytes=precision.table_bytes)
    return {"codebook": reads * precision.vector_length * precision.entry_bits * bit}


def _grid_energy_pj(counts: Counts, accelerator: Accelerator) -> dict[str, float]:
    if counts.macs == 0:
        return {"multipliers": 0.0, "adders": 0.0, "registers": 0.0}
    table, grid = accelerator.energy, accelerator.pe_grid
    weight_bits, input_bits = counts.mac_weight_bits, counts.mac_input_bits
    register_bits = register_bits_per_mac(accelerator, weight_bits=weight_bits, input_bits=input_bits)
    return {
        "multipliers": counts.macs * multiplication_pj(
            table, grid.precision, weight_bits=weight_bits, input_bits=input_bits + grid.zero_point_bits),
        "adders": counts.macs * additions_pj(accelerator, weight_bits=weight_bits, input_bits=input_bits),
        "registers": counts.macs * register_bits * register_pj(table, bits=1),
    }
