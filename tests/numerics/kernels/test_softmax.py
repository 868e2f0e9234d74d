"""Softmax under every family: near the real function, along any axis, bad input told in one line."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.softmax import SoftmaxKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

INT8, UINT8, INT16, INT4 = QType(8, True), QType(8, False), QType(16, True), QType(4, True)
RULES = {name: Rule(name) for name in ("litert_reference", "litert_optimized", "tflite_micro", "nvdla",
                                       "float32_nearest_even", "dyadic", "shift_floor")}


def logits(scale=0.1, qtype=INT8):
    return QParams(scale=scale, zero_point=0, qtype=qtype)


def shares(scale=1 / 256, zero_point=-128, qtype=INT8):
    return QParams(scale=scale, zero_point=zero_point, qtype=qtype)


def kernel(axis=-1, *, beta=1.0, x=None, y=None, **options):
    return SoftmaxKernel(axis=axis, beta=beta, input=x or logits(), output=y or shares(), **options)


def integers(shape, qtype=INT8, seed=0):
    return np.random.default_rng(seed).integers(qtype.min, qtype.max + 1, shape).astype(qtype.dtype)


def real_softmax(x, scale, *, axis=-1):
    e = np.exp((x.astype(np.float64) - x.max(axis=axis, keepdims=True)) * scale)
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("scale", "y"), [
    (0.1, shares()), (0.013, shares(1 / 255, 0, UINT8)), (2.0, shares(0.0049, 3)), (0.3, shares(1 / 256, 0, UINT8)),
    (0.05, shares(2**-16, -(2**15), INT16)), (0.2, shares(1 / 15, -8, INT4))])
@pytest.mark.parametrize("x_type", [INT8, UINT8, INT4])
def test_every_rule_is_within_one_unit_of_the_real_softmax(rule, scale, y, x_type):
    x = integers((50, 12), x_type)
    form = "qlinear" if y.qtype.bits == 8 else "dequantize"
    ours = kernel(x=logits(scale, x_type), y=y, form=form).run([x], RULES[rule])
    assert ours.dtype == y.qtype.dtype
    exact = np.clip(real_softmax(x, scale) / float(y.scale) + int(y.zero_point), y.qtype.min, y.qtype.max)
    # I-BERT's polynomial is off by 2.2e-3 of a probability; floor by a whole unit; qlinear's floor(1 / y_scale) by 1/203.
    slack = {"dyadic": 0.5, "shift_floor": 1.0}.get(rule, 1.001)
    approximation = 2.2e-3 if RULES[rule].family == "shift" else 0.002 if form == "dequantize" else 0.0
    relative = 1 / 128 if rule == "shift_floor" else 0.0
    allowed = slack + approximation / float(y.scale) + relative * np.abs(exact - int(y.zero_point))
    assert np.all(np.abs(ours.astype(np.float64) - exact) <= allowed + 1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_any_axis_gives_what_the_last_axis_gives_after_a_transposition(rule):
    x = integers((3, 4, 5))
    last = kernel(-1).run([x], RULES[rule])
    for axis in (0, 1, -2):
        moved = np.moveaxis(x, -1, axis)
        assert np.array_equal(kernel(axis).run([moved], RULES[rule]), np.moveaxis(last, -1, axis))


def test_flattened_rows_run_over_all_dimensions_from_the_axis_on():
    x = integers((3, 4, 5))
    whole = kernel(1, is_flattened=True).run([x], RULES["litert_reference"])
    assert np.array_equal(whole.reshape(3, 20), kernel().run([x.reshape(3, 20)], RULES["litert_reference"]))


@pytest.mark.parametrize("rule", ["litert_reference", "tflite_int16x8"])
def test_16_bit_rows_are_within_two_steps_of_15_bits(rule):
    x = integers((40, 9), INT16)
    scale = 4 / 32768
    ours = kernel(x=logits(scale, INT16), y=shares(2**-15, 0, INT16)).run([x], Rule(rule))
    assert np.abs(ours / 32768 - real_softmax(x, scale)).max() < 1e-3
    byte = kernel(x=logits(scale, INT16), y=shares()).run([x], Rule(rule))
    assert np.abs((byte + 128.0) / 256 - real_softmax(x, scale)).max() < 1 / 256


@pytest.mark.parametrize("rule", ["litert_reference", "float32_nearest_even"])
def test_a_log_softmax_is_within_one_unit_of_the_real_one(rule):
    x = integers((60, 7))
    ours = kernel(x=logits(0.05), y=shares(1 / 16, 127), is_log=True).run([x], RULES[rule])
    exact = np.clip(np.log(real_softmax(x, 0.05)) * 16 + 127, -128, 127)
    assert np.abs(ours - exact).max() <= 0.501
    fine = kernel(x=logits(0.05), y=shares(1 / 32, 120), is_log=True).run([x], RULES[rule])
    assert np.abs(fine - np.clip(np.log(real_softmax(x, 0.05)) * 32 + 120, -128, 127)).max() <= 0.501


def test_an_empty_tensor_stays_empty():
    assert kernel().run([np.zeros((0, 4), np.int8)], RULES["dyadic"]).shape == (0, 4)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: kernel(x=QParams(scale=[1.0, 2.0], zero_point=0, qtype=INT8, axis=0)),
     "input: expected one scale, got a list along axis 0"),
    (lambda: kernel(y=shares(1, 0, QType(17, True))), "output: expected at most 16 bits, got int17"),
    (lambda: kernel(beta=0.0), "beta: expected a finite number above 0, got 0.0"),
    (lambda: kernel(beta=float("nan")), "beta: expected a finite number above 0, got nan"),
    (lambda: kernel(form="fast"), 'form: expected one of qlinear, dequantize, litert, got "fast"'),
    (lambda: kernel(is_log=True, beta=2.0),
     "is_log: expected beta 1 and at most 8 bits of a log-softmax, got beta 2.0 and int8"),
    (lambda: kernel(3).run([np.zeros((2, 2), np.int8)], RULES["dyadic"]),
     "axis: expected an axis of a tensor of shape (2, 2), got 3"),
    (lambda: kernel(is_log=True).run([np.zeros((2, 2), np.int8)], RULES["dyadic"]),
     "is_log: expected no log-softmax under dyadic, which has no integer logarithm, got one"),
    (lambda: kernel(x=logits(1.0, INT16)).run([np.zeros((2, 2), np.int16)], RULES["float32_nearest_even"]),
     'form: expected tensors of 8 bits and beta 1 for the form "qlinear", got int16, int8, 1.0'),
    (lambda: kernel(x=logits(1e-9)).run([np.zeros((2, 2), np.int8)], RULES["litert_reference"]),
     "scale: expected scale * beta above 2^-26, got 9.999999717180685e-10"),
    (lambda: kernel().run([np.zeros((1, 4096), np.int8)], RULES["litert_reference"]),
     "sum of exponentials: expected 0..2147483647, got 2147483648"),
    (lambda: kernel().run([], RULES["dyadic"]), "inputs: expected 1 tensor, got 0"),
])
def test_what_has_no_exact_result_is_refused_in_one_line(make, message):
    with pytest.raises(NumericsError) as error:
        make()
    assert str(error.value) == message
