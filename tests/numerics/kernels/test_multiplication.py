"""Products of any width, under every family: step-by-step references, refusals."""

from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.multiplication import MultiplicationKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

WIDTHS = [QType(bits, is_signed) for bits in (2, 3, 4, 6, 7, 8, 9, 12, 15) for is_signed in (True, False)]
GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def kernel(inputs=(GRID, GRID), output=GRID, clamp_min=-128, clamp_max=127, constants=None):
    return MultiplicationKernel(inputs, output, clamp_min, clamp_max, constants or {})


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


def exact_products(values, inputs):
    zeros = [int(grid.zero_point) for grid in inputs]
    return [(int(a) - zeros[0]) * (int(b) - zeros[1]) for a, b in zip(*values, strict=True)]


@pytest.mark.parametrize("qtype", WIDTHS, ids=lambda qtype: qtype.name)
def test_tflites_formula_holds_at_every_width(qtype):
    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b, y = (grids.random_grid(rng, qtype) for _ in range(3))
        values = [grids.random_values(rng, qtype, (30,)) for _ in range(2)]
        ratio = np.float32(np.float32(a.scale) * np.float32(b.scale)) / np.float32(y.scale)
        expected = [slow.clamp(slow.tflite(product, float(ratio)) + int(y.zero_point), qtype.min, qtype.max)
                    for product in exact_products(values, (a, b))]
        found = kernel((a, b), y, qtype.min, qtype.max).run(values, Rule("litert_reference"))
        assert (found.dtype, found.tolist()) == (qtype.dtype, expected)


@pytest.mark.parametrize("qtype", WIDTHS, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("scheme", slow.SHIFT_RULES)
def test_a_shift_rule_requantizes_the_exact_product_once(qtype, scheme):
    rng = np.random.default_rng(2)
    for _ in range(3):
        if scheme == "power_of_two":
            a, b, y = (QParams(scale=2.0 ** -int(rng.integers(0, 4)), zero_point=0, qtype=qtype) for _ in range(3))
        else:
            a, b, y = (grids.random_grid(rng, qtype) for _ in range(3))
        values = [grids.random_values(rng, qtype, (20,)) for _ in range(2)]
        product = float(a.scale) * float(b.scale)
        scale = (slow.single(product) if scheme == "dyadic" else product) / float(y.scale)
        expected = [slow.clamp(slow.shifted(scheme, value, scale) + int(y.zero_point), qtype.min, qtype.max)
                    for value in exact_products(values, (a, b))]
        assert kernel((a, b), y, qtype.min, qtype.max).run(values, slow.SHIFT_RULES[scheme]).tolist() == expected


@pytest.mark.parametrize("qtype", [q for q in WIDTHS if q.bits != 8], ids=lambda qtype: qtype.name)
def test_widths_without_a_fused_kernel_are_multiplied_as_real_numbers(qtype):
    rng = np.random.default_rng(3)
    a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
    values = [grids.random_values(rng, qtype, (50,)) for _ in range(2)]
    expected = []
    for pair in zip(*values, strict=True):
        left, right = (np.float32(grid.scale) * np.float32(int(x) - int(grid.zero_point))
                       for x, grid in zip(pair, (a, b), strict=True))
        quotient = Fraction(float(np.float32(left * right) / np.float32(y.scale)))
        expected.append(slow.clamp(round(quotient) + int(y.zero_point), qtype.min, qtype.max))
    assert kernel((a, b), y, qtype.min, qtype.max).run(values, Rule("float32_nearest_even")).tolist() == expected


def test_a_constant_stands_at_its_own_position():
    half = QParams(scale=0.5, zero_point=1, qtype=grids.INT8)
    one = QParams(scale=1.0, zero_point=0, qtype=grids.INT8)
    unit = kernel((half, one), one, constants={0: np.array([[3], [5]], np.int8)})
    assert unit.run([np.array([2, 4], np.int8)], Rule("dyadic")).tolist() == [[2, 4], [4, 8]]


def test_mistakes_are_refused_in_one_line():
    x = np.zeros((2, 3), np.int8)
    assert message(lambda: kernel((GRID,))) == "inputs: expected 2 operands, got 1"
    assert message(lambda: kernel((GRID,) * 3)) == "inputs: expected 2 operands, got 3"
    assert message(lambda: kernel(clamp_min=-129)) == "clamp_min: expected a range within -128..127 (int8), got -129..127"
    assert message(lambda: kernel(constants={1: np.array(300)})) == "constants: expected -128..127 (int8), got 300..300"
    assert message(lambda: kernel().run([x], Rule("dyadic"))) == "inputs: expected 2 tensors, got 1"
    wide = QParams(scale=2.0**-8, zero_point=0, qtype=QType(16, False))
    full = np.full(3, 65535, np.uint16)
    assert message(lambda: kernel((wide, wide), wide, 0, 65535).run([full, full], Rule("tflite_double"))) == (
        "accumulators of tflite_double: expected -2147483648..2147483647, got 4294836225")
