"""The integers of maxima and minima are LiteRT's and onnxruntime's, on all pairs of 8-bit values."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.selection import SelectionKernel
from accelsim.numerics.rule import Rule

EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)


@EIGHT_BITS
@pytest.mark.parametrize(("kind", "operator"), [("max", "Max"), ("min", "Min")])
def test_every_pair_gives_onnxruntimes_integer_on_different_grids(qtype, kind, operator):
    rng = np.random.default_rng(1)
    for trial in range(6):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        pair = grids.all_pairs(qtype)
        ours = SelectionKernel(kind, (a, b), y).run(pair, Rule("float32_nearest_even"))
        theirs = operators.run_between_roundings(operator, list(zip(pair, (a, b), strict=True)), y)
        assert np.array_equal(ours, theirs)


@EIGHT_BITS
@pytest.mark.parametrize(("kind", "operator"), [("max", "MAXIMUM"), ("min", "MINIMUM")])
def test_every_pair_gives_litert_s_integer_on_one_grid(qtype, kind, operator):
    pytest.importorskip("ai_edge_litert", reason="needs ai_edge_litert, to ask LiteRT itself")
    import litert_models as models

    grid = grids.random_grid(np.random.default_rng(2), qtype)
    pair = grids.all_pairs(qtype)
    model = models.single_operator(
        getattr(models.schema.BuiltinOperator, operator), models.schema.MaximumMinimumOptionsT(),
        models.schema.BuiltinOptions.MaximumMinimumOptions,
        [models.on_grid(name, pair[0].shape, grid) for name in "ab"], [models.on_grid("y", pair[0].shape, grid)], version=2)
    ours = SelectionKernel(kind, (grid, grid), grid).run(pair, Rule("litert_reference"))
    assert np.array_equal(ours, models.run_reference(model, list(pair))[0])
