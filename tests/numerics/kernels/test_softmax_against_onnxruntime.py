"""QLinearSoftmax bit for bit, also as the fusion of three nodes; the three nodes themselves to 1 unit in 1 of 10,000,000."""

import numpy as np
import pytest
from onnx_graph import node, run_graph

from accelsim.numerics.kernels.softmax import SoftmaxKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
TYPES = {np.int8: QType(8, True), np.uint8: QType(8, False), np.int16: QType(16, True), np.uint16: QType(16, False)}


def integers(shape, dtype, seed=0):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


def constants(dtype, x_scale, x_zero, y_scale, y_zero):
    return {"xs": np.float32(x_scale), "xz": np.asarray(x_zero, dtype), "ys": np.float32(y_scale),
            "yz": np.asarray(y_zero, dtype)}


def three_nodes(x, parts, *, axis=-1, is_optimized, opset=21, operator="Softmax"):
    nodes = [node("DequantizeLinear", ["x", "xs", "xz"], "f"), node(operator, ["f"], "g", axis=axis),
             node("QuantizeLinear", ["g", "ys", "yz"], "y")]
    return run_graph(nodes, x, constants(x.dtype, *parts), opset=opset, is_optimized=is_optimized)


def kernel(x, parts, *, axis=-1, **options):
    x_scale, x_zero, y_scale, y_zero = parts
    qtype = TYPES[x.dtype.type]
    return SoftmaxKernel(axis=axis, beta=1.0, **options,
                         input=QParams(scale=np.float32(x_scale), zero_point=x_zero, qtype=qtype),
                         output=QParams(scale=np.float32(y_scale), zero_point=y_zero, qtype=qtype))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [0.003, 0.05, 0.3, 30.0])
@pytest.mark.parametrize("y_scale", [1 / 255, 1 / 256, 0.0017, 1e-5])
def test_the_fused_softmax_and_its_operator_give_the_same_integers(dtype, scale, y_scale):
    for zero in (int(np.iinfo(dtype).min), 7):
        for depth in (1, 2, 3, 10, 300):
            x, parts = integers((300, depth), dtype, depth), (scale, 3, y_scale, zero)
            ours = kernel(x, parts).run([x], RULE)
            assert np.array_equal(ours, three_nodes(x, parts, is_optimized=True))
            operator = node("QLinearSoftmax", ["x", "xs", "xz", "ys", "yz"], "y", domain="com.microsoft", opset=13, axis=-1)
            assert np.array_equal(ours, run_graph([operator], x, constants(dtype, *parts)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_fused_softmax_along_any_axis(axis):
    x, parts = integers((4, 5, 6), np.uint8), (0.03, 100, 1 / 256, 0)
    assert np.array_equal(kernel(x, parts, axis=axis).run([x], RULE), three_nodes(x, parts, axis=axis, is_optimized=True))


def test_before_opset_13_a_row_is_everything_from_the_axis_on():
    x, parts = integers((4, 5, 6), np.uint8), (0.03, 100, 1 / 256, 0)
    theirs = three_nodes(x, parts, axis=1, is_optimized=True, opset=12)
    assert np.array_equal(kernel(x, parts, axis=1, is_flattened=True).run([x], RULE), theirs)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_three_separate_nodes_differ_by_one_unit_at_most_and_almost_never(dtype):
    different = total = 0
    for scale in (0.003, 0.05, 0.3):
        for y_scale in (1 / 255, 1 / 256, 0.0017):
            for depth in (1, 2, 3, 10, 18, 300):
                x, parts = integers((300, depth), dtype, depth), (scale, 3, y_scale, int(np.iinfo(dtype).min))
                ours = kernel(x, parts, form="dequantize").run([x], RULE).astype(int)
                difference = np.abs(ours - three_nodes(x, parts, is_optimized=False))
                assert difference.max() <= 1
                different, total = different + np.count_nonzero(difference), total + x.size
    assert total > 900_000
    assert different <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_16_bit_tensors_are_not_fused_and_differ_by_one_unit_at_most(dtype):
    x, parts = integers((300, 10), dtype), (2e-4, 5, 1 / 65536, int(np.iinfo(dtype).min))
    ours = kernel(x, parts, form="dequantize").run([x], RULE).astype(int)
    difference = np.abs(ours - three_nodes(x, parts, is_optimized=True))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 0.02 * x.size


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_the_logarithm_of_three_nodes_differs_by_one_unit_at_most_and_almost_never(dtype):
    x, parts = integers((2000, 10), dtype), (0.05, 3, 1 / 16, int(np.iinfo(dtype).max))
    ours = kernel(x, parts, is_log=True, form="dequantize").run([x], RULE).astype(int)
    difference = np.abs(ours - three_nodes(x, parts, is_optimized=True, operator="LogSoftmax"))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1
