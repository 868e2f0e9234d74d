"""The integers of pooling are onnxruntime's: QLinearAveragePool, and AveragePool and MaxPool between roundings."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.pooling import PoolingKernel
from accelsim.numerics.rule import Rule

EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
SEEDS = pytest.mark.parametrize("seed", range(20))


def case(seed, qtype):
    """(image, input and output grids, attributes)"""
    rng = np.random.default_rng(seed)
    scales = {"low": 1e-4, "high": 1e-3} if qtype.bits == 16 else {"is_decimal": seed % 3 == 0}
    x = grids.random_grid(rng, qtype, **scales)
    y = x if seed % 4 == 0 else grids.random_grid(rng, qtype, **scales)
    window, stride = ([int(rng.integers(1, top)) for _ in range(2)] for top in (5, 4))
    pads = [int(rng.integers(0, window[place % 2])) for place in range(4)]
    image = grids.random_values(rng, qtype, (2, 3, *(int(n) for n in rng.integers(5, 12, 2))))
    return image, x, y, {"kernel_shape": window, "strides": stride, "pads": pads}


def ours(kind, image, x, y, attributes, *, counts_padding=False, channels_last=False, is_relu=False):
    window, stride, pads = (tuple(attributes[name]) for name in ("kernel_shape", "strides", "pads"))
    dilation = tuple(attributes.get("dilations", (1, 1)))
    low = int(y.zero_point) if is_relu else y.qtype.min
    kernel = PoolingKernel(kind, window, stride, pads, dilation, channels_last, counts_padding, x, y, low, y.qtype.max,
                           is_unfused=is_relu)
    return kernel.run([image], Rule("float32_nearest_even"))


@SEEDS
@EIGHT_BITS
@pytest.mark.parametrize("counts_padding", [False, True])
def test_averages_give_the_integers_of_qlinear_average_pool(qtype, seed, counts_padding):
    image, x, y, attributes = case(seed, qtype)
    found = ours("average", image, x, y, attributes, counts_padding=counts_padding)
    more = {"count_include_pad": int(counts_padding)}
    assert np.array_equal(found, operators.run_fused("QLinearAveragePool", [(image, x)], y, **attributes, **more))
    assert np.array_equal(found, operators.run_between_roundings("AveragePool", [(image, x)], y, **attributes, **more))
    last = ours("average", image.transpose(0, 2, 3, 1), x, y, attributes, counts_padding=counts_padding, channels_last=True)
    assert np.array_equal(last, found.transpose(0, 2, 3, 1))


@SEEDS
@EIGHT_BITS
def test_maxima_give_the_same_integers(qtype, seed):
    image, x, y, attributes = case(seed, qtype)
    theirs = operators.run_between_roundings("MaxPool", [(image, x)], y, **attributes)
    assert np.array_equal(ours("max", image, x, y, attributes), theirs)


@EIGHT_BITS
def test_a_dilated_window_gives_the_same_maxima(qtype):
    image, x, y, _ = case(5, qtype)
    attributes = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [2, 3]}
    theirs = operators.run_between_roundings("MaxPool", [(image, x)], y, **attributes)
    assert np.array_equal(ours("max", image, x, y, attributes), theirs)


@SEEDS
def test_16_bit_averages_round_the_mean_before_the_zero_point_is_added(seed):
    image, x, y, attributes = case(seed, grids.INT16)
    theirs = operators.run_between_roundings("AveragePool", [(image, x)], y, **attributes)
    assert np.array_equal(ours("average", image, x, y, attributes), theirs)


@SEEDS
@EIGHT_BITS
def test_an_average_before_a_relu_is_not_fused(qtype, seed):
    image, x, y, attributes = case(seed, qtype)
    theirs = operators.run_between_roundings("AveragePool", [(image, x)], y, then="Relu", **attributes)
    assert np.array_equal(ours("average", image, x, y, attributes, is_relu=True), theirs)
