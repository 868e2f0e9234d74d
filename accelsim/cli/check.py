"""``accelsim check``: is this description an accelerator, and what can it do at best?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from accelsim.cli.options import JsonOption
from accelsim.cli.output import print_json, print_text
from accelsim.energy.area import estimate_area
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.loader import load_accelerator
from accelsim.hardware.summary import AcceleratorSummary, WidthSummary, summarize
from accelsim.units import format_scaled, format_size


def check(
    accelerator: Annotated[
        str,
        typer.Argument(
            metavar="HW",
            help="A shipped accelerator's name or the path of its .yaml file.",
            show_default=False,
        ),
    ],
    is_json: JsonOption = False,
) -> None:
    """Validate an accelerator description and say what it describes."""
    chip = load_accelerator(accelerator)
    summary = summarize(chip)
    if is_json:
        print_json(
            {
                "fingerprint": chip.fingerprint,
                "description": chip.description,
                "clock_hz": chip.clock_hz,
                "energy_table": chip.energy.name,
            }
            | asdict(summary)
            | {"area_um2": dict(estimate_area(chip).um2)}
        )
        return
    for label, value in _facts(chip, summary):
        print_text(f"{label:<14} {value}".rstrip())


def _facts(chip: Accelerator, summary: AcceleratorSummary) -> list[tuple[str, str]]:
    """(what, how much), in the order of the data's way through the chip."""
    grid = chip.pe_grid
    facts = [
        (summary.name, chip.description),
        ("clock", format_scaled(chip.clock_hz, "Hz")),
        (
            "PE grid",
            f"{grid.rows} x {grid.columns}"
            + (f" x {grid.pixels} pixels" if grid.pixels > 1 else "")
            + f", {grid.dataflow.replace('_', ' ')}",
        ),
    ]
    facts += [("peak" if place == 0 else "", peak) for place, peak in enumerate(_peaks(chip, summary))]
    for place, (name, buffer) in enumerate(chip.memory.buffers.items()):
        facts.append(
            (
                "buffers" if place == 0 else "",
                (
                    f"{name} {format_size(buffer.capacity_bytes)} for {', '.join(buffer.holds)}; "
                    f"{buffer.bytes_per_cycle * buffer.ports} B/cycle"
                ),
            )
        )
    facts += [
        ("accumulators", _accumulators(summary)),
        ("requantizer", f"{chip.requantizer.lanes} outputs/cycle, {_scheme(chip)}"),
        ("zero points", _zero_points(summary)),
        (
            "DRAM",
            f"{format_scaled(chip.dram.bandwidth_bytes_per_second, 'B/s')}, {summary.dram_bytes_per_cycle:.4g} B/cycle",
        ),
        ("ridge point", f"{summary.ridge_macs_per_byte:.4g} MACs per DRAM byte"),
        ("energy table", f"{chip.energy.name}: {chip.energy.technology}"),
    ]
    facts += _areas(chip)
    facts += [("unconfirmed" if place == 0 else "", path) for place, path in enumerate(summary.unconfirmed)]
    return facts


def _accumulators(summary: AcceleratorSummary) -> str:
    wires = summary.partial_sum_bits
    between = f"; {wires} bits between PEs" if wires not in (None, summary.accumulator_bits) else ""
    overflow = {"wrap": "wrap", "saturate": "saturate", "error": "stop the run"}[summary.overflow]
    return f"{format_size(summary.accumulator_bytes)}, {summary.accumulator_bits} bits that {overflow} on overflow{between}"


def _scheme(chip: Accelerator) -> str:
    """The rule by its name, with the options that the description gives it."""
    requantizer = chip.requantizer
    if requantizer.multiplier_bits is not None:
        return f"{requantizer.scheme} with {requantizer.multiplier_bits}-bit multipliers"
    return requantizer.scheme + (f", {requantizer.rounding}" if requantizer.rounding is not None else "")


def _zero_points(summary: AcceleratorSummary) -> str:
    inputs = {"fold_into_bias": "folded into the bias", "subtract": "subtracted before the grid"}[summary.zero_points]
    weights = "a row-sum unit" if summary.has_row_sum_unit else "an extra channel on the grid"
    return f"of inputs {inputs}; of weights by {weights}"


def _areas(chip: Accelerator) -> list[tuple[str, str]]:
    """What the published areas of PEs and memories come to, or why there is no number."""
    area = estimate_area(chip)
    if not area.um2:
        return [("area", f"unknown: {next(iter(area.omitted.values()))}")]
    parts = ", ".join(f"{name} {size / 1e6:.3g}" for name, size in area.um2.items())
    return [("area", f"{area.total_um2 / 1e6:.3g} mm2 in {chip.energy.technology}: {parts}")]


def _peaks(chip: Accelerator, summary: AcceleratorSummary) -> list[str]:
    """A line per speed of the grid, with the widths of weights and inputs that run at it."""
    speeds = dict.fromkeys((width.macs_per_cycle, width.is_float) for width in summary.widths)
    return [
        f"{2 * rate * chip.clock_hz / 1e12:.4g} {'TFLOPS' if is_float else 'TOPS'} ({_rate_text(rate)} MACs/cycle) with "
        + _width_texts([width for width in summary.widths if (width.macs_per_cycle, width.is_float) == (rate, is_float)])
        for rate, is_float in speeds
    ]


def _rate_text(rate: float) -> str:
    """MACs a cycle, whole or with a few digits.

    >>> _rate_text(1769472), _rate_text(21845 + 1 / 3), _rate_text(256 / 9)
    ('1,769,472', '21,845.3', '28.4444')
    """
    return f"{rate:,}" if isinstance(rate, int) else f"{rate:,.6g}"


def _width_texts(widths: list[WidthSummary]) -> str:
    """Widths of one speed: those that the PEs have, then those that are rounded up.

    >>> _width_texts([WidthSummary(8, 8, 8, 8, 256), WidthSummary(4, 8, 8, 8, 256)])
    '8/8 bits; 4/8 runs as 8/8'
    """
    executed: dict[str, list[str]] = {}
    for width in widths:
        own = f"{width.weight_bits}/{width.input_bits}"
        runs_as = f"{width.executed_weight_bits}/{width.executed_input_bits}"
        executed.setdefault("" if own == runs_as else runs_as, []).append(own)
    exact = executed.pop("", [])
    if not exact:
        return "; ".join(f"{', '.join(texts)} bits run as {runs_as}" for runs_as, texts in executed.items())
    rounded = [f"{', '.join(texts)} {'run' if texts[1:] else 'runs'} as {runs_as}" for runs_as, texts in executed.items()]
    return "; ".join([f"{', '.join(exact)} bits", *rounded])
