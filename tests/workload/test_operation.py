"""Work of the operations against counting it step by step."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.workload import Activation, Convolution, Elementwise, MatMul, Normalization, Pooling, Reduction, Softmax

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))
SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(*[st.integers(0, 2)] * 4)


def positions(length: int, kernel: int, stride: int, dilation: int) -> int:
    """Starts at which a window of `kernel` taps lies within `length`, tried one after the other."""
    return sum(1 for start in range(0, length, stride) if start + dilation * (kernel - 1) < length)


@given(SIZES, SMALL, SMALL, SMALL, PADS, st.sampled_from([1, 2, 4]))
def test_convolution_counts_its_products(size, kernel, stride, dilation, pads, groups) -> None:
    out = tuple(positions(size[axis] + pads[axis] + pads[axis + 2], kernel[axis], stride[axis], dilation[axis])
                for axis in (0, 1))
    if min(out) < 1:
        return
    operation = Convolution(batch=2, in_channels=4, out_channels=8, in_size=size, kernel=kernel, stride=stride, pads=pads,
                            dilation=dilation, groups=groups)
    assert operation.out_shape == (2, 8, *out)
    taps = sum(1 for _ in product(range(4 // groups), range(kernel[0]), range(kernel[1])))
    assert operation.macs == 2 * 8 * out[0] * out[1] * taps
    assert operation.is_depthwise == (groups == 4)


@given(SIZES, SMALL, SMALL, SMALL, SMALL)
def test_transposed_convolution_reaches_as_far_as_its_last_tap(size, kernel, stride, dilation, extra) -> None:
    operation = Convolution(batch=1, in_channels=1, out_channels=1, in_size=size, kernel=kernel, stride=stride,
                            dilation=dilation, is_transposed=True, output_padding=extra)
    written = {(row * stride[0] + r * dilation[0], column * stride[1] + s * dilation[1])
               for row in range(size[0]) for column in range(size[1])
               for r in range(kernel[0]) for s in range(kernel[1])}
    last = max(written)
    assert operation.out_size == (last[0] + 1 + extra[0], last[1] + 1 + extra[1])


@pytest.mark.parametrize(("operation", "count"), [
    (Pooling("max", (2, 3, 4, 5), window=(3, 2)), 2 * 3 * 4 * 5 * 6),
    (Elementwise("add", (2, 3), operands=3), 12),
    (Elementwise("mul", (2, 3)), 6),
    (Activation("relu6", (2, 3)), 12),
    (Softmax((2, 3), row_length=3), 30),
    (Normalization("rms", (2, 3), row_length=3), 18),
    (Reduction("mean", (2,), in_elements=6), 6),
])
def test_vector_operations_are_counted_per_element(operation, count: int) -> None:
    assert operation.vector_operations == count


@pytest.mark.parametrize(("make", "expected"), [
    (lambda: MatMul(m=0, k=1, n=1), "expected matrix sizes of at least 1, got 1 x (0 x 1 x 1)"),
    (lambda: Elementwise("plus", (1,)), "unknown element-wise operation plus"),
    (lambda: Activation("rleu", (1,)), "unknown activation rleu"),
    (lambda: Pooling("median", (1, 1, 1, 1), window=(1, 1)), "expected max or average pooling, got median"),
    (lambda: Convolution(batch=1, in_channels=3, out_channels=4, in_size=(4, 4), kernel=(1, 1), groups=2),
     "expected groups to divide 3 input and 4 output channels, got 2 groups"),
    (lambda: Convolution(batch=1, in_channels=3, out_channels=4, in_size=(4, 4), kernel=(5, 1)),
     "expected an output of at least 1x1, got 0x4"),
])
def test_impossible_operations_are_refused(make, expected: str) -> None:
    with pytest.raises(WorkloadError) as error:
        make()
    assert str(error.value) == expected
