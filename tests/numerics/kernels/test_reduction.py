"""Means, sums and extremes over axes: step-by-step references at every width, refusals."""

from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

WIDTHS = [QType(bits, is_signed) for bits in (2, 4, 7, 8, 12, 16) for is_signed in (True, False)]
GRID = QParams(scale=0.5, zero_point=0, qtype=grids.INT8)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


def tflite_mean(total, count, ratio):
    """TFLite's multiplier of the ratio, its mantissa divided by the count in integers, then the two roundings."""
    mantissa, exponent = np.frexp(ratio)
    factor = slow.half_away(Fraction(float(mantissa)) * 2**31)
    if factor == 2**31:
        factor, exponent = factor // 2, exponent + 1
    extra = min(count.bit_length() - 1, 31 + int(exponent))
    return slow.tflite_of_integers(total, (factor << extra) // count, int(exponent) - extra)


@pytest.mark.parametrize("qtype", WIDTHS, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2), (-1, 0), (0, 1, 2)])
def test_every_family_equals_a_walk_over_elements(qtype, axes):
    rng = np.random.default_rng(1)
    x, y = grids.random_grid(rng, qtype), grids.random_grid(rng, qtype)
    values = grids.random_values(rng, qtype, (3, 5, 4))
    count = int(np.prod([values.shape[axis] for axis in axes]))
    totals = (values.astype(object) - int(x.zero_point)).sum(axis=axes)
    ratio = float(x.scale) / float(y.scale)
    rules = {("mean", "litert_reference"): lambda n: tflite_mean(n, count, ratio),
             ("sum", "litert_reference"): lambda n: slow.tflite(n, ratio)}
    for scheme in ("dyadic", "shift_floor"):
        rules["mean", scheme] = lambda n, scheme=scheme: slow.shifted(scheme, n, ratio / count)
        rules["sum", scheme] = lambda n, scheme=scheme: slow.shifted(scheme, n, ratio)
    for (kind, scheme), rule in rules.items():
        found = ReductionKernel(kind, axes, False, x, y).run([values], Rule(scheme))
        expected = np.vectorize(lambda n, rule=rule: slow.clamp(rule(n) + int(y.zero_point), qtype.min, qtype.max))(totals)
        assert found.dtype == qtype.dtype
        assert np.array_equal(found, expected), (kind, scheme)


@pytest.mark.parametrize("scheme", ["tflite_double", "float32_nearest_even", "dyadic", "power_of_two"])
def test_extremes_on_one_grid_are_the_integers_themselves(scheme):
    rng = np.random.default_rng(2)
    grid = QParams(scale=0.3, zero_point=5, qtype=QType(6, False))
    values = grids.random_values(rng, grid.qtype, (3, 5, 4))
    for kind, expected in (("max", values.max(axis=(0, 2), keepdims=True)), ("min", values.min(axis=(0, 2), keepdims=True))):
        assert np.array_equal(ReductionKernel(kind, (0, 2), True, grid, grid).run([values], Rule(scheme)), expected)


def test_extremes_on_two_grids_change_their_grid():
    fine, coarse = (QParams(scale=s, zero_point=0, qtype=grids.INT8) for s in (0.5, 1.0))
    found = ReductionKernel("max", (0,), False, fine, coarse).run([np.array([-9, 5, 2], np.int8)], Rule("tflite_double"))
    assert found.tolist() == 3


def test_a_reduced_dimension_stays_if_asked():
    x = np.arange(12, dtype=np.int8).reshape(2, 3, 2)
    for keeps, shape in ((True, (2, 1, 2)), (False, (2, 2))):
        for kind in ("mean", "sum", "max"):
            assert ReductionKernel(kind, (1,), keeps, GRID, GRID).run([x], Rule("tflite_double")).shape == shape


def test_mistakes_are_refused_in_one_line():
    x = np.zeros((2, 3), np.int8)

    def run(axes, values=x):
        return lambda: ReductionKernel("mean", axes, False, GRID, GRID).run([values], Rule("dyadic"))

    assert message(lambda: ReductionKernel("median", (0,), False, GRID, GRID)) == (
        'kind: expected one of mean, sum, max, min, got "median"')
    assert message(run((2,))) == "axis: expected an axis of a tensor of shape (2, 3), got 2"
    assert message(run((0, -2))) == "axes: expected each axis once, got (0, -2)"
    assert message(run((1,), x[:, :0])) == "inputs: expected elements along axes (1,), got a tensor of shape (2, 0)"
    listed = QParams(scale=[0.5, 1], zero_point=0, qtype=grids.INT8, axis=0)
    assert message(lambda: ReductionKernel("mean", (0,), False, listed, GRID)) == (
        "scale: expected activations with one scale a tensor, got a list of scales")
