"""DequantizeLinear, a norm, QuantizeLinear: 1 unit apart at most, in fewer than 1 of 100,000; L2 norm without difference."""

import numpy as np
import pytest
from onnx_graph import node, run_graph

from accelsim.numerics.kernels.normalization import NormalizationKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
OPERATORS = {"layer": ("LayerNormalization", 21), "rms": ("RMSNormalization", 23), "l2": ("LpNormalization", 21)}


def theirs(kind, x, x_parameters, y_parameters, gamma, beta, axis, epsilon):
    constants = {"xs": np.float32(x_parameters.scale), "xz": x_parameters.zero_point.astype(x.dtype),
                 "ys": np.float32(y_parameters.scale), "yz": y_parameters.zero_point.astype(x.dtype)}
    extra = {"gamma": gamma, "beta": beta}
    constants |= {name: value for name, value in extra.items() if value is not None}
    names = [name for name, value in extra.items() if value is not None]
    operator, opset = OPERATORS[kind]
    attributes = {"p": 2} if kind == "l2" else {"epsilon": epsilon}
    nodes = [node("DequantizeLinear", ["x", "xs", "xz"], "f"), node(operator, ["f", *names], "g", axis=axis, **attributes),
             node("QuantizeLinear", ["g", "ys", "yz"], "y")]
    return run_graph(nodes, x, constants, opset=opset)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("is_signed", [True, False])
def test_rows_of_many_lengths_and_offsets(kind, is_signed):
    qtype = QType(8, is_signed)
    rng = np.random.default_rng(5)
    different = total = 0
    for depth in (1, 8, 64, 300, 768):
        for scale, center in ((0.02, 0), (0.00137, 80), (0.1, 0)):
            x_parameters = QParams(scale=np.float32(scale), zero_point=5, qtype=qtype)
            y_scale = 1 / 128 if kind == "l2" else 0.03
            y_parameters = QParams(scale=np.float32(y_scale), zero_point=9, qtype=qtype)
            x = qtype.clamp(np.rint(rng.normal(center + qtype.min + 128, 20, (100, depth))).astype(int))
            x[0] = 5
            gamma = rng.normal(1, 0.3, depth).astype(np.float32) if kind != "l2" else None
            beta = rng.normal(0, 0.5, depth).astype(np.float32) if kind == "layer" else None
            epsilon = 0.0 if kind == "l2" else 1e-5
            kernel = NormalizationKernel(kind, (-1,), epsilon, gamma, beta, x_parameters, y_parameters)
            expected = theirs(kind, x, x_parameters, y_parameters, gamma, beta, -1, epsilon)
            difference = np.abs(kernel.run([x], RULE).astype(int) - expected)
            assert difference.max() <= (0 if kind == "l2" else 1)
            different, total = different + np.count_nonzero(difference), total + x.size
    assert different <= total // 100_000


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_all_dimensions_from_an_axis_on(kind):
    qtype = QType(8, True)
    parameters = QParams(scale=np.float32(0.03), zero_point=-7, qtype=qtype)
    x = np.random.default_rng(6).integers(-128, 128, (3, 4, 5, 6)).astype(np.int8)
    gamma = np.random.default_rng(7).normal(1, 0.3, (5, 6)).astype(np.float32)
    kernel = NormalizationKernel(kind, (2, 3), 1e-5, gamma, None, parameters, parameters)
    assert np.array_equal(kernel.run([x], RULE), theirs(kind, x, parameters, parameters, gamma, None, 2, 1e-5))
