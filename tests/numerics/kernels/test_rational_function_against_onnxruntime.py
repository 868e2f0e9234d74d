"""tanh and sigmoid are onnxruntime's to the last bit of a float32."""

import numpy as np
import onnx_graph as graphs
import pytest

from accelsim.numerics.kernels.rational_function import rational_sigmoid, rational_tanh


@pytest.mark.parametrize(("function", "operator"), [(rational_tanh, "Tanh"), (rational_sigmoid, "Sigmoid")])
def test_every_bit_is_the_same(function, operator):
    rng = np.random.default_rng(1)
    x = np.concatenate([np.linspace(-25, 25, 300_001), rng.normal(size=100_000) * 2, rng.normal(size=100_000) * 1e-3])
    x = np.concatenate([x, [0.0, -0.0, 1e-30, 9.0, -9.0, 18.0, -18.0, 1e30, -1e30]]).astype(np.float32)
    assert np.array_equal(function(x), graphs.run_graph([graphs.node(operator, ["x"], "y")], x))
