"""The integers of sums and differences are onnxruntime's: QLinearAdd, and operators between roundings."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
# Operands of every way in which onnxruntime's broadcaster walks.
SHAPES = [((4, 5, 6), ()), ((), (4, 5, 6)), ((4, 5, 6), (1,)), ((1,), (4, 5, 6)), ((1, 5, 2, 6), (5, 1, 1)),
          ((5, 1, 1), (2, 5, 2, 6)), ((4, 5, 1), (6,)), ((4, 1, 6), (1, 5, 1)), ((4, 5, 1), (4, 5, 1)), ((5, 1), (1,)),
          ((1, 4, 1), (3, 1, 1)), ((3, 1, 1), (1, 4, 1)), ((), ()), ((1,), (1,)), ((1, 1), (3, 4, 1))]


def ours(inputs, output, *, signs=(1, 1), held=(), is_unfused=False):
    kernel = AdditionKernel(tuple(grid for _, grid in inputs), output, output.qtype.min, output.qtype.max, signs,
                            {place: inputs[place][0] for place in held}, is_unfused=is_unfused)
    return kernel.run([values for place, (values, _) in enumerate(inputs) if place not in held], RULE)


@EIGHT_BITS
@pytest.mark.parametrize("is_decimal", [False, True])
def test_every_pair_gives_the_integer_of_qlinear_add(qtype, is_decimal):
    rng = np.random.default_rng(1)
    pair = grids.all_pairs(qtype)
    for _ in range(10):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=is_decimal) for _ in range(3))
        inputs = list(zip(pair, (a, b), strict=True))
        assert np.array_equal(ours(inputs, y), operators.run_fused("QLinearAdd", inputs, y))
        assert np.array_equal(ours(inputs, y), operators.run_between_roundings("Add", inputs, y))


@EIGHT_BITS
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcast_operands_give_the_integers_of_qlinear_add(qtype, shapes):
    rng = np.random.default_rng(2)
    for _ in range(60):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
        inputs = [(grids.random_values(rng, qtype, shape), grid) for shape, grid in zip(shapes, (a, b), strict=True)]
        assert np.array_equal(ours(inputs, y), operators.run_fused("QLinearAdd", inputs, y))


@EIGHT_BITS
@pytest.mark.parametrize("held", [(0,), (1,)])
def test_a_constant_per_channel_is_an_operand_like_another(qtype, held):
    rng = np.random.default_rng(3)
    shapes = [(2, 5, 3, 4), (2, 5, 3, 4)]
    shapes[held[0]] = (5, 1, 1)
    for _ in range(30):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
        inputs = [(grids.random_values(rng, qtype, shape), grid) for shape, grid in zip(shapes, (a, b), strict=True)]
        assert np.array_equal(ours(inputs, y, held=held), operators.run_between_roundings("Add", inputs, y, held=held))


@EIGHT_BITS
@pytest.mark.parametrize(("operator", "signs"), [("Sub", (1, -1)), ("Sum", (1, 1))])
def test_every_pair_gives_the_integer_of_operators_that_have_no_fused_form(qtype, operator, signs):
    rng = np.random.default_rng(4)
    pair = grids.all_pairs(qtype)
    for trial in range(6):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        inputs = list(zip(pair, (a, b), strict=True))
        theirs = operators.run_between_roundings(operator, inputs, y)
        assert np.array_equal(ours(inputs, y, signs=signs, is_unfused=True), theirs)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_sum_of_any_number_of_operands_gives_the_same_integers(count):
    rng = np.random.default_rng(5)
    for trial in range(20):
        y, *inputs = (grids.random_grid(rng, grids.INT8, is_decimal=trial % 2 == 1) for _ in range(count + 1))
        pairs = [(grids.random_values(rng, grids.INT8, (50, 60)), grid) for grid in inputs]
        theirs = operators.run_between_roundings("Sum", pairs, y)
        assert np.array_equal(ours(pairs, y, signs=(1,) * count), theirs)


def test_16_bit_operands_are_added_as_real_numbers():
    rng = np.random.default_rng(6)
    for _ in range(6):
        a, b, y = (grids.random_grid(rng, grids.INT16, low=1e-5, high=1e-3) for _ in range(3))
        inputs = [(grids.random_values(rng, grids.INT16, (100, 1000)), grid) for grid in (a, b)]
        assert np.array_equal(ours(inputs, y), operators.run_between_roundings("Add", inputs, y))


@EIGHT_BITS
def test_a_sum_before_a_relu_is_not_fused(qtype):
    rng = np.random.default_rng(7)
    for _ in range(10):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=True) for _ in range(3))
        inputs = list(zip(grids.all_pairs(qtype), (a, b), strict=True))
        kernel = AdditionKernel((a, b), y, int(y.zero_point), qtype.max, (1, 1), is_unfused=True)
        theirs = operators.run_between_roundings("Add", inputs, y, then="Relu")
        assert np.array_equal(kernel.run([values for values, _ in inputs], RULE), theirs)
