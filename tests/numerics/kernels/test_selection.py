"""Maxima and minima: on one grid the integers themselves, on several those of the change of grid."""

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.selection import SelectionKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


@pytest.mark.parametrize("scheme", ["tflite_double", "float32_nearest_even", "dyadic", "shift_floor", "power_of_two"])
@pytest.mark.parametrize("kind", ["max", "min"])
def test_one_grid_selects_the_integers_themselves(kind, scheme):
    grid = QParams(scale=0.3, zero_point=7, qtype=QType(5, False))
    a, b = np.meshgrid(np.arange(32, dtype=np.uint8), np.arange(32, dtype=np.uint8))
    found = SelectionKernel(kind, (grid, grid), grid).run([a, b], Rule(scheme))
    assert np.array_equal(found, np.maximum(a, b) if kind == "max" else np.minimum(a, b))


@pytest.mark.parametrize("kind", ["max", "min"])
def test_different_grids_are_compared_on_the_outputs_grid(kind):
    rng = np.random.default_rng(1)
    a, b, y = (grids.random_grid(rng, QType(6, True)) for _ in range(3))
    values = [grids.random_values(rng, a.qtype, (60,)) for _ in range(2)]
    moved = [[slow.clamp(slow.tflite(int(value) - int(grid.zero_point), float(grid.scale) / float(y.scale))
                         + int(y.zero_point), -32, 31) for value in x] for x, grid in zip(values, (a, b), strict=True)]
    pick = max if kind == "max" else min
    found = SelectionKernel(kind, (a, b), y).run(values, Rule("tflite_double"))
    assert found.tolist() == [pick(pair) for pair in zip(*moved, strict=True)]


def test_any_number_of_operands_broadcasts():
    kernel = SelectionKernel("min", (GRID,) * 3, GRID, {1: np.array([[3], [1]], np.int8)})
    assert kernel.run([np.array([5, 2], np.int8), np.array(4, np.int8)], Rule("dyadic")).tolist() == [[3, 2], [1, 1]]


def test_mistakes_are_refused_in_one_line():
    x = np.zeros((2, 3), np.int8)
    assert message(lambda: SelectionKernel("mean", (GRID,), GRID)) == 'kind: expected max or min, got "mean"'
    assert message(lambda: SelectionKernel("max", (), GRID)) == "inputs: expected at least one operand, got none"
    assert message(lambda: SelectionKernel("max", (GRID, GRID), GRID).run([x, x[:, :2]], Rule("dyadic"))) == (
        "inputs: expected shapes that broadcast, got (2, 3) and (2, 2)")
