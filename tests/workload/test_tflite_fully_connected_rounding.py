"""FULLY_CONNECTED rounds otherwise than convolutions: ``round_half_away(double(accumulator) * s)``, as LiteRT itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork
from tflite_agreement import agreeing_network

BIAS = {"int8": "int32", "uint8": "int32", "int16": "int64"}


def save(path: Path, dtype: str, bias: list[int] | np.ndarray, *, scales: tuple[float, float, float],
         per_channel: bool = False) -> np.ndarray:
    """A model whose accumulators are its biases: the input is its zero point."""
    model = LitertNetwork()
    n, (s_in, s_w, s_out) = len(bias), scales
    middle = 128 if dtype == "uint8" else 0
    x = model.tensor("x", (1, 2), dtype, scale=s_in, zero_point=middle)
    w = model.tensor("w", (n, 2), "uint8" if dtype == "uint8" else "int8", scale=[s_w] * n if per_channel else s_w,
                     zero_point=1 if dtype == "uint8" else 0, data=np.ones((n, 2)))
    b = model.tensor("b", (n,), BIAS[dtype], scale=s_in * s_w, data=bias)
    y = model.tensor("y", (1, n), dtype, scale=s_out, zero_point=middle)
    model.operator("FULLY_CONNECTED", [x, w, b], [y], version=11)
    model.save(path, [x], [y])
    return np.full((1, 2), middle, dtype)


@pytest.mark.parametrize(("dtype", "per_channel"), [("int8", False), ("int8", True), ("uint8", False), ("int16", False),
                                                    ("int16", True)])
def test_ties_go_away_from_zero(tmp_path: Path, dtype: str, per_channel: bool) -> None:
    x = save(tmp_path / "m.tflite", dtype, np.arange(-300, 301), scales=(0.5, 0.5, 1.0), per_channel=per_channel)
    agreeing_network(tmp_path / "m.tflite", x)


@pytest.mark.parametrize(("dtype", "bits"), [("int8", 22), ("uint8", 22), ("int16", 15), ("int16", 24)])
def test_the_scale_keeps_all_its_bits(tmp_path: Path, dtype: str, bits: int) -> None:
    rng = np.random.default_rng(bits)
    s_in, s_w = np.float32(0.0313), np.float32(0.0171)
    s_out = np.float32(float(s_in) * float(s_w) * 2.0**bits * 0.83)
    scale = float(s_in) * float(s_w) / float(s_out)
    reach = 100 if dtype != "int16" else 30000
    ties = rng.integers(-reach, reach, 4000) + 0.5
    bias = np.rint(ties / scale).astype(np.int64) + rng.integers(-1, 2, ties.size)
    x = save(tmp_path / "m.tflite", dtype, bias, scales=(float(s_in), float(s_w), float(s_out)))
    agreeing_network(tmp_path / "m.tflite", x)
