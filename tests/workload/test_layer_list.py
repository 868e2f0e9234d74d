"""YAML layer lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload import Convolution, MatMul, Move, Tensor, load_layer_list

HEAD = """\
schema_version: 1
name: tiny
source: a test
parameters: {batch: 1, sequence: 4}
inputs:
  image: [batch, 3, 8, 8]
  tokens: [batch, sequence, 16]
layers:
"""
# Layers stand from this line on.
FIRST = HEAD.count("\n") + 1

Write = Callable[[str], Path]


@pytest.fixture
def layer_list(tmp_path: Path) -> Write:
    def write(layers: str, head: str = HEAD) -> Path:
        path = tmp_path / "net.yaml"
        path.write_text(head + layers)
        return path

    return write


def message(path: Path, **parameters: int) -> str:
    with pytest.raises(WorkloadError) as error:
        load_layer_list(path, parameters)
    return str(error.value)


def test_layers_read_the_layer_above_unless_from_names_others(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: a, op: conv, from: image, filters: 4, kernel: 3, pad: 1, activation: relu}
  - {name: b, op: depthwise, kernel: 3, pad: 1, bias: false}
  - {name: c, op: add, from: [a, b], activation: relu6}
"""))
    a, b, c = network.layers
    assert a.operation == Convolution(batch=1, in_channels=3, out_channels=4, in_size=(8, 8), kernel=(3, 3),
                                      pads=(1, 1, 1, 1))
    assert (a.weights, a.bias, a.fused) == (
        Tensor("a.weights", (4, 3, 3, 3), 8, is_constant=True), Tensor("a.bias", (4,), 32, is_constant=True), ("relu",))
    assert (b.kind, b.inputs, b.bias) == ("depthwise", (a.output,), None)
    assert (c.inputs, c.fused) == ((a.output, b.output), ("relu6",))
    assert network.outputs == ("c",)


def test_parameters_replace_sizes(layer_list: Write) -> None:
    path = layer_list("  - {name: fc, op: linear, features: sequence}\n")
    assert load_layer_list(path, {"batch": 2, "sequence": 5}).layers[0].operation == MatMul(m=10, k=16, n=5)


def test_image_is_flattened_by_a_linear_layer(layer_list: Write) -> None:
    (layer,) = load_layer_list(layer_list("  - {name: fc, op: linear, from: image, features: 10}\n")).layers
    assert (layer.operation, layer.output.shape) == (MatMul(m=1, k=192, n=10), (1, 10))


def test_activation_without_a_clamp_is_a_layer_of_its_own(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: up, op: linear, from: tokens, features: 32, activation: gelu}
  - {name: down, op: linear, from: up, features: 16}
"""))
    assert [(layer.name, layer.inputs[0].name) for layer in network.layers] == [
        ("up", "tokens"), ("up_gelu", "up"), ("down", "up_gelu")]


def test_repeat_chains_its_passes_and_numbers_their_names(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: a, op: linear, from: tokens, features: 16}
  - repeat:
      times: 2
      layers:
        - {name: b, op: linear, features: 16}
        - {name: c, op: add, from: [b, block_input]}
  - {name: d, op: add, from: [c, a]}
"""))
    assert [(layer.name, [tensor.name for tensor in layer.inputs]) for layer in network.layers] == [
        ("a", ["tokens"]), ("b_1", ["a"]), ("c_1", ["b_1", "a"]), ("b_2", ["c_1"]), ("c_2", ["b_2", "c_1"]),
        ("d", ["c_2", "a"])]


def test_inputs_inside_repeat_belong_to_their_pass(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - repeat:
      times: 2
      layers:
        - {name: cache, op: input, shape: [batch, 7, 16]}
        - {name: scores, op: matmul, from: [block_input, cache], transpose: true}
        - {name: values, op: matmul, from: [scores, cache]}
"""))
    assert [layer.inputs[1].name for layer in network.layers] == ["cache_1", "cache_1", "cache_2", "cache_2"]


def test_attention_splits_features_into_heads(layer_list: Write) -> None:
    scores, values = load_layer_list(layer_list("""\
  - {name: scores, op: matmul, from: [tokens, tokens], heads: 2, transpose: true}
  - {name: values, op: matmul, from: [scores, tokens], heads: 2}
"""), {"batch": 3}).layers
    assert scores.operation == MatMul(m=4, k=8, n=4, batch=6, has_activation_weights=True)
    assert (scores.output.shape, values.output.shape) == ((3, 2, 4, 4), (3, 4, 16))
    assert values.operation == MatMul(m=4, k=4, n=8, batch=6, has_activation_weights=True)


def test_heads_that_share_keys_fold_into_m(layer_list: Write) -> None:
    key, scores, values = load_layer_list(layer_list("""\
  - {name: key, op: linear, from: tokens, features: 4}
  - {name: scores, op: matmul, from: [tokens, key], heads: 8, key_heads: 2, transpose: true}
  - {name: values, op: matmul, from: [scores, key], heads: 8, key_heads: 2}
""")).layers
    assert key.output.shape == (1, 4, 4)
    # Eight heads of two features; four of them share each key head.
    assert scores.operation == MatMul(m=16, k=2, n=4, batch=2, has_activation_weights=True)
    assert values.operation == MatMul(m=16, k=4, n=2, batch=2, has_activation_weights=True)
    assert values.output.shape == (1, 4, 16)


def test_bits_of_a_layer_are_the_width_of_its_weights_and_of_what_it_reads(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: a, op: conv, from: image, filters: 4, kernel: 1}
  - {name: b, op: conv, filters: 4, kernel: 1, bits: {weights: 4, inputs: 6}}
"""), weight_bits=7, input_bits=5)
    a, b = network.layers
    assert (a.weight_bits, a.input_bits, a.output.bits) == (7, 5, 6)
    assert (b.weight_bits, b.input_bits, b.output.bits) == (4, 6, 5)


def test_reshape_costs_nothing_and_keeps_the_tensor(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: last, op: transpose, from: image, order: [0, 2, 3, 1]}
  - {name: rows, op: reshape, shape: [batch, 64, 3]}
  - {name: fc, op: linear, features: 5}
"""))
    transpose, linear = network.layers
    assert transpose.operation == Move("transpose", (1, 8, 8, 3))
    assert (linear.inputs, linear.operation) == ((transpose.output,), MatMul(m=64, k=3, n=5))


def test_output_true_stores_a_tensor_that_is_read_again(layer_list: Write) -> None:
    network = load_layer_list(layer_list("""\
  - {name: a, op: linear, from: tokens, features: 16, output: true}
  - {name: b, op: softmax}
"""))
    assert network.outputs == ("a", "b")


@pytest.mark.parametrize(("kernel", "stride", "expected"), [(3, 2, (0, 0, 1, 1)), (3, 1, (1, 1, 1, 1)), (1, 2, (0,) * 4)])
def test_same_padding_puts_the_odd_pixel_last(layer_list: Write, kernel: int, stride: int, expected: object) -> None:
    (layer,) = load_layer_list(layer_list(
        f"  - {{name: a, op: conv, from: image, filters: 1, kernel: {kernel}, stride: {stride}, pad: same}}\n")).layers
    assert isinstance(layer.operation, Convolution)
    assert layer.operation.pads == expected


@pytest.mark.parametrize(("layers", "expected"), [
    ("  - {name: a, op: conv, from: image, filters: 4, kernle: 3}",
     'layers.a.kernle: expected a known key, got "kernle" (did you mean "kernel"?)'),
    ("  - {name: a, op: conv, from: image, filters: 4}", "layers.a.kernel: expected this key, which is missing"),
    ("  - {name: a, op: conv, from: image, filters: 4, kernel: big}",
     'layers.a.kernel: expected a whole number of at least 1 or a parameter (batch, sequence), got "big"'),
    ("  - {name: a, op: conv, from: image, filters: 4, kernel: 0}",
     "layers.a.kernel: expected a whole number of at least 1 or a parameter (batch, sequence), got 0"),
    ("  - {name: a, op: conv, from: image, filters: 4, kernel: [1, 2, 3]}",
     "layers.a.kernel: expected one size or two, got 3"),
    ("  - {name: a, op: conv, from: image, filters: 4, kernel: 9}",
     "layers.a: expected an output of at least 1x1, got 0x0"),
    ("  - {name: a, op: cnov, from: image}", 'layers.a.op: expected one of conv, depthwise, conv_transpose, linear, '
     'matmul, pool, add, sub, mul, div, max, min, pow, compare, logical, concat, softmax, '
     'layer_norm, rms_norm, batch_norm, lrn_norm, '
     'activation, resize, reduce, embedding, transpose, slice, reshape, input, got "cnov" (did you mean "conv"?)'),
    ("  - {name: a, op: softmax, from: imgae}",
     'layers.a.from: expected an input or a layer above, got "imgae" (did you mean "image"?)'),
    ("  - {op: softmax}", "layers.0.name: expected this key, which is missing"),
    ("  - softmax", 'layers.0: expected a mapping, got "softmax"'),
    ("  - {name: image, op: softmax}", "layers.image: this name stands for another layer or input already"),
    ("  - {name: a, op: softmax, bits: {inputs: 0}}",
     "layers.a.bits.inputs: expected a whole number of at least 1, got 0"),
    ("  - {name: a, op: softmax, bits: {inputs: 99}}", "layers.a.bits.inputs: expected 1 to 32 bits, got 99"),
    ("  - {name: a, op: add, from: [image, tokens]}",
     "layers.a: expected operands of one shape, got [1, 3, 8, 8] and [1, 4, 16]"),
    ("  - {name: a, op: add, from: image}",
     "layers.a: expected two operands (from: [a, b], or a constant's shape), got one"),
    ("  - {name: a, op: softmax, name: b}", "layers.0.name: expected this key once, got it again (first in line 9)"),
    ("  - {name: a, op: softmax, from: !x image}", 'layers.0.from: expected plain YAML, got the tag "!x"'),
    ("  - {name: a, op: pool, from: image, kind: max}", "layers.a.kernel: expected this key, which is missing"),
    ("  - {name: a, op: conv, from: tokens, filters: 1, kernel: 1}",
     "layers.a: expected an image (N, C, H, W) to read, got [1, 4, 16]"),
    ("  - {name: a, op: conv, from: image, filters: 4, kernel: 1, activation: rleu}",
     'layers.a.activation: expected one of relu, relu6, clip, leaky_relu, prelu, sigmoid, tanh, gelu, erf, exp, sqrt, '
     'silu, hard_sigmoid, hard_swish, softplus, elu, selu, mish, reciprocal, neg, abs, log, sin, cos, floor, ceil, '
     'round, sign, cast, compare, dynamic_quantize, got "rleu" (did you mean "relu"?)'),
])
def test_mistakes_name_line_and_field(layer_list: Write, layers: str, expected: str) -> None:
    path = layer_list(layers + "\n")
    assert message(path) == f"{path}:{FIRST}: {expected}"


def test_two_widths_for_one_tensor_are_refused(layer_list: Write) -> None:
    path = layer_list("""\
  - {name: a, op: softmax, from: image, bits: {inputs: 4}}
  - {name: b, op: softmax, from: image, bits: {inputs: 8}}
""")
    assert message(path) == (
        f"{path}:{FIRST + 1}: layers.b.bits.inputs: expected 4 bits for image, as layers.a.bits states, got 8")


@pytest.mark.parametrize(("head", "expected"), [
    ("name: [", ":1: expected YAML: expected the node content, but found '<stream end>'"),
    ("- 1\n", ":1: expected a mapping, got a list"),
    ("# nothing\n", ":1: expected a mapping, got nothing"),
    ("schema_version: 1\n", ":1: name: expected this key, which is missing"),
    (HEAD.replace("version: 1", "version: 2"), ":1: schema_version: expected 1, got 2"),
    (HEAD.replace("version: 1", "version: true"), ":1: schema_version: expected 1, got true"),
    (HEAD.replace("batch, 3", "1.5, 3"), ":6: inputs.image: expected a whole number of at least 1 or a parameter "
     "(batch, sequence), got 1.5"),
    (HEAD, ":8: layers: expected a list, got nothing"),
    (HEAD.replace("layers:", "layers: []"), ": tiny: expected at least one layer, got none"),
])
def test_mistakes_in_the_head(layer_list: Write, head: str, expected: str) -> None:
    path = layer_list("", head)
    assert message(path) == f"{path}{expected}"


def test_unknown_parameter_suggests_a_known_one(layer_list: Write) -> None:
    path = layer_list("  - {name: a, op: softmax}\n")
    assert message(path, sequense=3) == (
        f'{path}: the layer list has no parameter "sequense": it has batch, sequence (did you mean "sequence"?)')


def test_repeat_of_a_million_passes_is_refused(layer_list: Write) -> None:
    path = layer_list("  - repeat: {times: 1000000, layers: [{name: a, op: softmax}]}\n")
    assert message(path) == f"{path}:{FIRST}: layers.0.repeat.times: expected at most 20000 layers"


def test_anchors_and_merge_keys_give_the_same_network(layer_list: Write) -> None:
    plain = layer_list("""\
  - {name: a, op: conv, from: image, filters: 4, kernel: 3, pad: same, bits: {weights: 4}}
  - {name: b, op: conv, filters: 4, kernel: 3, pad: same, bits: {weights: 4}}
""")
    expected = load_layer_list(plain)
    assert load_layer_list(layer_list("""\
  - &conv {name: a, op: conv, from: image, filters: 4, kernel: 3, pad: same, bits: {weights: 4}}
  - {<<: *conv, name: b, from: a}
""")) == expected


def test_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(b"schema_version: 1\nname: \xff\n")
    assert message(path) == f"{path}:2: expected UTF-8 text, got the byte 0xff"


def test_quantization_says_what_scales_and_zero_points_cost(layer_list: Write) -> None:
    first, gelu = load_layer_list(layer_list("""\
  - {name: a, op: conv, from: image, filters: 4, kernel: 3, pad: same, activation: gelu,
     quantization: {asymmetric_weights: true, dynamic_range: true, weight_scale_groups: 3}}
""")).layers
    assert (first.has_asymmetric_weights, first.has_dynamic_range, first.weight_scale_groups) == (True, True, 3)
    assert (gelu.has_asymmetric_weights, gelu.has_dynamic_range, gelu.weight_scale_groups) == (False, False, 1)


@pytest.mark.parametrize(("layer", "expected"), [
    ("{name: a, op: softmax, quantization: {dynamic_range: true}}",
     "layers.a: expected no has_dynamic_range for a layer without a matrix product, got softmax"),
    ("{name: a, op: linear, features: 4, quantization: {weight_scale_groups: 0}}",
     "layers.a.quantization.weight_scale_groups: expected a whole number of at least 1 or a parameter (batch, sequence), "
     "got 0"),
    ("{name: a, op: linear, features: 4, quantization: {asymmetric: true}}",
     'layers.a.quantization.asymmetric: expected a known key, got "asymmetric" (did you mean "asymmetric_weights"?)'),
])
def test_mistakes_in_quantization_name_the_key(layer_list: Write, layer: str, expected: str) -> None:
    path = layer_list(f"  - {layer}\n")
    assert message(path) == f"{path}:{FIRST}: {expected}"
