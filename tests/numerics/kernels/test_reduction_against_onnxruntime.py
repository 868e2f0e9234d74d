"""The integers of reductions are onnxruntime's: QLinearGlobalAveragePool, and ReduceMean and ReduceSum between roundings."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)


def case(rng, qtype, trial):
    """(tensor, input and output grids): ratios that bring means near ties."""
    x = grids.random_grid(rng, qtype, is_decimal=trial % 2 == 0)
    ratio = 0.5 if trial % 3 == 0 else float(rng.uniform(0.1, 0.4))
    scale = float(x.scale) * ratio
    y = grids.random_grid(rng, qtype, low=scale, high=scale)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 70)), *(int(n) for n in rng.integers(2, 16, 2)))
    return grids.random_values(rng, qtype, shape), x, y


@EIGHT_BITS
def test_a_global_pool_gives_the_integers_of_qlinear_global_average_pool(qtype):
    rng = np.random.default_rng(1)
    for trial in range(80):
        values, x, y = case(rng, qtype, trial)
        ours = ReductionKernel("mean", (2, 3), True, x, y, is_global_pool=True).run([values], RULE)
        assert np.array_equal(ours, operators.run_fused("QLinearGlobalAveragePool", [(values, x)], y, channels_last=0))
        assert np.array_equal(ours, operators.run_between_roundings("GlobalAveragePool", [(values, x)], y))
        last = values.transpose(0, 2, 3, 1).copy()
        ours = ReductionKernel("mean", (1, 2), True, x, y, is_global_pool=True).run([last], RULE)
        assert np.array_equal(ours, operators.run_fused("QLinearGlobalAveragePool", [(last, x)], y, channels_last=1))


@EIGHT_BITS
@pytest.mark.parametrize("axes", [(2, 3), (1,), (3,), (0,), (1, 2), (1, 2, 3), (0, 1, 2, 3), (0, 1)], ids=str)
@pytest.mark.parametrize(("kind", "operator"), [("mean", "ReduceMean"), ("sum", "ReduceSum")])
def test_adjoining_axes_are_summed_in_onnxruntimes_order(qtype, axes, kind, operator):
    rng = np.random.default_rng(2)
    for trial in range(40):
        values, x, y = case(rng, qtype, trial)
        theirs = operators.run_between_roundings(operator, [(values, x)], y, more={"axes": np.array(axes)}, keepdims=0)
        assert np.array_equal(ReductionKernel(kind, axes, False, x, y).run([values], RULE), theirs)


@EIGHT_BITS
def test_axes_that_do_not_adjoin_are_off_by_at_most_1(qtype):
    rng = np.random.default_rng(3)
    for trial in range(40):
        values, x, y = case(rng, qtype, trial)
        theirs = operators.run_between_roundings("ReduceMean", [(values, x)], y, more={"axes": np.array((0, 3))}, keepdims=1)
        ours = ReductionKernel("mean", (0, 3), True, x, y).run([values], RULE)
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@EIGHT_BITS
@pytest.mark.parametrize(("kind", "operator"), [("max", "ReduceMax"), ("min", "ReduceMin")])
def test_extremes_give_the_same_integers(qtype, kind, operator):
    rng = np.random.default_rng(4)
    for trial in range(20):
        values, x, y = case(rng, qtype, trial)
        theirs = operators.run_between_roundings(operator, [(values, x)], y, more={"axes": np.array((1, 3))}, keepdims=1)
        assert np.array_equal(ReductionKernel(kind, (1, 3), True, x, y).run([values], RULE), theirs)
