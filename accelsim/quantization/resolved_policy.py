"""A bit policy applied to a network: a choice for every layer with weights, and for every group of tensors on one grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from accelsim.problem import did_you_mean, quoted
from accelsim.quantization.bit_policy import (
    DEFAULT_ACTIVATIONS,
    DEFAULT_WEIGHTS,
    ActivationChoice,
    ActivationRule,
    BitPolicy,
    WeightChoice,
    WeightRule,
)
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement, QuantizerGroup

#: Words that stand for layers wherever they are.
FIRST, LAST, INPUTS = "first", "last", "inputs"


@dataclass(frozen=True)
class ResolvedPolicy:
    """What a policy says of each part of a network.

    Parameters
    ----------
    weights : by the names of layers with weights.
    activations : by the names of groups (`Placement.groups`).
    constants : by the names of layers that read constants as integers: how they are quantized.
    """

    weights: Mapping[str, WeightChoice]
    activations: Mapping[str, ActivationChoice]
    constants: Mapping[str, ActivationChoice]


class PolicyDefaults(NamedTuple):
    """What holds where a policy says nothing."""

    weights: WeightRule = DEFAULT_WEIGHTS
    activations: ActivationRule = DEFAULT_ACTIVATIONS


#: What holds where neither a policy nor a recipe says anything.
DEFAULTS = PolicyDefaults()


def resolved(policy: BitPolicy, model: FloatModel, placement: Placement, defaults: PolicyDefaults = DEFAULTS
             ) -> ResolvedPolicy:
    """Applies a policy.

    Raises
    ------
    QuantizationError : a pattern that names no layer, or none with weights where a rule is about weights; layers that share
        a grid but not a choice; schemes that rules make together and that cannot be.
    """
    weighted = [layer.name for layer in model.layers]
    written = dict.fromkeys(name for group in placement.groups.values() for name in group.layers)
    inputs = [name for name in model.inputs if name in placement]
    names = list(dict.fromkeys([*inputs, *written, *(layer.name for layer in model.translation.layers)]))
    owners = {*written, *inputs, *(constant.layer for constant in placement.constants)}
    words = {FIRST: weighted[:1], LAST: weighted[-1:], INPUTS: inputs}
    named = [_named(policy, index, names, words, weighted, owners) for index in range(len(policy.rules))]

    def rules(name: str) -> tuple[int, ...]:
        return tuple(index for index, matched in enumerate(named) if name in matched)

    return ResolvedPolicy(
        weights={name: policy.weight_choice(rules(name), defaults=defaults.weights) for name in weighted},
        activations={group.name: _choice(group, policy, {name: rules(name) for name in group.layers}, defaults.activations)
                     for group in placement.groups.values()},
        constants={constant.layer: policy.activation_choice(rules(constant.layer), defaults=defaults.activations)
                   for constant in placement.constants})


def _named(policy: BitPolicy, index: int, names: Sequence[str], words: Mapping[str, Sequence[str]], weighted: Sequence[str],
           owners: Collection[str]) -> set[str]:
    """The layers and inputs that a rule is about."""
    rule = policy.rules[index]
    found: set[str] = set()
    for pattern in rule.patterns:
        matched = words[pattern] if pattern in words else [
            name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not matched:
            raise policy.error(("rules", index, "layers"), f"expected a name or pattern of layers of this network, got "
                               f"{quoted(pattern)}{did_you_mean(pattern, names)}")
        found.update(matched)
    shown = ", ".join(map(quoted, rule.patterns))
    if not rule.weights.is_empty and not found.intersection(weighted):
        raise policy.error(("rules", index, "layers"), f"expected a layer with weights, got {shown}")
    if not rule.activations.is_empty and not found.intersection(owners):
        raise policy.error(("rules", index, "layers"),
                           f"expected a layer with an output grid of its own, got {shown}, which takes that of its input")
    return found


def _choice(group: QuantizerGroup, policy: BitPolicy, rules: Mapping[str, tuple[int, ...]],
            defaults: ActivationRule) -> ActivationChoice:
    """What all layers that write to a group's grid agree on."""
    choices = {name: policy.activation_choice(found, defaults=defaults) for name, found in rules.items()}
    first, *others = choices
    for other in others:
        if choices[other] != choices[first]:
            last = max((*rules[first], *rules[other]))
            raise policy.error(("rules", last, "activations"), f"expected the same activations for {first} and {other}, "
                               "which share a grid, got different ones")
    return choices[first]
