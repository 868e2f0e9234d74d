"""The integers of ADD and SUB are LiteRT's reference kernels', on all pairs of 8-bit values and on random 16-bit ones."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import schema

from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.rule import Rule

RULE = Rule("litert_reference")
OPERATORS = {"ADD": (1, schema.AddOptionsT, "AddOptions"), "SUB": (-1, schema.SubOptionsT, "SubOptions")}


def theirs(operator, inputs, output, values, *, constants=(), is_power_of_two=False, activation=0):
    _, kind, union = OPERATORS[operator]
    options = kind()
    options.fusedActivationFunction, options.potScaleInt16 = activation, is_power_of_two
    specs = [models.on_grid(f"x{place}", array.shape, grid, array if place in constants else None)
             for place, (array, grid) in enumerate(zip(values, inputs, strict=True))]
    shape = np.broadcast_shapes(*(array.shape for array in values))
    model = models.single_operator(
        getattr(schema.BuiltinOperator, operator), options, getattr(schema.BuiltinOptions, union), specs,
        [models.on_grid("y", shape, output)], version=4 if output.qtype.bits == 16 else 2)
    return models.run_reference(model, [array for place, array in enumerate(values) if place not in constants])[0]


def ours(operator, inputs, output, values, *, constants=(), is_power_of_two=False, low=None):
    kernel = AdditionKernel(
        inputs, output, output.qtype.min if low is None else low, output.qtype.max, (1, OPERATORS[operator][0]),
        {place: values[place] for place in constants}, is_power_of_two=is_power_of_two)
    return kernel.run([array for place, array in enumerate(values) if place not in constants], RULE)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("is_decimal", [False, True])
def test_every_pair_of_8_bit_values_gives_the_same_integer(operator, qtype, is_decimal):
    rng = np.random.default_rng(1)
    pair = grids.all_pairs(qtype)
    for _ in range(6):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=is_decimal) for _ in range(3))
        assert np.array_equal(ours(operator, (a, b), y, pair), theirs(operator, (a, b), y, pair))


@pytest.mark.parametrize("operator", OPERATORS)
def test_random_16_bit_values_give_the_same_integers(operator):
    rng = np.random.default_rng(2)
    for trial in range(6):
        a, b, y = (grids.random_grid(rng, grids.INT16, is_decimal=trial % 2 == 1, zero_point=0) for _ in range(3))
        pair = [grids.random_values(rng, grids.INT16, (1, 100_000)) for _ in range(2)]
        assert np.array_equal(ours(operator, (a, b), y, pair), theirs(operator, (a, b), y, pair))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("exponents", [(-15, -17), (-18, -15), (-15, -15)])
def test_the_older_int16_kernel_of_power_of_two_scales_gives_the_same_integers(operator, exponents):
    rng = np.random.default_rng(3)
    a, b, y = (grids.random_grid(rng, grids.INT16, low=2.0**e, high=2.0**e, zero_point=0) for e in (*exponents, -15))
    pair = [grids.random_values(rng, grids.INT16, (1, 100_000)) for _ in range(2)]
    found = ours(operator, (a, b), y, pair, is_power_of_two=True)
    assert np.array_equal(found, theirs(operator, (a, b), y, pair, is_power_of_two=True))
    if min(exponents) < -15:  # and the general kernel would have been told apart
        assert np.any(found != ours(operator, (a, b), y, pair))


@pytest.mark.parametrize("shapes", [((2, 5, 6, 3), (3,)), ((1, 5, 3), (2, 1, 3)), ((4, 3), (1, 1)), ((2, 1, 3), (7, 1))])
@pytest.mark.parametrize("constants", [(), (1,)])
def test_operands_broadcast(shapes, constants):
    rng = np.random.default_rng(4)
    a, b, y = (grids.random_grid(rng, grids.INT8) for _ in range(3))
    values = [grids.random_values(rng, grids.INT8, shape) for shape in shapes]
    found = ours("ADD", (a, b), y, values, constants=constants)
    assert np.array_equal(found, theirs("ADD", (a, b), y, values, constants=constants))


def test_a_fused_relu_is_the_clamp():
    rng = np.random.default_rng(5)
    a, b, y = (grids.random_grid(rng, grids.INT8, zero_point=zero) for zero in (3, -7, 20))
    pair = grids.all_pairs(grids.INT8)
    relu = schema.ActivationFunctionType.RELU
    assert np.array_equal(ours("ADD", (a, b), y, pair, low=20), theirs("ADD", (a, b), y, pair, activation=relu))
