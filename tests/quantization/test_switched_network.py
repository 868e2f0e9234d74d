"""A network with a switch at every quantizer: off it is the float network, on it is the exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from float_networks import mobile
from quantized_models import convolutional, transformer

from accelsim.errors import WorkloadError
from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.debugging.switched_network import SwitchedNetwork
from accelsim.quantization.debugging.wide_quantizers import with_wide_quantizers
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel

NETWORKS = {"convolutional": convolutional, "mobile": mobile, "transformer": transformer}


def made(name: str, folder: Path, policy: BitPolicy) -> tuple[QuantizedModel, list[dict[str, np.ndarray]]]:
    """A network of the tests, quantized, and its samples."""
    network = NETWORKS[name]()
    network.save(folder / "net.onnx")
    model = FloatModel.load(folder / "net.onnx")
    samples = [{next(iter(model.inputs)): sample.astype(np.float32)} for sample in network.samples(3)]
    return quantize(model, samples, policy), samples


def unfused(proto: Any) -> onnxruntime.InferenceSession:
    """onnxruntime, executing operator by operator as the file has them."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("bits", [(8, 8), (4, 4)])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_all_switches_on_is_the_exported_file(name: str, bits: tuple[int, int], tmp_path: Path) -> None:
    quantized, samples = made(name, tmp_path, BitPolicy.of(*bits))
    network, session = SwitchedNetwork(quantized), unfused(quantized.proto())
    for sample in samples:
        found = network.run(sample, layers=network.layers, groups=network.groups)
        expected = dict(zip(quantized.model.outputs, session.run(list(quantized.model.outputs), sample), strict=True))
        for output, values in expected.items():
            grid = quantized.grid_of(output)
            step = 0.0 if grid is None else float(grid.scale)
            # Sums of float32 come in another order; what lies on the border of two steps may fall to either side.
            assert np.mean(np.abs(found[output] - values) > 1e-5 * np.abs(values).max()) < 0.02
            np.testing.assert_allclose(found[output], values, atol=max(1.01 * step, 1e-5 * float(np.abs(values).max())))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_all_switches_off_is_the_float_network(name: str, tmp_path: Path) -> None:
    quantized, samples = made(name, tmp_path, BitPolicy.of(2, 3))
    network = SwitchedNetwork(quantized)
    for sample in samples:
        for output, values in network.run(sample).items():
            expected = quantized.model.run(sample)[output]
            np.testing.assert_allclose(values, expected, atol=1e-5 * float(np.abs(expected).max()))


def test_one_layer_alone_is_the_float_network_with_its_integers_values(tmp_path: Path) -> None:
    quantized, samples = made("convolutional", tmp_path, BitPolicy.of(3, 8))
    network = SwitchedNetwork(quantized)
    for layer in quantized.model.layers:
        own = quantized.weights[layer.name]
        bias = None if own.bias is None else own.bias * own.bias_scale
        edited = layer.edited(quantized.model, weights=own.dequantized, bias=bias)
        found = network.run(samples[0], layers=[layer.name])
        for output, expected in edited.run(samples[0]).items():
            np.testing.assert_allclose(found[output], expected, atol=1e-5 * float(np.abs(expected).max()))


def test_one_group_alone_lies_on_its_grid_and_nothing_else_does(tmp_path: Path) -> None:
    quantized, samples = made("convolutional", tmp_path, BitPolicy.of(8, 4))
    tensors = [tensor.name for tensor in quantized.placement.tensors if tensor.layer]
    network = SwitchedNetwork(quantized, tensors)
    real = SwitchedNetwork(quantized, tensors).run(samples[0])
    for group in network.groups:
        found = network.run(samples[0], groups=[group])
        grid = quantized.activations[group]
        steps = found[group].astype(np.float64) / float(grid.scale)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
        before = tensors[:tensors.index(group)]
        for name in before:
            if quantized.placement.group_of(name).name != group:
                np.testing.assert_allclose(found[name], real[name], atol=1e-6 * max(1.0, float(np.abs(real[name]).max())))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_quantizers_of_32_bits_leave_the_float_network(name: str, tmp_path: Path) -> None:
    quantized, samples = made(name, tmp_path, BitPolicy.of(2, 2) if name != "transformer" else BitPolicy.of(2, 4))
    network = SwitchedNetwork(with_wide_quantizers(quantized, samples))
    for sample in samples:
        found = network.run(sample, layers=network.layers, groups=network.groups)
        for output, expected in quantized.model.run(sample).items():
            np.testing.assert_allclose(found[output], expected, atol=2e-5 * float(np.abs(expected).max()))


def test_ranges_found_during_the_run_are_refused(tmp_path: Path) -> None:
    policy = parse_bit_policy("activations: {is_dynamic: true}", file="p.yaml")
    quantized, _ = made("transformer", tmp_path, policy)
    with pytest.raises(WorkloadError, match="expected ranges that are known before the run, got one that is found"):
        SwitchedNetwork(quantized)
