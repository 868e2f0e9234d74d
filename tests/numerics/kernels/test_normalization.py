"""Layer, RMS and L2 norm under every family: I-BERT's integers in big integers, near the real functions."""

import math

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.normalization import NormalizationKernel
from accelsim.numerics.kernels.normalization_integer import affine, normalized_rows
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

INT8, UINT8, INT16 = QType(8, True), QType(8, False), QType(16, True)
X = QParams(scale=0.05, zero_point=3, qtype=INT8)
Y = QParams(scale=0.03, zero_point=-2, qtype=INT8)
UNIT = QParams(scale=1 / 130, zero_point=-2, qtype=INT8)


def integers(shape, qtype=INT8, seed=0):
    return np.random.default_rng(seed).integers(qtype.min, qtype.max + 1, shape).astype(qtype.dtype)


def affine_parameters(shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0.5, 1, shape).astype(np.float32), rng.normal(0, 0.5, shape).astype(np.float32)


def real_norm(real, kind, axes, epsilon, gamma, beta):
    if kind == "l2":
        return real / np.sqrt(np.sum(real**2, axis=axes, keepdims=True) + epsilon)
    mean = real.mean(axis=axes, keepdims=True) if kind == "layer" else 0.0
    return (real - mean) / np.sqrt(np.mean((real - mean) ** 2, axis=axes, keepdims=True) + epsilon) * gamma + beta


@pytest.mark.parametrize("kind", ["layer", "rms", "l2"])
@pytest.mark.parametrize(("depth", "bits", "epsilon"), [
    (1, 8, 0.0), (7, 8, 1e-5), (64, 8, 0.5), (300, 16, 1e-5), (9, 4, 0.0)])
def test_rows_are_the_integers_of_the_algorithm_in_big_integers(kind, depth, bits, epsilon):
    values = np.random.default_rng(2).integers(-(2**bits) + 1, 2**bits, (20, depth))
    ours, scale = normalized_rows(values, kind, scale=0.05, bits=bits, epsilon=epsilon)
    shift = 16 - bits
    counted = 1 if kind == "l2" else depth
    added = round(epsilon * counted / (0.05 * 2.0**-shift) ** 2)
    finer = (62 - (depth * 2**34 + added).bit_length()) // 2
    for row, normalized in zip(values.tolist(), ours.tolist(), strict=True):
        y = [q * 2**shift for q in row]
        if kind == "layer":
            mean = (2 * sum(y) + depth) // (2 * depth)
            y = [q - mean for q in y]
        std = max(math.isqrt((sum(q * q for q in y) + added) * 4**finer), 1)
        factor = 2 ** (31 + shift + finer) // std
        assert normalized == [q * factor // 2 ** (12 + shift) for q in y]
        assert max(abs(q) for q in normalized) <= 2**19 + 1
    assert scale == math.sqrt(counted) / 2**19


def test_gamma_and_beta_become_integers_that_keep_the_sum_within_32_bits():
    normalized = np.array([[2**19, -(2**19), 100]])
    for gamma, beta in (([1.0, -0.3, 0.2], [0.1, 0.2, -5.0]), ([1e-6, 0.0, 0.0], [3.0, -4.0, 0.0]), ([0.0] * 3, [0.0] * 3)):
        sums, scale = affine(normalized, 2.0**-16, np.array(gamma), np.array(beta))
        assert np.abs(sums).max() < 2**31
        exact = normalized * 2.0**-16 * gamma + beta
        gamma_step = scale / 2.0**-16
        assert np.abs(sums * scale - exact).max() <= gamma_step / 2 * 2.0**19 * 2.0**-16 + scale / 2 + 1e-9
        assert gamma_step <= max(np.abs(gamma).max() / 2047, np.abs(beta).max() * 2.0**16 / 2**29) + (gamma[0] == 0)


@pytest.mark.parametrize("kind", ["layer", "rms", "l2"])
@pytest.mark.parametrize("rule", ["litert_reference", "tflite_micro", "dyadic", "tosa_double", "float32_nearest_even"])
@pytest.mark.parametrize("qtype", [INT8, UINT8, INT16])
def test_every_rule_is_within_one_unit_of_the_real_norm(kind, rule, qtype):
    x = QParams(scale=0.05, zero_point=3, qtype=qtype)
    values = integers((40, 48), qtype)
    gamma, beta = affine_parameters(48) if kind != "l2" else (None, None)
    y = UNIT if kind == "l2" else Y
    ours = NormalizationKernel(kind, (-1,), 1e-5, gamma, beta, x, y).run([values], Rule(rule))
    exact = real_norm(x.dequantize(values), kind, (-1,), 1e-5, gamma, beta)
    clamped = np.clip(exact / float(y.scale) + int(y.zero_point), -128, 127)
    assert np.abs(ours - clamped).max() < 0.6


def test_a_power_of_two_rule_needs_a_shift_alone():
    x = QParams(scale=0.0625, zero_point=0, qtype=INT8)
    y = QParams(scale=0.03125, zero_point=0, qtype=INT8)
    gamma, beta = affine_parameters(48)
    values = integers((40, 48))
    ours = NormalizationKernel("layer", (1,), 1e-5, gamma, beta, x, y).run([values], Rule("power_of_two"))
    exact = real_norm(x.dequantize(values), "layer", (1,), 1e-5, gamma, beta)
    assert np.abs(ours - np.clip(exact * 32, -128, 127)).max() < 0.6


@pytest.mark.parametrize("rule", ["dyadic", "float32_nearest_even"])
@pytest.mark.parametrize("axes", [(0,), (1,), (-1,), (1, 2), (2, 0), (0, 1, 2)])
def test_any_axes_give_what_flattened_rows_give(rule, axes):
    values = integers((4, 5, 6))
    gamma, beta = affine_parameters((4, 5, 6))
    ours = NormalizationKernel("layer", axes, 1e-5, gamma, beta, X, Y).run([values], Rule(rule))
    places = sorted(axis % 3 for axis in axes)
    order = [axis for axis in range(3) if axis not in places] + places
    rows = [array.transpose(order) for array in (values, gamma, beta)]
    shape = rows[0].shape
    flat = [row.reshape(*shape[:3 - len(places)], -1) for row in rows]
    expected = NormalizationKernel("layer", (-1,), 1e-5, flat[1], flat[2], X, Y).run([flat[0]], Rule(rule))
    assert np.array_equal(ours, expected.reshape(shape).transpose(np.argsort(order)))


def test_gamma_broadcasts_over_the_normalized_axes_too():
    values = integers((2, 6, 3, 3))
    gamma = np.linspace(0.5, 2, 6).reshape(6, 1, 1)
    ours = NormalizationKernel("rms", (1, 2, 3), 1e-5, gamma, None, X, Y).run([values], Rule("dyadic"))
    whole = np.broadcast_to(gamma, (6, 3, 3))
    assert np.array_equal(ours, NormalizationKernel("rms", (1, 2, 3), 1e-5, whole, None, X, Y).run([values], Rule("dyadic")))


@pytest.mark.parametrize("rule", ["litert_reference", "dyadic", "float32_nearest_even"])
@pytest.mark.parametrize("kind", ["layer", "rms", "l2"])
def test_a_row_at_the_zero_point_gives_beta_alone(rule, kind):
    values = np.full((1, 8), 3, np.int8)
    beta = None if kind == "l2" else np.full(8, 0.3)
    ours = NormalizationKernel(kind, (-1,), 0.0 if kind == "l2" else 1e-5, None, beta, X, Y).run([values], Rule(rule))
    assert ours.tolist() == [[-2 if kind == "l2" else 8] * 8]


def test_an_empty_tensor_stays_empty():
    kernel = NormalizationKernel("layer", (-1,), 1e-5, None, None, X, Y)
    assert kernel.run([np.zeros((0, 4), np.int8)], Rule("dyadic")).shape == (0, 4)


LISTED = QParams(scale=[0.1, 0.2], zero_point=0, qtype=INT8, axis=0)


def kernel(kind="layer", axes=(-1,), epsilon=1e-5, gamma=None, beta=None, x=X, y=Y):
    return NormalizationKernel(kind, axes, epsilon, gamma, beta, x, y)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: kernel("batch"), 'kind: expected one of layer, rms, l2, got "batch"'),
    (lambda: kernel(axes=()), "axes: expected at least one axis, got none"),
    (lambda: kernel(epsilon=-1.0), "epsilon: expected a finite number of at least 0, got -1.0"),
    (lambda: kernel(epsilon=float("inf")), "epsilon: expected a finite number of at least 0, got inf"),
    (lambda: kernel(gamma=np.array([1.0, float("nan")])), "gamma: expected finite numbers, got NaN or infinity"),
    (lambda: kernel("l2", beta=np.array([1.0])), "beta: expected none with l2, got one"),
    (lambda: kernel(x=LISTED), "input: expected one scale, got a list along axis 0"),
    (lambda: kernel(y=LISTED), "output: expected one scale, got a list along axis 0"),
    (lambda: kernel(x=QParams(scale=0.1, zero_point=0, qtype=QType(17, True))),
     "input: expected at most 16 bits, got int17"),
    (lambda: kernel(axes=(2,)).run([np.zeros((2, 2), np.int8)], Rule("dyadic")),
     "axis: expected an axis of a tensor of shape (2, 2), got 2"),
    (lambda: kernel(axes=(1, -1)).run([np.zeros((2, 2), np.int8)], Rule("dyadic")),
     "axes: expected each axis once, got (1, -1)"),
    (lambda: kernel(gamma=np.ones(3)).run([np.zeros((2, 2), np.int8)], Rule("dyadic")),
     "gamma: expected a shape that broadcasts to (2, 2), got (3,)"),
    (lambda: kernel(epsilon=1e12).run([np.zeros((2, 2), np.int8)], Rule("dyadic")),
     "epsilon: expected a sum of squares within 62 bits, got up to 66"),
    (lambda: kernel().run([], Rule("dyadic")), "inputs: expected 1 tensor, got 0"),
])
def test_what_has_no_exact_result_is_refused_in_one_line(make, message):
    with pytest.raises(NumericsError) as error:
        make()
    assert str(error.value) == message
