"""Sets that are empty, not numbers, all alike, or far too small: one line of refusal, or a range with a safe grid."""

import math

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.ranges.aciq import Aciq
from accelsim.quantization.ranges.cross_entropy import CrossEntropy
from accelsim.quantization.ranges.kl_divergence import KlDivergence
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.moving_average import MovingAverage
from accelsim.quantization.ranges.mse import Mse, SquaredErrorSetter
from accelsim.quantization.ranges.omse import Omse
from accelsim.quantization.ranges.percentile import Percentile
from accelsim.quantization.scheme import SMALLEST_SCALE, Scheme

SETTERS = [MinMax(), MovingAverage(), Percentile(), Mse(steps=20), Mse(method="golden_section"), Omse(steps=20),
           KlDivergence(128), CrossEntropy(steps=2), Aciq("gauss"), Aciq("laplace")]
SCHEMES = [Scheme(8), Scheme(2), Scheme(4, "symmetric"), Scheme(8, "symmetric", is_restricted=True), Scheme(1, "unsigned"),
           Scheme(16, is_signed=True), Scheme(4, has_power_of_two_scale=True)]
VALUES = {
    "zeros": [0.0, 0.0], "one kind": [3.0, 3.0, 3.0], "a negative kind": [-3.0, -3.0], "negative": [-1.0, -2.0, -7.5],
    "positive": [5.0, 6.0, 7.0], "two": [-1.0, 1.0], "denormals": [1e-45, -3e-42, 2e-40], "smallest": [2.0**-126, 0.0],
    "huge": [-1e38, 1e38, 5.0], "an outlier": [*np.linspace(-1, 1, 50), 1e6], "a tiny one": [1e-30, 1.0, -1.0],
    "mostly zeros": [*[0.0] * 50, 2.0]}


def observed(setter, scheme, batches):
    observer = setter.observer(scheme)
    for _ in range(observer.passes):
        for batch in batches:
            observer.observe(batch)
        observer.end_pass()
    return observer.range()


@pytest.mark.parametrize("setter", SETTERS, ids=lambda setter: "-".join([setter.name, *(
    value for value in vars(setter).values() if isinstance(value, str))]))
def test_every_range_has_a_grid_with_a_scale_above_0_that_holds_0(setter):
    # Searches take their time: they see every other scheme.
    for scheme in SCHEMES[::2 if isinstance(setter, SquaredErrorSetter | CrossEntropy) else 1]:
        for name, numbers in VALUES.items():
            values = np.abs(np.float32(numbers)) if scheme.symmetry == "unsigned" else np.float32(numbers)
            batches = [values, values / 3, values * 0]
            for low, high in (setter.range_of(values, scheme), observed(setter, scheme, batches)):
                grid = scheme.qparams(low, high)
                assert SMALLEST_SCALE <= grid.scale < math.inf, name
                assert grid.scale == np.float32(grid.scale), name
                assert grid.dequantize(grid.quantize(np.zeros(1))) == 0, name
                if setter.name == "min_max" and scheme.bits >= 8:
                    error = np.abs(values - grid.dequantize(grid.quantize(values)))
                    assert error.max() <= grid.scale * 0.51, name


def test_one_sample_is_a_set():
    for setter in SETTERS:
        if setter.name != "cross_entropy":
            low, high = setter.range_of(np.array([2.5]), Scheme(8))
            grid = Scheme(8).qparams(low, high)
            assert abs(grid.dequantize(grid.quantize([2.5])).item() - 2.5) < 0.02


@pytest.mark.parametrize("setter", [MinMax(), Percentile(), Mse(), Mse(method="golden_section"), Omse(), Aciq("laplace"),
                                    KlDivergence(256)], ids=lambda setter: setter.name)
def test_a_channel_of_zeros_or_of_one_value_spoils_no_other(setter):
    generator = np.random.default_rng(0)
    values = generator.standard_normal((5, 40)).astype(np.float32)
    values[1], values[2], values[3] = 0, -4, 1e-42
    scheme = Scheme(4, "symmetric", granularity=Granularity("channel", axis=0))
    low, high = setter.range_of(values, scheme)
    alone = [setter.range_of(row, Scheme(4, "symmetric")) for row in values]
    assert low.tolist() == [ends[0].item() for ends in alone]
    assert high.tolist() == [ends[1].item() for ends in alone]
    scale = scheme.qparams(low, high).scale
    assert scale[1] == scale[3] == scale[[0, 2, 4]].min()


@pytest.mark.parametrize("setter", SETTERS, ids=lambda setter: setter.name)
@pytest.mark.parametrize(("values", "message"), [
    (np.zeros((0, 3)), "values: expected at least one value, got a tensor of shape (0, 3)"),
    (np.array([[1.0, np.nan]]), "values: expected finite numbers, got nan"),
    (np.array([[1.0, np.inf]], dtype=np.float32), "values: expected finite numbers, got inf"),
    (np.array([[-np.inf, 1.0]]), "values: expected finite numbers, got -inf")])
def test_what_has_no_range_is_refused(setter, values, message):
    for attempt in (lambda: setter.range_of(values, Scheme(8)), lambda: setter.observer(Scheme(8)).observe(values)):
        with pytest.raises(NumericsError) as caught:
            attempt()
        assert str(caught.value) == message


@pytest.mark.parametrize("setter", [Mse(), Mse(method="golden_section"), Omse()])
def test_negative_values_of_an_unsigned_scheme_are_refused(setter):
    with pytest.raises(NumericsError) as caught:
        setter.range_of(np.array([1.0, -0.25]), Scheme(8, "unsigned"))
    assert str(caught.value) == "range: expected no values below 0 for an unsigned scheme, got -0.25"


@pytest.mark.parametrize("setter", SETTERS, ids=lambda setter: setter.name)
def test_a_dynamic_scheme_is_not_calibrated_but_has_a_range_of_each_tensor(setter):
    scheme = Scheme(8, is_dynamic=True)
    with pytest.raises(NumericsError) as caught:
        setter.observer(scheme)
    assert str(caught.value) == "is_dynamic: expected a static scheme to calibrate, got a dynamic one"
    values = np.array([[0.0, 1.0, 2.0]])
    assert setter.range_of(values, scheme) == setter.range_of(values, Scheme(8))


def test_float16_and_integers_count_as_their_values():
    for values in (np.array([-1, 2, 7]), np.array([-1, 2, 7], dtype=np.float16)):
        assert [end.item() for end in MinMax().range_of(values, Scheme(8))] == [-1.0, 7.0]
