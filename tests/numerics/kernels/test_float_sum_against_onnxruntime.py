"""Sums of real numbers are onnxruntime's to the last bit, over axes that adjoin."""

import numpy as np
import onnx_graph as graphs
import pytest

from accelsim.numerics.kernels.float_sum import summed


@pytest.mark.parametrize("axes", [(2, 3), (1,), (2,), (3,), (0,), (1, 2), (1, 2, 3), (0, 1, 2, 3), (0, 1)], ids=str)
def test_every_bit_of_a_sum_is_the_same(axes):
    rng = np.random.default_rng(1)
    naive_differs = False
    for _ in range(60):
        shape = tuple(int(size) for size in rng.integers((1, 2, 2, 2), (5, 40, 14, 14)))
        x = rng.normal(size=shape).astype(np.float32)
        node = graphs.node("ReduceSum", ["x", "axes"], "y", keepdims=1)
        theirs = graphs.run_graph([node], x, {"axes": np.array(axes)})
        assert np.array_equal(summed(x, axes), theirs)
        naive_differs |= not np.array_equal(x.astype(np.float64).sum(axis=axes, keepdims=True).astype(np.float32), theirs)
    assert naive_differs
