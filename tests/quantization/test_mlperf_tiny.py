"""MLPerf Tiny's float networks, quantized here, against the 8-bit networks that their authors made of them.

There are few samples beside the networks: what both are judged on are these, mirrored or moved, unseen in calibration.
The float network is the judge of both; each is executed as its file says (LiteRT; onnxruntime).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.error_measures import sqnr_db
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

ADAROUND = parse_bit_policy("weights: {rounding: {name: adaround, iterations: 500}}", file="p.yaml")


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("ACCELSIM_TEST_DATA", "."), "models", "mlperf_tiny")
    if not folder.is_dir():
        pytest.skip("ACCELSIM_TEST_DATA names no folder with MLPerf Tiny's networks")
    return folder.parents[1]


def litert(path: Path, samples: np.ndarray) -> np.ndarray:
    """Real outputs of a network, float or of int8, for real inputs."""
    network = interpreter.Interpreter(str(path))
    network.allocate_tensors()
    (taken,), (given,) = network.get_input_details(), network.get_output_details()
    found = []
    for sample in samples:
        network.set_tensor(taken["index"], _encoded(sample.reshape(taken["shape"]), taken))
        network.invoke()
        found.append(_decoded(network.get_tensor(given["index"]), given).ravel())
    return np.array(found)


def _encoded(values: np.ndarray, tensor: Any) -> np.ndarray:
    if tensor["dtype"] != np.int8:
        return values.astype(np.float32)
    scale, zero_point = tensor["quantization"]
    return np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)


def _decoded(values: np.ndarray, tensor: Any) -> np.ndarray:
    if tensor["dtype"] != np.int8:
        return values.astype(np.float64)
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float64) - zero_point) * scale


def own(model: FloatModel, calibration: np.ndarray, samples: np.ndarray, policy: BitPolicy) -> np.ndarray:
    """Real outputs of the network that accelsim makes."""
    made = quantize(model, calibration.astype(np.float32), policy)
    session = onnxruntime.InferenceSession(made.proto().SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = model.inputs
    return np.array([session.run(None, {name: sample[None].astype(np.float32)})[0].ravel() for sample in samples])


def agreement(real: np.ndarray, found: np.ndarray) -> float:
    return float(np.mean(real.argmax(axis=1) == found.argmax(axis=1)))


def test_image_classification_is_nearer_to_the_float_network_than_its_authors_is(data: Path) -> None:
    images = np.load(data / "inputs/cifar_rgb_u8.npz")["x"].astype(np.float64)
    calibration = np.concatenate([np.roll(images, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)])
    mirrored = images[:, :, ::-1]
    samples = np.concatenate([np.roll(mirrored, (down, right), (1, 2)) for down in (-2, 0, 2) for right in (-2, 0, 2)])
    real = litert(data / "models/mlperf_tiny/pretrainedResnet.tflite", samples)
    authors = litert(data / "models/mlperf_tiny/pretrainedResnet_quant.tflite", samples)
    model = FloatModel.load(data / "models/mlperf_tiny/pretrainedResnet.tflite")
    found = {policy.name: own(model, calibration, samples, policy) for policy in (BitPolicy(name="min_max"), ADAROUND)}
    assert sqnr_db(real, found["min_max"]) > sqnr_db(real, authors) + 1
    assert sqnr_db(real, found["policy"]) > sqnr_db(real, found["min_max"]) + 3
    for outputs in found.values():
        assert agreement(real, outputs) >= agreement(real, authors)


def test_keyword_spotting_is_as_near_to_the_float_network_as_its_authors_is(data: Path) -> None:
    scale, zero_point = 0.5847029089927673, 83  # of the input of the authors' network, whose integers the sample is
    sample = (np.load(data / "inputs/kws_mlperf_i8.npz")["x"].astype(np.float64) - zero_point) * scale
    later = [np.roll(sample, steps, 1) for steps in range(49)]
    calibration, samples = np.concatenate(later[::2]), np.concatenate(later[1::2])
    real = litert(data / "models/mlperf_tiny/kws_ref_model_float32.tflite", samples)
    authors = litert(data / "models/mlperf_tiny/kws_ref_model.tflite", samples)
    model = FloatModel.load(data / "models/mlperf_tiny/kws_ref_model_float32.tflite")
    found = own(model, calibration, samples, BitPolicy())
    assert sqnr_db(real, found) > sqnr_db(real, authors) - 1
    assert agreement(real, found) >= agreement(real, authors)
