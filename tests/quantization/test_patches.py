"""Rows of windows: their products with a convolution's weights are the convolution, as onnxruntime computes it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import NumericsError
from accelsim.quantization.patches import all_positions, patches, sampled_positions
from accelsim.workload.operation import Convolution


def onnx_convolution(images, weights, convolution):
    """Output (images, N, P, Q) of ONNX's Conv or ConvTranspose."""
    attributes = {"kernel_shape": convolution.kernel, "strides": convolution.stride, "pads": convolution.pads,
                  "dilations": convolution.dilation, "group": convolution.groups}
    op = "ConvTranspose" if convolution.is_transposed else "Conv"
    node = onnx.helper.make_node(op, ["x", "w"], ["y"], **attributes)
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [tensor("x", 1, images.shape), tensor("w", 1, weights.shape)],
                                   [tensor("y", 1, [None] * 4)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": images, "w": weights})[0]


def canonical(weights, convolution):
    """The model's weights as (G, N, K)."""
    groups = convolution.groups
    if convolution.is_transposed:
        weights = np.flip(weights, (2, 3)).reshape(groups, -1, *weights.shape[1:]).swapaxes(1, 2)
    else:
        weights = weights.reshape(groups, -1, *weights.shape[1:])
    return weights.transpose(0, 1, 3, 4, 2).reshape(*weights.shape[:2], -1)


@st.composite
def convolutions(draw):
    groups, is_transposed = draw(st.integers(1, 3)), draw(st.booleans())
    kernel, stride, dilation = (tuple(draw(st.integers(1, most)) for _ in range(2)) for most in (3, 3, 2))
    pads = tuple(draw(st.integers(0, dilation[axis % 2] * (kernel[axis % 2] - 1))) for axis in range(4))
    size = tuple(draw(st.integers(dilation[axis] * (kernel[axis] - 1) + 1, 9)) for axis in range(2))
    return Convolution(1, groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 2)), size, kernel, stride, pads,
                       dilation, groups, is_transposed)


@settings(max_examples=60, deadline=None)
@given(convolution=convolutions(), seed=st.integers(0, 2**32))
def test_rows_times_weights_are_the_convolution(convolution, seed):
    generator = np.random.default_rng(seed)
    images = generator.integers(-8, 8, size=(2, convolution.in_channels, *convolution.in_size)).astype(np.float32)
    split = (convolution.in_channels, convolution.out_channels // convolution.groups)
    if not convolution.is_transposed:
        split = (convolution.out_channels, convolution.in_channels // convolution.groups)
    weights = generator.integers(-8, 8, size=(*split, *convolution.kernel)).astype(np.float32)
    expected = onnx_convolution(images, weights, convolution)
    rows = patches(images, convolution)
    products = np.matmul(rows, canonical(weights, convolution).swapaxes(1, 2))  # (G, M, N)
    height, width = convolution.out_size
    found = products.reshape(convolution.groups, 2, height, width, -1).transpose(1, 0, 4, 2, 3).reshape(expected.shape)
    assert np.array_equal(found, expected)


@settings(max_examples=40)
@given(convolution=convolutions(), seed=st.integers(0, 2**32), rows=st.integers(1, 40))
def test_a_sample_is_rows_of_all(convolution, seed, rows):
    images = np.random.default_rng(seed).normal(size=(3, convolution.in_channels, *convolution.in_size))
    every = all_positions(convolution, 3).tolist()
    sample = sampled_positions(convolution, images=3, rows=rows, generator=np.random.default_rng(seed))
    places = [every.index(position) for position in sample.tolist()]
    assert len(places) == min(rows, len(every)) == len(set(places))
    assert np.array_equal(patches(images, convolution, sample), patches(images, convolution)[:, places])


def test_the_same_seed_takes_the_same_rows_and_rows_lie_in_random_order():
    convolution = Convolution(1, 1, 1, (20, 20), (1, 1))
    first, again, other = (sampled_positions(convolution, images=2, rows=100, generator=np.random.default_rng(seed))
                           for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.tolist() != sorted(first.tolist())


def test_every_position_is_as_likely_as_any_other():
    convolution = Convolution(1, 1, 1, (2, 3), (1, 1))
    generator = np.random.default_rng(0)
    counts = np.zeros((2, 2, 3))
    for _ in range(2000):
        counts[tuple(sampled_positions(convolution, images=2, rows=3, generator=generator).T)] += 1
    # Each of 12 positions is in a sample of 3 with probability 1/4: 500 of 2000, standard deviation 19.4.
    assert np.all(np.abs(counts - 500) < 5 * 19.4)


@pytest.mark.parametrize(("images", "positions", "message"), [
    (np.zeros((1, 2, 4, 5)), None, "images: expected images of shape (M, 2, 4, 4), got (1, 2, 4, 5)"),
    (np.zeros((2, 4, 4)), None, "images: expected images of shape (M, 2, 4, 4), got (2, 4, 4)"),
    (np.zeros((1, 2, 4, 4)), np.array([[0, 3, 0]]), "positions: expected positions below (1, 3, 3), got one outside"),
    (np.zeros((1, 2, 4, 4)), np.array([[-1, 0, 0]]), "positions: expected positions below (1, 3, 3), got one outside"),
])
def test_wrong_images_and_positions_are_refused(images, positions, message):
    with pytest.raises(NumericsError) as caught:
        patches(images, Convolution(1, 2, 2, (4, 4), (2, 2)), positions)
    assert str(caught.value) == message


@pytest.mark.parametrize(("counts", "message"), [({"rows": 0, "images": 1}, "rows: expected at least 1, got 0"),
                                                 ({"rows": 1, "images": 0}, "images: expected at least 1, got 0")])
def test_a_sample_of_nothing_is_refused(counts, message):
    with pytest.raises(NumericsError) as caught:
        sampled_positions(Convolution(1, 1, 1, (4, 4), (2, 2)), generator=np.random.default_rng(0), **counts)
    assert str(caught.value) == message
