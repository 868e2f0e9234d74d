"""LiteRT's L2_NORMALIZATION of 8 bits, bit for bit."""

import numpy as np
import pytest
from litert_models import TensorSpec, run_reference, schema, single_operator

from accelsim.numerics.kernels.normalization import NormalizationKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize(("zero", "spread"), [(0, 128), (5, 128), (-20, 3), (100, 128), (-128, 1), (127, 40)])
def test_l2_normalization(dtype, zero, spread):
    qtype = QType(8, dtype is np.int8)
    zero_point = zero + qtype.min + 128
    rng = np.random.default_rng(spread)
    for depth in (1, 2, 3, 16, 200, 4000):
        low, high = max(qtype.min, zero_point - spread), min(qtype.max, zero_point + spread)
        x = rng.integers(low, high + 1, (1, 1, 30, depth)).astype(dtype)
        x[0, 0, 0] = zero_point
        options = schema.L2NormOptionsT()
        output = QParams(scale=1 / 128, zero_point=0 if dtype is np.int8 else 128, qtype=qtype)
        model = single_operator(
            schema.BuiltinOperator.L2_NORMALIZATION, options, schema.BuiltinOptions.L2NormOptions,
            [TensorSpec("x", x.shape, dtype, 0.1, zero_point)],
            [TensorSpec("y", x.shape, dtype, 1 / 128, int(output.zero_point))], version=2)
        kernel = NormalizationKernel("l2", (-1,), 0.0, None, None,
                                     QParams(scale=0.1, zero_point=zero_point, qtype=qtype), output)
        assert np.array_equal(kernel.run([x], Rule("litert_reference")), run_reference(model, [x])[0])
