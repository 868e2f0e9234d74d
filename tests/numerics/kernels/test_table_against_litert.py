"""The integers of activations are LiteRT's reference kernels', on every 8-bit and every 16-bit value."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import schema

from accelsim.numerics.kernels.table import TableKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

BYTES = [grids.INT8, grids.UINT8]


def options_of(operator, parameters):
    """(options, their union's number)"""
    if operator == "GELU":
        options = schema.GeluOptionsT()
        options.approximate = bool(parameters["approximate"])
        return options, schema.BuiltinOptions.GeluOptions
    if operator == "LEAKY_RELU":
        options = schema.LeakyReluOptionsT()
        options.alpha = parameters["alpha"]
        return options, schema.BuiltinOptions.LeakyReluOptions
    return (schema.ExpOptionsT(), schema.BuiltinOptions.ExpOptions) if operator == "EXP" else (None, 0)


def both(function, operator, values, x, y, parameters=None, *, version=1):
    kernel = TableKernel(function, x, y, parameters or {})
    model = models.single_operator(
        getattr(schema.BuiltinOperator, operator), *options_of(operator, parameters), [models.on_grid("x", values.shape, x)],
        [models.on_grid("y", values.shape, y)], version=version)
    theirs = models.run_reference(model, [values], is_optimized=operator == "ELU")[0]  # ELU has no reference kernel
    return kernel.run([values], Rule("litert_reference")), theirs


def fixed_output(function, qtype):
    """LOGISTIC and TANH allow one output grid."""
    if qtype.bits == 16:
        return QParams(scale=2.0**-15, zero_point=0, qtype=qtype)
    if function == "sigmoid":
        return QParams(scale=2.0**-8, zero_point=qtype.min, qtype=qtype)
    return QParams(scale=2.0**-7, zero_point=0 if qtype.is_signed else 128, qtype=qtype)


@pytest.mark.parametrize("qtype", BYTES, ids=lambda qtype: qtype.name)
@pytest.mark.parametrize(("function", "operator"), [("sigmoid", "LOGISTIC"), ("tanh", "TANH")])
def test_every_byte_gives_the_same_sigmoid_and_tanh(qtype, function, operator):
    rng = np.random.default_rng(1)
    for trial in range(60):
        x = grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1)
        ours, theirs = both(function, operator, grids.all_values(qtype), x, fixed_output(function, qtype))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("qtype", "function", "operator", "parameters", "version"), [
    *((qtype, "gelu", "GELU", {"approximate": flag}, 1) for qtype in BYTES for flag in (0, 1)),
    *((qtype, "hard_swish", "HARD_SWISH", None, 1) for qtype in BYTES),
    *((qtype, "leaky_relu", "LEAKY_RELU", {"alpha": alpha}, 2) for qtype in BYTES for alpha in (0.0, 0.2, 1.25, -0.3, -1.0)),
    (grids.INT8, "elu", "ELU", None, 1), (grids.INT8, "exp", "EXP", None, 2), (grids.INT8, "log", "LOG", None, 2),
    (grids.INT8, "abs", "ABS", None, 1)], ids=str)
def test_every_byte_gives_the_same_integer(qtype, function, operator, parameters, version):
    rng = np.random.default_rng(2)
    for trial in range(60):
        x, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1, low=0.01) for _ in range(2))
        ours, theirs = both(function, operator, grids.all_values(qtype), x, y, parameters, version=version)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("function", "operator", "version"), [("sqrt", "SQRT", 1), ("rsqrt", "RSQRT", 2)])
def test_every_byte_from_the_zero_point_on_gives_the_same_root(function, operator, version):
    rng = np.random.default_rng(3)
    for trial in range(150):
        x, y = (grids.random_grid(rng, grids.INT8, is_decimal=trial % 2 == 1) for _ in range(2))
        values = np.arange(int(x.zero_point), 128, dtype=np.int8)[np.newaxis]
        ours, theirs = both(function, operator, values, x, y, version=version)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("function", "operator", "version"), [("sigmoid", "LOGISTIC", 3), ("tanh", "TANH", 3)])
@pytest.mark.parametrize("is_power_of_two", [False, True])
def test_every_16_bit_value_gives_the_same_sigmoid_and_tanh(function, operator, version, is_power_of_two):
    rng = np.random.default_rng(4)
    for trial in range(10):
        edge = {"low": 2.0 ** -(8 + trial), "high": 2.0 ** -(8 + trial)} if is_power_of_two else {"low": 2e-5, "high": 2e-3}
        x = grids.random_grid(rng, grids.INT16, zero_point=0, **edge)
        ours, theirs = both(function, operator, grids.all_values(grids.INT16), x, fixed_output(function, grids.INT16),
                            version=version)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("function", "operator", "version"), [
    ("exp", "EXP", 2), ("log", "LOG", 2), ("sqrt", "SQRT", 1), ("rsqrt", "RSQRT", 3), ("abs", "ABS", 1),
    ("leaky_relu", "LEAKY_RELU", 2)])
def test_every_16_bit_value_gives_the_same_integer(function, operator, version):
    rng = np.random.default_rng(5)
    values = grids.all_values(grids.INT16)
    if function in ("sqrt", "rsqrt"):
        values = values[:, 2**15:]
    for _ in range(10):
        x, y = (grids.random_grid(rng, grids.INT16, low=2e-5, high=2e-3, zero_point=0) for _ in range(2))
        parameters = {"alpha": 0.3} if function == "leaky_relu" else None
        ours, theirs = both(function, operator, values, x, y, parameters, version=version)
        assert np.array_equal(ours, theirs)
