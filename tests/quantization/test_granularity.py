"""Units of a tensor: which elements share a scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.granularity import Granularity


@st.composite
def granularities(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    kind = draw(st.sampled_from(["tensor", "channel", "channel_group", "sub_channel"]))
    if kind == "tensor":
        return shape, Granularity()
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return shape, Granularity(kind, axis=axis, size=None if kind == "channel" else draw(st.integers(1, 7)))


def ids_of(shape, granularity):
    """The number of each element's unit, found by what QParams does with that many different scales."""
    unit_shape = granularity.units(shape)
    ids = np.arange(1, np.prod(unit_shape, dtype=int) + 1, dtype=np.float64).reshape(unit_shape)
    if granularity.kind == "channel_group":
        ids = np.repeat(ids, granularity.size)[:shape[granularity.axis]]
    params = QParams(scale=ids, zero_point=0, qtype=QType(2, True), axis=granularity.axis, group_size=granularity.group_size)
    return params, params.dequantize(np.ones(shape, dtype=int)).astype(int)


@settings(max_examples=200, deadline=None)
@given(case=granularities())
def test_rows_are_the_elements_that_share_a_scale_of_qparams(case):
    shape, granularity = case
    params, ids = ids_of(shape, granularity)
    parts = granularity.rows(ids)
    assert all(np.all(part == part[:, :1]) for part in parts)
    assert sum(len(part) for part in parts) == ids.max()
    assert granularity.joined([part[:, 0] for part in parts], shape).tolist() == params.scale.astype(int).tolist()
    assert granularity.scales_shape(shape) == params.scale.shape


@settings(max_examples=100, deadline=None)
@given(case=granularities())
def test_spread_scales_are_those_that_qparams_multiplies_by(case):
    shape, granularity = case
    params, ids = ids_of(shape, granularity)
    assert np.broadcast_to(granularity.spread(params.scale, shape), shape).tolist() == ids.tolist()
    of = Granularity.of(params)
    assert np.broadcast_to(of.spread(params.scale, shape), shape).tolist() == ids.tolist()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"kind": "row"}, 'granularity: expected one of tensor, channel, channel_group, sub_channel, got "row"'),
    ({"kind": "chanel", "axis": 0}, "granularity: expected one of tensor, channel, channel_group, sub_channel, "
                                    'got "chanel" (did you mean "channel"?)'),
    ({"kind": "channel"}, "granularity.axis: expected an axis for each channel, got None"),
    ({"axis": 1}, "granularity.axis: expected no axis for the whole tensor, got 1"),
    ({"kind": "channel", "axis": 0, "size": 4}, "granularity.size: expected no size for each channel, got 4"),
    ({"kind": "sub_channel", "axis": 0}, "granularity.size: expected a size for each sub_channel, got none"),
    ({"kind": "channel_group", "axis": 0, "size": 0}, "granularity.size: expected at least 1 element in a unit, got 0")])
def test_a_granularity_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(NumericsError) as caught:
        Granularity(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Granularity("channel", axis=2).units((3, 4)),
     "granularity.axis: expected a tensor with axis 2, got shape (3, 4)"),
    (lambda: Granularity().rows(np.zeros((3, 0))), "values: expected at least one value, got a tensor of shape (3, 0)"),
    (lambda: Granularity("channel", axis=0).spread(np.ones(4), (3, 4)),
     "scale: expected scales of shape (3,) for a tensor of shape (3, 4), got (4,)")])
def test_a_tensor_that_does_not_fit_is_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
