"""The integers of products are onnxruntime's: QLinearMul, and Mul between roundings."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.multiplication import MultiplicationKernel
from accelsim.numerics.rule import Rule

EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)


def ours(inputs, output, *, held=(), is_relu=False):
    low = int(output.zero_point) if is_relu else output.qtype.min
    kernel = MultiplicationKernel(tuple(grid for _, grid in inputs), output, low, output.qtype.max,
                                  {place: inputs[place][0] for place in held}, is_unfused=is_relu)
    given = [values for place, (values, _) in enumerate(inputs) if place not in held]
    return kernel.run(given, Rule("float32_nearest_even"))


@EIGHT_BITS
@pytest.mark.parametrize("is_decimal", [False, True])
def test_every_pair_gives_the_integer_of_qlinear_mul(qtype, is_decimal):
    rng = np.random.default_rng(1)
    for _ in range(10):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=is_decimal) for _ in range(3))
        inputs = list(zip(grids.all_pairs(qtype), (a, b), strict=True))
        assert np.array_equal(ours(inputs, y), operators.run_fused("QLinearMul", inputs, y))
        assert np.array_equal(ours(inputs, y), operators.run_between_roundings("Mul", inputs, y))


@EIGHT_BITS
@pytest.mark.parametrize("shapes", [((2, 5, 3, 4), (5, 1, 1)), ((2, 5, 1, 1), (2, 5, 3, 4)), ((), (3, 4)), ((7, 1), (1, 9))])
@pytest.mark.parametrize("held", [(), (1,)])
def test_broadcast_operands_give_the_integers_of_qlinear_mul(qtype, shapes, held):
    rng = np.random.default_rng(2)
    for _ in range(20):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
        inputs = [(grids.random_values(rng, qtype, shape), grid) for shape, grid in zip(shapes, (a, b), strict=True)]
        assert np.array_equal(ours(inputs, y, held=held), operators.run_between_roundings("Mul", inputs, y, held=held))


def test_16_bit_operands_are_multiplied_as_real_numbers():
    rng = np.random.default_rng(3)
    for _ in range(6):
        a, b, y = (grids.random_grid(rng, grids.INT16, low=1e-3, high=1e-2) for _ in range(3))
        inputs = [(grids.random_values(rng, grids.INT16, (100, 1000)), grid) for grid in (a, b)]
        assert np.array_equal(ours(inputs, y), operators.run_between_roundings("Mul", inputs, y))


@EIGHT_BITS
def test_a_product_before_a_relu_is_not_fused(qtype):
    rng = np.random.default_rng(4)
    for _ in range(10):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
        inputs = list(zip(grids.all_pairs(qtype), (a, b), strict=True))
        assert np.array_equal(ours(inputs, y, is_relu=True), operators.run_between_roundings("Mul", inputs, y, then="Relu"))
