"""Ranges of logits: the softmax that changes least."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from accelsim.errors import NumericsError
from accelsim.quantization.error_measures import softmax_divergence
from accelsim.quantization.fake_quantization import fake_quantize
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.ranges.cross_entropy import CrossEntropy
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.scheme import Scheme


def logits_of(rows, classes, seed=0):
    """A classifier's: many small logits around -1, and one or two large ones in a row."""
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal((rows, classes)) * 1.5 - 1
    logits[np.arange(rows), generator.integers(0, classes, rows)] += generator.uniform(4, 12, rows)
    return logits.astype(np.float32)


def cross_entropy(logits, scheme, ends):
    """By scipy, through the integers."""
    grid = scheme.qparams(*ends)
    quantized = grid.dequantize(grid.quantize(logits))
    return float(np.mean(-np.sum(softmax(logits.astype(np.float64), axis=1) * log_softmax(quantized, axis=1), axis=1)))


@pytest.mark.parametrize("scheme", [Scheme(2), Scheme(3), Scheme(4), Scheme(4, "symmetric"), Scheme(6),
                                    Scheme(4, has_power_of_two_scale=True)],
                         ids=lambda scheme: f"{scheme.symmetry}{scheme.bits}{scheme.has_power_of_two_scale:d}")
def test_no_range_of_a_fine_search_is_much_better(scheme):
    logits = logits_of(150, 20)
    low, high = float(logits.min()), float(logits.max())
    pairs = ([(-high * j / 200, high * j / 200) for j in range(1, 201)] if scheme.symmetry == "symmetric" else
             [(low * i / 24, high * j / 24) for i in range(25) for j in range(1, 25)])
    entropy = cross_entropy(logits, Scheme(16), (low, high))
    best = min(cross_entropy(logits, scheme, pair) for pair in pairs) - entropy
    assert cross_entropy(logits, scheme, CrossEntropy().range_of(logits, scheme)) - entropy <= best * 1.05


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
def test_it_changes_the_softmax_less_than_the_least_squared_error_at_low_bits(bits, symmetry):
    logits, scheme = logits_of(400, 100), Scheme(bits, symmetry)
    grids = {setter.name: scheme.qparams(*setter.range_of(logits, scheme)) for setter in (CrossEntropy(), Mse(), MinMax())}
    divergence = {name: softmax_divergence(logits, fake_quantize(logits, grid)) for name, grid in grids.items()}
    assert divergence["cross_entropy"] <= divergence["mse"]
    assert divergence["cross_entropy"] <= divergence["min_max"]
    if bits <= 4 and symmetry == "asymmetric":
        assert divergence["cross_entropy"] < 0.85 * divergence["mse"]


def test_a_set_that_fits_is_kept_whole_whatever_its_batches():
    logits = logits_of(300, 10)
    observer = CrossEntropy().observer(Scheme(4))
    for batch in np.array_split(logits, 7):
        observer.observe(batch)
    observer.end_pass()
    assert [end.item() for end in observer.range()] == [end.item() for end in CrossEntropy().range_of(logits, Scheme(4))]


def test_a_larger_set_is_sampled_evenly_and_by_its_seed():
    # Logits of a row tell its number: rows[n] = (n, -n). Those kept are found in what the observer holds.
    number = 2000
    logits = np.stack((np.arange(number), -np.arange(number)), axis=1).astype(np.float32)
    kept = {}
    for seed in (0, 0, 1):
        observer = CrossEntropy(most_values=400, seed=seed).observer(Scheme(4))
        for batch in np.array_split(logits, 9):
            observer.observe(batch)
        rows = observer._sample[:, 0]
        assert len(set(rows)) == 200  # each row once
        assert set(rows) == kept.setdefault(seed, set(rows))
    assert kept[0] != kept[1]
    # The mean of 200 of 2000 even numbers lies within 4 of its own deviations, 577 / sqrt 200, of 999.5.
    assert all(abs(np.mean(list(rows)) - 999.5) < 4 * 577 / 200**0.5 for rows in kept.values())


def test_each_row_of_a_larger_set_is_as_likely_to_be_kept_as_any_other():
    kept = np.zeros(3)
    for seed in range(600):
        observer = CrossEntropy(most_values=2, seed=seed).observer(Scheme(4))
        for row in range(3):
            observer.observe(np.full((1, 2), row))
        kept[int(observer._sample[0, 0])] += 1
    # 200 each, with a deviation of sqrt(600 / 3 * 2 / 3) = 11.5.
    assert np.abs(kept - 200).max() < 4 * 11.5


def test_classes_may_lie_along_any_axis():
    logits = logits_of(60, 12).reshape(3, 4, 5, 12)
    moved = np.moveaxis(logits, -1, 1)
    found, expected = (setter.range_of(values, Scheme(4)) for setter, values in (
        (CrossEntropy(axis=1), moved), (CrossEntropy(), logits)))
    assert found == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_logits_on_one_side_of_zero_have_one_end(sign):
    logits = sign * (np.abs(logits_of(50, 6)) + 1)
    low, high = CrossEntropy().range_of(logits, Scheme(4))
    assert min(abs(low), abs(high)) == 0
    assert max(abs(low), abs(high)) <= np.abs(logits).max() * 1.1


@pytest.mark.parametrize(("call", "message"), [
    (lambda: CrossEntropy().range_of(np.zeros((5, 1)), Scheme(8)),
     "values: expected at least 2 logits along axis -1, got shape (5, 1)"),
    (lambda: CrossEntropy(axis=2).range_of(np.zeros((5, 3)), Scheme(8)),
     "values: expected at least 2 logits along axis 2, got shape (5, 3)"),
    (lambda: CrossEntropy().observer(Scheme(8, granularity=Granularity("channel", axis=1))),
     "granularity: expected one scale for all logits, got one for each channel"),
    (lambda: CrossEntropy().range_of(logits_of(5, 3), Scheme(8, "unsigned")),
     "range: expected no values below 0 for an unsigned scheme, got -2.89813")])
def test_what_has_no_softmax_is_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message


def test_batches_have_equally_many_classes():
    observer = CrossEntropy().observer(Scheme(8))
    observer.observe(np.zeros((2, 3)))
    with pytest.raises(NumericsError) as caught:
        observer.observe(np.zeros((2, 4)))
    assert str(caught.value) == "values: expected rows of 3 logits like in the first batch, got 4"
