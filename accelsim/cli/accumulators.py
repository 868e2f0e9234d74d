"""``accelsim accumulators``: how wide a network's accumulators must be, and what narrower ones cost."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.integers import run_integers
from accelsim.cli.output import print_json, print_remark, print_table, print_text
from accelsim.errors import AccelsimError

#: Widths that are tried if none are asked for: those below what the layers reach.
_WIDTHS_BELOW = 4


def accumulators(
    model: given.QuantizedModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    inputs: given.InputsOption = None,
    out: given.OutOption = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    rounding: given.RoundingOption = "hardware",
    bits: Annotated[
        str | None,
        typer.Option(
            "--bits",
            metavar="16,20,24",
            help="Widths to try; left out, the narrowest that is safe for all layers and the four below.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find the narrowest safe accumulators of every layer, and the wrong outputs that narrower ones give."""
    from accelsim.whole_file import check_writable

    if inputs is None:
        raise AccelsimError("expected a file of inputs, since widths depend on them, got none", field="--inputs")
    widths = given.parse_widths(bits) if bits is not None else ()
    rule = given.parse_rounding(rounding)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=None, is_strict=False)
    if out is not None:
        check_writable(out)

    from accelsim.hardware.loader import load_accelerator
    from accelsim.mapping.options import MappingOptions

    chip, network, options = load_accelerator(accelerator), reading.load_integers(model), MappingOptions()
    if not widths:
        wide, _ = run_integers(chip, network, inputs, rounding=rule, options=options, trial_bits=(64,))
        reached = max(layer.values.widths.running_bits for layer in wide.layers if layer.values and layer.values.widths)
        widths = tuple(bits for bits in range(reached, reached - _WIDTHS_BELOW - 1, -1) if bits >= 2)
    result, _ = run_integers(chip, network, inputs, rounding=rule, options=options, trial_bits=widths)
    if out is not None:
        from accelsim.report.writer import write_report

        print_remark(f"report: {write_report(result, out)}")
    if is_json:
        print_json(result.to_dict())
        return

    from accelsim.report.trials_table import narrowest_safe, trials_table

    print_table(lambda width: trials_table(result, width=width))
    print_text(narrowest_safe(result))
