"""A change of grid at any width, under every family: step-by-step references, refusals."""

from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

WIDTHS = [QType(bits, is_signed) for bits in (2, 3, 5, 7, 8, 11, 16) for is_signed in (True, False)]
GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


@pytest.mark.parametrize("source", WIDTHS, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("target", WIDTHS, ids=lambda qtype: qtype.name)
def test_every_family_keeps_its_formula_at_every_width(source, target):
    rng = np.random.default_rng(1)
    x, y = grids.random_grid(rng, source, is_decimal=True), grids.random_grid(rng, target, is_decimal=True)
    values = grids.random_values(rng, source, (40,))
    differences = [int(value) - int(x.zero_point) for value in values]
    ratio, zero = float(x.scale) / float(y.scale), int(y.zero_point)
    quotients = [Fraction(float(np.float32(x.scale) * np.float32(n) / np.float32(y.scale))) for n in differences]
    expected = {"tflite_double": [slow.tflite(n, ratio) for n in differences],
                "float32_nearest_even": [round(quotient) for quotient in quotients],
                "dyadic": [slow.shifted("dyadic", n, ratio) for n in differences],
                "shift_floor": [slow.shifted("shift_floor", n, ratio) for n in differences]}
    kernel = RescalingKernel(x, y, target.min, target.max)
    for scheme, moved in expected.items():
        found = kernel.run([values], Rule(scheme))
        assert found.dtype == target.dtype
        assert found.tolist() == [slow.clamp(value + zero, target.min, target.max) for value in moved], scheme


def test_a_32_bit_input_is_rescaled_too():
    source = QParams(scale=2.0**-20, zero_point=0, qtype=QType(32, True))
    kernel = RescalingKernel(source, GRID, -128, 127)
    x = np.array([2**21, -(2**20), 2**31 - 1, -(2**31)], np.int32)
    assert kernel.run([x], Rule("tflite_double")).tolist() == [4, -2, 127, -128]
    assert kernel.run([x], Rule("dyadic")).tolist() == [4, -2, 127, -128]


def test_power_of_two_scales_shift():
    source, target = (QParams(scale=2.0**-n, zero_point=0, qtype=grids.INT8) for n in (4, 2))
    x = np.array([-6, -2, 2, 6, 7], np.int8)
    kernel = RescalingKernel(source, target, -128, 127)
    assert kernel.run([x], Rule("power_of_two")).tolist() == [-1, 0, 1, 2, 2]
    assert kernel.run([x], Rule("power_of_two", rounding="floor")).tolist() == [-2, -1, 0, 1, 1]


def test_mistakes_are_refused_in_one_line():
    listed = QParams(scale=[0.5, 1], zero_point=0, qtype=grids.INT8, axis=0)
    x = np.zeros(3, np.int8)
    assert message(lambda: RescalingKernel(listed, GRID, -128, 127)) == (
        "scale: expected activations with one scale a tensor, got a list of scales")
    assert message(lambda: RescalingKernel(GRID, GRID, -128, 200)) == (
        "clamp_min: expected a range within -128..127 (int8), got -128..200")
    assert message(lambda: RescalingKernel(GRID, GRID, -128, 127).run([x, x], Rule("dyadic"))) == (
        "inputs: expected 1 tensor, got 2")
    third = QParams(scale=0.3, zero_point=0, qtype=grids.INT8)
    assert message(lambda: RescalingKernel(GRID, third, -128, 127).run([x], Rule("power_of_two"))) == (
        "scale: expected a power of two, got 1.6666666004392863")
