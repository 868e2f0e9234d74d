"""Both networks side by side: the float one computes what onnxruntime does, the quantized one what the saved file does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import mobile
from quantized_models import FloatModel as Network
from quantized_models import convolutional, transformer
from saved_networks import saved_tensors

from accelsim.quantization.bit_policy import ActivationRule, BitPolicy, WeightRule
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.lockstep import Lockstep, sampled
from accelsim.quantization.patches import all_positions, patches
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.stepped_network import SteppedNetwork
from accelsim.workload.operation import Convolution

NETWORKS = {"convolutional": convolutional, "mobile": mobile, "transformer": transformer}


def made(network: Network, folder: Path, policy: BitPolicy) -> tuple[QuantizedModel, list[dict[str, Any]]]:
    """A quantized network and the samples that it was calibrated on."""
    network.save(folder / "net.onnx")
    samples = network.samples(3)
    return quantize(FloatModel.load(folder / "net.onnx"), np.stack(samples), policy), [{"x": each} for each in samples]


def started(quantized: QuantizedModel, samples: list[dict[str, Any]]) -> Lockstep:
    return Lockstep(quantized.model, quantized.placement, quantized.activations, quantized.dynamic, quantized.constants,
                    samples)


@pytest.mark.parametrize("name", NETWORKS)
def test_stop_by_stop_a_network_computes_what_it_computes_at_once(name: str, tmp_path: Path) -> None:
    quantized, samples = made(NETWORKS[name](), tmp_path, BitPolicy())
    stops = [tensor.name for tensor in quantized.placement.tensors]
    run = SteppedNetwork(quantized.model, stops, samples)
    for stop in stops:
        for sample, found in zip(samples, run.values(stop), strict=True):
            expected = quantized.model.run(sample, [stop])[stop]
            assert np.allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()), stop


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_read_what_the_float_and_the_saved_network_compute(name: str, tmp_path: Path) -> None:
    quantized, samples = made(NETWORKS[name](), tmp_path, BitPolicy.of(4, 6))
    lockstep = started(quantized, samples)
    saved = [saved_tensors(quantized, sample) for sample in samples]
    steps = 0
    for layer in quantized.model.layers:
        grid = quantized.grid_of(layer.input)
        assert grid is not None
        real = [quantized.model.run(sample, [layer.input])[layer.input] for sample in samples]
        rounded = [each[layer.input] for each in saved]
        rows = lockstep.rows(layer, 10**6, InOrder())  # type: ignore[arg-type]
        assert np.allclose(rows[0], rows_of(layer, real), atol=1e-4)
        # Sums that end near the middle of two steps may be rounded to either, and layers behind see that.
        away = np.abs(rows[1] - rows_of(layer, rounded))
        assert np.mean(away > 1e-4) < 0.02
        assert away.max() < 1.01 * float(grid.scale)
        assert not np.array_equal(*rows)
        lockstep.quantize(layer, quantized.weights[layer.name])
        steps += 1
    assert steps == len(quantized.weights) > 5


class InOrder:
    """In place of a generator: chooses everything, as it lies."""

    def choice(self, total: int, size: int, replace: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.arange(total)


def rows_of(layer: FloatLayer, values: list[Any]) -> Any:
    """All rows of a layer's inputs; those of the products here are the last axis."""
    if isinstance(layer.operation, Convolution):
        images = np.concatenate(values)
        return patches(images, layer.operation, all_positions(layer.operation, len(images)))
    return np.concatenate([each.reshape(-1, each.shape[-1]) for each in values])[None]


def test_each_segment_runs_once_however_many_layers_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quantized, samples = made(convolutional(), tmp_path, BitPolicy())
    ran: list[str] = []
    run = SteppedNetwork._run
    monkeypatch.setattr(SteppedNetwork, "_run", lambda self, stop, segment: (ran.append(stop), run(self, stop, segment))[1])
    lockstep = started(quantized, samples)
    for layer in quantized.model.layers:
        lockstep.rows(layer, 8, np.random.default_rng(0))
        lockstep.quantize(layer, quantized.weights[layer.name])
    assert max(ran.count(stop) for stop in ran) == 2  # the float network and the quantized one
    assert len(set(ran)) < len(quantized.placement.tensors)  # nothing behind the last layer's input


def test_ranges_found_during_the_run_are_those_of_each_sample(tmp_path: Path) -> None:
    policy = BitPolicy(activations=ActivationRule(is_dynamic=True, symmetry="asymmetric"),
                       weights=WeightRule(rounding="second_order"))
    quantized, samples = made(transformer(), tmp_path, policy)
    layer = quantized.model.layers[0]
    rows = started(quantized, samples).rows(layer, 10**6, np.random.default_rng(0))
    widths = [(each["x"].max() - each["x"].min()) / 255 for each in samples]
    assert 0 < np.abs(rows[0] - rows[1]).max() <= max(widths) * 0.51


def test_a_sample_is_drawn_evenly_and_holds_no_more_than_asked_for(tmp_path: Path) -> None:
    network = convolutional()
    network.save(tmp_path / "net.onnx")
    model = FloatModel.load(tmp_path / "net.onnx")
    placement = quantize(model, np.stack(network.samples(1))).placement
    runs = np.zeros((40, 1, 3, 16, 16), np.float32)
    runs += np.arange(40).reshape(-1, 1, 1, 1, 1)
    counts = np.zeros(40)
    for seed in range(400):
        drawn = sampled(CalibrationSet(runs, model), model, placement, 10, np.random.default_rng(seed))
        numbers = [int(each["x"].flat[0]) for each in drawn]
        assert len(set(numbers)) == 10
        counts[numbers] += 1
    # 100 expected of each, with a deviation of sqrt(400 / 4 * 3 / 4) = 8.7: five of them.
    assert np.abs(counts - 100).max() < 44
