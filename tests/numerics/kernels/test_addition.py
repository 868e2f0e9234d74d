"""Sums of any width, under every family: step-by-step references, signs, clamps, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.kernels.fused_multiply_add import fused_multiply_add
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

WIDTHS = [QType(bits, is_signed) for bits in (2, 3, 4, 6, 7, 8, 9, 12, 15, 16) for is_signed in (True, False)]
GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def kernel(inputs=(GRID, GRID), output=GRID, clamp_min=-128, clamp_max=127, signs=(1, 1), constants=None, **options):
    return AdditionKernel(inputs, output, clamp_min, clamp_max, signs, constants or {}, **options)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


@pytest.mark.parametrize("qtype", WIDTHS, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1, 1)])
def test_tflites_formula_holds_at_every_width(qtype, signs):
    rng = np.random.default_rng(1)
    for _ in range(3):
        y, *inputs = (grids.random_grid(rng, qtype) for _ in range(len(signs) + 1))
        values = [grids.random_values(rng, qtype, (2, 10)) for _ in signs]
        left = 20 if qtype.bits <= 8 else 15
        scales = [slow.single(float(grid.scale)) for grid in inputs]
        shared = len(signs) * max(scales)
        expected = np.empty((2, 10), dtype=np.int64)
        for place in np.ndindex(2, 10):
            total = sum(sign * slow.tflite((int(x[place]) - int(grid.zero_point)) << left, scale / shared)
                        for sign, x, grid, scale in zip(signs, values, inputs, scales, strict=True))
            out = slow.tflite(total, shared / (2**left * slow.single(float(y.scale)))) + int(y.zero_point)
            expected[place] = slow.clamp(out, qtype.min, qtype.max)
        found = kernel(tuple(inputs), y, qtype.min, qtype.max, signs).run(values, Rule("tflite_double"))
        assert found.dtype == qtype.dtype
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("qtype", WIDTHS, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("scheme", slow.SHIFT_RULES)
def test_a_shift_rule_rounds_every_branch_and_adds_exactly(qtype, scheme):
    rng = np.random.default_rng(2)
    for _ in range(3):
        if scheme == "power_of_two":
            a, b, y = (QParams(scale=2.0 ** -int(rng.integers(0, 4)), zero_point=0, qtype=qtype) for _ in range(3))
        else:
            a, b, y = (grids.random_grid(rng, qtype) for _ in range(3))
        values = [grids.random_values(rng, qtype, (20,)) for _ in range(2)]
        expected = [
            slow.clamp(int(y.zero_point) + sum(
                sign * slow.shifted(scheme, int(x[place]) - int(grid.zero_point), float(grid.scale) / float(y.scale))
                for sign, x, grid in zip((1, -1), values, (a, b), strict=True)), qtype.min, qtype.max)
            for place in range(20)]
        found = kernel((a, b), y, qtype.min, qtype.max, (1, -1)).run(values, slow.SHIFT_RULES[scheme])
        assert found.tolist() == expected


@pytest.mark.parametrize("qtype", [q for q in WIDTHS if q.bits != 8], ids=lambda qtype: qtype.name)
def test_widths_without_a_fused_kernel_are_added_as_real_numbers(qtype):
    rng = np.random.default_rng(3)
    a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
    values = [grids.random_values(rng, qtype, (50,)) for _ in range(2)]
    expected = []
    for place in range(50):
        reals = [np.float32(float(grid.scale)) * np.float32(int(x[place]) - int(grid.zero_point))
                 for x, grid in zip(values, (a, b), strict=True)]
        quotient = float(np.float32(reals[0] + reals[1]) / np.float32(float(y.scale)))
        expected.append(slow.clamp(round(Fraction(quotient)) + int(y.zero_point), qtype.min, qtype.max))
    found = kernel((a, b), y, qtype.min, qtype.max).run(values, Rule("float32_nearest_even"))
    assert found.tolist() == expected


def test_operands_of_different_widths_take_the_wider_ones_shift():
    wide = QParams(scale=2**-12, zero_point=0, qtype=QType(16, True))
    narrow = QParams(scale=1, zero_point=0, qtype=QType(4, True))
    found = kernel((wide, narrow), wide, -(2**15), 2**15 - 1).run(
        [np.array([1, -5], np.int16), np.array([7, -7], np.int8)], Rule("tflite_double"))
    assert found.tolist() == [7 * 2**12 + 1, -7 * 2**12 - 5]


@pytest.mark.parametrize("scheme", ["tflite_double", "float32_nearest_even", "dyadic"])
@pytest.mark.parametrize("bits", [8, 12])
def test_large_tensors_hold_what_small_ones_hold(scheme, bits):
    rng = np.random.default_rng(4)
    a, b, y = (grids.random_grid(rng, QType(bits, True), is_decimal=True) for _ in range(3))
    unit = kernel((a, b), y, y.qtype.min, y.qtype.max)
    x, channel = grids.random_values(rng, a.qtype, (3, 70, 41, 40)), grids.random_values(rng, b.qtype, (70, 1, 1))
    whole = unit.run([x, channel], Rule(scheme))
    for place in [(0, 0, 0, 0), (2, 69, 40, 39), (1, 33, 7, 39), (2, 0, 20, 1)]:
        assert unit.run([x[place].reshape(1, 1), channel[place[1]]], Rule(scheme)).item() == whole[place]


def test_the_clamp_is_a_saturation_within_the_type():
    found = kernel(clamp_min=0, clamp_max=6).run([np.array([-9, 2, 100], np.int8), np.array(1, np.int8)], Rule("dyadic"))
    assert found.tolist() == [0, 3, 6]


def test_a_fused_multiply_add_rounds_once():
    rng = np.random.default_rng(5)
    a, b, c = (rng.normal(size=2000).astype(np.float32) * np.float32(2) ** rng.integers(-20, 20, 2000) for _ in range(3))
    c[:1000] = -(a * b)[:1000]  # cancellation: the product's last bits are all that is left
    for one, two, three, found in zip(a, b, c, fused_multiply_add(a, b, c), strict=True):
        exact = Fraction(float(one)) * Fraction(float(two)) + Fraction(float(three))
        assert Fraction(float(found)) == _nearest_single(exact)


def _nearest_single(exact):
    if exact == 0:
        return Fraction(0)
    step = Fraction(2) ** (math.floor(math.log2(abs(exact))) - 24)
    while abs(exact) / step >= 2**24:
        step *= 2
    while abs(exact) / step < 2**23:
        step /= 2
    return round(exact / step) * step


def test_mistakes_are_refused_in_one_line():
    listed = QParams(scale=[0.5, 1], zero_point=0, qtype=grids.INT8, axis=0)
    x = np.zeros((2, 3), np.int8)
    assert message(lambda: kernel((), signs=())) == "inputs: expected at least one operand, got none"
    assert message(lambda: kernel((GRID, listed))) == (
        "scale: expected activations with one scale a tensor, got a list of scales")
    assert message(lambda: kernel(signs=(1,))) == "signs: expected 2 signs, each 1 or -1, got (1,)"
    assert message(lambda: kernel(signs=(1, 0))) == "signs: expected 2 signs, each 1 or -1, got (1, 0)"
    assert message(lambda: kernel(clamp_max=128)) == "clamp_min: expected a range within -128..127 (int8), got -128..128"
    assert message(lambda: kernel(clamp_min=5, clamp_max=4)) == (
        "clamp_min: expected a range within -128..127 (int8), got 5..4")
    assert message(lambda: kernel(constants={2: x})) == "constants: expected a position in 0..1, got 2"
    assert message(lambda: kernel(constants={0: np.array([-3, 200])})) == "constants: expected -128..127 (int8), got -3..200"
    assert message(lambda: kernel().run([x], Rule("dyadic"))) == "inputs: expected 2 tensors, got 1"
    assert message(lambda: kernel(constants={0: x}).run([x, x], Rule("dyadic"))) == "inputs: expected 1 tensor, got 2"
    assert message(lambda: kernel().run([x, np.zeros((2, 2), np.int8)], Rule("dyadic"))) == (
        "inputs: expected shapes that broadcast, got (2, 3) and (2, 2)")


def test_scales_beyond_a_rule_are_refused():
    x = np.zeros(3, np.int8)
    tiny = QParams(scale=2.0**-21, zero_point=0, qtype=grids.INT8)
    assert message(lambda: kernel(output=tiny).run([x, x], Rule("nvdla"))) == (
        "scale: expected input scales below 2^19 times the output's, got 0.5 and 4.76837e-07")
    third = QParams(scale=1 / 3, zero_point=0, qtype=grids.INT8)
    assert message(lambda: kernel(output=third).run([x, x], Rule("power_of_two"))) == (
        "scale: expected a power of two, got 1.4999999552965178")
    fine, coarse = (QParams(scale=2.0**-n, zero_point=0, qtype=grids.INT16) for n in (2, 1))
    unit = kernel((fine, fine), coarse, -5, 5, is_power_of_two=True)
    assert message(lambda: unit.run([x.astype(np.int16)] * 2, Rule("tflite_double"))) == (
        "scale: expected one input scale of the output's 0.5 and none above it, got 0.25 and 0.25")
