"""What a written file says at its head."""

from __future__ import annotations

import re

from accelsim.hardware.accelerator import Accelerator
from accelsim.rtl.design import GridDesign
from accelsim.version import __version__

#: Parts of a description that become RTL.
_SECTIONS = ("pe_grid", "accumulators", "requantizer")


def module_name_of(accelerator: Accelerator) -> str:
    """The accelerator's name as a Verilog identifier that no component has.

    >>> from accelsim.hardware.loader import load_accelerator
    >>> module_name_of(load_accelerator("edge_16x16"))
    'edge_16x16_top'
    """
    word = re.sub(r"\W+", "_", accelerator.name, flags=re.ASCII).strip("_").lower()
    return f"{word if word[:1].isalpha() else f'npu_{word}'.rstrip('_')}_top"


def header_of(accelerator: Accelerator, design: GridDesign) -> list[str]:
    """Name, parameters and timing."""
    document = accelerator.to_document()
    lines = [f"{accelerator.name}: PE grid, accumulators" + (" and requantizer" if design.requantizer is not None else ""),
             f"written by accelsim {__version__} from the description of fingerprint {accelerator.fingerprint[:16]}", ""]
    for section in _SECTIONS:
        if section == "requantizer" and design.requantizer is None:
            continue
        for name, value in document[section].items():
            lines += _parameter(f"{section}.{name}", value)
    signs = {True: "signed", False: "unsigned"}
    lines += [f"inputs and outputs: {signs[design.has_signed_inputs]}, weights: {signs[design.has_signed_weights]}"]
    lines += [*design.arithmetic.wording(), ""]
    if accelerator.accumulators.overflow == "error":
        lines.append("Sums that do not fit wrap: hardware cannot stop the run, as the simulator does.")
    lines += [f"A fold of T streamed steps, alone: {0 if design.is_output_stationary else design.rows} + T + "
              f"{design.tail_cycles} cycles. From a request to its outputs: {design.read_latency_cycles} cycles."]
    return lines


def _parameter(name: str, value: object) -> list[str]:
    if isinstance(value, dict):
        return [line for inner, below in value.items() for line in _parameter(f"{name}.{inner}", below)]
    return [] if value is None else [f"{name}: {str(value).lower() if isinstance(value, bool) else value}"]
