"""``accelsim program``: the steps that a network becomes on an accelerator."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_text
from accelsim.errors import AccelsimError


def program(
    model: given.ModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Show this layer alone.", show_default=False)
    ] = None,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: given.SetOption = None,
    bits: given.BitsOption = "8/8",
    objective: given.ObjectiveOption = "latency",
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
) -> None:
    """Print the loads, computations, requantizations and stores that each layer is mapped to."""
    widths = given.parse_bits(bits)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=False)
    choices = given.mapping_options(
        objective=objective, keeps_activations=keeps_activations, prefetches_weights=prefetches_weights
    )

    from accelsim.hardware.loader import load_accelerator
    from accelsim.simulation import plan

    chip = load_accelerator(accelerator)
    network = reading.load(model, widths)
    if layer is not None and layer not in (known.name for known in network.layers):
        raise AccelsimError(f'{network.name} has no layer "{layer}"', field="--layer")
    for mapped in plan(chip, network, options=choices).layers:
        if layer in (None, mapped.layer):
            for line in mapped.lines():
                print_text(line)
