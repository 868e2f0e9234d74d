"""The options that commands share, and what their texts mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.machine.grid_times import Engine
    from accelsim.mapping.options import MappingOptions
    from accelsim.simulation import Rounding
    from accelsim.workload.network import Network
    from accelsim.workload.quantized_network import QuantizedNetwork

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An .onnx or .tflite model, a SCALE-Sim .csv, a .yaml layer list, or a shipped network's name.",
        show_default=False,
    ),
]
QuantizedModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A quantized .onnx or .tflite model.", show_default=False)
]
AcceleratorArgument = Annotated[
    str, typer.Argument(metavar="HW", help="A shipped accelerator's name or the path of its .yaml file.")
]
BitsOption = Annotated[
    str,
    typer.Option("--bits", metavar="W/A", help="Widths of weights and activations for which the model states none."),
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch", min=1, metavar="N", help="Images or sequences at once.", show_default=False),
]
ShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=1x3x224x224",
        help="Shape of an ONNX input with dynamic sizes; repeatable.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PARAMETER=VALUE",
        help="A size of a layer list (.yaml); repeatable.",
        show_default=False,
    ),
]
ObjectiveOption = Annotated[
    str, typer.Option("--objective", metavar="latency|energy|edp", help="What the mapper makes small.")
]
KeepOption = Annotated[
    bool, typer.Option("--keep-activations", help="Outputs stay on chip for the next layer where they fit.")
]
PrefetchOption = Annotated[
    bool,
    typer.Option("--prefetch-weights", help="Load a layer's first weights while the one before it runs."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Refuse a model with operators that are not simulated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Write the whole report there: page, figures, CSV, JSON.",
        show_default=False,
    ),
]

InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--inputs",
        metavar="FILE",
        help="Arrays by the model's input names (.npz): carry their integers through the machine.",
        show_default=False,
    ),
]
RoundingOption = Annotated[
    str,
    typer.Option(
        "--rounding",
        metavar="hardware|model",
        help="With --inputs: the accelerator's own rule of requantization, or that of the model's runtime.",
    ),
]

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="tile|stepped",
        help="Closed forms for the PE grid, or every register of it in every clock cycle (small layers).",
    ),
]

#: Widths that tensors of a model may be given.
WIDEST_BITS = 32

_SHAPE = re.compile(r"(.+)=([1-9][0-9]{0,9}(?:x[1-9][0-9]{0,9})*)")
_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([0-9]{1,18})")
_WIDTHS = re.compile(r"[0-9]{1,2}(?:,[0-9]{1,2})*")
_BITS = re.compile(r"([0-9]{1,3})/([0-9]{1,3})")


def parse_bits(text: str) -> tuple[int, int]:
    """(weight, activation) widths.

    >>> parse_bits("4/8")
    (4, 8)
    >>> parse_bits("8")
    Traceback (most recent call last):
    accelsim.errors.AccelsimError: --bits: expected weight and activation bits from 1 to 32 such as 4/8, got 8
    """
    match = _BITS.fullmatch(text)
    widths = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= min(widths) <= max(widths) <= WIDEST_BITS:
        raise AccelsimError(
            f"expected weight and activation bits from 1 to {WIDEST_BITS} such as 4/8, got {text}",
            field="--bits",
        )
    return widths


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Input name -> shape.

    >>> parse_shapes(["input=1x3x224x224", "mask=1x128"])
    {'input': (1, 3, 224, 224), 'mask': (1, 128)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise AccelsimError(
                f"expected an input's name and its sizes such as input=1x3x224x224, got {text}",
                field="--shape",
            )
        if match[1] in shapes:
            raise AccelsimError(f"expected one shape per input, got two for {match[1]}", field="--shape")
        shapes[match[1]] = tuple(int(size) for size in match[2].split("x"))
    return shapes


def parse_parameters(texts: Sequence[str]) -> dict[str, int]:
    """Parameter -> value.

    >>> parse_parameters(["sequence=128"])
    {'sequence': 128}
    """
    parameters: dict[str, int] = {}
    for text in texts:
        match = _PARAMETER.fullmatch(text)
        if match is None:
            raise AccelsimError(f"expected a parameter and a whole number such as sequence=128, got {text}", field="--set")
        if match[1] in parameters:
            raise AccelsimError(f"expected one value per parameter, got two for {match[1]}", field="--set")
        parameters[match[1]] = int(match[2])
    return parameters


def parse_rounding(text: str) -> Rounding:
    """Whose rule.

    >>> parse_rounding("model")
    'model'
    """
    if text not in ("hardware", "model"):
        raise AccelsimError(f"expected hardware or model, got {text}", field="--rounding")
    return cast("Rounding", text)


def parse_engine(text: str) -> Engine:
    """Who times the grid.

    >>> parse_engine("stepped")
    'stepped'
    """
    if text not in ("tile", "stepped"):
        raise AccelsimError(f"expected tile or stepped, got {text}", field="--engine")
    return cast("Engine", text)


def parse_widths(text: str) -> tuple[int, ...]:
    """Widths of accumulators, the widest first.

    >>> parse_widths("16,20,16")
    (20, 16)
    """
    if not _WIDTHS.fullmatch(text) or any(not 2 <= int(bits) <= 64 for bits in text.split(",")):
        raise AccelsimError(f"expected widths from 2 to 64 such as 16,20,24, got {text}", field="--bits")
    return tuple(sorted({int(bits) for bits in text.split(",")}, reverse=True))


def mapping_options(*, objective: str, keeps_activations: bool, prefetches_weights: bool) -> MappingOptions:
    """The mapper's options, or the objective's legal values."""
    from accelsim.mapping.options import MappingOptions, Objective

    if objective not in get_args(Objective):
        raise AccelsimError(f"expected {', '.join(get_args(Objective))}, got {objective}", field="--objective")
    return MappingOptions(
        objective=cast(Objective, objective),
        keeps_activations=keeps_activations,
        prefetches_weights=prefetches_weights,
    )


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is read: the options, understood."""

    batch: int | None
    shapes: dict[str, tuple[int, ...]]
    parameters: dict[str, int]
    is_strict: bool

    def load(self, model: str, bits: tuple[int, int]) -> Network:
        """The network in this file or of this name, at these widths of weights and activations."""
        from accelsim.workload.load import load_network

        return load_network(
            model,
            batch=self.batch,
            shapes=self.shapes,
            weight_bits=bits[0],
            input_bits=bits[1],
            parameters=self.parameters,
            strict=self.is_strict,
        )

    def load_integers(self, model: str) -> QuantizedNetwork:
        """The same with the integers that the model holds."""
        from accelsim.workload.load import load_quantized_network

        if self.parameters:
            raise AccelsimError("a model with integers has no sizes to set", field="--set")
        return load_quantized_network(model, batch=self.batch, shapes=self.shapes)


def model_options(
    *, batch: int | None, shapes: Sequence[str] | None, parameters: Sequence[str] | None, is_strict: bool
) -> ModelOptions:
    """Parse what says how to read a model, before anything is read."""
    return ModelOptions(batch, parse_shapes(shapes or []), parse_parameters(parameters or []), is_strict)
