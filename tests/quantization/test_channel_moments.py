"""Means and variances that follow from batch normalizations, against drawn numbers; ranges without data from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digits_network import CALIBRATION, digits
from quantized_models import node, write_graph

from accelsim.errors import NumericsError
from accelsim.quantization.bit_policy import parse_bit_policy
from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.quantization.correction.channel_moments import channel_moments
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.quantize import quantize
from accelsim.quantization.ranges.known_range import KnownRange
from accelsim.quantization.scheme import Scheme

CHANNELS, SIDE = 6, 4


def two_branches(folder: Path, seed: int = 0) -> tuple[FloatModel, dict[str, ChannelStatistics]]:
    """Two normal tensors, clipped, added, clipped again, averaged, and multiplied twice; each stands in for its input."""
    random = np.random.default_rng(seed)
    identity = np.eye(CHANNELS, dtype=np.float32).reshape(CHANNELS, CHANNELS, 1, 1)
    shape = [1, CHANNELS, SIDE, SIDE]
    path = write_graph(folder / "net.onnx", [
        node("Conv", ["x", "ia"], ["a"], name="a"), node("Conv", ["z", "ib"], ["b"], name="b"),
        node("Clip", ["b", "low", "high"], ["b_c"]), node("Add", ["a", "b_c"], ["sum"], name="sum"),
        node("Relu", ["sum"], ["r"]), node("GlobalAveragePool", ["r"], ["p"], name="p"), node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w", "bias"], ["g"], name="g"), node("Conv", ["r", "k"], ["wide"], name="wide"),
        node("Relu", ["wide"], ["wide_r"]), node("MaxPool", ["wide_r"], ["most"], name="most", kernel_shape=[2, 2])],
        {"x": (np.float32, shape), "z": (np.float32, shape)}, ["g", "most"],
        {"ia": identity, "ib": identity, "low": np.float32(-1), "high": np.float32(2),
         "w": random.normal(size=(CHANNELS, 3)).astype(np.float32), "bias": random.normal(size=3).astype(np.float32),
         "k": random.normal(size=(4, CHANNELS, 1, 1)).astype(np.float32)})
    known = {name: ChannelStatistics(random.normal(size=CHANNELS), random.uniform(0.2, 1.5, CHANNELS)) for name in "ab"}
    return replace(FloatModel.load(path), statistics=known), known


def test_means_are_those_of_drawn_numbers(tmp_path: Path) -> None:
    model, known = two_branches(tmp_path)
    moments = channel_moments(model)
    # Behind a largest of several nothing is known, and nothing in front of the first normalizations.
    assert set(moments) == {"a", "b", "b_c", "sum", "r", "p", "f", "g", "wide", "wide_r"}
    random = np.random.default_rng(1)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in moments}
    session = FloatSession(model, list(moments))
    for _ in range(800):
        inputs = {name: (own.mean[:, None, None] + own.std[:, None, None] * random.normal(size=(1, CHANNELS, SIDE, SIDE)))
                  .astype(np.float32) for name, own in zip("xz", known.values(), strict=True)}
        for name, values in session.run(inputs).items():
            seen[name].append(values)
    for name, own in moments.items():
        values = np.concatenate(seen[name]).swapaxes(0, 1).reshape(len(own.mean), -1)
        is_exact = name in ("a", "b", "b_c", "sum")
        # A sum of two clipped normals is not quite normal, and neither is what layers make of it.
        tolerance = 0.03 if is_exact else 0.08 * np.abs(own.mean).max()
        assert np.allclose(values.mean(axis=1), own.mean, atol=tolerance), name
        if name in ("p", "f", "g"):
            assert np.all(values.var(axis=1) < own.variance), name
        else:
            assert np.allclose(values.var(axis=1), own.variance, rtol=0.08 if is_exact else 0.4, atol=0.01), name


def test_ranges_without_data_hold_nearly_all_that_data_show() -> None:
    policy = parse_bit_policy("activations: {range: bn_statistics}\nrules: [{layers: inputs, activations: {range: known}}]",
                              file="p.yaml")
    made = quantize(digits(), None, policy)
    pixels = made.activations["image"]
    assert (float(pixels.scale) * 255, int(pixels.zero_point)) == (pytest.approx(1.0, rel=1e-6), 0)
    model = fold_batch_norms(digits()).model
    with np.load(CALIBRATION) as arrays:
        tensors = model.run({"image": arrays["image"]}, list(made.activations))
    for name, grid in made.activations.items():
        low, high = (float(grid.scale) * (limit - int(grid.zero_point)) for limit in (grid.qtype.min, grid.qtype.max))
        values = tensors[name]
        outside = np.mean((values < low - float(grid.scale)) | (values > high + float(grid.scale)))
        assert outside < 0.001, name
        assert high - low < 25 * (values.max() - values.min()), name


def test_a_known_range_is_for_activations() -> None:
    assert KnownRange(-2, 3).range == (-2, 3)
    with pytest.raises(NumericsError) as caught:
        KnownRange().range_of(np.ones(3), Scheme(8))
    assert str(caught.value) == "known: expected activations, whose range is known, got values to observe"
