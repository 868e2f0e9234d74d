"""Which layer is quantized how: a readable YAML, or the same in Python.

::

    schema_version: 1
    name: w4a8
    weights: {bits: 4, granularity: channel, range: mse}
    activations: {bits: 8, range: {setter: percentile, percentile: 99.99}}
    rules:
      - layers: first
        weights: {bits: 8}
      - layers: [logits, "head.*"]
        activations: {range: cross_entropy}

Every layer takes `weights` and `activations`, and then, in their order, what the rules that name it say besides; later rules
win. A layer's `activations` are what it writes. Layers are named as the network names them, or by a pattern (``*``, ``?``,
``[ab]``); `first` and `last` are the first and the last layer with weights, `inputs` the inputs of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr, ValidationError, WithJsonSchema, model_validator

from accelsim.errors import NumericsError, QuantizationError
from accelsim.hardware.quantity import Spec
from accelsim.hardware.validation import problems_of
from accelsim.problem import FieldPath, Problem, quoted
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.placement_options import PlacementOptions
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.range_setter import RangeSetter
from accelsim.quantization.ranges.setters import range_setter
from accelsim.quantization.scheme import MOST_BITS, Scheme, Symmetry
from accelsim.source_file import read_text
from accelsim.yaml_tree import YamlTree, read_yaml

_Bits = Annotated[int, Field(ge=1, le=MOST_BITS)]

_SETTER = "setter"


def _granularity(value: object) -> Granularity | None:
    """Of weights (G * N, K): ``tensor``, ``channel``, or ``{kind: sub_channel, size: 32}``."""
    if value is None or isinstance(value, Granularity):
        return value
    document = {"kind": value} if isinstance(value, str) else value
    if not isinstance(document, Mapping) or not {"kind"} <= document.keys() <= {"kind", "size"}:
        raise ValueError("expected tensor, channel, or a kind with a size such as {kind: sub_channel, size: 32}")
    kind, size = document["kind"], document.get("size")
    axis = {"tensor": None, "sub_channel": 1}.get(str(kind), 0)
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise ValueError(f"expected a whole number as size, got {quoted(size)}")
    try:
        return Granularity(kind, axis=axis, size=size)
    except NumericsError as error:
        raise ValueError(error.problem) from None


def _granularity_document(granularity: Granularity | None) -> Any:
    if granularity is None:
        return None
    return granularity.kind if granularity.size is None else {"kind": granularity.kind, "size": granularity.size}


def _range_setter(value: object) -> RangeSetter | None:
    """The name of a range setter, or ``{setter: mse, steps: 200}`` with its options."""
    if value is None or isinstance(value, RangeSetter):
        return value
    document = {_SETTER: value} if isinstance(value, str) else value
    if not isinstance(document, Mapping) or _SETTER not in document:
        raise ValueError("expected the name of a range setter, or one with its options such as {setter: mse, steps: 200}")
    options = {str(name): option for name, option in document.items() if name != _SETTER}
    try:
        return range_setter(str(document[_SETTER]), options)
    except NumericsError as error:
        # A relative path, so that the whole line is kept: "setter: expected one of ..., got ... (did you mean ...?)".
        place = error.field if error.field in options else _SETTER
        raise ValueError(f"{place}: {error.problem}") from None


def _range_document(setter: RangeSetter | None) -> Any:
    if setter is None:
        return None
    options = asdict(setter)
    return {_SETTER: setter.name, **options} if options else setter.name


GranularityField = Annotated[
    Any, BeforeValidator(_granularity), PlainSerializer(_granularity_document), WithJsonSchema({"type": ["string",
    "object"]})]
RangeField = Annotated[
    Any, BeforeValidator(_range_setter), PlainSerializer(_range_document), WithJsonSchema({"type": ["string", "object"]})]


class TensorRule(Spec):
    """What a rule says of a kind of tensors; what is left out stays as it was."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return all(getattr(self, name) is None for name in type(self).model_fields)


class WeightRule(TensorRule):
    """How weights are quantized."""

    bits: _Bits | None = None
    """Width, 1 to 16."""

    symmetry: Symmetry | None = None
    """asymmetric (a zero point), symmetric (signed), or unsigned."""

    is_restricted: bool | None = None
    """Whether a symmetric type leaves out its most negative integer."""

    has_power_of_two_scale: bool | None = None
    """Whether scales are powers of two."""

    granularity: GranularityField = None
    """Weights that share a scale: tensor, channel, {kind: channel_group, size: 8} or {kind: sub_channel, size: 32}."""

    range: RangeField = None
    """What sets the clipping range, by its name or with options: {setter: mse, steps: 200}."""

    rounding: Literal["nearest"] | None = None
    """How weights become integers."""


class ActivationRule(TensorRule):
    """How activations are quantized."""

    bits: _Bits | None = None
    """Width, 1 to 16."""

    symmetry: Symmetry | None = None
    """asymmetric (a zero point), symmetric (signed), or unsigned."""

    is_signed: bool | None = None
    """Whether the integers of an asymmetric type have a sign."""

    has_power_of_two_scale: bool | None = None
    """Whether scales are powers of two."""

    is_dynamic: bool | None = None
    """Whether the range is found during the run."""

    range: RangeField = None
    """What sets the clipping range, by its name or with options."""


class LayerRule(Spec):
    """What some layers do otherwise."""

    layers: str | tuple[str, ...]
    """Names or patterns of layers; first, last, inputs."""

    weights: WeightRule = WeightRule()
    """Of their weights."""

    activations: ActivationRule = ActivationRule()
    """Of what they write."""

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.layers,) if isinstance(self.layers, str) else self.layers


#: What holds where a policy says nothing.
DEFAULT_WEIGHTS = WeightRule(bits=8, symmetry="symmetric", granularity=Granularity("channel", axis=0), range=MinMax(),
                             rounding="nearest")
DEFAULT_ACTIVATIONS = ActivationRule(bits=8, symmetry="asymmetric", range=MinMax())


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """How the weights of one layer are quantized."""

    scheme: Scheme
    setter: RangeSetter
    rounding: str = "nearest"


@dataclass(frozen=True, slots=True)
class ActivationChoice:
    """How what one layer writes is quantized."""

    scheme: Scheme
    setter: RangeSetter


class BitPolicy(Spec):
    """Widths, schemes, ranges and rounding of a whole network, and the layers that differ."""

    schema_version: Literal[1] = 1
    """Version of this format."""

    name: str = "policy"
    """What reports call it."""

    weights: WeightRule = WeightRule()
    """Of all layers; what is left out is 8 bits, symmetric, one scale a channel, min-max, nearest."""

    activations: ActivationRule = ActivationRule()
    """Of all layers and inputs; what is left out is 8 bits, asymmetric, min-max."""

    bias_bits: Annotated[int, Field(ge=2, le=32)] = 32
    """Width of the integers that biases become, at the scale of the accumulator."""

    placement: PlacementOptions = PlacementOptions()
    """Which tensors share a grid, where that is open."""

    rules: tuple[LayerRule, ...] = ()
    """Layers that differ; later rules win."""

    _tree: YamlTree | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _with_lists(cls, document: Any) -> Any:
        """YAML's lists as the tuples that the model has."""
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            return document
        rules = [{**rule, "layers": tuple(rule["layers"])} if isinstance(rule, dict) and isinstance(rule.get("layers"), list)
                 else rule for rule in document["rules"]]
        return {**document, "rules": tuple(rules)}

    @classmethod
    def of(cls, weight_bits: int, activation_bits: int) -> BitPolicy:
        """The default policy at these widths.

        >>> BitPolicy.of(4, 8).name
        'w4a8'
        """
        return cls(name=f"w{weight_bits}a{activation_bits}", weights=WeightRule(bits=weight_bits),
                   activations=ActivationRule(bits=activation_bits))

    def weight_choice(self, rules: Sequence[int] = ()) -> WeightChoice:
        """How weights are quantized under the rules of these numbers.

        Raises
        ------
        QuantizationError : a scheme that cannot be.
        """
        given = [DEFAULT_WEIGHTS, self.weights, *(self.rules[index].weights for index in rules)]
        options = _merged(given)
        setter, rounding = options.pop("range"), options.pop("rounding")
        return WeightChoice(self._scheme(options, "weights", rules), setter, rounding)

    def activation_choice(self, rules: Sequence[int] = ()) -> ActivationChoice:
        """The same for activations."""
        given = [DEFAULT_ACTIVATIONS, self.activations, *(self.rules[index].activations for index in rules)]
        options = _merged(given)
        setter = options.pop("range")
        return ActivationChoice(self._scheme(options, "activations", rules), setter)

    def _scheme(self, options: Mapping[str, Any], what: str, rules: Sequence[int]) -> Scheme:
        try:
            return Scheme(**options)
        except NumericsError as error:
            path: FieldPath = ("rules", rules[-1], what) if rules else (what,)
            raise self.error((*path, error.field) if error.field else path, error.problem) from None

    def check(self) -> None:
        """That each rule alone makes sense.

        Raises
        ------
        QuantizationError : a scheme that cannot be.
        """
        for rules in ((), *((index,) for index in range(len(self.rules)))):
            self.weight_choice(rules)
            self.activation_choice(rules)

    def to_document(self) -> dict[str, Any]:
        """The policy as plain data, without what it leaves open; `model_validate` reads it back to an equal value."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)

    def error(self, path: FieldPath, problem: str) -> QuantizationError:
        """A complaint about one of its fields, with file and line where it came from a file."""
        found = Problem(path, problem)
        if self._tree is not None:
            error = self._tree.error([found])
            assert isinstance(error, QuantizationError)
            return error
        return QuantizationError(problem, field=found.field or None)


def _merged(rules: Sequence[TensorRule]) -> dict[str, Any]:
    """The options that hold after these rules, one after the other.

    A rule that sets the symmetry starts anew with what depends on it.
    """
    options: dict[str, Any] = {}
    for rule in rules:
        stated = {name: getattr(rule, name) for name in type(rule).model_fields}
        if stated.get("symmetry") is not None:
            options = {name: option for name, option in options.items() if name not in ("is_restricted", "is_signed")}
        options |= {name: option for name, option in stated.items() if option is not None}
    return options


def load_bit_policy(path: str | Path) -> BitPolicy:
    """Reads a policy from a YAML file.

    Raises
    ------
    QuantizationError : the file cannot be read, or is not a policy: file, line and field.
    """
    return parse_bit_policy(read_text(Path(path), raises=QuantizationError), file=str(path))


def parse_bit_policy(text: str, *, file: str) -> BitPolicy:
    """Understands a policy; `file` is its name in messages.

    >>> parse_bit_policy("weights: {bits: 0}", file="p.yaml")
    Traceback (most recent call last):
    accelsim.errors.QuantizationError: p.yaml:1: weights.bits: expected at least 1, got 0

    Raises
    ------
    QuantizationError : the text is not a policy.
    """
    tree = read_yaml(text, file=file, raises=QuantizationError)
    if not isinstance(tree.data, dict):
        raise tree.error([Problem((), f"expected a mapping of keys such as weights and rules, got {quoted(tree.data)}")])
    try:
        policy = BitPolicy.model_validate(tree.data)
    except ValidationError as error:
        raise tree.error(problems_of(error, model=BitPolicy, document=tree.data)) from None
    if tree.problems:
        raise tree.error([])
    policy._tree = tree
    policy.check()
    return policy
