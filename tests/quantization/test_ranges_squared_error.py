"""Ranges of least squared error against searches that try everything, and the parts that they are made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.quantization.error_measures import mean_squared_error
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.ranges.aligned_histogram import AlignedHistogram
from accelsim.quantization.ranges.grid_error import HistogramError, SampleError
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.omse import Omse
from accelsim.quantization.ranges.scale_search import ScaleSearch
from accelsim.quantization.scheme import Scheme

SCHEMES = [Scheme(bits, symmetry, is_restricted=restricted) for bits in (2, 3, 4) for symmetry, restricted in (
    ("asymmetric", False), ("symmetric", False), ("symmetric", True), ("unsigned", False))]
DRAWS = {"normal": lambda g, n: g.standard_normal(n) + 0.3, "laplace": lambda g, n: g.laplace(size=n),
         "one-sided": lambda g, n: g.exponential(size=n), "few levels": lambda g, n: g.choice([-1.0, 0.0, 0.5, 2.0], size=n),
         "negative": lambda g, n: -g.gamma(4.0, size=n)}


def drawn(shape, number, seed, scheme=None):
    values = DRAWS[shape](np.random.default_rng(seed), number).astype(np.float32)
    return np.abs(values) if scheme is not None and scheme.symmetry == "unsigned" else values


def error_of(values, scheme, ends):
    """The mean squared error of a range, through the integers."""
    grid = scheme.qparams(*ends)
    return mean_squared_error(values, grid.dequantize(grid.quantize(values)))


def brute_force(values, scheme, scales):
    """The least error over scales and every zero point, through the integers."""
    lowest = range(-scheme.steps, 1) if scheme.is_asymmetric else (0,)
    return min(error_of(values, scheme, scheme.range_at(np.float64(np.float32(scale)), np.array(low)))
               for scale in scales for low in lowest)


def widest(values, scheme):
    """The largest scale of the search, by the words of `scale_search`."""
    covering = scheme.covering_scale(np.array(values.min()), np.array(values.max())).item()
    if scheme.is_asymmetric:
        return covering * scheme.steps / (scheme.steps - 1)
    ends = [values.max() / scheme.qtype.max, values.min() / scheme.qtype.min if scheme.qtype.min else 0.0]
    return max(covering, *ends)


@settings(max_examples=35, deadline=None)
@given(scheme=st.sampled_from(SCHEMES), shape=st.sampled_from(sorted(DRAWS)), number=st.integers(1, 40),
       seed=st.integers(0, 2**32))
def test_the_grid_search_finds_the_best_of_its_scales_and_every_zero_point(scheme, shape, number, seed):
    values = drawn(shape, number, seed, scheme)
    steps = 12
    top = widest(values, scheme)
    scales = [top * j / steps for j in range(1, steps + 1)] if top else [1.0]
    found = error_of(values, scheme, Mse(steps=steps).range_of(values, scheme))
    covering = error_of(values, scheme, MinMax().range_of(values, scheme))
    best = min(brute_force(values, scheme, scales), covering)
    assert found <= best * (1 + 1e-5) + 1e-12


@pytest.mark.parametrize(("bits", "values"), [(3, [-3.0, 1.3]), (2, [-3.3, 0.8, -0.1, -0.5, 0.0, 1.2, -0.3]),
                                              (2, [-0.1, -5.5, 0.7, 0.8, -0.6, 0.2, 0.6, 1.9, 0.4, 0.6])])
def test_the_search_goes_on_where_a_narrower_window_may_clip_less(bits, values):
    # The windows of a scale lie a step apart: those of a finer one may fit better, though they are narrower.
    values, scheme = np.array(values), Scheme(bits)
    top = widest(values, scheme)
    best = brute_force(values, scheme, [top * j / 20 for j in range(1, 21)])
    assert error_of(values, scheme, Mse(steps=20).range_of(values, scheme)) == pytest.approx(best, rel=1e-6)


def test_of_equally_good_windows_the_one_with_the_most_room_above_is_taken():
    # Steps of 0.5 from -1 to 1 fit 8 integers that begin 5 to 2 steps below 0.
    choice = ScaleSearch(SampleError(np.array([[-1.0, 0.5, 1.0]])), Scheme(3)).at(np.array([0.5]))
    assert (choice.lowest.item(), choice.error.item()) == (-2.0, 0.0)


@pytest.mark.parametrize("scheme", [Scheme(4, "symmetric"), Scheme(6, "symmetric", True), Scheme(4, "unsigned")],
                         ids=["full", "restricted", "unsigned"])
def test_the_range_is_within_one_step_of_a_brute_force_search_over_thresholds(scheme):
    values = drawn("normal", 4000, 0, scheme)
    top = float(np.abs(values).max())
    thresholds = top * np.arange(1, 101) / 100
    errors = [error_of(values, scheme, (0.0 if scheme.symmetry == "unsigned" else -end, end)) for end in thresholds]
    for values_seen in (Mse().range_of(values, scheme), streamed(Mse(), values, scheme)):
        assert abs(values_seen[1].item() - thresholds[int(np.argmin(errors))]) <= 1.2 * top / 100


@pytest.mark.parametrize("shape", ["normal", "one-sided", "negative"])
@pytest.mark.parametrize("method", ["grid", "golden_section"])
def test_no_pair_of_ends_is_better_than_the_asymmetric_range(shape, method):
    values, scheme = drawn(shape, 500, 1), Scheme(3)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    pairs = [(low * i / 30, high * j / 30) for i in range(31) for j in range(31) if low * i < high * j]
    best = min(error_of(values, scheme, pair) for pair in pairs)
    assert error_of(values, scheme, Mse(method=method).range_of(values, scheme)) <= best * 1.01


@settings(max_examples=35, deadline=None)
@given(bits=st.integers(1, 8), symmetry=st.sampled_from(["asymmetric", "symmetric", "unsigned"]), number=st.integers(1, 300),
       shape=st.sampled_from(sorted(DRAWS)), seed=st.integers(0, 2**32), is_power=st.booleans(),
       setter=st.sampled_from([Mse(), Mse(method="golden_section"), Omse()]))
def test_no_search_is_worse_than_min_max(bits, symmetry, number, shape, seed, is_power, setter):
    scheme = Scheme(bits if symmetry == "unsigned" else max(bits, 2), symmetry, has_power_of_two_scale=is_power)
    values = drawn(shape, number, seed, scheme)
    ours, covering = (error_of(values, scheme, each.range_of(values, scheme)) for each in (setter, MinMax()))
    assert ours <= covering * (1 + 1e-5) + 1e-12


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_golden_section_finds_the_valley_of_bell_shaped_weights(bits):
    values, scheme = drawn("laplace", 5000, 2), Scheme(bits, "symmetric")
    top = widest(values, scheme)
    fine = min(error_of(values, scheme, scheme.range_at(np.float64(np.float32(top * j / 1000)), np.array(0)))
               for j in range(50, 1001))
    assert error_of(values, scheme, Mse(method="golden_section").range_of(values, scheme)) <= fine * 1.005


@settings(max_examples=35, deadline=None)
@given(scheme=st.sampled_from(SCHEMES), shape=st.sampled_from(sorted(DRAWS)), number=st.integers(1, 60),
       seed=st.integers(0, 2**32))
def test_omse_is_never_worse_than_the_grid_that_it_starts_from(scheme, shape, number, seed):
    values = drawn(shape, number, seed, scheme)
    refined, start = (error_of(values, scheme, setter.range_of(values, scheme)) for setter in (Omse(), Mse()))
    assert refined <= start * (1 + 1e-5) + 1e-12


def test_omse_reaches_the_bottom_that_a_grid_of_2_000_scales_shows():
    values, scheme = drawn("normal", 64, 3), Scheme(4, "symmetric")
    top = widest(values, scheme)
    scales = [top * j / 2000 for j in range(600, 2001)]
    assert error_of(values, scheme, Omse().range_of(values, scheme)) <= brute_force(values, scheme, scales) * 1.01


def test_power_of_two_scales_are_the_best_exponent():
    values = drawn("laplace", 2000, 4)
    for bits in (3, 4, 6):
        scheme = Scheme(bits, "symmetric", has_power_of_two_scale=True)
        ends = Mse().range_of(values, scheme)
        best = min(error_of(values, scheme, scheme.range_at(np.float64(2.0**k), np.array(0))) for k in range(-12, 4))
        assert error_of(values, scheme, ends) == pytest.approx(best, rel=1e-6)
        assert np.log2(scheme.qparams(*ends).scale) % 1 == 0


@pytest.mark.parametrize("granularity", [Granularity("channel", axis=0), Granularity("sub_channel", axis=1, size=37),
                                         Granularity("channel_group", axis=0, size=3)])
@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("setter", [Mse(), Mse(method="golden_section"), Omse()], ids=["grid", "golden", "omse"])
def test_each_unit_gets_the_range_that_it_gets_alone(granularity, symmetry, setter):
    generator = np.random.default_rng(5)
    values = (generator.standard_normal((8, 100)) * generator.uniform(0.01, 10, (8, 1))).astype(np.float32)
    values[3] = 0
    scheme = Scheme(4, symmetry, granularity=granularity)
    low, high = setter.range_of(values, scheme)
    rows = granularity.rows(values)
    alone = [[setter.range_of(row, Scheme(4, symmetry)) for row in part] for part in rows]
    for found, side in ((low, 0), (high, 1)):
        expected = granularity.joined([np.array([ends[side].item() for ends in part]) for part in alone], values.shape)
        # The search of one unit may end before that of another; what it has found by then is the same.
        assert found.tolist() == expected.tolist()


def streamed(setter, values, scheme, batches=4):
    observer = setter.observer(scheme)
    for batch in np.array_split(values, batches):
        observer.observe(batch)
    observer.end_pass()
    return observer.range()


@pytest.mark.parametrize("shape", ["normal", "one-sided", "laplace"])
@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("setter", [Mse(), Mse(method="golden_section"), Omse()], ids=["grid", "golden", "omse"])
def test_a_histogram_gives_a_range_as_good_as_all_values(shape, symmetry, setter):
    values = np.maximum(drawn(shape, 20000, 6), 0) if shape == "one-sided" else drawn(shape, 20000, 6)
    for bits in (2, 4, 8):
        scheme = Scheme(bits, symmetry)
        exact, binned = (error_of(values, scheme, ends) for ends in (
            setter.range_of(values, scheme), streamed(setter, values, scheme)))
        assert binned <= exact * 1.02


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 200), scale=st.floats(0.01, 3), low=st.integers(-9, 0),
       high=st.integers(0, 9))
def test_the_error_of_a_sample_is_the_sum_over_its_values(seed, number, scale, low, high):
    rows = np.random.default_rng(seed).standard_normal((3, number)) * np.array([[1e-12], [1.0], [1e12]])
    scales = scale * np.array([1e-12, 1.0, 1e12])
    arguments = scales, np.full(3, float(low)), np.full(3, float(high))
    steps = np.clip(np.rint(rows / scales[:, None]), low, high)
    expected = np.sum((rows - steps * scales[:, None]) ** 2, axis=1)
    error = SampleError(rows)
    np.testing.assert_allclose(error.squared_error(*arguments), expected, rtol=1e-10)
    products, squares = error.correlation(*arguments)
    np.testing.assert_allclose(products, np.sum(rows * steps, axis=1), rtol=1e-10)
    np.testing.assert_allclose(squares, np.sum(steps**2, axis=1))
    boundary = scales * 0.7
    below = [[np.sum(row < end), row[row < end].sum(), np.square(row[row < end]).sum()]
             for row, end in zip(rows, boundary, strict=True)]
    np.testing.assert_allclose(error.below(boundary), np.transpose(below), rtol=1e-9, atol=0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(0.02, 3), low=st.integers(-9, 0), high=st.integers(0, 9))
def test_the_error_of_a_histogram_is_that_of_values_spread_evenly_over_its_bins(seed, scale, low, high):
    generator = np.random.default_rng(seed)
    histogram = AlignedHistogram(1, 16)
    histogram.add(generator.standard_normal((1, 50)))
    # Each bin's values, spread evenly: so many points that sums stand for integrals.
    points = 400
    width = histogram.widths[0]
    places = ((np.arange(-16, 16)[:, None] + (np.arange(points) + 0.5) / points) * width).ravel()
    weights = np.repeat(histogram.counts[0] / points, points)
    steps = np.clip(np.rint(places / scale), low, high)
    arguments = np.array([scale]), np.array([float(low)]), np.array([float(high)])
    error = HistogramError(histogram)
    # A boundary between steps cuts through a point's share.
    cut = 50 / points
    assert error.squared_error(*arguments)[0] == pytest.approx(np.sum(weights * (places - steps * scale) ** 2), abs=2e-3)
    products, squares = error.correlation(*arguments)
    assert products[0] == pytest.approx(np.sum(weights * places * steps), abs=4 * cut)
    assert squares[0] == pytest.approx(np.sum(weights * steps**2), abs=20 * cut)
    is_below = places < 0.7 * scale
    found = error.below(np.array([0.7 * scale]))[:, 0]
    expected = [np.sum(weights[is_below] * places[is_below] ** power) for power in range(3)]
    np.testing.assert_allclose(found, expected, atol=cut)
