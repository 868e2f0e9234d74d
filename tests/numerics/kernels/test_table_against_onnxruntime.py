"""The integers of activations are onnxruntime's, on every 8-bit value; on 16-bit ones but for its own polynomials."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids

from accelsim.numerics.kernels.table import TableKernel
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
# Function, operator, parameters as onnxruntime knows them.
OPERATORS = [
    ("sigmoid", "Sigmoid", {}), ("tanh", "Tanh", {}), ("leaky_relu", "LeakyRelu", {"alpha": 0.1}), ("gelu", "Gelu", {}),
    ("erf", "Erf", {}), ("hard_swish", "HardSwish", {}), ("hard_sigmoid", "HardSigmoid", {"alpha": 0.17, "beta": 0.4}),
    ("elu", "Elu", {"alpha": 1.3}), ("celu", "Celu", {"alpha": 0.7}), ("selu", "Selu", {}), ("softplus", "Softplus", {}),
    ("mish", "Mish", {}), ("softsign", "Softsign", {}), ("exp", "Exp", {}), ("log", "Log", {}), ("sqrt", "Sqrt", {}),
    ("reciprocal", "Reciprocal", {}), ("thresholded_relu", "ThresholdedRelu", {"alpha": 0.6}), ("relu", "Relu", {}),
    ("abs", "Abs", {}), ("neg", "Neg", {}), ("floor", "Floor", {}), ("ceil", "Ceil", {}), ("round", "Round", {}),
    ("sign", "Sign", {}), ("sin", "Sin", {}), ("cos", "Cos", {})]
# Without a polynomial for exp, log, erf, sin or cos, or a division by an approximate inverse: no difference.
PLAIN = {"sigmoid", "tanh", "leaky_relu", "hard_swish", "hard_sigmoid", "sqrt", "reciprocal", "thresholded_relu", "relu",
         "abs", "neg", "floor", "ceil", "round", "sign"}


def both(function, operator, parameters, values, x, y, more=None):
    ours = TableKernel(function, x, y, parameters).run([values], RULE)
    return ours, operators.run_between_roundings(operator, [(values, x)], y, opset=22, **(more or parameters))


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize(("function", "operator", "parameters"), OPERATORS, ids=str)
def test_every_byte_gives_the_same_integer(qtype, function, operator, parameters):
    rng = np.random.default_rng(1)
    for trial in range(40):
        x = grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1)
        y = grids.random_grid(rng, qtype, is_decimal=trial % 4 > 1, low=0.002, high=0.1)
        ours, theirs = both(function, operator, parameters, grids.all_values(qtype), x, y)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
def test_the_approximate_gelu_is_a_parameter(qtype):
    rng = np.random.default_rng(2)
    for _ in range(40):
        x, y = grids.random_grid(rng, qtype), grids.random_grid(rng, qtype, low=0.002, high=0.1)
        ours, theirs = both("gelu", "Gelu", {"approximate": 1}, grids.all_values(qtype), x, y, {"approximate": "tanh"})
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize(("function", "operator", "parameters"), [
    ("sigmoid", "QLinearSigmoid", {}), ("leaky_relu", "QLinearLeakyRelu", {"alpha": 0.3})], ids=str)
def test_every_byte_gives_the_integer_of_the_fused_operator(qtype, function, operator, parameters):
    rng = np.random.default_rng(3)
    for trial in range(80):
        x = grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1)
        y = grids.random_grid(rng, qtype, low=0.002, high=0.1)
        values = grids.all_values(qtype)
        ours = TableKernel(function, x, y, parameters).run([values], RULE)
        assert np.array_equal(ours, operators.run_fused(operator, [(values, x)], y, **parameters))


@pytest.mark.parametrize(("function", "operator", "parameters"), OPERATORS, ids=str)
def test_16_bit_values_differ_by_1_at_most_and_only_by_onnxruntimes_polynomials(function, operator, parameters):
    rng = np.random.default_rng(4)
    for _ in range(4):
        x = grids.random_grid(rng, grids.INT16, low=1e-5, high=1e-3)
        y = grids.random_grid(rng, grids.INT16, low=1e-5, high=5e-4)
        ours, theirs = both(function, operator, parameters, grids.all_values(grids.INT16), x, y)
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= (function not in PLAIN)
        assert np.count_nonzero(difference) <= 65
