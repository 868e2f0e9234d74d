"""The integers of a Relu or Clip between roundings are onnxruntime's, on every value."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8, grids.INT16], ids=lambda qtype: qtype.name)
def test_relu_and_clip_are_the_clamp_of_a_change_of_grid(qtype):
    rng = np.random.default_rng(1)
    values = grids.all_values(qtype)
    for trial in range(20):
        x, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(2))
        zero, edges = int(y.zero_point), {"low": np.float32(-0.7), "high": np.float32(2.3)}
        low, high = (int(np.clip(int(np.rint(edge / np.float32(y.scale))) + zero, qtype.min, qtype.max))
                     for edge in edges.values())
        relu = operators.run_between_roundings("Relu", [(values, x)], y)
        clip = operators.run_between_roundings("Clip", [(values, x)], y, more=edges)
        assert np.array_equal(RescalingKernel(x, y, zero, qtype.max).run([values], RULE), relu)
        assert np.array_equal(RescalingKernel(x, y, low, high).run([values], RULE), clip)


@pytest.mark.parametrize(("source", "target"), [(grids.INT8, grids.UINT8), (grids.UINT8, grids.INT8),
                                                (grids.INT16, grids.UINT8), (grids.INT8, grids.INT16)],
                         ids=lambda qtype: qtype.name)
def test_types_change_between_roundings(source, target):
    rng = np.random.default_rng(2)
    values = grids.all_values(source)
    for trial in range(20):
        x, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for qtype in (source, target))
        theirs = operators.run_between_roundings("Identity", [(values, x)], y)
        assert np.array_equal(RescalingKernel(x, y, target.min, target.max).run([values], RULE), theirs)
