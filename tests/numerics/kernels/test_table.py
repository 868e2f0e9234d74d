"""Functions by table: entries, interpolation, sizes, widths, undefined values, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.real_function import FUNCTIONS, real_function
from accelsim.numerics.kernels.table import TableKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

# What the names mean, from the standard library, on a single real number; alpha and so on at their defaults.
MEANINGS = {
    "identity": lambda x: x, "relu": lambda x: max(x, 0), "relu6": lambda x: min(max(x, 0), 6), "clip": lambda x: x,
    "leaky_relu": lambda x: x if x >= 0 else 0.01 * x, "thresholded_relu": lambda x: x if x > 1 else 0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh, "silu": lambda x: x / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(max(0.2 * x + 0.5, 0), 1), "hard_swish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))), "elu": lambda x: x if x >= 0 else math.expm1(x),
    "celu": lambda x: x if x >= 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(-abs(x))) + max(x, 0)), "softsign": lambda x: x / (1 + abs(x)),
    "erf": math.erf, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos, "abs": abs,
    "neg": lambda x: -x, "sign": lambda x: (x > 0) - (x < 0), "floor": math.floor, "ceil": math.ceil, "round": round,
    "square": lambda x: x * x, "reciprocal": lambda x: 1 / x, "rsqrt": lambda x: 1 / math.sqrt(x),
}
POSITIVE = ("log", "sqrt", "reciprocal", "rsqrt")
BYTE = QParams(scale=0.05, zero_point=0, qtype=grids.INT8)


def message(action):
    with pytest.raises(NumericsError) as error:
        action()
    return str(error.value)


def test_every_function_has_a_meaning_here():
    assert set(FUNCTIONS) == set(MEANINGS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_within_two_steps_of_float32(name):
    x = np.linspace(0.02 if name in POSITIVE else -9, 9, 400, dtype=np.float32)
    found = real_function(name, {})(x)
    assert found.dtype == np.float32
    expected = np.array([float(MEANINGS[name](float(value))) for value in x])
    assert np.all(np.abs(found - expected) <= 2.0**-22 * np.maximum(np.abs(expected), 1))


def test_parameters_replace_defaults():
    x = np.array([-2, -0.5, 0.5, 2], np.float32)
    assert real_function("leaky_relu", {"alpha": 0.25})(x).tolist() == [-0.5, -0.125, 0.5, 2]
    assert real_function("clip", {"min": -1, "max": 1})(x).tolist() == [-1, -0.5, 0.5, 1]
    assert real_function("hard_sigmoid", {"alpha": 0.5, "beta": 0.25})(x).tolist() == [0, 0, 0.5, 1]
    exact, approximate = (real_function("gelu", {"approximate": flag})(x) for flag in (0, 1))
    assert np.all(exact != approximate)
    assert np.allclose(exact, approximate, atol=1e-3)


@pytest.mark.parametrize("qtype", [QType(bits, is_signed) for bits in (2, 3, 5, 7, 8) for is_signed in (True, False)],
                         ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("name", ["sigmoid", "gelu", "silu", "exp"])
def test_a_full_table_holds_every_rounded_value(qtype, name):
    rng = np.random.default_rng(1)
    x, y = grids.random_grid(rng, qtype, low=0.05, high=0.2), grids.random_grid(rng, qtype, low=0.004, high=0.3)
    values = grids.all_values(qtype)[0]
    reals = [MEANINGS[name](float(np.float32(x.scale) * np.float32(int(q) - int(x.zero_point)))) for q in values]
    away, even = [], []
    for real in reals:
        single = np.float32(real)
        away.append(slow.half_away(float(single * (np.float32(1) / np.float32(y.scale)))) + int(y.zero_point))
        even.append(round(Fraction(float(single / np.float32(y.scale)))) + int(y.zero_point))
    for scheme, expected in (("tflite_double", away), ("dyadic", away), ("float32_nearest_even", even)):
        found = TableKernel(name, x, y).run([values], Rule(scheme))
        assert found.dtype == qtype.dtype
        assert found.tolist() == [slow.clamp(value, qtype.min, qtype.max) for value in expected], scheme


@pytest.mark.parametrize(("bits", "table_bits"), [(8, 5), (9, None), (12, None), (16, 9), (16, 10)])
@pytest.mark.parametrize("is_signed", [True, False])
def test_an_interpolated_table_lies_on_lines_between_its_entries(bits, table_bits, is_signed):
    qtype = QType(bits, is_signed)
    x = QParams(scale=12.0 / 2**bits, zero_point=2 ** (bits - 1) if not is_signed else 0, qtype=qtype)
    y = QParams(scale=2.0 / 2**bits, zero_point=int(x.zero_point), qtype=qtype)
    kernel = TableKernel("tanh", x, y, table_bits=table_bits)
    values = grids.all_values(qtype)[0]
    found = kernel.run([values], Rule("dyadic")).astype(np.int64)
    step = 2 ** (bits - (table_bits or 9))
    entries = found[::step]
    for offset in range(step):
        line = entries[:-1] + ((np.diff(entries) * offset + step // 2) >> (step.bit_length() - 1))
        assert np.array_equal(found[offset::step][:len(line)], line)
    reals = np.tanh(float(x.scale) * (values.astype(np.int64) - int(x.zero_point)))
    error = np.abs(float(y.scale) * (found - int(y.zero_point)) - reals)
    assert error.max() <= 2 * float(y.scale) + (float(x.scale) * step) ** 2 / 8 * 0.77 / 2 + 2e-7


def test_a_tables_size_is_the_units_whatever_the_rule():
    values = grids.all_values(grids.INT8)[0]
    y = QParams(scale=2.0**-7, zero_point=0, qtype=grids.INT8)
    rules = [Rule(name) for name in ("litert_reference", "float32_nearest_even", "dyadic")]
    small = [TableKernel("tanh", BYTE, y, table_bits=4).run([values], rule).tolist() for rule in rules]
    full = [TableKernel("tanh", BYTE, y, table_bits=8).run([values], rule).tolist() for rule in rules]
    assert small[0] == small[1] == small[2] != full[0]
    assert full[0] == full[1] == full[2]


def test_where_a_function_is_undefined_the_smallest_value_stands():
    values = np.array([-5, 0, 5], np.int8)
    for scheme in ("dyadic", "float32_nearest_even"):
        assert TableKernel("sqrt", BYTE, BYTE).run([values], Rule(scheme)).tolist() == [-128, 0, 10]
        assert TableKernel("log", BYTE, BYTE).run([values], Rule(scheme)).tolist() == [-128, -128, -28]
        assert TableKernel("reciprocal", BYTE, BYTE).run([values], Rule(scheme)).tolist() == [-80, 127, 80]
    assert TableKernel("rsqrt", BYTE, BYTE).run([values[1:]], Rule("tflite_double")).tolist() == [127, 40]


def test_mistakes_are_refused_in_one_line():
    x = np.array([-1, 3], np.int8)
    assert message(lambda: TableKernel("sigmod", BYTE, BYTE)) == (
        f'function: expected one of {", ".join(FUNCTIONS)}, got "sigmod"')
    assert message(lambda: TableKernel("tanh", BYTE, BYTE, {"alpha": 1})) == (
        'parameters: expected no parameter with tanh, got "alpha"')
    assert message(lambda: TableKernel("hard_sigmoid", BYTE, BYTE, {"gamma": 1})) == (
        'parameters: expected alpha and beta with hard_sigmoid, got "gamma"')
    assert message(lambda: TableKernel("elu", BYTE, BYTE, {"alpha": math.nan})) == (
        "parameters: expected a number for alpha, got NaN")
    assert message(lambda: TableKernel("tanh", BYTE, BYTE, table_bits=17)) == "table_bits: expected 1 to 16 bits, got 17"
    wide = QParams(scale=0.5, zero_point=0, qtype=QType(17, True))
    assert message(lambda: TableKernel("tanh", wide, BYTE)) == "function: expected an input of at most 16 bits, got int17"
    assert message(lambda: TableKernel("tanh", BYTE, BYTE).run([x, x], Rule("dyadic"))) == "inputs: expected 1 tensor, got 2"
    assert message(lambda: TableKernel("sqrt", BYTE, BYTE).run([x], Rule("tflite_double"))) == (
        "inputs: expected inputs of at least the zero point 0 for sqrt, got -1")
    fine = QParams(scale=2.0**-12, zero_point=0, qtype=grids.INT8)
    coarse = QParams(scale=1.0, zero_point=0, qtype=grids.INT8)
    assert message(lambda: TableKernel("hard_swish", coarse, fine).run([x], Rule("tflite_double"))) == (
        "scale: expected an input scale of at most 128 times the output's, got 1 and 0.000244141")


def test_a_rule_s_table_takes_the_place_of_the_runtimes_functions():
    x = QParams(scale=2**-4, zero_point=0, qtype=QType(8, True))
    y = QParams(scale=2**-8, zero_point=0, qtype=QType(8, False))
    values = [np.arange(-128, 128, dtype=np.int8)]
    for scheme in ("tflite_double", "float32_nearest_even", "dyadic"):
        small = TableKernel("sigmoid", x, y).run(values, Rule(scheme, table_bits=4))
        assert small.tolist() == TableKernel("sigmoid", x, y, table_bits=4).run(values, Rule("dyadic")).tolist()
        assert small.tolist() != TableKernel("sigmoid", x, y).run(values, Rule(scheme)).tolist()
