"""A policy is readable, says what every layer gets, and is refused in one line with file and line where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from float_networks import mobile
from quantized_models import convolutional

from accelsim.errors import QuantizationError
from accelsim.quantization.bit_policy import BitPolicy, load_bit_policy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.ranges.setters import range_setter
from accelsim.quantization.resolved_policy import ResolvedPolicy, resolved
from accelsim.quantization.rounding_method import NEAREST
from accelsim.quantization.scheme import Scheme

POLICY = """\
name: w4a8
weights: {bits: 4, granularity: {kind: sub_channel, size: 32}, range: mse}
activations: {bits: 8, is_signed: true, range: {setter: percentile, percentile: 99.9}}
bias_bits: 24
placement: {concatenation: shared}
rules:
  - layers: first
    weights: {bits: 8, granularity: channel, is_restricted: true}
  - layers: [fc, "d*"]
    weights: {symmetry: asymmetric, granularity: tensor}
    activations: {symmetry: unsigned, bits: 6}
  - layers: fc
    weights: {symmetry: symmetric}
    activations: {symmetry: asymmetric, range: cross_entropy}
  - layers: inputs
    activations: {bits: 10}
"""


def applied(text: str, tmp_path: Path, network=mobile) -> ResolvedPolicy:
    model = fold_batch_norms(FloatModel.load(network().save(tmp_path / "net.onnx"))).model
    policy = parse_bit_policy(text, file="p.yaml")
    return resolved(policy, model, place(model, policy.placement))


def test_every_layer_gets_what_the_policy_and_its_rules_say(tmp_path: Path) -> None:
    found = applied(POLICY, tmp_path)
    blocks, mse = Granularity("sub_channel", axis=1, size=32), range_setter("mse")
    channel, tensor = Granularity("channel", axis=0), Granularity()
    assert {name: (choice.scheme, choice.setter, choice.rounding) for name, choice in found.weights.items()} == {
        "c1": (Scheme(8, "symmetric", is_restricted=True, granularity=channel), mse, NEAREST),
        "d1": (Scheme(4, "asymmetric", granularity=tensor), mse, NEAREST),
        "fc": (Scheme(4, "symmetric", granularity=tensor), mse, NEAREST),
        **dict.fromkeys(("se1", "se2", "p1", "v1", "b4", "q1"),
                        (Scheme(4, "symmetric", granularity=blocks), mse, NEAREST))}
    percentile = range_setter("percentile", {"percentile": 99.9})
    plain = (Scheme(8, "asymmetric", is_signed=True), percentile)
    activations = {name: (choice.scheme, choice.setter) for name, choice in found.activations.items()}
    assert activations["r6"] == (Scheme(6, "unsigned"), percentile)
    assert activations["y"] == (Scheme(6, "asymmetric"), range_setter("cross_entropy"))
    assert activations["x"] == (Scheme(10, "asymmetric", is_signed=True), percentile)
    assert {activations[name] for name in ("c1", "h1", "se1r", "res", "pr", "silu", "gl")} == {plain}


def test_what_a_policy_leaves_open_is_8_bits_per_channel(tmp_path: Path) -> None:
    found = applied("{}", tmp_path)
    assert {choice.scheme for choice in found.weights.values()} == {
        Scheme(8, "symmetric", granularity=Granularity("channel", axis=0))}
    assert {choice.scheme for choice in found.activations.values()} == {Scheme(8, "asymmetric")}
    assert {choice.setter.name for choice in (*found.weights.values(), *found.activations.values())} == {"min_max"}


def test_a_policy_is_plain_data_and_back() -> None:
    policy = parse_bit_policy(POLICY, file="p.yaml")
    document = json.loads(json.dumps(policy.to_document()))
    again = BitPolicy.model_validate({**document, "rules": document["rules"]})
    assert again.to_document() == policy.to_document()
    assert again.weight_choice((0, 1)) == policy.weight_choice((0, 1))
    assert document["activations"]["range"]["setter"] == "percentile"
    assert BitPolicy.of(4, 6).to_document() == {"name": "w4a6", "weights": {"bits": 4}, "activations": {"bits": 6}}


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    assert load_bit_policy(tmp_path / "p.yaml").bias_bits == 24
    with pytest.raises(QuantizationError) as caught:
        load_bit_policy(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: expected a file, found none of that name"


WRONG = {
    "weights: {bits: 17}": "p.yaml:1: weights.bits: expected at most 16, got 17",
    "weights: {bits: '4'}": 'p.yaml:1: weights.bits: expected a whole number, got "4"',
    "weights: {bitz: 4}": 'p.yaml:1: weights.bitz: expected a known key, got "bitz" (did you mean "bits"?)',
    "name: a\nweihgts: {bits: 4}": 'p.yaml:2: weihgts: expected a known key, got "weihgts" (did you mean "weights"?)',
    "weights: {range: msee}": (
        "p.yaml:1: weights.range.setter: expected one of min_max, moving_average, percentile, mse, omse, kl_divergence, "
        'cross_entropy, aciq, bn_statistics, known, got "msee" (did you mean "mse"?)'),
    "weights: {range: {setter: mse, steps: 1}}": "p.yaml:1: weights.range.steps: expected at least 2 steps, got 1",
    "weights: {range: {setter: mse, stepz: 9}}": (
        'p.yaml:1: weights.range.stepz: expected a known key, got "stepz" (did you mean "steps"?)'),
    "weights: {range: [mse]}": (
        "p.yaml:1: weights.range: expected the name of a range setter, or one with its options such as {setter: mse, "
        "steps: 200}, got a list"),
    "weights: {granularity: row}": (
        "p.yaml:1: weights.granularity.kind: expected one of tensor, channel, channel_group, sub_channel, got \"row\""),
    "weights: {granularity: {kind: sub_channel}}": (
        "p.yaml:1: weights.granularity.size: expected a size for each sub_channel, got none"),
    "weights: {granularity: {kind: sub_channel, size: 0}}": (
        "p.yaml:1: weights.granularity.size: expected at least 1 element in a unit, got 0"),
    "weights: {granularity: {kind: sub_channel, size: half}}": (
        'p.yaml:1: weights.granularity.size: expected a whole number, got "half"'),
    "weights: {granularity: chanel}": (
        "p.yaml:1: weights.granularity.kind: expected one of tensor, channel, channel_group, sub_channel, "
        'got "chanel" (did you mean "channel"?)'),
    "weights: {granularity: {size: 3}}": (
        "p.yaml:1: weights.granularity: expected tensor, channel, or a kind with a size such as {kind: sub_channel, "
        "size: 32}, got a mapping"),
    "weights: {rounding: adaroundd}": (
        "p.yaml:1: weights.rounding.name: expected one of nearest, stochastic, adaround, adaquant, second_order, got "
        '"adaroundd" (did you mean "adaround"?)'),
    "weights: {rounding: {name: adaround, iterations: 0}}": (
        "p.yaml:1: weights.rounding.iterations: expected at least 1, got 0"),
    "weights: {rounding: {name: adaround, rate: 0}}": "p.yaml:1: weights.rounding.rate: expected above 0, got 0",
    "weights: {rounding: {name: adaround, settles: 1}}": "p.yaml:1: weights.rounding.settles: expected true or false, got 1",
    "weights: {rounding: {name: adaquant, bias_rate: -1}}": (
        "p.yaml:1: weights.rounding.bias_rate: expected at least 0, got -1"),
    "weights: {rounding: {name: second_order, order: up}}": (
        'p.yaml:1: weights.rounding.order: expected one of descending, natural, got "up"'),
    "weights: {rounding: {name: second_order, damping: 0}}": (
        "p.yaml:1: weights.rounding.damping: expected above 0, got 0"),
    "weights: {rounding: {name: stochastic, seed: -1}}": "p.yaml:1: weights.rounding.seed: expected at least 0, got -1",
    "weights: {rounding: {name: nearest, seed: 1}}": (
        'p.yaml:1: weights.rounding.seed: expected no options, got "seed"'),
    "weights: {rounding: {iterations: 3}}": (
        "p.yaml:1: weights.rounding: expected the name of a rounding, or one with its options such as {name: adaround, "
        "iterations: 1000}, got a mapping"),
    "weights: {is_restricted: true, symmetry: unsigned}": (
        "p.yaml:1: weights.is_restricted: expected a symmetric scheme for a restricted range, got unsigned"),
    "activations: {bits: 1}": (
        "p.yaml:1: activations.bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, asymmetric"),
    "rules:\n  - layers: c1\n    activations:\n      bits: 1": (
        "p.yaml:4: rules.0.activations.bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, asymmetric"),
    "rules:\n  - weights: {bits: 3}": "p.yaml:2: rules.0.layers: expected this key, which is missing",
    "rules: c1": 'p.yaml:1: rules: expected a list, got "c1"',
    "- bits": "p.yaml:1: expected a mapping of keys such as weights and rules, got a list",
    "weights: {bits: 4}\nweights: {bits: 8}": "p.yaml:2: weights: expected this key once, got it again (first in line 1)",
    "placement: {addition: tied}": 'p.yaml:1: placement.addition: expected one of matched, requantized, got "tied"',
    "schema_version: 2": "p.yaml:1: schema_version: expected 1, got 2",
    "bias_bits: 1": "p.yaml:1: bias_bits: expected at least 2, got 1",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_policy_is_told_with_file_and_line(text: str) -> None:
    with pytest.raises(QuantizationError) as caught:
        parse_bit_policy(text, file="p.yaml")
    assert str(caught.value) == WRONG[text]


MISFITS = {
    "rules:\n  - layers: cnov1\n    weights: {bits: 4}": (
        'p.yaml:2: rules.0.layers: expected a name or pattern of layers of this network, got "cnov1"'),
    'rules:\n  - layers: [c1, "zz*"]\n    weights: {bits: 4}': (
        'p.yaml:2: rules.0.layers: expected a name or pattern of layers of this network, got "zz*"'),
    "rules:\n  - layers: see\n    weights: {bits: 4}": (
        'p.yaml:2: rules.0.layers: expected a name or pattern of layers of this network, got "see" (did you mean "se"?)'),
    'rules:\n  - layers: [gl, res]\n    weights: {bits: 4}': (
        'p.yaml:2: rules.0.layers: expected a layer with weights, got "gl", "res"'),
    "rules:\n  - layers: mean\n    activations: {bits: 4}": (
        'p.yaml:2: rules.0.layers: expected a layer with an output grid of its own, got "mean", which takes that of its '
        "input"),
    "rules:\n  - layers: c1\n    weights: {symmetry: unsigned, bits: 1}\n"
    "  - layers: c1\n    weights: {symmetry: symmetric}": (
        "p.yaml:5: rules.1.weights.bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, symmetric"),
}


@pytest.mark.parametrize("text", MISFITS)
def test_a_policy_that_does_not_go_with_its_network_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError) as caught:
        applied(text, tmp_path)
    assert str(caught.value) == MISFITS[text]


def test_layers_that_share_a_grid_must_agree(tmp_path: Path) -> None:
    text = "placement: {concatenation: shared}\nrules:\n  - {layers: grouped, activations: {bits: 4}}"
    with pytest.raises(QuantizationError) as caught:
        applied(text, tmp_path, convolutional)
    assert str(caught.value) == ("p.yaml:3: rules.0.activations: expected the same activations for wide and grouped, which "
                                 "share a grid, got different ones")


def test_a_policy_made_in_python_is_refused_without_a_file(tmp_path: Path) -> None:
    model = FloatModel.load(convolutional().save(tmp_path / "net.onnx"))
    policy = BitPolicy.model_validate({"rules": [{"layers": "none", "weights": {"bits": 4}}]})
    with pytest.raises(QuantizationError) as caught:
        resolved(policy, model, place(model))
    assert str(caught.value) == 'rules.0.layers: expected a name or pattern of layers of this network, got "none"'
