"""Windows over images: step-by-step references in both layouts, every family, refusals, little memory."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.pooling import PoolingKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)
WINDOW = {"window": (2, 2), "stride": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "channels_last": True,
          "counts_padding": False, "input": GRID, "output": GRID, "clamp_min": -128, "clamp_max": 127}


def kernel(kind="average", **changes):
    return PoolingKernel(kind, **{**WINDOW, **changes})


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


def random_window(rng, size):
    """Window, stride, pads and dilation that fit an image of this size."""
    window = tuple(int(rng.integers(1, 4)) for _ in range(2))
    dilation = tuple(int(rng.integers(1, 3)) for _ in range(2))
    extents = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = tuple(int(rng.integers(0, extents[place % 2])) for place in range(4))
    assert all(n >= e for n, e in zip(size, extents, strict=True))
    return {"window": window, "stride": tuple(int(rng.integers(1, 4)) for _ in range(2)), "pads": pads, "dilation": dilation}


def seen_by_each_output(image, geometry):
    """(output position, pixels that its window sees) of an image (N, H, W, C)."""
    (rows, columns), (top, left, bottom, right) = geometry["window"], geometry["pads"]
    height, width = image.shape[1:3]
    extents = [(k - 1) * d + 1 for k, d in zip(geometry["window"], geometry["dilation"], strict=True)]
    sizes = ((height + top + bottom - extents[0]) // geometry["stride"][0] + 1,
             (width + left + right - extents[1]) // geometry["stride"][1] + 1)
    for p, q in np.ndindex(*sizes):
        places = [(p * geometry["stride"][0] - top + r * geometry["dilation"][0],
                   q * geometry["stride"][1] - left + s * geometry["dilation"][1]) for r, s in np.ndindex(rows, columns)]
        yield (p, q), [image[:, h, w].astype(int) for h, w in places if 0 <= h < height and 0 <= w < width]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_every_family_equals_a_walk_over_windows(channels_last, seed):
    rng = np.random.default_rng(seed)
    qtype = QType(int(rng.integers(2, 17)), bool(seed % 2))
    geometry = random_window(rng, (7, 9))
    x, y = grids.random_grid(rng, qtype), grids.random_grid(rng, qtype)
    image = grids.random_values(rng, qtype, (2, 7, 9, 3))
    given = image if channels_last else image.transpose(0, 3, 1, 2).copy()
    zero, count_all = int(x.zero_point), geometry["window"][0] * geometry["window"][1]
    for counts_padding in (False, True):
        units = {kind: kernel(kind, channels_last=channels_last, counts_padding=counts_padding, input=x, output=y,
                              clamp_min=qtype.min, clamp_max=qtype.max, **geometry) for kind in ("max", "average")}
        for scheme in ("tflite_double", "dyadic", "shift_floor"):
            found = {kind: unit.run([given], Rule(scheme)) for kind, unit in units.items()}
            if not channels_last:
                found = {kind: values.transpose(0, 2, 3, 1) for kind, values in found.items()}
            for (p, q), pixels in seen_by_each_output(image, geometry):
                count = count_all if counts_padding else len(pixels)
                for place in np.ndindex(2, 3):
                    total = sum(int(pixel[place]) - zero for pixel in pixels)
                    largest = max(int(pixel[place]) for pixel in pixels) - zero
                    ratio = float(x.scale) / float(y.scale)
                    mean = (mean_like_tflite(total, count, ratio) if scheme == "tflite_double"
                            else slow.shifted(scheme, total, ratio / count))
                    top = slow.tflite(largest, ratio) if scheme == "tflite_double" else slow.shifted(scheme, largest, ratio)
                    for kind, value in (("average", mean), ("max", top)):
                        expected = slow.clamp(value + int(y.zero_point), qtype.min, qtype.max)
                        assert found[kind][place[0], p, q, place[1]] == expected, (scheme, kind)


def mean_like_tflite(total, count, ratio):
    """The multiplier's mantissa divided by the count in integers, then the two roundings."""
    mantissa, exponent = np.frexp(ratio)
    factor = slow.half_away(Fraction(float(mantissa)) * 2**31)
    if factor == 2**31:
        factor, exponent = factor // 2, exponent + 1
    extra = min(count.bit_length() - 1, 31 + int(exponent))
    return slow.tflite_of_integers(total, (factor << extra) // count, int(exponent) - extra)


@pytest.mark.parametrize("counts_padding", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_an_average_on_one_grid_divides_the_integers_half_away(counts_padding, seed):
    rng = np.random.default_rng(seed)
    qtype = QType(int(rng.integers(2, 17)), bool(seed % 2))
    geometry, grid = random_window(rng, (6, 8)), grids.random_grid(rng, qtype)
    image = grids.random_values(rng, qtype, (1, 6, 8, 2))
    found = kernel(counts_padding=counts_padding, input=grid, output=grid, clamp_min=qtype.min, clamp_max=qtype.max,
                   **geometry).run([image], Rule("litert_reference"))
    for (p, q), pixels in seen_by_each_output(image, geometry):
        missing = (geometry["window"][0] * geometry["window"][1] - len(pixels)) * counts_padding
        for c in range(2):
            total = sum(int(pixel[0, c]) for pixel in pixels) + missing * int(grid.zero_point)
            assert found[0, p, q, c] == slow.half_away(Fraction(total, len(pixels) + missing))


def test_averages_of_real_numbers_add_from_the_first_position_on():
    grid = QParams(scale=0.1, zero_point=3, qtype=QType(6, False))
    rng = np.random.default_rng(1)
    image = grids.random_values(rng, grid.qtype, (1, 5, 5, 4))
    unit = kernel(window=(3, 3), input=grid, output=grid, clamp_min=0, clamp_max=63)
    found = unit.run([image], Rule("float32_nearest_even"))
    for (p, q), pixels in seen_by_each_output(image, {**WINDOW, "window": (3, 3)}):
        for c in range(4):
            total = np.float32(0)
            for pixel in pixels:
                total += np.float32(0.1) * np.float32(int(pixel[0, c]) - 3)
            assert found[0, p, q, c] == round(Fraction(float(total / np.float32(9) / np.float32(0.1)))) + 3


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("scheme", ["tflite_double", "float32_nearest_even", "dyadic"])
def test_a_large_image_takes_few_megabytes_beyond_input_and_output(channels_last, kind, scheme):
    shape = (1, 224, 224, 32) if channels_last else (1, 32, 224, 224)
    image = grids.random_values(np.random.default_rng(1), grids.INT8, shape)
    unit = kernel(kind, window=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1), channels_last=channels_last)
    tracemalloc.start()
    found = unit.run([image], Rule(scheme))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - found.nbytes < 6 * 2**20


def test_mistakes_are_refused_in_one_line():
    image = np.zeros((1, 4, 4, 1), np.int8)
    assert message(lambda: kernel("median")) == 'kind: expected max or average, got "median"'
    assert message(lambda: kernel(window=(0, 2))) == "window: expected at least 1, got (0, 2)"
    assert message(lambda: kernel(stride=(1, 0))) == "stride: expected at least 1, got (1, 0)"
    assert message(lambda: kernel(dilation=(-1, 1))) == "dilation: expected at least 1, got (-1, 1)"
    assert message(lambda: kernel(pads=(0, 2, 0, 0))) == (
        "pads: expected 0 or more and less than the window's (2, 2), got (0, 2, 0, 0)")
    assert message(lambda: kernel(clamp_max=128)) == "clamp_min: expected a range within -128..127 (int8), got -128..128"
    assert message(lambda: kernel().run([image[0]], Rule("dyadic"))) == (
        "window: expected one entry a dimension of (4, 4, 1), got 4")
    assert message(lambda: kernel().run([image, image], Rule("dyadic"))) == "inputs: expected 1 tensor, got 2"
    assert message(lambda: kernel(window=(5, 2)).run([image], Rule("dyadic"))) == (
        "inputs: expected an image of at least (5, 2) with its padding, got (4, 4)")
    assert message(lambda: kernel(window=(1, 3)).run([image], Rule("power_of_two"))) == (
        "scale: expected a power of two, got 0.3333333333333333")
