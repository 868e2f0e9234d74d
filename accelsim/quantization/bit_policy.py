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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from accelsim.errors import NumericsError, QuantizationError
from accelsim.hardware.quantity import Spec
from accelsim.hardware.validation import problems_of
from accelsim.problem import FieldPath, Problem, quoted, wrong_choice
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.integer_requantization import IntegerRequantization, IntegerScheme
from accelsim.quantization.nonuniform.formats import weight_format
from accelsim.quantization.nonuniform.weight_format import UNIFORM, CodedFormat, Uniform, WeightFormat
from accelsim.quantization.placement_options import PlacementOptions
from accelsim.quantization.policy_fields import FormatField, GranularityField, RangeField, RoundingField
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.range_setter import RangeSetter
from accelsim.quantization.rounding_method import NEAREST, RoundingMethod
from accelsim.quantization.scheme import MOST_BITS, Scheme, Symmetry
from accelsim.source_file import read_text
from accelsim.yaml_tree import YamlTree, read_yaml

_Bits = Annotated[int, Field(ge=1, le=MOST_BITS)]

#: Fields of a rule that go with codes.
_OF_CODES = frozenset({"bits", "granularity"})

#: Placement of a network on integers alone, where its policy leaves it open.
_ONE_SCALE = {"addition": "matched", "concatenation": "shared"}


class TensorRule(Spec):
    """What a rule says of a kind of tensors; what is left out stays as it was."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return all(getattr(self, name) is None for name in type(self).model_fields)


class WeightRule(TensorRule):
    """How weights are quantized."""

    format: FormatField = None
    """What a weight is in memory: uniform, an integer on a grid; or a code: power_of_two, additive_powers, binary_code,
    codebook, product, binary, ternary, by name or with options: {kind: codebook, importance: hessian}. It has its own
    width, and of the fields below only bits and granularity (tensor or channel) go with codes."""

    bits: _Bits | None = None
    """Width, 1 to 16; of codes, of a weight in memory."""

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

    rounding: RoundingField = None
    """How weights become integers: nearest, stochastic, adaround, adaquant or second_order, by its name or with options:
    {name: adaround, iterations: 1000}."""


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
DEFAULT_WEIGHTS = WeightRule(format=UNIFORM, bits=8, symmetry="symmetric", granularity=Granularity("channel", axis=0),
                             range=MinMax(), rounding=NEAREST)
DEFAULT_ACTIVATIONS = ActivationRule(bits=8, symmetry="asymmetric", range=MinMax())


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """How the weights of one layer are quantized.

    Parameters
    ----------
    scheme, setter, rounding : of uniform weights; of codes the granularity alone.
    format : uniform, or codes.
    code_bits : of a coded weight in memory.
    """

    scheme: Scheme
    setter: RangeSetter
    rounding: RoundingMethod = NEAREST
    format: WeightFormat = UNIFORM
    code_bits: int = 0

    @property
    def bits(self) -> int:
        """Width of a weight in memory."""
        return self.code_bits or self.scheme.bits


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
    """Which tensors share a grid, where that is open: with a requantization rule the operands of additions and the parts of
    concatenations, unless it is said otherwise."""

    requantization: IntegerRequantization | None = None
    """For integers alone between input and output: the rule of the requantizers, such as dyadic; as onnxruntime if left
    out."""

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

    @model_validator(mode="before")
    @classmethod
    def _on_one_scale(cls, document: Any) -> Any:
        """Under a requantization rule, one grid for what is added or concatenated."""
        if not isinstance(document, dict) or document.get("requantization") is None:
            return document
        stated = document.get("placement", {})
        if isinstance(stated, PlacementOptions):
            stated = stated.model_dump(exclude_unset=True)
        return {**document, "placement": {**_ONE_SCALE, **stated}} if isinstance(stated, Mapping) else document

    @classmethod
    def of(cls, weight_bits: int | None = None, activation_bits: int = 8, *, weights_format: str = "uniform") -> BitPolicy:
        """The default policy at these widths, with weights in a format; None is that format's own width.

        >>> BitPolicy.of(4, 8).name, BitPolicy.of(weights_format="ternary").name
        ('w4a8', 'w2a8 ternary')

        Raises
        ------
        NumericsError : a format of another name.
        """
        chosen = weight_format(weights_format)
        bits, is_uniform = weight_bits or chosen.default_bits, isinstance(chosen, Uniform)
        return cls(name=f"w{bits}a{activation_bits}{'' if is_uniform else f' {chosen.name}'}",
                   weights=WeightRule(format=None if is_uniform else chosen, bits=bits),
                   activations=ActivationRule(bits=activation_bits))

    def with_requantization(self, scheme: str) -> BitPolicy:
        """The same policy, deployed on integers alone under the rule of this name.

        Raises
        ------
        QuantizationError : no such rule, or one that needs floating point.

        >>> BitPolicy().with_requantization("dyadic").placement.addition
        'matched'
        """
        try:
            chosen = IntegerRequantization.model_validate(scheme)
        except ValidationError:
            raise QuantizationError(wrong_choice(scheme, get_args(IntegerScheme)), field="requantization") from None
        stated = {name: getattr(self, name) for name in self.model_fields_set}
        changed = type(self).model_validate({**stated, "requantization": chosen})
        changed._tree = self._tree
        return changed

    def weight_choice(self, rules: Sequence[int] = (), *, defaults: WeightRule = DEFAULT_WEIGHTS) -> WeightChoice:
        """How weights are quantized under the rules of these numbers, and as `defaults` say where these leave it open.

        Raises
        ------
        QuantizationError : a scheme that cannot be.
        """
        given = [defaults, self.weights, *(self.rules[index].weights for index in rules)]
        options = _merged(given)
        chosen = options.pop("format")
        if isinstance(chosen, CodedFormat):
            return self._coded_choice(chosen, options, rules)
        setter, rounding = options.pop("range"), options.pop("rounding")
        return WeightChoice(self._scheme(options, "weights", rules), setter, rounding)

    def _coded_choice(self, chosen: CodedFormat, options: Mapping[str, Any], rules: Sequence[int]) -> WeightChoice:
        path, granularity = self._path(rules, "weights"), options["granularity"]
        for name in options:
            if name not in _OF_CODES:
                raise self.error((*path, name), f"expected none for {chosen.name} weights, got one")
        if granularity.kind not in ("tensor", "channel"):
            raise self.error((*path, "granularity"), f"expected tensor or channel for {chosen.name} weights, got "
                             f"{granularity.kind}")
        try:
            chosen.check(options["bits"])
        except NumericsError as error:
            place = "bits" if error.field == "bits" else "format"
            problem = error.problem if error.field == "bits" else f"{error.field}: {error.problem}"
            raise self.error((*path, place), problem) from None
        # The integers' own width is found with the codes.
        scheme = Scheme(max(2, options["bits"]), "symmetric", is_restricted=True, granularity=granularity)
        return WeightChoice(scheme, MinMax(), format=chosen, code_bits=options["bits"])

    def activation_choice(self, rules: Sequence[int] = (), *, defaults: ActivationRule = DEFAULT_ACTIVATIONS
                          ) -> ActivationChoice:
        """The same for activations."""
        given = [defaults, self.activations, *(self.rules[index].activations for index in rules)]
        options = _merged(given)
        setter = options.pop("range")
        return ActivationChoice(self._scheme(options, "activations", rules), setter)

    def _scheme(self, options: Mapping[str, Any], what: str, rules: Sequence[int]) -> Scheme:
        try:
            return Scheme(**options)
        except NumericsError as error:
            path = self._path(rules, what)
            raise self.error((*path, error.field) if error.field else path, error.problem) from None

    def _path(self, rules: Sequence[int], what: str) -> FieldPath:
        return ("rules", rules[-1], what) if rules else (what,)

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

    A rule that sets the symmetry or the format starts anew with what depends on it.
    """
    options: dict[str, Any] = {}
    for rule in rules:
        stated = {name: getattr(rule, name) for name in type(rule).model_fields}
        if stated.get("symmetry") is not None:
            options = {name: option for name, option in options.items() if name not in ("is_restricted", "is_signed")}
        if stated.get("format") is not None:
            options = _options_of(stated["format"], options, rules[0])
        options |= {name: option for name, option in stated.items() if option is not None}
    return options


def _options_of(chosen: WeightFormat, before: Mapping[str, Any], defaults: TensorRule) -> dict[str, Any]:
    """What holds where a rule sets the format and says nothing else: of the rules before it the granularity."""
    kept = {name: option for name, option in before.items() if name == "granularity"}
    if isinstance(chosen, CodedFormat):
        return kept | {"bits": chosen.default_bits}
    stated = {name: getattr(defaults, name) for name in WeightRule.model_fields}
    return {name: option for name, option in stated.items() if option is not None} | kept


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
