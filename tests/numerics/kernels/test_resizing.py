"""Resizing under the rules that have no runtime to compare with, in every layout; bad input told in one line."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.resizing import ResizingKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

INT8, UINT8 = QType(8, True), QType(8, False)
REAL = QParams(scale=0.1, zero_point=3, qtype=INT8)
RULES = ("litert_reference", "dyadic", "float32_nearest_even")


def kernel(mode="nearest", axes=(2, 3), sizes=(5, 7), coordinates="half_pixel", *, x=REAL, y=REAL, **options):
    return ResizingKernel(mode, axes, sizes, coordinates, x, y, **options)


def image(shape=(2, 3, 4, 6), dtype=np.int8):
    info = np.iinfo(dtype)
    return np.random.default_rng(0).integers(info.min, info.max + 1, shape).astype(dtype)


@pytest.mark.parametrize("rule", RULES)
def test_nearest_twice_the_size_repeats_every_element(rule):
    x = image()
    ours = kernel(sizes=(8, 12), coordinates="asymmetric", nearest_mode="floor").run([x], Rule(rule))
    assert np.array_equal(ours, x.repeat(2, axis=2).repeat(2, axis=3))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_linear_is_within_one_unit_of_real_interpolation(rule, coordinates):
    x = image()
    ours = kernel("linear", coordinates=coordinates).run([x], Rule(rule))

    def places(n, out):
        i = np.arange(out)
        if coordinates == "align_corners":
            return i * (n - 1) / (out - 1)
        return np.clip((i + 0.5) * n / out - 0.5 if coordinates == "half_pixel" else i * n / out, 0, n - 1)

    rows = np.apply_along_axis(lambda column: np.interp(places(4, 5), np.arange(4), column), 2, x)
    exact = np.apply_along_axis(lambda row: np.interp(places(6, 7), np.arange(6), row), 3, rows)
    assert np.abs(ours - exact).max() < 0.5 + 255 * 2 / 1024


def test_rules_without_a_runtime_round_10_bit_weights_half_away():
    row = np.array([[0, 6]], np.int8)
    ours = [kernel("linear", (1,), (4,)).run([values], Rule("dyadic")).tolist() for values in (row, -row)]
    assert ours == [[[0, 2, 5, 6]], [[0, -2, -5, -6]]]  # 1.5 and 4.5


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("rule", RULES)
def test_an_output_on_another_grid_is_rescaled_after_the_resizing(mode, rule):
    x = image()
    coarse = QParams(scale=0.2, zero_point=-10, qtype=INT8)
    ours = kernel(mode, y=coarse).run([x], Rule(rule))
    exact = (kernel(mode).run([x], Rule(rule)).astype(float) - 3) / 2 - 10
    assert np.abs(ours - exact).max() <= (0.5 if mode == "nearest" else 0.76)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "tflite", "tflite_half_pixel", "tflite_align_corners"])
def test_the_same_size_is_a_copy(mode, coordinates):
    x = image()
    same = kernel(mode, (1, 2), (3, 4), coordinates, x=REAL, y=REAL)
    assert np.array_equal(same.run([x], Rule("dyadic")), x)


def test_the_order_of_the_axes_does_not_matter():
    x = image()
    assert np.array_equal(kernel(axes=(3, -2), sizes=(7, 5)).run([x], Rule("dyadic")), kernel().run([x], Rule("dyadic")))


def test_resize_before_opset_11_rounds_up_when_it_shrinks():
    row = np.arange(5, dtype=np.int8).reshape(1, 5)
    shrunk = kernel(axes=(1,), sizes=(2,), coordinates="asymmetric", nearest_mode="simple", scales=(0.4,))
    grown = kernel(axes=(1,), sizes=(7,), coordinates="asymmetric", nearest_mode="simple")
    assert shrunk.run([row], Rule("dyadic")).tolist() == [[0, 3]]  # 0 and 2.5
    assert grown.run([row], Rule("dyadic")).tolist() == [[0, 0, 1, 2, 2, 3, 4]]


def test_an_empty_batch_stays_empty():
    assert kernel("linear").run([image((0, 3, 4, 6))], Rule("dyadic")).shape == (0, 3, 5, 7)


LISTED = QParams(scale=[0.1, 0.2], zero_point=0, qtype=INT8, axis=0)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: kernel("cubic"), 'mode: expected one of nearest, linear, got "cubic"'),
    (lambda: kernel(coordinates="tf_crop_and_resize"),
     "coordinates: expected one of half_pixel, half_pixel_symmetric, pytorch_half_pixel, tf_half_pixel_for_nn, asymmetric, "
     "align_corners, tflite, tflite_half_pixel, tflite_align_corners, tflite_align_corners_half_pixel, "
     'got "tf_crop_and_resize"'),
    (lambda: kernel(nearest_mode="round"),
     'nearest_mode: expected one of round_prefer_floor, round_prefer_ceil, floor, ceil, simple, got "round"'),
    (lambda: kernel(form="qdq"), 'form: expected one of dequantize, integer, got "qdq"'),
    (lambda: kernel(sizes=(5,)), "sizes: expected one an axis of (2, 3), got 1"),
    (lambda: kernel(scales=(1.0, 2.0, 3.0)), "scales: expected one an axis of (2, 3), got 3"),
    (lambda: kernel(sizes=(5, 0)), "sizes: expected at least 1, got 0"),
    (lambda: kernel(scales=(1.0, -2.0)), "scales: expected finite numbers above 0, got (1.0, -2.0)"),
    (lambda: kernel(x=LISTED), "input: expected one scale, got a list along axis 0"),
    (lambda: kernel(y=LISTED), "output: expected one scale, got a list along axis 0"),
    (lambda: kernel(axes=(2, 4)).run([image()], Rule("dyadic")),
     "axis: expected an axis of a tensor of shape (2, 3, 4, 6), got 4"),
    (lambda: kernel(axes=(2, -2)).run([image()], Rule("dyadic")), "axes: expected each axis once, got (2, -2)"),
    (lambda: kernel().run([image((2, 3, 0, 6))], Rule("dyadic")),
     "inputs: expected at least 1 element along 2, got shape (2, 3, 0, 6)"),
    (lambda: kernel("linear", (0, 3)).run([image()], Rule("dyadic")),
     "axes: expected linear resizing of the last dimensions (two of 2 or 4, three of 3 or 5), or of (1, 2) of 4, "
     "got dimensions [0] of 4"),
    (lambda: kernel("linear", (0,), (5,)).run([image((4,))], Rule("dyadic")),
     "axes: expected linear resizing of the last dimensions (two of 2 or 4, three of 3 or 5), or of (1, 2) of 4, "
     "got dimensions [0] of 1"),
    (lambda: kernel("linear", coordinates="tflite").run([image()], Rule("dyadic")),
     "axes: expected axes 1 and 2 of 4 dimensions, got (2, 3) of 4"),
    (lambda: kernel().run([], Rule("dyadic")), "inputs: expected 1 tensor, got 0"),
])
def test_what_cannot_be_resized_is_refused_in_one_line(make, message):
    with pytest.raises(NumericsError) as error:
        make()
    assert str(error.value) == message
