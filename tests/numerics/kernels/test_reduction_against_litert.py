"""The integers of MEAN, SUM, REDUCE_MAX and REDUCE_MIN are LiteRT's reference kernels'."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import TensorSpec, schema

from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.rule import Rule

TYPES = [grids.INT8, grids.UINT8, grids.INT16]
AXES = [(1, 2), (3,), (1, 2, 3), (0, 1, 2, 3), (2,), (0, 2)]


def both(kind, operator, values, axes, keeps, x, y):
    options = schema.ReducerOptionsT()
    options.keepDims = keeps
    kept = [1 if axis in axes else size for axis, size in enumerate(values.shape)]
    shape = kept if keeps else [size for axis, size in enumerate(values.shape) if axis not in axes]
    constant = TensorSpec("axes", (len(axes),), np.int32, data=np.array(axes, np.int32))
    model = models.single_operator(
        getattr(schema.BuiltinOperator, operator), options, schema.BuiltinOptions.ReducerOptions,
        [models.on_grid("x", values.shape, x), constant], [models.on_grid("y", shape, y)], version=2)
    ours = ReductionKernel(kind, axes, keeps, x, y).run([values], Rule("litert_reference"))
    return ours, models.run_reference(model, [values])[0]


@pytest.mark.parametrize("qtype", TYPES, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("keeps", [False, True])
def test_means_give_the_same_integers(qtype, axes, keeps):
    rng = np.random.default_rng(1)
    for trial in range(8):
        zero = 0 if qtype.bits == 16 else None
        x, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1, zero_point=zero) for _ in range(2))
        values = grids.random_values(rng, qtype, tuple(int(size) for size in rng.integers(1, 9, 4)))
        ours, theirs = both("mean", "MEAN", values, axes, keeps, x, x if trial % 4 == 3 else y)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_sums_of_uint8_give_the_same_integers(axes):
    rng = np.random.default_rng(2)
    for trial in range(8):
        x = grids.random_grid(rng, grids.UINT8, is_decimal=trial % 2 == 1)
        y = grids.random_grid(rng, grids.UINT8, is_decimal=trial % 2 == 1, low=0.1, high=20.0)
        values = grids.random_values(rng, grids.UINT8, tuple(int(size) for size in rng.integers(1, 9, 4)))
        ours, theirs = both("sum", "SUM", values, axes, True, x, y)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("qtype", TYPES, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize(("kind", "operator"), [("max", "REDUCE_MAX"), ("min", "REDUCE_MIN")])
def test_extremes_give_the_same_integers(qtype, axes, kind, operator):
    rng = np.random.default_rng(3)
    grid = grids.random_grid(rng, qtype, zero_point=0 if qtype.bits == 16 else None)
    ours, theirs = both(kind, operator, grids.random_values(rng, qtype, (3, 5, 4, 2)), axes, False, grid, grid)
    assert np.array_equal(ours, theirs)
