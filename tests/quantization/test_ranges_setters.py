"""Range setters by name, their options, and the one that needs no data."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.ranges.batch_norm_statistics import BatchNormStatistics
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.setters import RANGE_SETTERS, range_setter
from accelsim.quantization.scheme import Scheme


def test_the_names_are_these_and_each_setter_has_its_own():
    assert list(RANGE_SETTERS) == ["min_max", "moving_average", "percentile", "mse", "omse", "kl_divergence",
                                   "cross_entropy", "aciq", "bn_statistics", "known"]
    for name in RANGE_SETTERS:
        setter = range_setter(name)
        assert setter.name == name
        assert setter == range_setter(name)  # frozen values
        assert setter.needs_data == (name not in ("bn_statistics", "known"))


def test_options_are_those_of_the_class():
    assert range_setter("mse", {"method": "golden_section", "steps": 50}) == Mse(method="golden_section", steps=50)
    assert range_setter("bn_statistics", {"alpha": 4}).alpha == 4  # a whole number for a real one


@pytest.mark.parametrize(("name", "options", "message"), [
    ("minmax", {}, "range: expected one of min_max, moving_average, percentile, mse, omse, kl_divergence, cross_entropy, "
                   'aciq, bn_statistics, known, got "minmax" (did you mean "min_max"?)'),
    ("mse", {"step": 5}, 'mse.step: expected a known key, got "step" (did you mean "steps"?)'),
    ("min_max", {"steps": 5}, 'min_max.steps: expected no options, got "steps"'),
    ("mse", {"steps": "many"}, 'steps: expected a whole number, got "many"'),
    ("mse", {"steps": True}, "steps: expected a whole number, got true"),
    ("mse", {"steps": 1}, "steps: expected at least 2 steps, got 1"),
    ("mse", {"bins": 1000}, "bins: expected a power of two of at least 16 bins, got 1000"),
    ("mse", {"method": "golden"},
     'method: expected one of grid, golden_section, got "golden" (did you mean "golden_section"?)'),
    ("omse", {"rounds": 0}, "rounds: expected at least 1 round, got 0"),
    ("percentile", {"percentile": 101}, "percentile: expected a percentile above 0 and at most 100, got 101"),
    ("percentile", {"bins": 1}, "bins: expected at least 2 bins, got 1"),
    ("moving_average", {"constant": 0}, "constant: expected an averaging constant above 0 and at most 1, got 0"),
    ("kl_divergence", {"quantized_bins": 1}, "quantized_bins: expected at least 2 quantized bins, got 1"),
    ("cross_entropy", {"most_values": 0}, "most_values: expected at least 1 value to keep, got 0"),
    ("aciq", {"distribution": "cauchy"}, 'distribution: expected one of gauss, laplace, got "cauchy"'),
    ("bn_statistics", {"alpha": 0.0}, "alpha: expected a number of standard deviations above 0, got 0.0"),
    ("known", {"low": 1.0, "high": 1.0}, "high: expected a high end above the low one, got 1..1")])
def test_a_setter_or_an_option_that_does_not_exist_is_refused(name, options, message):
    with pytest.raises(NumericsError) as caught:
        range_setter(name, options)
    assert str(caught.value) == message


MEAN, DEVIATION = [0.5, -2.0, 1.0, 0.0, 3.0], [1.0, -0.5, 0.25, 0.0, 0.1]


@pytest.mark.parametrize(("granularity", "low", "high"), [
    # beta -+ 4 gamma: -3.5..4.5, -4..0, 0..2, 0..0, 2.6..3.4
    (Granularity(), -4.0, 4.5),
    (Granularity("channel", axis=1), [-3.5, -4.0, 0.0, 0.0, 2.6], [4.5, 0.0, 2.0, 0.0, 3.4]),
    (Granularity("channel_group", axis=1, size=2), [-4.0, -4.0, 0.0, 0.0, 2.6], [4.5, 4.5, 2.0, 2.0, 3.4])])
def test_statistics_of_a_normalization_give_the_range_of_each_unit(granularity, low, high):
    found = BatchNormStatistics(alpha=4.0).range_from(MEAN, DEVIATION, Scheme(8, granularity=granularity))
    assert found[0].tolist() == low
    assert found[1].tolist() == high


def test_an_activation_cuts_the_range_at_its_limits():
    setter = BatchNormStatistics(alpha=4.0)
    relu6 = setter.range_from(MEAN, DEVIATION, Scheme(8), floor=0.0, ceiling=3.0)
    assert [end.item() for end in relu6] == [0.0, 3.0]
    unsigned = setter.range_from(MEAN, DEVIATION, Scheme(8, "unsigned"))
    assert [end.item() for end in unsigned] == [0.0, 4.5]


def test_six_deviations_clip_no_normal_activation_of_a_million():
    generator = np.random.default_rng(0)
    beta, gamma = generator.standard_normal(16), generator.uniform(0.1, 2, 16)
    low, high = BatchNormStatistics().range_from(beta, gamma, Scheme(8))
    activations = beta + gamma * generator.standard_normal((62500, 16))
    assert low <= activations.min()
    assert activations.max() <= high


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: s.range_from([], [], Scheme(8)),
     "statistics: expected a mean and a deviation for each channel, got (0,) and (0,)"),
    (lambda s: s.range_from([1.0], [1.0, 2.0], Scheme(8)),
     "statistics: expected a mean and a deviation for each channel, got (1,) and (2,)"),
    (lambda s: s.range_from([np.nan], [1.0], Scheme(8)), "statistics: expected finite statistics, got NaN or infinity"),
    (lambda s: s.range_from([1.0], [1.0], Scheme(8), floor=2.0, ceiling=1.0),
     "floor: expected a floor below the ceiling, got 2..1"),
    (lambda s: s.range_from([1.0], [1.0], Scheme(8, granularity=Granularity("sub_channel", axis=1, size=2))),
     "granularity: expected scales for the tensor, channels or groups of them, got sub_channel"),
    (lambda s: s.observer(Scheme(8)),
     "bn_statistics: expected the statistics of a batch normalization, got values to observe"),
    (lambda s: s.range_of(np.ones(3), Scheme(8)),
     "bn_statistics: expected the statistics of a batch normalization, got values to observe")])
def test_statistics_that_give_no_range_are_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call(BatchNormStatistics())
    assert str(caught.value) == message
