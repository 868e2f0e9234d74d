"""The integers of CONCATENATION and QLinearConcat are LiteRT's and onnxruntime's, on every 8-bit value."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.concatenation import ConcatenationKernel
from accelsim.numerics.rule import Rule


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
def test_qlinear_concat_gives_the_same_integers(qtype):
    rng = np.random.default_rng(1)
    values = grids.all_values(qtype)
    for trial in range(30):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        inputs = [(values, a), (values[:, ::-1].copy(), b), (values, y)]
        ours = ConcatenationKernel((a, b, y), y, axis=1).run([x for x, _ in inputs], Rule("float32_nearest_even"))
        assert np.array_equal(ours, operators.run_fused("QLinearConcat", inputs, y, axis=1))
        assert np.array_equal(ours, operators.run_between_roundings("Concat", inputs, y, axis=1))


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
def test_litert_s_reference_kernel_gives_the_same_integers(qtype):
    pytest.importorskip("ai_edge_litert", reason="needs ai_edge_litert, to ask LiteRT itself")
    import litert_models as models

    options = models.schema.ConcatenationOptionsT()
    options.axis = 1
    rng = np.random.default_rng(2)
    values = grids.all_values(qtype)
    for trial in range(30):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        if qtype.is_signed:
            a = b = y  # LiteRT refuses others
        inputs = (a, b, y)
        model = models.single_operator(
            models.schema.BuiltinOperator.CONCATENATION, options, models.schema.BuiltinOptions.ConcatenationOptions,
            [models.on_grid(f"x{place}", values.shape, grid) for place, grid in enumerate(inputs)],
            [models.on_grid("y", (1, 3 * values.size), y)], version=2)
        ours = ConcatenationKernel(inputs, y, axis=1).run([values] * 3, Rule("litert_reference"))
        assert np.array_equal(ours, models.run_reference(model, [values] * 3)[0])
