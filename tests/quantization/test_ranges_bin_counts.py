"""Counts in bins are `numpy.histogram`'s; estimates of losses are near the losses."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.quantization.ranges.bin_counts import counts_over
from accelsim.quantization.ranges.kl_divergence import _loss
from accelsim.quantization.ranges.loss_estimates import loss_estimates
from accelsim.quantization.ranges.observer import ranges_of
from accelsim.quantization.ranges.setters import range_setter
from accelsim.quantization.scheme import Scheme


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(40))
def test_counts_are_those_of_numpy(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(rng.choice([1, 5, 1000, 70000])) * 10.0 ** rng.integers(-20, 20)).astype(dtype)
    if seed % 3 == 0:
        values = np.maximum(values, 0)
    bins = int(rng.choice([1, 2, 7, 2048]))
    low, high = values.min(), values.max()
    if low == high:
        low, high = low - abs(low), high + abs(high)
    counts, edges = counts_over(values, bins, low, high)
    expected, expected_edges = np.histogram(values, bins, range=(low, high))
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(edges, expected_edges)
    assert edges.dtype == expected_edges.dtype


@pytest.mark.parametrize("seed", range(40))
def test_estimates_are_near_the_losses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins, levels = int(rng.choice([8, 33, 512, 2048])), int(rng.choice([2, 7, 31, 127, 255]))
    counts = rng.poisson(rng.choice([0.5, 3, 200]), bins).astype(np.int64)
    if seed % 3 == 0:
        counts = np.bincount(np.clip((rng.standard_cauchy(20000) * bins / 50 + bins / 2).astype(int), 0, bins - 1),
                             minlength=bins)
    counts[bins // 2] += 1
    middle, half = bins // 2, min(levels // 2, bins // 2)
    levels = min(levels, 2 * half + 1, bins)
    first = middle - np.arange(half, middle + 1)
    last = np.minimum(2 * middle - first + 1, bins)
    before = np.append(0, np.cumsum(counts))
    losses = np.array([_loss(counts[None, a:b], before[a], before[-1] - before[b], levels)[0]
                       for a, b in zip(first, last, strict=True)])
    estimates = loss_estimates(counts, first, last, levels)
    is_known = np.isfinite(estimates)
    assert np.all(np.isfinite(losses[is_known]))
    np.testing.assert_allclose(estimates[is_known], losses[is_known], atol=5e-5)


@pytest.mark.parametrize("setter", ["mse", "omse", "kl_divergence", "min_max"])
@pytest.mark.parametrize("scheme", [Scheme(8), Scheme(4, "symmetric")])
def test_ranges_that_are_searched_together_are_those_that_are_searched_alone(setter: str, scheme: Scheme) -> None:
    rng = np.random.default_rng(0)
    observers = [range_setter(setter, {}).observer(scheme) for _ in range(12)]
    for place, observer in enumerate(observers):
        for _ in range(2):
            values = rng.standard_normal((1, 8, 9 + place, 9)).astype(np.float32) * (1 + place)
            observer.observe(values * 0 if place == 7 else np.maximum(values, 0) if place % 3 else values)
        observer.end_pass()
    for together, observer in zip(ranges_of(observers), observers, strict=True):
        for end, alone in zip(together, observer.range(), strict=True):
            np.testing.assert_array_equal(end, alone)
            assert np.shape(end) == np.shape(alone) == ()
