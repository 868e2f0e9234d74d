"""From ranges to grids: the papers' formulas, zero, float32, and what is refused."""

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.scheme import MOST_BITS, SMALLEST_SCALE, Scheme

SCHEMES = st.one_of(
    st.builds(Scheme, st.integers(2, MOST_BITS), st.just("asymmetric"), is_signed=st.booleans()),
    st.builds(Scheme, st.integers(2, MOST_BITS), st.just("symmetric"), is_restricted=st.booleans()),
    st.builds(Scheme, st.integers(1, MOST_BITS), st.just("unsigned")))
ENDS = st.floats(-1e30, 1e30)


def exact_scale(scheme, low, high):
    """The formulas of survey eq. 4 and III-C and white paper eq. 8b, in fractions."""
    low, high, bits = min(Fraction(low), 0), max(Fraction(high), 0), scheme.bits
    if scheme.symmetry == "asymmetric":
        return (high - low) / (2**bits - 1)
    if scheme.symmetry == "unsigned":
        return high / (2**bits - 1)
    largest = max(high, -low)
    return largest / (2 ** (bits - 1) - 1) if scheme.is_restricted else 2 * largest / (2**bits - 1)


def range_for(scheme, one, other):
    low, high = min(one, other), max(one, other)
    return (abs(low), max(high, abs(low))) if scheme.symmetry == "unsigned" else (low, high)


@settings(max_examples=300, deadline=None)
@given(scheme=SCHEMES, one=ENDS, other=ENDS)
def test_the_scale_is_the_papers_to_the_nearest_float32(scheme, one, other):
    low, high = range_for(scheme, one, other)
    expected = exact_scale(scheme, low, high)
    scale = scheme.qparams(low, high).scale.item()
    assert scale == float(np.float32(scale))
    if expected > SMALLEST_SCALE:
        assert abs(Fraction(scale) - expected) <= expected * Fraction(1, 2**24) * Fraction(1000001, 1000000)


@settings(max_examples=300, deadline=None)
@given(scheme=SCHEMES, one=ENDS, other=ENDS)
def test_zero_is_an_integer_and_the_ends_lose_at_most_half_a_step(scheme, one, other):
    low, high = range_for(scheme, one, other)
    grid = scheme.qparams(low, high)
    assert grid.dequantize(grid.quantize(np.array([0.0]))).tolist() == [0.0]
    assert grid.qtype == scheme.qtype
    ends = np.array([low, high])
    # The scale is rounded by 2^-24 of it, and stands 2^b times in an end.
    slack = 0.5 + 2.0 ** (scheme.bits - 24)
    assert np.all(np.abs(grid.dequantize(grid.quantize(ends)) - ends) <= grid.scale * slack)


@settings(max_examples=200, deadline=None)
@given(scheme=SCHEMES, scale=st.floats(2.0**-100, 2.0**100, width=32), part=st.floats(0, 1), is_power=st.booleans())
def test_a_grids_own_range_gives_that_grid_again(scheme, scale, part, is_power):
    scheme = Scheme(scheme.bits, scheme.symmetry, scheme.is_restricted, is_power, is_signed=scheme.is_signed)
    scale = np.array(2.0 ** np.floor(np.log2(scale)) if is_power else scale)
    lowest = -int(part * scheme.steps)
    grid = scheme.qparams(*scheme.range_at(scale, np.array(lowest)))
    assert grid.scale == scale
    assert grid.zero_point == (scheme.qtype.min - lowest if scheme.symmetry == "asymmetric" else 0)


def test_a_power_of_two_scale_is_rounded_up_so_that_nothing_is_clipped():
    scheme = Scheme(4, "symmetric", is_restricted=True, has_power_of_two_scale=True)
    # 7 integers: ranges up to 7 * 2^k have scale 2^k.
    ranges = [(7.0, 1.0), (7.0001, 2.0), (3.5, 0.5), (4.0, 1.0), (0.01, 2.0**-9)]
    assert [scheme.qparams(-end, end).scale.item() for end, _ in ranges] == [scale for _, scale in ranges]


def test_full_and_restricted_symmetric_ranges_are_the_surveys_for_8_bits():
    # Survey III-C: 2 max / (2^n - 1) uses -128..127, max / (2^(n-1) - 1) uses -127..127.
    values = np.array([-1.001, 1.001])
    full, restricted = Scheme(8, "symmetric"), Scheme(8, "symmetric", is_restricted=True)
    assert full.qparams(-1, 1).scale == np.float32(2 / 255)
    assert full.qparams(-1, 1).quantize(values).tolist() == [-128, 127]
    assert restricted.qparams(-1, 1).scale == np.float32(1 / 127)
    assert restricted.qparams(-1, 1).quantize(values).tolist() == [-127, 127]


def test_a_channel_without_values_takes_its_neighbours_smallest_scale():
    scheme = Scheme(8, "symmetric", granularity=Granularity("channel", axis=0))
    low, high = np.array([0.0, -1.0, 0.0, -1e-44]), np.array([0.0, 2.0, 0.5, 1e-45])
    grid = scheme.qparams(low, high)
    assert grid.scale.tolist() == [np.float32(1 / 255), np.float32(4 / 255), np.float32(1 / 255), np.float32(1 / 255)]


@pytest.mark.parametrize("symmetry", ["asymmetric", "symmetric", "unsigned"])
@pytest.mark.parametrize("end", [0.0, 1e-45, 1e-40])
def test_a_tensor_without_values_has_scale_1_and_zero_point_0(symmetry, end):
    grid = Scheme(8, symmetry).qparams(0.0, end)
    assert (grid.scale.item(), grid.zero_point.item()) == (1.0, 0)


def test_the_smallest_scale_is_the_smallest_normal_float32():
    assert Scheme(1, "unsigned").qparams(0.0, 2.0**-126).scale.item() == 2.0**-126
    largest = float(np.finfo(np.float32).max)
    assert Scheme(1, "unsigned").qparams(0.0, largest).scale.item() == largest


@pytest.mark.parametrize(("low", "high"), [(2.0, 5.0), (5.0, 5.0), (-5.0, -5.0), (-5.0, -2.0)])
def test_ranges_on_one_side_of_zero_are_stretched_to_it(low, high):
    grid = Scheme(8).qparams(low, high)
    assert grid.zero_point.item() == (0 if low > 0 else 255)
    assert grid.scale.item() == np.float32(5 / 255)


def test_groups_of_channels_share_a_scale_and_blocks_have_their_own():
    values = np.array([[1.0, 2.0, 30.0], [4.0, 5.0, 6.0], [-7.0, 8.0, 9.0]])
    groups = Scheme(4, "symmetric", is_restricted=True, granularity=Granularity("channel_group", axis=0, size=2))
    assert (groups.qparams_of(values).scale * 7).round(5).tolist() == [30.0, 30.0, 9.0]
    blocks = Scheme(4, "symmetric", is_restricted=True, granularity=Granularity("sub_channel", axis=1, size=2))
    assert (blocks.qparams_of(values).scale * 7).round(5).tolist() == [[2.0, 30.0], [5.0, 6.0], [8.0, 9.0]]
    assert blocks.qparams_of(values).group_size == 2


@pytest.fixture(scope="module")
def dynamic_quantizer():
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    node = onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])
    outputs = [onnx.helper.make_tensor_value_info(name, kind, shape)
               for name, kind, shape in (("q", integers, ["n"]), ("s", floats, []), ("z", integers, []))]
    graph = onnx.helper.make_graph([node], "dynamic", [onnx.helper.make_tensor_value_info("x", floats, ["n"])], outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=30))
def test_a_dynamic_grid_is_that_of_dynamic_quantize_linear(dynamic_quantizer, values):
    x = np.array(values, dtype=np.float32)
    _, scale, zero_point = dynamic_quantizer.run(None, {"x": x})
    ours = Scheme(8, is_dynamic=True).qparams_of(x)
    if np.any(x):
        assert abs(ours.scale.item() - scale.item()) <= np.spacing(scale)  # the operator divides in float32
        # A scale of another last bit may round the zero point of a tie the other way.
        assert abs(ours.zero_point.item() - int(zero_point)) <= (abs(-min(x.min(), 0) / scale % 1 - 0.5) < 1e-4)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"bits": 0}, "bits: expected a width of 1 to 16 bits, got 0"),
    ({"bits": 17}, "bits: expected a width of 1 to 16 bits, got 17"),
    ({"bits": True}, "bits: expected a width of 1 to 16 bits, got True"),
    ({"bits": 1}, "bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, asymmetric"),
    ({"bits": 1, "symmetry": "symmetric"},
     "bits: expected at least 2 bits unless the scheme is unsigned, got 1 bit, symmetric"),
    ({"bits": 8, "symmetry": "symetric"}, "symmetry: expected one of asymmetric, symmetric, unsigned, "
                                          'got "symetric" (did you mean "symmetric"?)'),
    ({"bits": 8, "is_restricted": True},
     "is_restricted: expected a symmetric scheme for a restricted range, got asymmetric"),
    ({"bits": 8, "symmetry": "unsigned", "is_signed": True},
     "is_signed: expected an asymmetric scheme to choose the sign of, got unsigned")])
def test_a_scheme_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(NumericsError) as caught:
        Scheme(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(("scheme", "low", "high", "message"), [
    (Scheme(8), float("nan"), 1.0, "range: expected finite ends, got nan..1"),
    (Scheme(8), 0.0, float("inf"), "range: expected finite ends, got 0..inf"),
    (Scheme(8), 2.0, 1.0, "range: expected the low end first, got 2..1"),
    (Scheme(8), [0.0], [1.0], "range: expected a range for each tensor, got shape (1,)"),
    (Scheme(8), 0.0, [1.0], "range: expected as many low ends as high ends, got () and (1,)"),
    (Scheme(8, granularity=Granularity("channel", axis=0)), 0.0, 1.0,
     "range: expected a range for each channel, got shape ()"),
    (Scheme(8, "unsigned"), -0.5, 1.0, "range: expected no values below 0 for an unsigned scheme, got -0.5"),
    (Scheme(8), -1e300, 1e300, "range: expected ranges with float32 scales, got -1e+300..1e+300")])
def test_a_range_that_has_no_grid_is_refused(scheme, low, high, message):
    with pytest.raises(NumericsError) as caught:
        scheme.qparams(low, high)
    assert str(caught.value) == message
