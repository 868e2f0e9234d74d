"""Calibration sets come in batches: what their sizes and order may change, and that memory does not grow with them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.ranges.aciq import Aciq
from accelsim.quantization.ranges.aligned_histogram import AlignedHistogram
from accelsim.quantization.ranges.cross_entropy import CrossEntropy
from accelsim.quantization.ranges.kl_divergence import KlDivergence
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.moving_average import MovingAverage
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.omse import Omse
from accelsim.quantization.ranges.percentile import Percentile
from accelsim.quantization.ranges.runtime_histogram import MagnitudeHistogram, SignedHistogram
from accelsim.quantization.scheme import Scheme

SETTERS = [MinMax(), MovingAverage(), Percentile(99.0), Mse(), Omse(), KlDivergence(), CrossEntropy(), Aciq("gauss"),
           Aciq("laplace")]
#: Those whose bins are the same whatever the batches.
EXACT = [MinMax(), Mse(), Mse(method="golden_section"), Omse()]


def name_of(setter):
    return "-".join([setter.name, *(value for value in vars(setter).values() if isinstance(value, str))])


def observed(setter, scheme, batches):
    observer = setter.observer(scheme)
    for _ in range(observer.passes):
        for batch in batches:
            observer.observe(batch)
        observer.end_pass()
    return [end.tolist() for end in observer.range()]


def activations(seed=0, samples=24):
    """Samples of 6 channels of 5 x 5, each sample of a width of its own."""
    generator = np.random.default_rng(seed)
    width = np.exp(generator.uniform(-3, 2, (samples, 1, 1, 1)))
    return (generator.standard_normal((samples, 6, 5, 5)) * width + 0.1).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 23), max_size=5), setter=st.sampled_from(EXACT),
       scheme=st.sampled_from([Scheme(8), Scheme(4, "symmetric", granularity=Granularity("channel", axis=1))]))
def test_batches_and_their_order_leave_no_trace(seed, cuts, setter, scheme):
    values = activations(seed)
    batches = np.split(values, sorted(set(cuts)))
    np.random.default_rng(seed).shuffle(batches)
    assert observed(setter, scheme, batches) == observed(setter, scheme, [values])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 23), max_size=8))
def test_an_aligned_histogram_counts_each_value_between_its_edges(seed, cuts):
    values = activations(seed).reshape(24, 2, -1).transpose(1, 0, 2)
    histogram = AlignedHistogram(2, 32)
    for batch in np.split(values, sorted(set(cuts)), axis=1):
        histogram.add(np.ascontiguousarray(batch.reshape(2, -1)))
    for unit in range(2):
        edges = np.arange(-32, 33) * histogram.widths[unit]
        assert histogram.counts[unit].tolist() == np.histogram(values[unit], edges)[0].tolist()
        # No narrower bins would do.
        assert np.abs(values[unit]).max() * 2 >= edges[-1]


@pytest.mark.parametrize("kind", [SignedHistogram, MagnitudeHistogram])
def test_a_growing_histogram_counts_what_one_over_its_edges_counts(kind):
    values = np.random.default_rng(1).laplace(size=40000).astype(np.float32)
    histogram = kind(512)
    for batch in np.array_split(values, 10):
        histogram.add(batch)
    seen = values if kind is SignedHistogram else np.abs(values)
    whole = np.histogram(seen, histogram.edges)[0]
    # Edges are float32, and were computed anew when the bins grew: values next to one may count beyond it.
    assert np.abs(np.cumsum(histogram.counts - whole)).max() <= 20


def test_the_percentile_of_one_batch_or_many_is_the_same_within_a_bin():
    values = np.random.default_rng(1).standard_normal(40000).astype(np.float32)
    for scheme in (Scheme(8), Scheme(8, "symmetric")):
        whole, cut = (np.array(observed(Percentile(99.9), scheme, np.array_split(values, parts))) for parts in (1, 10))
        assert np.abs(whole - cut).max() <= 2 * np.abs(values).max() / 2048


@pytest.mark.parametrize("distribution", ["gauss", "laplace"])
def test_aciq_of_one_batch_or_many_is_the_same_but_for_rounding(distribution):
    values = activations(2) + 1000  # a large mean, which sums of squares would lose the variance beside
    scheme = Scheme(4, granularity=Granularity("channel", axis=1))
    whole, cut = (observed(Aciq(distribution), scheme, np.array_split(values, parts)) for parts in (1, 7))
    np.testing.assert_allclose(whole, cut, rtol=1e-12)


def test_only_the_moving_average_depends_on_the_order_by_intention():
    batches = [np.array([-1.0, 1.0]), np.array([-2.0, 4.0])]
    assert observed(MovingAverage(0.25), Scheme(8), batches) == [-1.25, 1.75]
    assert observed(MovingAverage(0.25), Scheme(8), batches[::-1]) == [-1.75, 3.25]


def peak_of(setter, scheme, batches):
    """The most memory that observing takes beside the batch, in bytes."""
    observer = setter.observer(scheme)
    generator = np.random.default_rng(0)
    batch = generator.standard_normal((4, 2000)).astype(np.float32)
    tracemalloc.start()
    for _ in range(observer.passes):
        for number in range(batches):
            observer.observe(batch * np.float32(1 + number % 7))
        observer.end_pass()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("setter", SETTERS, ids=name_of)
def test_memory_does_not_grow_with_the_set(setter):
    scheme = Scheme(8)
    peak_of(setter, scheme, 2)  # caches fill
    few, many = peak_of(setter, scheme, 12), peak_of(setter, scheme, 120)
    assert many <= few * 1.05 + 20000


@pytest.mark.parametrize("histogram", [SignedHistogram(64, 1024), MagnitudeHistogram(64, 1024)])
def test_bins_grow_to_a_limit_and_keep_every_count(histogram):
    generator = np.random.default_rng(3)
    number = 0
    for exponent in (-20, -19, 0, 1, 30, 31, -10):
        values = (generator.standard_normal(500) * 2.0**exponent).astype(np.float32)
        values[0] = 0
        histogram.add(values)
        number += len(values)
        assert len(histogram.counts) <= 1024
        assert histogram.counts.sum() >= number - 1  # rounded edges may leave out the largest, as onnxruntime's do
    assert histogram.edges[-1] >= 2.0**31
    assert histogram.high <= histogram.edges[-1] * (1 + 1e-6)


def test_magnitudes_below_those_of_the_first_batch_are_counted():
    # onnxruntime leaves them out: its percentile would be 4.5 at least.
    batches = [np.full(10, 5.0), np.linspace(0, 1, 990)]
    assert observed(Percentile(50.0), Scheme(8, "symmetric"), batches)[1] < 0.6


def test_zeros_before_the_first_other_value_are_counted_with_it():
    zeros, values = np.zeros(900, dtype=np.float32), np.linspace(50, 100, 100, dtype=np.float32)
    for scheme in (Scheme(8), Scheme(8, "symmetric")):
        for batches in ([zeros, values], [values, zeros]):
            assert observed(Percentile(50.0), scheme, batches)[1] <= 1.0 + 50 * scheme.is_asymmetric


def test_a_batch_with_other_channels_is_refused():
    observer = MinMax().observer(Scheme(8, granularity=Granularity("channel", axis=1)))
    observer.observe(np.zeros((2, 3, 4)))
    observer.observe(np.zeros((5, 3, 9)))  # other samples, other sizes: the same three channels
    with pytest.raises(NumericsError) as caught:
        observer.observe(np.zeros((2, 4, 4)))
    assert str(caught.value) == "values: expected batches with (3,) scales like the first one, got (4,)"


@pytest.mark.parametrize("setter", SETTERS, ids=name_of)
def test_passes_that_are_missing_too_many_or_empty_are_refused(setter):
    observer = setter.observer(Scheme(8))
    with pytest.raises(NumericsError) as caught:
        observer.end_pass()
    assert str(caught.value) == "values: expected at least one batch of values, got none"
    words = "1 pass" if observer.passes == 1 else f"{observer.passes} passes"
    with pytest.raises(NumericsError) as caught:
        observer.range()
    assert str(caught.value) == f"values: expected {words} over the data, got 0"
    for _ in range(observer.passes):
        observer.observe(np.ones((2, 3)))
        observer.end_pass()
    with pytest.raises(NumericsError) as caught:
        observer.observe(np.ones((2, 3)))
    assert str(caught.value) == f"values: expected {words} over the data, got one more batch"
