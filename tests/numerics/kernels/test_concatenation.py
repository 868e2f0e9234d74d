"""Joined tensors: copies on the output's grid, changes of grid elsewhere; refusals."""

from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.concatenation import ConcatenationKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


@pytest.mark.parametrize("scheme", ["tflite_double", "float32_nearest_even", "dyadic", "shift_floor", "power_of_two"])
def test_operands_on_the_outputs_grid_are_copied(scheme):
    grid = QParams(scale=0.3, zero_point=7, qtype=QType(4, False))
    a, b = np.arange(12, dtype=np.uint8).reshape(2, 3, 2), np.arange(4, dtype=np.uint8).reshape(2, 1, 2)
    kernel = ConcatenationKernel((grid, grid), grid, axis=-2, constants={0: a})
    assert np.array_equal(kernel.run([b], Rule(scheme)), np.concatenate([a, b], axis=1))


@pytest.mark.parametrize("qtype", [QType(bits, is_signed) for bits in (2, 5, 7, 8, 12, 16) for is_signed in (True, False)],
                         ids=lambda qtype: qtype.name)
def test_other_operands_change_their_grid_by_the_rule(qtype):
    rng = np.random.default_rng(1)
    x, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(2))
    values = grids.random_values(rng, qtype, (60,))
    ratio = np.float32(x.scale) * (np.float32(1) / np.float32(y.scale))
    offset = np.float32(-int(x.zero_point)) * ratio
    exact = float(x.scale) / float(y.scale)
    zero = int(x.zero_point)
    expected = {"tflite_double": [slow.half_away(float(np.float32(value) * ratio + offset)) for value in values],
                "float32_nearest_even": [round(Fraction(float(np.float32(x.scale) * np.float32(int(value) - zero)
                                                              / np.float32(y.scale)))) for value in values],
                "dyadic": [slow.shifted("dyadic", int(value) - zero, exact) for value in values]}
    kernel = ConcatenationKernel((x, y), y, axis=0)
    for scheme, moved in expected.items():
        found = kernel.run([values, values[:1]], Rule(scheme))
        clamped = [slow.clamp(value + int(y.zero_point), qtype.min, qtype.max) for value in moved]
        assert (found.dtype, found.tolist()) == (qtype.dtype, [*clamped, int(values[0])]), scheme


def test_mistakes_are_refused_in_one_line():
    x = np.zeros((2, 3), np.int8)
    kernel = ConcatenationKernel((GRID, GRID), GRID, axis=1)
    assert message(lambda: ConcatenationKernel((), GRID, axis=0)) == "inputs: expected at least one operand, got none"
    assert message(lambda: kernel.run([x], Rule("dyadic"))) == "inputs: expected 2 tensors, got 1"
    assert message(lambda: kernel.run([x, x.T], Rule("dyadic"))) == (
        "inputs: expected shapes that differ along axis 1 alone, got (2, 3) and (3, 2)")
    assert message(lambda: kernel.run([x, x[0]], Rule("dyadic"))) == (
        "inputs: expected shapes that differ along axis 1 alone, got (2, 3) and (3,)")
    assert message(lambda: ConcatenationKernel((GRID,), GRID, axis=2).run([x], Rule("dyadic"))) == (
        "axis: expected an axis of a tensor of shape (2, 3), got 2")
