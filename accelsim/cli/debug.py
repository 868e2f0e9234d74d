"""``accelsim debug``: where a quantized network loses its accuracy, and what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli import quantization_options as wanted
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.errors import AccelsimError


def debug(
    model: wanted.FloatModelArgument,
    data: wanted.DataOption = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--eval",
            metavar="FILE|DIR",
            help='Samples that scores are made of, an array "label" with their classes beside them; --data if left out.',
            show_default=False,
        ),
    ] = None,
    policy: wanted.PolicyOption = None,
    bits: wanted.WidthsOption = None,
    recipe: wanted.RecipeOption = "none",
    layer_samples: Annotated[
        int, typer.Option("--layer-samples", metavar="N", help="Samples that each quantizer is looked at with.", min=1)
    ] = 64,
    top: Annotated[int, typer.Option("--top", metavar="N", help="Show only the worst N layers; 0 shows all.", min=0)] = 12,
    out: given.OutOption = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
) -> None:
    """Find the quantizers that cost a network its accuracy, and a remedy."""
    if data is None:
        raise AccelsimError("expected samples to calibrate on, got none", field="--data")
    sizes = given.parse_shapes(shapes or [])
    if out is not None:
        from accelsim.whole_file import check_writable

        check_writable(out)
    chosen, steps = wanted.chosen_policy(policy, bits), wanted.chosen_recipe(recipe)

    from accelsim.quantization.debugging.debug import debug as debugged
    from accelsim.quantization.float_model import FloatModel
    from accelsim.report.debug_wording import debug_findings
    from accelsim.report.debugging import layer_table, score_table, write_debug_report

    network = FloatModel.load(model, batch=batch, shapes=sizes)
    with progress_bar(network.name) as progress:
        result = debugged(network, data, chosen, recipe=steps, evaluation=evaluation, layer_samples=layer_samples,
                          told=progress)
    if out is not None:
        print_remark(f"report: {write_debug_report(result, out)}")
    if is_json:
        print_json(result.to_dict())
        return
    print_table(lambda width: score_table(result))
    print_text("")
    print_table(lambda width: layer_table(result, top=top, width=width))
    print_text("")
    for finding in debug_findings(result):
        print_text(finding)
