"""float32_nearest_even is what onnxruntime computes: seeded models, ties, odd zero points."""

import numpy as np
import pytest

from accelsim.numerics.effective_scale import effective_scale
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
TYPES = {"int8": (np.int8, QType(8, True)), "uint8": (np.uint8, QType(8, False))}


def run(operator, names, tensors, x, attributes=None):
    """The output of one quantized operator, whose first input is fed and whose others are constants."""
    kinds = {np.dtype(np.int8): onnx.TensorProto.INT8, np.dtype(np.uint8): onnx.TensorProto.UINT8}
    node = onnx.helper.make_node(operator, ["x", *names], ["y"], **(attributes or {}))
    graph = onnx.helper.make_graph(
        [node], "g", [onnx.helper.make_tensor_value_info("x", kinds[x.dtype], x.shape)],
        [onnx.helper.make_tensor_value_info("y", kinds[tensors["y_zero"].dtype], None)],
        [onnx.numpy_helper.from_array(tensors[name], name) for name in names])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def integers(rng, dtype, shape, *, limit=None):
    info = np.iinfo(dtype)
    low, high = (info.min, info.max) if limit is None else (-limit, limit)
    return rng.integers(low, high + 1, shape).astype(dtype)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("scales", ["random", "ties"])
def test_a_per_channel_qlinear_conv_gives_the_same_integers(kind, scales):
    dtype, qtype = TYPES[kind]
    rng = np.random.default_rng(11)
    channels = 12
    x = integers(rng, dtype, (2, 6, 9, 9))
    w = integers(rng, np.int8, (channels, 6, 3, 3), limit=127 if scales == "random" else 1)
    x_zero, y_zero = dtype(3), dtype(5 if kind == "int8" else 127)  # odd: order of rounding and zero point shows on ties
    s_x, s_y = (np.float32(0.0173), np.float32(1.1)) if scales == "random" else (np.float32(0.5), np.float32(2.0))
    s_w = rng.uniform(0.001, 0.02, channels) if scales == "random" else 2.0 ** -rng.integers(-1, 3, channels)
    s_w, bias = s_w.astype(np.float32), rng.integers(-900, 900, channels).astype(np.int32)
    ours_scale = effective_scale(input_scale=s_x, weight_scale=s_w, output_scale=s_y, arithmetic="float32")
    unit = Requantization.of("float32_nearest_even", ours_scale, zero_point=int(y_zero), qtype=qtype)
    padded = np.pad(x.astype(np.int64) - int(x_zero), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    accumulators = np.einsum("nchwrs,kcrs->nhwk", windows, w.astype(np.int64)) + bias
    names = ["x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "bias"]
    tensors = {"x_scale": s_x, "x_zero": x_zero, "w": w, "w_scale": s_w, "w_zero": np.zeros(channels, np.int8),
               "y_scale": s_y, "y_zero": y_zero, "bias": bias}
    tensors = {name: np.asarray(value) for name, value in tensors.items()}
    theirs = run("QLinearConv", names, tensors, x, {"pads": [1, 1, 1, 1]})
    assert np.array_equal(unit.requantize(accumulators), theirs.transpose(0, 2, 3, 1))
    if scales == "ties":  # and another rule would have been told apart
        other = Requantization.of("tflite_single", ours_scale, zero_point=int(y_zero), qtype=qtype)
        assert np.any(other.requantize(accumulators) != theirs.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("s_a", "s_b", "s_y"), [(0.02, 0.013, 0.9), (0.5, 0.5, 2.0), (0.1, 0.1, 0.3)])
def test_a_qlinear_matmul_gives_the_same_integers(kind, s_a, s_b, s_y):
    dtype, qtype = TYPES[kind]
    rng = np.random.default_rng(12)
    a, b = integers(rng, dtype, (40, 8)), integers(rng, np.int8, (8, 50), limit=3)
    a_zero, b_zero, y_zero = dtype(7), np.int8(0), dtype(33)
    s_a, s_b, s_y = np.float32(s_a), np.float32(s_b), np.float32(s_y)
    scale = effective_scale(input_scale=s_a, weight_scale=s_b, output_scale=s_y, arithmetic="float32")
    accumulators = (a.astype(np.int64) - int(a_zero)) @ b.astype(np.int64)
    tensors = {"a_scale": s_a, "a_zero": a_zero, "b": b, "b_scale": s_b, "b_zero": b_zero, "y_scale": s_y, "y_zero": y_zero}
    theirs = run("QLinearMatMul", list(tensors), {name: np.asarray(value) for name, value in tensors.items()}, a)
    unit = Requantization.of("float32_nearest_even", scale, zero_point=int(y_zero), qtype=qtype)
    assert np.array_equal(unit.requantize(accumulators), theirs)
