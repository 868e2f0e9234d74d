"""Networks whose weights are codes: saved, loaded, executed by PEs that take the codes; accuracy on digits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_executor import run_network
from quantized_models import Weights, node, onnx, runtime, runtime_tensors, write_graph

from accelsim import load_accelerator, simulate
from accelsim.cli.main import main
from accelsim.errors import MappingError, NumericsError, QuantizationError, WorkloadError
from accelsim.hardware import with_changes
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights, shared_precision
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import Recipe
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork

DIGITS = Path(__file__).parents[2] / "workloads/digits"

#: Policy -> (bits of a weight in memory, least accuracy on the test images; None where nothing is claimed).
FORMATS: dict[str, tuple[int, float | None]] = {
    "codebook": (4, 0.973),  # within 2 % of the float network's 0.993
    "{kind: codebook, importance: hessian}": (4, 0.973),
    "{kind: power_of_two, scale: fitted}": (4, 0.93),
    "additive_powers": (4, 0.973),
    "binary_code": (3, 0.93),
    "ternary": (2, 0.15),  # above chance, 0.1 +- 0.012; weights that were not trained to be so few
    "binary": (1, None),
}


def quantized(model: FloatModel, data: Any, policy: str) -> QuantizedModel:
    return quantize(model, data, parse_bit_policy(policy, file="p.yaml"))


@cache
def digits(weights: str) -> QuantizedModel:
    model = FloatModel.load(DIGITS / "digits.onnx")
    return quantized(model, np.load(DIGITS / "calibration.npz")["image"], f"weights: {{format: {weights}}}")


def lowered_weights(made: QuantizedModel) -> list[LoweredWeights]:
    found = [own.lowered for own in made.weights.values()]
    assert None not in found
    return [each for each in found if each is not None]


def accelerator_for(made: QuantizedModel) -> Any:
    """The default machine with the narrowest PEs that take all layers, and onnxruntime's requantizer."""
    precision = shared_precision(lowered_weights(made), input_bits=8)
    return with_changes(load_accelerator("edge_16x16"),
                        {"pe_grid.precision": precision, "requantizer.scheme": "float32_nearest_even"})


def require_same_codes(loaded: QuantizedNetwork, made: QuantizedModel) -> None:
    """Integers, their type, scales and the codes' width in memory are those that were made."""
    layers = {layer.name: layer for layer in loaded.network.layers}
    for layer in made.model.layers:
        kernel, own = loaded.layers[layer.name].kernel, made.weights[layer.name]
        assert isinstance(kernel, GridKernel)
        assert kernel.weights is not None
        assert own.lowered is not None
        assert np.array_equal(kernel.weights, own.lowered.integers)
        assert kernel.weight.qtype == own.lowered.qparams.qtype
        assert np.array_equal(np.broadcast_to(kernel.weight.scale, layer.channels),
                              np.broadcast_to(own.lowered.qparams.scale, layer.channels))
        assert own.bias is None or np.array_equal(kernel.bias, own.bias)
        assert layers[layer.name].weight_bits == own.bits == own.lowered.weight_bits


QUICK = ("codebook", "{kind: power_of_two, scale: fitted}", "ternary", "binary")


@pytest.mark.parametrize("weights", [
    pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FORMATS])
def test_codes_are_saved_loaded_and_executed_by_pes_that_take_them(weights: str, tmp_path: Path) -> None:
    made, (bits, _) = digits(weights), FORMATS[weights]
    made.save(tmp_path / "q.onnx")
    loaded = import_quantized_onnx(tmp_path / "q.onnx", batch=1)
    require_same_codes(loaded, made)
    require_same_codes(made.network(), made)
    images = np.load(DIGITS / "test.npz")["image"][:2]
    result = simulate(accelerator_for(made), loaded, inputs={"image": images})
    ours = np.concatenate([each.reshape(1, 10) for each in result.outputs["scores"]])
    for image, scores in zip(images, ours, strict=True):
        assert np.array_equal(run_network(loaded, {"image": image[None]})["scores_real"].ravel(), scores)
        theirs = runtime_tensors(tmp_path / "q.onnx", {"image": image[None]}, ["scores_quantized"])["scores_quantized"]
        # Integers of 8 bits are onnxruntime's own; of 4 it computes in float32, where a tie may go the other way.
        assert np.abs(theirs.astype(int) - scores).max() <= (0 if made.weights["stem"].qparams.qtype.bits > 4 else 1)
    for layer, run in zip(loaded.network.layers, result.layers, strict=True):
        if layer.is_on_grid:
            assert layer.weights is not None
            assert layer.bias is not None
            assert layer.weight_bits == bits
            assert run.counts.dram_read_bytes["weights"] == -(-layer.weights.elements * bits // 8) + layer.bias.bytes


def accuracy(made: QuantizedModel, tmp_path: Path) -> float:
    """Share of the test images that onnxruntime reads right in the saved file."""
    made.save(tmp_path / "q.onnx")
    test = np.load(DIGITS / "test.npz")
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    session = runtime.InferenceSession(str(tmp_path / "q.onnx"), settings)
    answers = session.run(None, {"image": test["image"]})[0].argmax(axis=1)
    return float(np.mean(answers == test["label"]))


@pytest.mark.parametrize("weights", [name for name, (_, least) in FORMATS.items() if least is not None])
def test_accuracy_with_codes(weights: str, tmp_path: Path) -> None:
    least = FORMATS[weights][1]
    assert least is not None
    assert accuracy(digits(weights), tmp_path) >= least


@pytest.mark.parametrize(("weights", "least"), [
    ("ternary", 0.75), pytest.param("power_of_two", 0.97, marks=pytest.mark.slow),
    pytest.param("binary", 0.15, marks=pytest.mark.slow)])
def test_corrected_biases_bring_coarse_codes_back(weights: str, least: float, tmp_path: Path) -> None:
    model, data = FloatModel.load(DIGITS / "digits.onnx"), np.load(DIGITS / "calibration.npz")["image"]
    policy = parse_bit_policy(f"weights: {{format: {weights}}}", file="p.yaml")
    made = quantize(model, data, policy, recipe=Recipe(bias_correction="empirical"))
    require_same_codes(made.network(), made)
    assert accuracy(made, tmp_path) >= max(least, accuracy(digits(weights), tmp_path) + 0.05)


def test_vectors_of_neighbours_run_on_a_table_of_vectors(tmp_path: Path) -> None:
    made = quantized(FloatModel.load(DIGITS / "digits.onnx"), np.load(DIGITS / "calibration.npz")["image"],
                     "weights: {format: {kind: product, vector_length: 3, importance: hessian}, bits: 2}\n"
                     'rules:\n  - {layers: ["*expand", "*project", head, scores], weights: {format: {kind: product, '
                     'vector_length: 2, stages: 2}, bits: 4}}')
    made.save(tmp_path / "q.onnx")
    loaded = import_quantized_onnx(tmp_path / "q.onnx", batch=1)
    require_same_codes(loaded, made)
    entry = next(each for each in onnx.load(tmp_path / "q.onnx").metadata_props if each.key == "accelsim.codes")
    codes = json.loads(entry.value)
    assert codes["stem_weight_quantized"] == {"bits": 2, "kind": "codebook", "vector_length": 3}
    assert codes["head_weight_quantized"] == {"bits": 4, "kind": "codebook", "vector_length": 2}
    # Every vector of a layer is one of its table's.
    for own in made.weights.values():
        assert own.lowered is not None
        vectors = np.unique(own.integers.reshape(-1, own.lowered.vector_length), axis=0)
        assert len(vectors) <= 2 ** (own.bits * own.lowered.vector_length)
    image = np.load(DIGITS / "test.npz")["image"][:1]
    theirs = runtime_tensors(tmp_path / "q.onnx", {"image": image}, ["scores_quantized"])["scores_quantized"]
    assert np.array_equal(run_network(loaded, {"image": image})["scores_real"], theirs)


def test_pes_that_do_not_have_the_codes_refuse_the_layer() -> None:
    image = {"image": np.load(DIGITS / "test.npz")["image"][:1]}
    with pytest.raises(NumericsError) as caught:
        simulate(load_accelerator("edge_16x16"), digits("codebook").network(), inputs=image, rounding="model")
    assert str(caught.value) == ("stem: expected weights -8..7, which a width of 4 bits holds, on PEs of precision fixed, "
                                 "got -127")
    with pytest.raises(MappingError) as mapped:
        simulate(accelerator_for(digits("binary")), digits("ternary").network(), inputs=image)
    assert str(mapped.value) == ("stem: expected operands of at most 1-bit weights and 8-bit inputs on edge_16x16, got 2 "
                                 "and 8")


def test_layers_may_differ_in_their_formats(tmp_path: Path) -> None:
    made = quantized(FloatModel.load(DIGITS / "digits.onnx"), np.load(DIGITS / "calibration.npz")["image"],
                     "weights: {format: ternary}\nrules:\n  - {layers: [first, last], weights: {format: uniform}}")
    assert [made.weights[name].bits for name in ("stem", "head", "scores")] == [8, 2, 8]
    assert made.weights["stem"].lowered is None
    loaded = made.network()
    widths = {layer.name: layer.weight_bits for layer in loaded.network.layers if layer.is_on_grid}
    assert (widths["stem"], widths["head"], widths["scores"], len(widths)) == (8, 2, 8, 11)


# What is asked of inputs -------------------------------------------------------------------------------------------------


def padded_windows(images: Any) -> Any:
    """Rows (positions, 2 * 3 * 3) of 3x3 windows, (r, s, c), padded by one: written out."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.array([padded[n, :, y:y + 3, x:x + 3].transpose(1, 2, 0).ravel()
                     for n in range(len(images)) for y in range(images.shape[2]) for x in range(images.shape[3])])


def small_convolution(tmp_path: Path) -> tuple[FloatModel, Any]:
    w = Weights(3)
    nodes = [node("Conv", ["x", w.add("w", 4, 2, 3, 3)], ["y"], name="c", pads=[1, 1, 1, 1])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, ["N", 2, 5, 4])}, ["y"], w.constants)
    samples = np.random.default_rng(0).normal(size=(40, 2, 5, 4)).astype(np.float32)
    samples[:, 1] *= 0.05
    return FloatModel.load(path), samples


def test_hessian_weighted_tables_follow_the_inputs(tmp_path: Path) -> None:
    model, samples = small_convolution(tmp_path)
    rows, weights = padded_windows(samples), model.layers[0].weights[0].astype(np.float64)
    diagonal, errors = np.square(rows).sum(axis=0), {}
    for importance in ("equal", "hessian"):
        made = quantized(model, samples, f"weights: {{format: {{kind: codebook, importance: {importance}, entry_bits: 16}}, "
                                         "bits: 2, granularity: tensor}")
        errors[importance] = np.sum(diagonal * np.square(weights - made.weights["c"].dequantized[0]))
    assert errors["hessian"] < 0.95 * errors["equal"]
    # Each entry is the weighted mean of its weights, up to the rounding of entries to 16 bits.
    codes = made.weights["c"].dequantized[0]
    for value in np.unique(codes):
        is_own = codes == value
        best = np.sum((diagonal * weights)[is_own]) / np.sum(np.broadcast_to(diagonal, weights.shape)[is_own])
        assert value == pytest.approx(best, abs=float(np.abs(codes).max()) / 2**15)


def test_vectors_are_weighted_by_the_inputs_of_neighbours(tmp_path: Path) -> None:
    model, samples = small_convolution(tmp_path)
    rows, weights = padded_windows(samples), model.layers[0].weights[0].astype(np.float64)
    errors = {}
    for importance in ("equal", "hessian"):
        made = quantized(model, samples, f"weights: {{format: {{kind: product, vector_length: 2, importance: {importance}, "
                                         "starts: 5}, bits: 1, granularity: tensor}")
        errors[importance] = np.sum(np.square(rows @ (weights - made.weights["c"].dequantized[0]).T))
    assert errors["hessian"] < 0.7 * errors["equal"]


def test_importance_needs_data(tmp_path: Path) -> None:
    model, _ = small_convolution(tmp_path)
    with pytest.raises(WorkloadError) as caught:
        quantized(model, None, "weights: {format: {kind: codebook, importance: hessian}}\nactivations: {is_dynamic: true}")
    assert str(caught.value) == (f"{model.path}: c: expected a calibration set, from which the importance of weights is "
                                 "taken, got none")


# Scales ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["codebook", "power_of_two", "ternary", "binary", "{kind: product, vector_length: 2}"])
def test_a_bias_that_does_not_fit_grows_the_scale_and_weights_take_the_nearest_level(weights: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    real = random.normal(size=(3, 16)).astype(np.float32)
    real[1] *= 1e-9
    bias = np.array([0.5, 100.0, -30.0], np.float32)
    path = write_graph(tmp_path / "net.onnx", [node("Gemm", ["x", "w", "b"], ["y"], name="fc", transB=1)],
                       {"x": (np.float32, [1, 16])}, ["y"], {"w": real, "b": bias})
    made = quantized(FloatModel.load(path), random.normal(size=(20, 1, 16)), f"weights: {{format: {weights}}}")
    assert made.remarks == ("fc: weight scales of 1 channels grew so that the bias fits 32 bits",)
    require_same_codes(made.network(), made)
    own = made.weights["fc"]
    assert own.lowered is not None
    assert own.bias is not None
    assert own.bias_scale is not None
    assert np.all(np.abs(own.bias * own.bias_scale.astype(np.float64) - bias) <= 0.501 * own.bias_scale)
    length, scale = own.lowered.vector_length, float(own.qparams.scale[1])
    levels = own.lowered.levels * scale
    vectors = own.dequantized[0, 1].reshape(-1, length)
    nearest = [levels[np.argmin([np.sum((vector - level) ** 2) for level in levels])]
               for vector in real[1].astype(np.float64).reshape(-1, length)]
    assert np.allclose(vectors, nearest, rtol=1e-6, atol=0)


def test_channels_that_onnx_gives_one_scale_share_it(tmp_path: Path) -> None:
    w = Weights(2)
    nodes = [node("ConvTranspose", ["x", w.add("w", 4, 3, 2, 2), w.add("b", 6)], ["y"], name="up", group=2, strides=[2, 2])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4, 3, 3])}, ["y"], w.constants)
    samples = np.random.default_rng(0).normal(size=(8, 1, 4, 3, 3)).astype(np.float32)
    for weights in ("ternary", "{kind: codebook, importance: hessian}", "{kind: product, vector_length: 2}"):
        made = quantized(FloatModel.load(path), samples, f"weights: {{format: {weights}}}")
        scale = made.weights["up"].qparams.scale
        assert np.array_equal(scale[:3], scale[3:])
        made.save(tmp_path / "q.onnx")
        loaded = import_quantized_onnx(tmp_path / "q.onnx")
        require_same_codes(loaded, made)
        x = {"x": samples[0]}
        theirs = runtime_tensors(tmp_path / "q.onnx", x, ["y_quantized"])["y_quantized"].astype(int)
        assert np.abs(run_network(loaded, x)["y_real"].astype(int) - theirs).max() <= 1


# Policies and files ------------------------------------------------------------------------------------------------------


def test_a_format_starts_anew_with_its_own_width() -> None:
    policy = parse_bit_policy(
        "weights: {bits: 4, range: mse, granularity: tensor}\nrules:\n"
        "  - {layers: a, weights: {format: ternary}}\n  - {layers: a, weights: {format: codebook}}\n"
        "  - {layers: a, weights: {bits: 3}}\n  - {layers: a, weights: {format: uniform, symmetry: asymmetric}}",
        file="p.yaml")
    found = [policy.weight_choice(range(count)) for count in range(5)]
    assert [choice.bits for choice in found] == [4, 2, 4, 3, 8]
    assert [choice.format.name for choice in found] == ["uniform", "ternary", "codebook", "codebook", "uniform"]
    assert {choice.scheme.granularity.kind for choice in found} == {"tensor"}
    assert (found[4].setter.name, found[4].scheme.symmetry) == ("min_max", "asymmetric")
    again = BitPolicy.model_validate(policy.to_document())
    assert [again.weight_choice(range(count)) for count in range(5)] == found


@pytest.mark.parametrize(("rule", "problem"), {
    "{format: codebok}": (
        'weights.format.kind: expected one of uniform, power_of_two, additive_powers, binary_code, codebook, product, '
        'binary, ternary, got "codebok" (did you mean "codebook"?)'),
    "{format: {kind: codebook, entries: 4}}": (
        'weights.format.entries: expected a known key, got "entries" (did you mean "entry_bits"?)'),
    "{format: {kind: ternary, delta: 3}}": "weights.format.delta: expected a name, got 3",
    "{format: [ternary]}": ("weights.format: expected the name of a format, or one with its options such as {kind: ternary, "
                            "delta: mean}, got a list"),
    "{format: ternary, range: mse}": "weights.range: expected none for ternary weights, got one",
    "{format: ternary, symmetry: symmetric}": "weights.symmetry: expected none for ternary weights, got one",
    "{format: ternary, bits: 4}": "weights.bits: expected 2 for ternary weights, got 4",
    "{format: binary, bits: 2}": "weights.bits: expected 1 for binary weights, got 2",
    "{format: power_of_two, bits: 7}": "weights.bits: expected 2 to 6, got 7",
    "{format: power_of_two, bits: 6}": "weights.bits: expected weights that are integers of at most 16 bits, got 32",
    "{format: codebook, bits: 9}": "weights.bits: expected 1 to 8, got 9",
    "{format: codebook, granularity: {kind: sub_channel, size: 4}}": (
        "weights.granularity: expected tensor or channel for codebook weights, got sub_channel"),
    "{format: {kind: codebook, importance: loss}}": (
        'weights.format: importance: expected one of equal, hessian, got "loss"'),
    "{format: {kind: product, vector_length: 8}, bits: 3}": (
        "weights.bits: expected at most 16 bits for the index of 8 weights, got 24"),
    "{format: {kind: product, stages: 3}}": (
        "weights.format: stages: expected a number that divides the 8 bits of a vector's index, got 3"),
}.items())
def test_what_a_format_does_not_have_is_told_with_file_and_line(rule: str, problem: str) -> None:
    with pytest.raises(QuantizationError) as caught:
        parse_bit_policy(f"weights: {rule}", file="p.yaml")
    assert str(caught.value) == f"p.yaml:1: {problem}"


def test_a_vector_that_does_not_divide_a_layers_weights_is_told() -> None:
    with pytest.raises(WorkloadError) as caught:
        digits("{kind: product, vector_length: 4}")
    assert str(caught.value) == (f"{DIGITS / 'digits.onnx'}: stem: vector_length: expected a length that divides the 9 "
                                 "weights of a channel, got 4")


@pytest.mark.parametrize(("text", "problem"), {
    "[]": 'accelsim.codes: expected a table of constants and codes in JSON, got "[]"',
    '{"w": 4}': 'accelsim.codes: w: expected a code of 1 to 16 bits such as {"bits": 4}, got 4',
    '{"w": {"bits": 17}}': 'accelsim.codes: w: expected a code of 1 to 16 bits such as {"bits": 4}, got a mapping',
    '{"w": {"bits": 4}}': "accelsim.codes: w: expected a constant of integers, found no constant of that name",
}.items())
def test_metadata_that_are_no_codes_are_told(text: str, problem: str, tmp_path: Path) -> None:
    proto = digits("ternary").proto()
    onnx.helper.set_model_props(proto, {"accelsim.codes": text})
    onnx.save(proto, tmp_path / "q.onnx")
    with pytest.raises(WorkloadError) as caught:
        import_quantized_onnx(tmp_path / "q.onnx")
    assert str(caught.value) == f"{tmp_path / 'q.onnx'}: {problem}"


# Command -----------------------------------------------------------------------------------------------------------------


def command(capsys: Any, tmp_path: Path, *options: str) -> tuple[int, str, str]:
    code = main(["quantize", str(DIGITS / "digits.onnx"), "--data", str(DIGITS / "calibration.npz"), "--out",
                 str(tmp_path / "q.onnx"), *options])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_takes_a_format_and_its_width(tmp_path: Path, capsys: Any) -> None:
    code, out, err = command(capsys, tmp_path, "--recipe", "none", "--weights-format", "codebook")
    needed = {"kind": "codebook", "input_bits": 8, "index_bits": 4, "vector_length": 1, "entry_bits": 8}
    assert "PEs that take the codes: precision: {" + ", ".join(f"{key}: {need}" for key, need in needed.items()) + "}" in err
    assert with_changes(load_accelerator("edge_16x16"), {"pe_grid.precision": needed})
    assert (code, out.splitlines()[0].split(", ")[1]) == (0, "w4a8 codebook")
    stem = next(line for line in out.splitlines() if line.strip().startswith("stem"))
    assert "4 b" in stem
    assert "codebook, channel" in stem
    digits("codebook").save(tmp_path / "expected.onnx")
    networks = [import_quantized_onnx(tmp_path / name, batch=1) for name in ("q.onnx", "expected.onnx")]
    assert networks[0].network.layers == networks[1].network.layers
    require_same_codes(networks[0], digits("codebook"))
    code, out, _ = command(capsys, tmp_path, "--weights-format", "codebook", "--bits", "3/6", "--json")
    first = json.loads(out)["layers"][0]
    assert (code, first["weight_bits"], first["weight_format"], first["weight_symmetry"]) == (0, 3, "codebook", None)


@pytest.mark.parametrize(("options", "problem"), {
    ("--weights-format", "octal"): (
        "--weights-format: expected one of uniform, power_of_two, additive_powers, binary_code, codebook, product, binary, "
        'ternary, got "octal"'),
    ("--weights-format", "ternary", "--bits", "4/8"): "weights.bits: expected 2 for ternary weights, got 4",
    ("--weights-format", "ternary", "--policy", "p.yaml"): (
        "--weights-format: expected --policy or --weights-format, got both"),
}.items())
def test_mistakes_in_the_format_are_told_in_one_line(options: tuple[str, ...], problem: str, tmp_path: Path,
                                                     capsys: Any) -> None:
    assert command(capsys, tmp_path, *options) == (2, "", f"accelsim: {problem}\n")
    assert not (tmp_path / "q.onnx").exists()
