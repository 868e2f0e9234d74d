"""One layer to be run at some widths: what a worker gets, and by which key its cost is remembered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import accelsim
from accelsim.errors import AccelsimError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.changes import with_changes
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.single_run import run_layer
from accelsim.mapping.options import MappingOptions
from accelsim.version import __version__
from accelsim.workload.layer import Layer
from accelsim.workload.tensor import Tensor

#: Rooms and files whose code decides what a run costs.
_DECIDING = ("energy", "hardware", "lut/program_time.py", "lut/single_run.py", "machine", "mapping", "results",
             "simulation.py", "units.py", "workload")


@dataclass(frozen=True, slots=True)
class LayerJob:
    """A layer without names, and what it is to be run on. It holds plain data alone, so that it travels to other processes
    and machines.

    Parameters
    ----------
    layer : from `nameless`, at the widths of this run.
    accelerator : its document as JSON.
    accumulator_bits : widths to be told apart; None is the accelerator's own.
    options : of the mapping.
    """

    layer: Layer
    accelerator: str
    accumulator_bits: tuple[int | None, ...]
    options: MappingOptions

    def run(self) -> tuple[LayerCost, ...] | str:
        """A cost for each width of accumulators, or what is wrong with the layer."""
        try:
            return run_layer(self.layer, [chip_of(self.accelerator, bits) for bits in self.accumulator_bits], self.options)
        except AccelsimError as error:
            return error.problem


def nameless(layer: Layer, bits: OperandBits | None = None) -> Layer:
    """The layer with names that say only which of its tensors are the same, so that equal layers become equal; at these
    widths, or at its own.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> first, *_, last = load_network("mlperf_tiny_dscnn").layers[1:9:2]
    >>> first.name == last.name, nameless(first, OperandBits(4, 8, 8)) == nameless(last, OperandBits(4, 8, 8))
    (False, True)
    """
    numbers: dict[str, int] = {}
    for tensor in layer.inputs:
        numbers.setdefault(tensor.name, len(numbers))

    def named(tensor: Tensor | None, name: str) -> Tensor | None:
        return None if tensor is None else replace(tensor, name=name)

    plain = replace(layer, name="layer", weights=named(layer.weights, "w"), bias=named(layer.bias, "b"),
                    inputs=tuple(replace(tensor, name=f"x{numbers[tensor.name]}") for tensor in layer.inputs),
                    output=replace(layer.output, name="y"))
    return plain if bits is None else _at(plain, bits)


def _at(layer: Layer, bits: OperandBits) -> Layer:
    """A nameless layer at these widths."""
    first, others = bits.input_bits, bits.input_bits
    weights = layer.weights
    if layer.is_on_grid:
        assert bits.weight_bits is not None, "a layer of the PE grid has bits of weights"
        others = bits.weight_bits
        weights = None if weights is None else replace(weights, bits=bits.weight_bits)
    inputs = tuple(replace(tensor, bits=others if place else first) for place, tensor in enumerate(layer.inputs))
    return replace(layer, inputs=inputs, output=replace(layer.output, bits=bits.output_bits), weights=weights)


@lru_cache(maxsize=64)
def chip_of(document: str, accumulator_bits: int | None) -> Accelerator:
    """The accelerator of a JSON document, with accumulators of this width.

    Raises
    ------
    HardwareError : accumulators that are narrower than the operands.
    """
    chip = Accelerator.model_validate(json.loads(document))
    return chip if accumulator_bits is None else with_changes(chip, {"accumulators.bits": accumulator_bits})


def run_key(layer: Layer, chip_fingerprint: str, options_text: str) -> str:
    """SHA-256 of everything that a run depends on: the nameless layer, the accelerator, the options, and the code.

    Parameters
    ----------
    chip_fingerprint : of the accelerator with the accumulators of this run.
    options_text : of the mapping, as JSON.
    """
    parts = (__version__, code_fingerprint(), options_text, chip_fingerprint, repr(layer))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """SHA-256 of the source that decides what a run costs: between two versions it changes too, and whoever edits the
    simulator shall not get numbers from before. "" where the source is not in files.
    """
    package = Path(next(iter(accelsim.__path__)))
    digest = hashlib.sha256()
    try:
        for name in _DECIDING:
            place = package / name
            for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
                digest.update(path.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()
