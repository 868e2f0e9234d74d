"""The trained network of `workloads/digits`, a rescaled one of the same function, and how well a quantized one reads."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.equalization.cross_layer import divided_outputs, multiplied_inputs
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.preparation.channel_extremes import output_extremes
from accelsim.quantization.preparation.layer_links import layer_links
from accelsim.quantization.quantized_model import QuantizedModel

runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, to run the networks")

DIGITS = Path(__file__).parents[1] / "workloads" / "digits"
CALIBRATION = DIGITS / "calibration.npz"


@cache
def held_out() -> tuple[Any, Any]:
    """Images and labels that neither training nor calibration has seen."""
    with np.load(DIGITS / "test.npz") as arrays:
        return arrays["image"], arrays["label"]


def digits() -> FloatModel:
    """The float network."""
    return FloatModel.load(DIGITS / "digits.onnx")


def accuracy_of(model: FloatModel | QuantizedModel) -> float:
    """Share of the test images that a network reads; a quantized one as the file that it is saved to says."""
    images, labels = held_out()
    proto = model.proto if isinstance(model, FloatModel) else model.proto()
    settings = runtime.SessionOptions()
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = runtime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return float(np.mean(session.run(None, {"image": images})[0].argmax(axis=1) == labels))


def rescaled_digits(largest: float = 1000.0, seed: int = 0) -> FloatModel:
    """The same function with channels of very different magnitude: factors from 1 to `largest` between the layers.

    The function stays for all inputs where a ReLU stands between two layers. Where a ReLU6 does, outputs are divided, and
    only those of channels that never reach 6 on the calibration set.
    """
    model = fold_batch_norms(digits()).model
    links = layer_links(model)
    extremes = output_extremes(model, [link.first for link in links], CalibrationSet(CALIBRATION, model))
    weights = {layer.name: layer.weights.astype(np.float64) for layer in model.layers}
    biases = {layer.name: layer.bias.astype(np.float64) for layer in model.layers if layer.bias is not None}
    random = np.random.default_rng(seed)
    for link in links:
        first, second = link.first.name, link.second.name
        factors = largest ** random.uniform(0, 1, link.channels)
        if np.isfinite(link.first.clip.high):
            factors = np.where(extremes[first].high < link.first.clip.high, factors, 1.0)
        weights[first], biases[first] = divided_outputs(weights[first], biases[first], factors)
        weights[second] = multiplied_inputs(weights[second], factors)
    edited = model
    for layer in model.layers:
        edited = layer.edited(edited, weights=weights[layer.name], bias=biases[layer.name])
    return edited
