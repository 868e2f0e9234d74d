"""Clips: what they pass, what scaling makes of them, which are refused."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.quantization.clip import NO_CLIP, RELU, RELU6, Clip

VALUES = np.linspace(-9, 9, 181)


@pytest.mark.parametrize(("clip", "low", "high"), [(NO_CLIP, -np.inf, np.inf), (RELU, 0, np.inf), (RELU6, 0, 6),
                                                    (Clip(low=-1.5, high=0.5), -1.5, 0.5)])
def test_values_stay_within_the_limits(clip, low, high):
    assert clip.applied(VALUES).tolist() == [min(max(value, low), high) for value in VALUES]


def test_the_type_of_the_values_stays():
    assert RELU6.applied(VALUES.astype(np.float32)).dtype == np.float32
    assert RELU6.applied([1, 2]).dtype == np.float64


@pytest.mark.parametrize("clip", [NO_CLIP, RELU, RELU6, Clip(low=-1.0, high=3.0), Clip(low=[0.0, -2.0], high=6.0)])
def test_a_divided_clip_of_divided_values_is_the_clip_divided(clip):
    values = np.stack([VALUES, VALUES[::-1]], axis=1)
    factors = np.array([4.0, 0.125])
    assert np.array_equal(clip.divided(factors).applied(values / factors), clip.applied(values) / factors)


def test_relu_keeps_one_pair_of_limits_whatever_the_factors():
    assert not RELU.divided([2.0, 3.0]).is_per_channel
    assert not NO_CLIP.divided([2.0, 3.0]).is_per_channel
    assert RELU6.divided([2.0, 3.0]).is_per_channel


def test_only_the_whole_line_is_no_activation():
    assert NO_CLIP.is_identity
    assert not any(clip.is_identity for clip in (RELU, RELU6, Clip(high=1.0), Clip(low=[-np.inf, 0.0])))


@pytest.mark.parametrize(("limits", "message"), [
    ({"low": 1.0, "high": 1.0}, "clip: expected low limits below the high ones, got an empty range or NaN"),
    ({"low": np.nan}, "clip: expected low limits below the high ones, got an empty range or NaN"),
    ({"low": [0.0, 0.0], "high": [1.0, 1.0, 1.0]},
     "clip: expected one pair of limits or one a channel, got shapes (2,) and (3,)"),
])
def test_empty_ranges_and_unequal_lengths_are_refused(limits, message):
    with pytest.raises(NumericsError) as caught:
        Clip(**limits)
    assert str(caught.value) == message
