"""Layer lists: networks written by hand as short YAML files.

::

    schema_version: 1
    name: tiny
    source: where the sizes come from (a paper, a URL)
    parameters: {batch: 1}              # sizes that the command line may change
    inputs:
      image: [batch, 3, 32, 32]         # (N, C, H, W); (N, S, F) for sequences
    layers:
      - {name: conv1, op: conv, filters: 16, kernel: 3, pad: 1, activation: relu}
      - {name: conv2, op: conv, filters: 16, kernel: 3, pad: 1, bits: {weights: 4, inputs: 8}}
      - {name: sum, op: add, from: [conv1, conv2], activation: relu}
      - repeat:                         # names of the second pass end in _2, and so on
          times: 2
          layers:
            - {name: up, op: linear, features: 64, activation: gelu}
            - {name: down, op: linear, features: 32}

A layer reads the layer above it unless `from` names others. Inside `repeat`, a name means the layer of the
same pass, and `block_input` what the pass began with; behind it, a name means the layer of the last pass.
relu, relu6 and clip fuse into the layer; any other `activation` becomes a layer of its own behind it.
`output: true` marks a tensor that is stored although later layers read it; tensors that nobody reads are
outputs anyway. `quantization` says what scales and zero points cost: asymmetric_weights (weights with a zero
point), dynamic_range (the output's scale is found during the run), weight_scale_groups (scales per output channel).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from accelsim.errors import WorkloadError
from accelsim.problem import MISSING, FieldPath, did_you_mean, quoted
from accelsim.source_file import read_text
from accelsim.workload.layer import Layer
from accelsim.workload.layer_entry import OPERATORS, Draft, LayerEntry, draft_layer, size_of
from accelsim.workload.network import Network
from accelsim.workload.operation import ACTIVATION_OPERATIONS, Activation, Operation
from accelsim.workload.section import Section
from accelsim.workload.tensor import Shape, Tensor
from accelsim.yaml_tree import read_yaml

SCHEMA_VERSION = 1

#: Widths a layer may state: from one bit to what a register of the vector unit holds.
WIDEST_BITS = 32

#: Layers that `repeat` may make; more is a mistake in a size.
MOST_LAYERS = 20_000

#: A bias is as wide as an accumulator.
BIAS_BITS = 32

_BLOCK_INPUT = "block_input"
_CLAMPS = ("relu", "relu6", "clip")
_COMMON_KEYS = ("from", "bits", "quantization", "output")


def load_layer_list(
    path: str | Path,
    parameters: Mapping[str, int] = MappingProxyType({}),
    *,
    weight_bits: int = 8,
    input_bits: int = 8,
) -> Network:
    """A network from a YAML layer list.

    Parameters
    ----------
    path : the file.
    parameters : sizes that replace those of the file's `parameters`.
    weight_bits, input_bits : widths where a layer states none; input_bits is that of every activation.

    Raises
    ------
    WorkloadError : not a layer list, with file, line and field.
    """
    path = Path(path)
    tree = read_yaml(read_text(path, raises=WorkloadError), file=str(path), raises=WorkloadError)
    if tree.problems:
        raise tree.error([])
    document = Section.of(tree.data, tree, ())
    document.check_keys(("schema_version", "name", "source", "inputs", "layers"), ("parameters",))
    version = document.entries["schema_version"]
    if type(version) is not int or version != SCHEMA_VERSION:
        raise document.error(f"expected {SCHEMA_VERSION}, got {quoted(version)}", "schema_version")
    document.text("source")
    building = _Building(str(path), _parameters(document, parameters), weight_bits, input_bits)
    inputs = document.section("inputs")
    for name in inputs.entries:
        building.add_input(
            name, tuple(size_of(item, inputs, name, building.parameters, 1) for item in inputs.items(name))
        )
    if not inputs.entries:
        raise document.error("expected at least one input, got none", "inputs")
    building.add_all(document, "")
    return building.network(document.text("name"))


def _parameters(document: Section, given: Mapping[str, int]) -> dict[str, int]:
    section = document.section("parameters")
    known = {name: size_of(section.entries[name], section, name, {}, 1) for name in section.entries}
    for name, value in given.items():
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise WorkloadError(
                f'the layer list has no parameter "{name}": {has}{did_you_mean(name, known)}',
                file=document.tree.file,
            )
        if value < 1:
            raise WorkloadError(
                f"expected at least 1, got {value}", file=document.tree.file, field=f"parameters.{name}"
            )
    return {**known, **given}


class _Building:
    """The network so far."""

    def __init__(self, file: str, parameters: Mapping[str, int], weight_bits: int, input_bits: int) -> None:
        self.file = file
        self.parameters = parameters
        self.weight_bits = weight_bits
        self.input_bits = input_bits
        self._layers: list[Layer] = []
        # What a name means at this point: the tensor, and its shape as this name shows it.
        self._meanings: dict[str, tuple[str, Shape]] = {}
        self._latest = ""
        # Which entry of the file a name belongs to; the passes of a `repeat` share their entries.
        self._owners: dict[str, FieldPath] = {}
        self._tensors: dict[str, Shape] = {}
        self._widths: dict[str, tuple[int, str]] = {}
        self._outputs: dict[str, None] = {}

    def add_input(self, name: str, shape: Shape) -> None:
        self._owners[name] = ("inputs", name)
        self._add_tensor(name, name, shape)

    def _add_tensor(self, name: str, tensor: str, shape: Shape) -> None:
        self._tensors[tensor] = shape
        self._meanings[name] = (tensor, shape)
        self._latest = name

    def add_all(self, parent: Section, suffix: str) -> None:
        for position, item in enumerate(parent.items("layers")):
            section = Section.of(item, parent.tree, (*parent.path, "layers", position))
            if "repeat" in section.entries:
                section.check_keys(("repeat",), ())
                self._add_repeat(section.section("repeat"), suffix)
                continue
            name = section.text("name") if "name" in section.entries else ""
            named = replace(section, field=f"layers.{name}") if name else section
            if self._owners.setdefault(name, section.path) != section.path or name == _BLOCK_INPUT:
                raise named.error("this name stands for another layer or input already")
            self._add_entry(named, suffix)

    def _add_repeat(self, section: Section, suffix: str) -> None:
        section.check_keys(("times", "layers"), ())
        if not section.items("layers"):
            raise section.error("expected at least one layer, got none", "layers")
        times = size_of(section.entries["times"], section, "times", self.parameters, 1)
        outer = self._meanings.get(_BLOCK_INPUT)
        for repetition in range(1, times + 1):
            self._meanings[_BLOCK_INPUT] = self._meanings[self._latest]
            self.add_all(section, f"{suffix}_{repetition}")
            if len(self._layers) > MOST_LAYERS:
                raise section.error(f"expected at most {MOST_LAYERS} layers", "times")
        self._meanings.pop(_BLOCK_INPUT)
        if outer is not None:
            self._meanings[_BLOCK_INPUT] = outer

    def _add_entry(self, section: Section, suffix: str) -> None:
        for key in ("name", "op"):
            if key not in section.entries:
                raise section.error(MISSING, key)
        op = section.choice("op", (*OPERATORS, "input"))
        name = section.text("name")
        if op == "input":
            section.check_keys(("name", "op", "shape"), ())
            latest = self._latest
            shape = tuple(
                size_of(item, section, "shape", self.parameters, 1) for item in section.items("shape")
            )
            self._add_tensor(name, name + suffix, shape)
            self._latest = latest
            return
        operator = OPERATORS[op]
        section.check_keys(("name", "op", *operator.required), (*operator.optional, *_COMMON_KEYS))
        sources = self._sources(section)
        least, most = operator.reads
        if not least <= len(sources) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise section.error(f"expected {expected} layers to read, got {len(sources)}", "from")
        draft = draft_layer(LayerEntry(section, self.parameters, tuple(shape for _, shape in sources)))
        self._add_layers(section, suffix, draft, [tensor for tensor, _ in sources])

    def _sources(self, section: Section) -> list[tuple[str, Shape]]:
        named = section.entries.get("from", self._latest)
        sources = []
        for name in named if isinstance(named, list) else [named]:
            if not isinstance(name, str) or name not in self._meanings:
                hint = did_you_mean(name, self._meanings)
                raise section.error(f"expected an input or a layer above, got {quoted(name)}{hint}", "from")
            sources.append(self._meanings[name])
        return sources

    def _add_layers(self, section: Section, suffix: str, draft: Draft, sources: list[str]) -> None:
        name = section.text("name")
        bits = section.section("bits")
        bits.check_keys((), ("weights", "inputs"))
        if "inputs" in bits.entries:
            for tensor in sources:
                self._set_width(tensor, self._bits(bits, "inputs"), bits)
        activation = (
            section.choice("activation", ACTIVATION_OPERATIONS) if "activation" in section.entries else ""
        )
        if draft.operation is None:
            self._meanings[name] = (sources[0], draft.shape)
            self._latest = name
        else:
            fused = (activation,) if activation in _CLAMPS else ()
            self._add_layer(section, name, suffix, draft, draft.operation, sources, fused)
            if activation and not fused:
                follower = Draft(Activation(activation, draft.shape), draft.shape)
                self._add_layer(
                    section,
                    f"{name}_{activation}",
                    suffix,
                    follower,
                    Activation(activation, draft.shape),
                    [name + suffix],
                    (),
                )
                self._meanings[name] = self._meanings[f"{name}_{activation}"]
        if section.flag("output", False):
            self._outputs[self._meanings[name][0]] = None

    def _bits(self, section: Section, key: str) -> int:
        width = size_of(section.entries[key], section, key, {}, 1)
        if width > WIDEST_BITS:
            raise section.error(f"expected 1 to {WIDEST_BITS} bits, got {width}", key)
        return width

    def _quantization(self, section: Section) -> dict[str, Any]:
        """The fields of `Layer` that say what its scales and zero points cost."""
        section.check_keys((), ("asymmetric_weights", "dynamic_range", "weight_scale_groups"))
        groups = section.entries.get("weight_scale_groups", 1)
        return {"has_asymmetric_weights": section.flag("asymmetric_weights", False),
                "has_dynamic_range": section.flag("dynamic_range", False),
                "weight_scale_groups": size_of(groups, section, "weight_scale_groups", self.parameters, 1)}

    def _set_width(self, tensor: str, width: int, section: Section) -> None:
        """Every tensor has one width, whoever reads it."""
        stated, by = self._widths.setdefault(tensor, (width, section.field))
        if stated != width:
            raise section.error(f"expected {stated} bits for {tensor}, as {by} states, got {width}", "inputs")

    def _add_layer(
        self,
        section: Section,
        name: str,
        suffix: str,
        draft: Draft,
        operation: Operation,
        sources: list[str],
        fused: tuple[str, ...],
    ) -> None:
        full = name + suffix
        if full in self._tensors:
            raise section.error(f"two layers or inputs are called {full}")
        bits = section.section("bits")
        weight_bits = self._bits(bits, "weights") if "weights" in bits.entries else self.weight_bits
        # The activation behind a layer shares its entry, and none of what only the layer itself can have.
        quantization = {} if full != section.text("name") + suffix else self._quantization(section.section("quantization"))
        try:
            read = tuple(Tensor(source, self._tensors[source], self.input_bits) for source in sources)
            layer = Layer(
                full,
                operation,
                read,
                Tensor(full, draft.shape, self.input_bits),
                fused=fused,
                weights=_constant(f"{full}.weights", draft.weights, weight_bits),
                bias=_constant(f"{full}.bias", (draft.bias,) if draft.bias else None, BIAS_BITS),
                **quantization,
            )
        except WorkloadError as error:
            raise section.error(error.problem) from None
        self._layers.append(layer)
        self._add_tensor(name, full, draft.shape)

    def network(self, name: str) -> Network:
        read = {tensor.name for layer in self._layers for tensor in layer.inputs}
        layers = tuple(
            replace(layer, inputs=tuple(map(self._widened, layer.inputs)), output=self._widened(layer.output))
            for layer in self._layers
        )
        outputs = tuple(
            layer.output.name
            for layer in layers
            if layer.output.name not in read or layer.output.name in self._outputs
        )
        try:
            return Network(name, layers, outputs=outputs)
        except WorkloadError as error:
            raise WorkloadError(error.problem, file=self.file, field=error.field) from None

    def _widened(self, tensor: Tensor) -> Tensor:
        width, _ = self._widths.get(tensor.name, (tensor.bits, ""))
        return replace(tensor, bits=width)


def _constant(name: str, shape: Shape | None, bits: int) -> Tensor | None:
    return None if shape is None else Tensor(name, shape, bits, is_constant=True)
