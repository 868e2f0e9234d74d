"""Gate counts beside the area model: both as ratios to the int8 PE."""

from __future__ import annotations

from typing import Any

from accelsim.energy.laws import adder_area_um2, multiplier_area_um2
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.energy_table import EnergyTable
from accelsim.rtl.design import GridDesign
from accelsim.rtl.gates import gates_of, pe_gates, yardstick

_NAMES = {"pe": "PE", "accumulator": "accumulator lane", "requantizer": "requantizer lane"}


def gate_rows(accelerator: Accelerator, design: GridDesign) -> list[dict[str, Any]]:
    """A record for the int8 PE and for each part of a design: gates, register bits, ratios to the int8 PE.

    `area_law_ratio` is what the laws of `accelsim.energy` say of a PE with the accelerator's energy table; the area model
    has no numbers for accumulator adders at the edge and requantizers.
    """
    reference = yardstick(design)
    one = pe_gates(reference)
    counted = {"int8 PE": one} | {_NAMES[part]: gates for part, gates in gates_of(design).items()}
    laws = {"int8 PE": law_ratio(accelerator.energy, reference, reference),
            "PE": law_ratio(accelerator.energy, design, reference)}
    return [{"part": part, "nand2": gates.nand2, "register_bits": gates.register_bits, "ratio": gates.nand2 / one.nand2,
             "area_law_ratio": laws.get(part)} for part, gates in counted.items()]


def law_ratio(table: EnergyTable, design: GridDesign, reference: GridDesign) -> float | None:
    """Area of a PE's multipliers and adders by the laws, as a share of another design's; None without published areas."""
    sizes = [_law_area(table, each) for each in (design, reference)]
    return None if sizes[0] is None or sizes[1] is None else sizes[0] / sizes[1]


def _law_area(table: EnergyTable, design: GridDesign) -> float | None:
    multiplier = multiplier_area_um2(table, weight_bits=design.weight_number.bits, input_bits=design.factor_number.bits)
    adder = adder_area_um2(table, bits=design.sum_bits)
    return None if multiplier is None or adder is None else design.pixels * (multiplier + adder)
