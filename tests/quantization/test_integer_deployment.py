"""Integers alone between input and output: multipliers and shifts, one for all operands of an addition."""

from __future__ import annotations

import csv
import json
import math
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import Weights, convolutional, node, onnx, write_graph

from accelsim import load_accelerator, load_quantized_network, simulate
from accelsim.cli.main import main
from accelsim.errors import QuantizationError, WorkloadError
from accelsim.hardware import Accelerator, with_changes
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.rule import Rule
from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.integer_arithmetic import requantization_rows
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.simulation import Rounding
from accelsim.workload.onnx.values import import_quantized_onnx

DIGITS = Path(__file__).parents[2] / "workloads/digits"


def residual(tmp_path: Path) -> tuple[Path, Any]:
    """x -> first, ReLU -> second -> + (of the first) -> ReLU -> mean -> fc -> y; and samples."""
    w = Weights(5)
    nodes = [node("Conv", ["x", w.add("w1", 4, 2, 3, 3), w.add("b1", 4, scale=0.2)], ["c1"], name="first",
                  pads=[1, 1, 1, 1]),
             node("Relu", ["c1"], ["r1"]),
             node("Conv", ["r1", w.add("w2", 4, 4, 1, 1), w.add("b2", 4, scale=0.2)], ["c2"], name="second"),
             node("Add", ["c2", "r1"], ["s"], name="sum"), node("Relu", ["s"], ["r2"]),
             node("GlobalAveragePool", ["r2"], ["p"], name="pool"), node("Flatten", ["p"], ["f"]),
             node("Gemm", ["f", w.add("w3", 3, 4), w.add("b3", 3, scale=0.2)], ["y"], name="fc", transB=1)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 2, 5, 4])}, ["y"], w.constants)
    return path, np.random.default_rng(0).normal(size=(12, 1, 2, 5, 4)).astype(np.float32)


def deployed(path: Path, samples: Any, policy: str) -> QuantizedModel:
    return quantize(FloatModel.load(path), samples, parse_bit_policy(policy, file="p.yaml"))


class BigIntegers:
    """The residual network in Python's integers, from the saved file alone, after HAWQ-V3's rule.

    A scale becomes ``b / 2^c``: with m 2^e = s, 1/2 <= m < 1, ``b = floor(m 2^31 + 1/2)``, c = 31 - e. An accumulator a
    becomes ``a b / 2^c``, ties to even.
    """

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        self.constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
        self.quantizers = {each.name.removesuffix("_QuantizeLinear"): each.input[1:3] for each in model.graph.node
                           if each.op_type == "QuantizeLinear"}
        #: (layer, part) -> (b, c) that were used.
        self.used: dict[tuple[str, str], tuple[int, int]] = {}

    def grid(self, tensor: str) -> tuple[float, int]:
        scale, point = (self.constants[name] for name in self.quantizers[tensor])
        return float(scale), int(point)

    def dyadic(self, layer: str, part: str, scale: float) -> tuple[int, int]:
        fraction, exponent = math.frexp(scale)
        self.used[layer, part] = math.floor(Fraction(fraction) * 2**31 + Fraction(1, 2)), 31 - exponent
        return self.used[layer, part]

    @staticmethod
    def rounded(value: int, multiplier: int, shift: int) -> int:
        whole, rest = divmod(value * multiplier, 1 << shift)
        half = 1 << (shift - 1)
        return whole + (rest > half or (rest == half and whole % 2 == 1))

    def product(self, layer: str, source: str, target: str, weights: str, rows: list[list[int]]) -> list[list[int]]:
        """Rows of a layer's inputs less their zero point, by its integer weights: outputs of every row."""
        w, scales = self.constants[f"{weights}_quantized"], self.constants[f"{weights}_scale"].reshape(-1)
        bias = self.constants[f"{weights.replace('w', 'b')}_quantized"]
        (s_x, _), (s_y, z_y) = self.grid(source), self.grid(target)
        found: list[list[int]] = [[] for _ in rows]
        for channel, (own, scale) in enumerate(zip(w.reshape(len(w), -1).tolist(), scales, strict=True)):
            # HAWQ-V3 multiplies the two scales in float32 and divides in double.
            units = self.dyadic(layer, f"channel {channel}", float(np.float32(s_x) * np.float32(scale)) / s_y)
            for outputs, row in zip(found, rows, strict=True):
                total = int(bias[channel]) + sum(a * b for a, b in zip(row, own, strict=True))
                outputs.append(self.rounded(total, *units) + z_y)
        return found

    def run(self, image: list[list[list[int]]]) -> dict[str, Any]:
        """Integers of every tensor, for an image (2, 5, 4) of integers."""
        z_x, height, width = self.grid("x")[1], 5, 4
        windows = []
        for y in range(height):
            for x in range(width):
                windows.append([image[c][y + r][x + s] - z_x if 0 <= y + r < height and 0 <= x + s < width else 0
                                for c in range(2) for r in (-1, 0, 1) for s in (-1, 0, 1)])
        z_r = self.grid("r1")[1]
        r1 = [[min(max(v, z_r), 255) for v in row] for row in self.product("first", "x", "r1", "w1", windows)]
        c2 = [[min(max(v, 0), 255) for v in row] for row in
              self.product("second", "r1", "c2", "w2", [[v - z_r for v in row] for row in r1])]
        (s_a, z_a), (s_b, z_b), (s_y, z_y) = self.grid("c2"), self.grid("r1"), self.grid("r2")
        assert (s_a, z_a) == (s_b, z_b)
        units = [self.dyadic("sum", f"operand {index}", scale / s_y) for index, scale in enumerate((s_a, s_b))]
        r2 = [[min(max(self.rounded(a - z_a, *units[0]) + self.rounded(b - z_b, *units[1]) + z_y, z_y), 255)
               for a, b in zip(*pair, strict=True)] for pair in zip(c2, r1, strict=True)]
        mean = self.dyadic("pool", "all", 1 / len(r2))
        pooled = [min(max(self.rounded(sum(v - z_y for v in channel), *mean) + z_y, 0), 255)
                  for channel in zip(*r2, strict=True)]
        y = self.product("fc", "r2", "y", "w3", [[v - z_y for v in pooled]])[0]
        return {"first": r1, "second": c2, "sum": r2, "pool": pooled, "fc": [min(max(v, 0), 255) for v in y]}


#: Whose rule a run follows -> the machine.
ROUNDINGS: dict[Rounding, Accelerator] = {
    "model": load_accelerator("edge_16x16"),
    "hardware": with_changes(load_accelerator("edge_16x16"), {"requantizer.scheme": "dyadic"})}


def _keep(seen: dict[str, Any], _sample: int, layer: str, integers: Any) -> None:
    seen[layer] = integers


def test_a_residual_block_is_integers_and_shifts_and_equals_big_integers(tmp_path: Path) -> None:
    path, samples = residual(tmp_path)
    made = deployed(path, samples, "requantization: dyadic")
    made.save(tmp_path / "q.onnx")
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    assert loaded.rule == made.network().rule == Rule("dyadic")
    big = BigIntegers(tmp_path / "q.onnx")
    scale, point = big.grid("x")
    for sample in np.random.default_rng(9).normal(size=(5, 1, 2, 5, 4)).astype(np.float32):
        image = np.clip(np.rint(sample / np.float32(scale)) + point, 0, 255).astype(int)
        expected = big.run(image[0].tolist())
        for rounding, machine in ROUNDINGS.items():
            seen: dict[str, Any] = {}
            result = simulate(machine, loaded, inputs={"x": sample}, rounding=rounding,
                              told=partial(_keep, seen))
            assert result.rounding == "dyadic"
            assert list(seen) == list(expected)
            for layer, integers in seen.items():
                assert np.issubdtype(integers.dtype, np.integer)
                # Images lie channels first in the model, positions first here.
                rows = integers.reshape(4, -1).T if integers.ndim == 4 and layer != "pool" else integers.ravel()
                assert rows.tolist() == expected[layer], layer
    rows = {(row["layer"], row["part"]): (row["multiplier"], row["shift"]) for row in requantization_rows(loaded)}
    assert rows == {key: units for key, units in big.used.items() if key[0] != "pool"}
    assert rows["sum", "operand 0"] == rows["sum", "operand 1"]
    for layer in loaded.network.layers:
        kernel = loaded.layers[layer.name].kernel
        if isinstance(kernel, GridKernel):
            units = kernel.requantization(loaded.rule).multiplier
            assert kernel.weights is not None
            assert kernel.bias is not None
            assert all(np.issubdtype(each.dtype, np.integer)
                       for each in (kernel.weights, kernel.bias, units.mantissa, units.shift, units.addend))


def accuracy(made: QuantizedModel) -> float:
    test = np.load(DIGITS / "test.npz")
    result = simulate(load_accelerator("edge_16x16"), made.network(), inputs={"image": test["image"][:200]},
                      rounding="model")
    answers = [int(each.argmax()) for each in result.outputs["scores"]]
    return float(np.mean(np.array(answers) == test["label"][:200]))


@pytest.mark.parametrize("rule", [
    "dyadic", pytest.param("tflite_double", marks=pytest.mark.slow), pytest.param("nvdla", marks=pytest.mark.slow),
    pytest.param("tosa_single", marks=pytest.mark.slow), "{scheme: shift_floor, multiplier_bits: 15}"])
def test_digits_are_read_by_integers_alone(rule: str) -> None:
    samples = np.load(DIGITS / "calibration.npz")["image"]
    assert accuracy(deployed(DIGITS / "digits.onnx", samples, f"requantization: {rule}")) >= 0.98


def test_scales_that_are_powers_of_two_need_shifts_alone() -> None:
    samples = np.load(DIGITS / "calibration.npz")["image"]
    made = deployed(DIGITS / "digits.onnx", samples,
                    "weights: {has_power_of_two_scale: true}\nactivations: {has_power_of_two_scale: true}\n"
                    "requantization: {scheme: power_of_two, rounding: half_even}")
    assert made.network().rule == Rule("power_of_two", "half_even")
    assert {row["multiplier"] for row in requantization_rows(made.network())} == {1}
    assert accuracy(made) >= 0.98
    with pytest.raises(WorkloadError) as caught:
        deployed(DIGITS / "digits.onnx", samples, "requantization: power_of_two").network()
    assert str(caught.value).startswith("digits: stem: scale: expected a power of two, got ")
    assert str(caught.value).endswith(" (under power_of_two; give weights and activations has_power_of_two_scale)")


def test_a_widened_scale_stays_a_power_of_two(tmp_path: Path) -> None:
    weights, bias = np.array([[1.0, -1.0], [1e-9, 0.0]], np.float32), np.array([0.5, 100.0], np.float32)
    path = write_graph(tmp_path / "net.onnx", [node("Gemm", ["x", "w", "b"], ["y"], name="fc", transB=1)],
                       {"x": (np.float32, [1, 2])}, ["y"], {"w": weights, "b": bias})
    made = deployed(path, np.array([[[1.0, 2.0]], [[-1.0, 1.0]]]),
                    "weights: {has_power_of_two_scale: true}\nactivations: {has_power_of_two_scale: true}\n"
                    "requantization: power_of_two")
    assert made.remarks == ("fc: weight scales of 1 channels grew so that the bias fits 32 bits",)
    assert np.all(np.frexp(made.weights["fc"].qparams.scale)[0] == 0.5)
    assert made.network().rule == Rule("power_of_two")


def test_operands_of_additions_and_parts_of_concatenations_share_a_grid_unless_the_policy_says_otherwise() -> None:
    policy = parse_bit_policy("requantization: dyadic\nplacement: {average_pooling: requantized}", file="p.yaml")
    found = policy.placement
    assert (found.addition, found.concatenation, found.average_pooling) == ("matched", "shared", "requantized")
    assert BitPolicy.model_validate(policy.to_document()).placement == found
    assert BitPolicy(placement=found.model_copy(update={"addition": "requantized"})).with_requantization(
        "dyadic").placement.addition == "requantized"
    own = parse_bit_policy("requantization: dyadic\nplacement: {addition: requantized}", file="p.yaml").placement
    assert (own.addition, own.concatenation) == ("requantized", "shared")
    assert BitPolicy().placement.addition == "requantized"


def test_rules_of_tflite_need_one_grid_for_a_concatenation(tmp_path: Path) -> None:
    network = convolutional()
    path, samples = network.save(tmp_path / "net.onnx"), network.samples(4)
    assert deployed(path, samples, "requantization: tflite_double").network().rule == Rule("tflite_double")
    with pytest.raises(WorkloadError) as caught:
        deployed(path, samples, "requantization: tflite_double\nplacement: {concatenation: requantized}").network()
    assert str(caught.value) == ("net: both: scale: expected parts of a concatenation on one grid, got several (under "
                                 "tflite_double)")


@pytest.mark.parametrize(("text", "problem"), {
    "requantization: float32_nearest_even": (
        "requantization.scheme: expected one of dyadic, power_of_two, shift_floor, tflite_double, tflite_single, "
        'tflite_micro, nvdla, tosa_single, tosa_double, got "float32_nearest_even"'),
    "requantization: {scheme: dyadic, multiplier_bits: 8}": (
        "requantization.multiplier_bits: expected scheme shift_floor for a multiplier width, got dyadic"),
    "requantization: {rounding: floor}": "requantization.scheme: expected this key, which is missing",
}.items())
def test_rules_that_are_none_are_told(text: str, problem: str) -> None:
    with pytest.raises(QuantizationError) as caught:
        parse_bit_policy(text, file="p.yaml")
    assert str(caught.value) == f"p.yaml:1: {problem}"


@pytest.mark.parametrize(("text", "problem"), {
    "{": 'accelsim.requantization: expected a rule in JSON, got "{"',
    "[]": "accelsim.requantization: expected a rule such as {scheme: dyadic}, got a list",
    '{"scheme": "dyadic", "bits": 3}': (
        "accelsim.requantization: expected a rule such as {scheme: dyadic}, got a mapping"),
    '{"scheme": "shift_floor", "multiplier_bits": 40}': (
        "accelsim.requantization: multiplier_bits: expected 1 to 31, got 40"),
    '{"scheme": "dyadic", "rounding": "floor"}': "accelsim.requantization: rounding: expected none with dyadic, got floor",
    '{"scheme": "power_of_two", "rounding": "up"}': (
        "accelsim.requantization: rounding: expected one of floor, truncate, half_up, half_away, half_even, got \"up\""),
}.items())
def test_metadata_that_state_no_rule_are_told(text: str, problem: str, tmp_path: Path) -> None:
    path, samples = residual(tmp_path)
    proto = deployed(path, samples, "{}").proto()
    onnx.helper.set_model_props(proto, {"accelsim.requantization": text})
    onnx.save(proto, tmp_path / "q.onnx")
    with pytest.raises(WorkloadError) as caught:
        import_quantized_onnx(tmp_path / "q.onnx")
    assert str(caught.value) == f"{tmp_path / 'q.onnx'}: {problem}"


def test_the_command_deploys_and_tells_every_multiplier(tmp_path: Path, capsys: Any) -> None:
    path, samples = residual(tmp_path)
    np.savez(tmp_path / "data.npz", x=samples)
    arguments = ["quantize", str(path), "--data", str(tmp_path / "data.npz"), "--out", str(tmp_path / "q.onnx")]
    assert main([*arguments, "--rounding", "dyadic", "--report", str(tmp_path / "tables")]) == 0
    loaded = load_quantized_network(tmp_path / "q.onnx")
    assert loaded.rule == Rule("dyadic")
    told = {each.key: json.loads(each.value) for each in onnx.load(tmp_path / "q.onnx").metadata_props}
    assert told["accelsim.requantization"] == {"scheme": "dyadic"}
    assert told["accelsim.policy"]["requantization"] == {"scheme": "dyadic"}
    with open(tmp_path / "tables/requantization.csv", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert found == [{key: str(value) for key, value in row.items()} for row in requantization_rows(loaded)]
    assert len(found) == 4 + 4 + 2 + 3
    capsys.readouterr()
    assert main([*arguments, "--rounding", "float"]) == 2
    assert capsys.readouterr().err == (
        "accelsim: --rounding: expected one of dyadic, power_of_two, shift_floor, tflite_double, tflite_single, "
        'tflite_micro, nvdla, tosa_single, tosa_double, got "float"\n')
    (tmp_path / "p.yaml").write_text("activations: {is_dynamic: true}")
    assert main([*arguments, "--rounding", "dyadic", "--policy", str(tmp_path / "p.yaml")]) == 2
    assert "expected a scale that is known before the run" in capsys.readouterr().err


def test_runs_with_a_scale_of_their_own_have_multipliers_too(tmp_path: Path) -> None:
    path, samples = residual(tmp_path)
    made = deployed(path, samples, "weights: {bits: 4, granularity: {kind: sub_channel, size: 2}}\nrequantization: dyadic")
    rows = list(requantization_rows(made.network()))
    # 3x3 windows of 2 channels are 9 runs, 4 channels 2.
    assert len(rows) == 4 * (1 + 9) + 4 * (1 + 2) + 2 + 3 * (1 + 2)
    runs = {row["part"]: row for row in rows if row["layer"] == "fc" and "run" in row["part"]}
    scale = made.weights["fc"].qparams.scale
    for part, row in runs.items():
        channel, run = (int(word.split()[1]) for word in part.split(", "))
        ratio = scale[channel, run] / scale[channel].max()
        assert row["multiplier"] / 2 ** row["shift"] == pytest.approx(ratio, rel=2**-30)
    result = simulate(load_accelerator("edge_16x16"), made.network(), inputs={"x": samples[0]}, rounding="model")
    step = float(made.network().outputs[0].qparams.scale)
    reals = (result.outputs["y"][0].astype(int) - int(made.network().outputs[0].qparams.zero_point)) * step
    whole = made.model
    for each in made.model.layers:
        whole = each.edited(whole, weights=made.weights[each.name].dequantized)
    assert np.abs(reals - whole.run({"x": samples[0]})["y"]).max() < 4 * step
