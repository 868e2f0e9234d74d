"""Softmax and log-softmax of LiteRT: reference kernels and optimized kernels, 8 and 16 bits, bit for bit."""

import numpy as np
import pytest
from litert_models import TensorSpec, interpreters, run_reference, schema, single_operator

from accelsim.numerics.kernels.softmax import SoftmaxKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

TYPES = {np.int8: QType(8, True), np.uint8: QType(8, False), np.int16: QType(16, True)}


def integers(shape, dtype, seed):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


def model(x, x_scale, x_zero, y_type, y_scale, y_zero, *, beta=1.0, is_log=False):
    options = schema.LogSoftmaxOptionsT() if is_log else schema.SoftmaxOptionsT()
    if not is_log:
        options.beta = beta
    name = "LOG_SOFTMAX" if is_log else "SOFTMAX"
    kind = schema.BuiltinOptions.LogSoftmaxOptions if is_log else schema.BuiltinOptions.SoftmaxOptions
    return single_operator(getattr(schema.BuiltinOperator, name), options, kind,
                           [TensorSpec("x", x.shape, x.dtype, x_scale, x_zero)],
                           [TensorSpec("y", x.shape, y_type, y_scale, y_zero)], version=2)


def kernel(x, x_scale, x_zero, y_type, y_scale, y_zero, **options):
    return SoftmaxKernel(axis=-1, beta=options.pop("beta", 1.0), **options,
                         input=QParams(scale=np.float32(x_scale), zero_point=x_zero, qtype=TYPES[x.dtype.type]),
                         output=QParams(scale=np.float32(y_scale), zero_point=y_zero, qtype=TYPES[y_type]))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [1e-4, 0.004, 0.1, 0.7, 100.0])
@pytest.mark.parametrize("beta", [1.0, 0.3, 2.0])
def test_8_bit_rows_to_8_and_16_bits(dtype, scale, beta):
    low = int(np.iinfo(dtype).min)
    for seed, depth in enumerate((1, 2, 10, 200)):
        x = integers((1, 3, 40, depth), dtype, seed)
        for y_type, y_scale, y_zero in ((dtype, 1 / 256, low), (np.int16, 1 / 65536, -32768)):
            parts = (x, scale, low + 128, y_type, y_scale, y_zero)
            theirs = run_reference(model(*parts, beta=beta), [x])[0]
            assert np.array_equal(kernel(*parts, beta=beta).run([x], Rule("litert_reference")), theirs)


@pytest.mark.parametrize("scale", [1e-6, 4e-5, 3e-4, 0.01])
@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_16_bit_rows(scale, beta):
    for seed, depth in enumerate((1, 2, 10, 1000)):
        x = integers((60, depth), np.int16, seed)
        parts = (x, scale, 0, np.int16, 1 / 32768, 0)
        theirs = run_reference(model(*parts, beta=beta), [x])[0]
        assert np.array_equal(kernel(*parts, beta=beta).run([x], Rule("tflite_int16x8")), theirs)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [1e-4, 0.004, 0.1, 0.7, 100.0])
def test_log_softmax(dtype, scale):
    high = int(np.iinfo(dtype).max)
    for seed, depth in enumerate((1, 2, 10, 1000)):
        x = integers((60, depth), dtype, seed)
        parts = (x, scale, high - 127, dtype, 1 / 16, high)
        theirs = run_reference(model(*parts, is_log=True), [x])[0]
        assert np.array_equal(kernel(*parts, is_log=True).run([x], Rule("litert_reference")), theirs)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [1e-4, 0.004, 0.1, 0.7, 100.0])
@pytest.mark.parametrize("rule", ["litert_optimized", "float32_nearest_even"])
def test_the_optimized_kernel_under_its_own_rule_and_as_a_float32_form(dtype, scale, rule):
    low = int(np.iinfo(dtype).min)
    for seed, depth in enumerate((1, 2, 7, 1000)):
        x = integers((60, depth), dtype, seed)
        for y_type, y_scale, y_zero in ((dtype, 1 / 256, low), (np.int16, 1 / 65536, -32768)):
            parts = (x, scale, 0, y_type, y_scale, y_zero)
            interpreter = interpreters.Interpreter(
                model_content=model(*parts, beta=1.5), num_threads=1,
                experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
            interpreter.allocate_tensors()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
            interpreter.invoke()
            theirs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            assert np.array_equal(kernel(*parts, beta=1.5, form="litert").run([x], Rule(rule)), theirs)
