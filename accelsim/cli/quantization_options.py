"""What the commands that quantize a float network ask for: the network, samples, widths, a policy, a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options as given
from accelsim.errors import AccelsimError, NumericsError
from accelsim.problem import wrong_choice

if TYPE_CHECKING:
    from accelsim.quantization.bit_policy import BitPolicy
    from accelsim.quantization.recipe import Recipe

FloatModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A float .onnx or .tflite model.", show_default=False)
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE|DIR",
        help="Samples to calibrate on: an .npz by the model's input names, or a folder of .npy or .npz files.",
        show_default=False,
    ),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE.yaml", help="Widths, schemes and ranges by layer.", show_default=False),
]
WidthsOption = Annotated[
    str | None,
    typer.Option("--bits", metavar="W/A", help="Widths of weights and activations, 8/8 by default.", show_default=False),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE.yaml",
        help="Steps of the pipeline: standard (white paper, figure 8), none (what the policy alone says), or a file.",
    ),
]

_MOST_BITS = 16


def chosen_policy(policy: Path | None, bits: str | None, weights_format: str | None = None) -> BitPolicy:
    """From a file, or of one pair of widths and a format of the weights, which has a width of its own."""
    from accelsim.quantization.bit_policy import BitPolicy, load_bit_policy

    for value, option in ((bits, "--bits"), (weights_format, "--weights-format")):
        if policy is not None and value is not None:
            raise AccelsimError(f"expected --policy or {option}, got both", field=option)
    if policy is not None:
        return load_bit_policy(policy)
    widths = given.parse_bits(bits) if bits else (None, 8)
    if max(filter(None, widths)) > _MOST_BITS:
        raise AccelsimError(f"expected widths of at most {_MOST_BITS} bits, got {bits}", field="--bits")
    try:
        chosen = BitPolicy.of(*widths, weights_format=weights_format or "uniform")
    except NumericsError as error:
        raise AccelsimError(error.problem, field="--weights-format") from None
    chosen.check()
    return chosen


def chosen_recipe(name: str) -> Recipe:
    """By its name, or from a file."""
    from accelsim.quantization.recipe import RECIPES, load_recipe

    if name not in RECIPES and not Path(name).suffix:
        raise AccelsimError(f"{wrong_choice(name, RECIPES)}; or a file", field="--recipe")
    return load_recipe(name)
