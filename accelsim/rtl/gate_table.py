"""Gate counts beside the area model: both as ratios to the int8 PE."""

from __future__ import annotations

from typing import Any

from accelsim.energy.area import estimate_area
from accelsim.hardware.accelerator import Accelerator
from accelsim.rtl.design import GridDesign
from accelsim.rtl.gates import gates_of, pe_gates, yardstick

_NAMES = {"pe": "PE", "accumulator": "accumulator lane", "requantizer": "requantizer lane"}


def gate_rows(accelerator: Accelerator, design: GridDesign) -> list[dict[str, Any]]:
    """A record for the int8 PE and for each part of a design: gates, register bits, ratios to the int8 PE.

    `area_law_ratio` is what `accelsim.energy.area` says of a PE with the accelerator's energy table; it has no numbers for
    accumulator adders at the edge and requantizers.
    """
    reference = yardstick(design)
    one = pe_gates(reference)
    counted = {"int8 PE": one} | {_NAMES[part]: gates for part, gates in gates_of(design).items()}
    laws = {"int8 PE": None if area_ratio(accelerator, design) is None else 1.0, "PE": area_ratio(accelerator, design)}
    return [{"part": part, "nand2": gates.nand2, "register_bits": gates.register_bits, "ratio": gates.nand2 / one.nand2,
             "area_law_ratio": laws.get(part)} for part, gates in counted.items()]


def area_ratio(accelerator: Accelerator, design: GridDesign) -> float | None:
    """Area of a PE's multipliers and adders by the area model, as a share of the int8 PE's; None without published areas."""
    reference = yardstick(design)
    of_int8 = accelerator.model_copy(update={"pe_grid": reference.grid, "accumulators": reference.accumulators})
    areas = [_pe_area(each) for each in (accelerator, of_int8)]
    return None if areas[0] is None or areas[1] is None else areas[0] / areas[1]


def _pe_area(accelerator: Accelerator) -> float | None:
    parts = estimate_area(accelerator).um2
    if "multipliers" not in parts or "adders" not in parts:
        return None
    return (parts["multipliers"] + parts["adders"]) / accelerator.pe_grid.pes
