"""The integers of AVERAGE_POOL_2D and MAX_POOL_2D are LiteRT's reference kernels'."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import schema

from accelsim.numerics.kernels.pooling import PoolingKernel
from accelsim.numerics.rule import Rule


def geometry_of(rng, size, is_same):
    """(window, stride, pads) and the output's size: TFLite's paddings SAME and VALID."""
    window, stride = ([int(rng.integers(1, top)) for _ in range(2)] for top in (5, 4))
    if not is_same:
        return window, stride, (0, 0, 0, 0), [(n - k) // s + 1 for n, k, s in zip(size, window, stride, strict=True)]
    out = [-(-n // s) for n, s in zip(size, stride, strict=True)]
    total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(out, stride, window, size, strict=True)]
    return window, stride, (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2), out


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8, grids.INT16], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize(("kind", "operator"), [("average", "AVERAGE_POOL_2D"), ("max", "MAX_POOL_2D")])
@pytest.mark.parametrize("is_same", [False, True])
@pytest.mark.parametrize("has_relu", [False, True])
def test_random_windows_give_the_same_integers(qtype, kind, operator, is_same, has_relu):
    rng = np.random.default_rng(1)
    for _ in range(12):
        size = [int(n) for n in rng.integers(5, 12, 2)]
        window, stride, pads, out = geometry_of(rng, size, is_same)
        grid = grids.random_grid(rng, qtype, zero_point=0 if qtype.bits == 16 else None)
        image = grids.random_values(rng, qtype, (2, *size, 5))
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth, options.strideH, options.strideW = (*window, *stride)
        options.padding = schema.Padding.SAME if is_same else schema.Padding.VALID
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU if has_relu else 0
        model = models.single_operator(
            getattr(schema.BuiltinOperator, operator), options, schema.BuiltinOptions.Pool2DOptions,
            [models.on_grid("x", image.shape, grid)], [models.on_grid("y", (2, *out, 5), grid)],
            version=3 if qtype.bits == 16 else 2)
        kernel = PoolingKernel(kind, tuple(window), tuple(stride), pads, (1, 1), True, False, grid, grid,
                               int(grid.zero_point) if has_relu else qtype.min, qtype.max)
        ours = kernel.run([image], Rule("litert_reference"))
        assert np.array_equal(ours, models.run_reference(model, [image])[0])
