"""Windows as matrices hold what a convolution's loops read, for strides, dilations, pads and stretched inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics.axis import Axis
from accelsim.numerics.exact_product import matrix_product
from accelsim.numerics.windows import box, windows


def out_size(size, kernel, stride, dilation, pad_before, pad_after, upsampling):
    stretched = (size - 1) * upsampling + 1
    return (stretched + pad_before + pad_after - dilation * (kernel - 1) - 1) // stride + 1


@st.composite
def axes(draw):
    size, kernel, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    upsampling = draw(st.sampled_from([1, 1, 2, 3]))
    stride = draw(st.integers(1, 3)) if upsampling == 1 else 1
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    out = out_size(size, kernel, stride, dilation, before, after, upsampling)
    return Axis(size, max(out, 1), kernel, stride, dilation, before, upsampling)


def read(images, i, y, x, c, rows, columns, fill):
    """The pixel of the stretched image at (y, x), straight from the definition."""
    if y % rows.upsampling or x % columns.upsampling:
        return fill
    y, x = y // rows.upsampling, x // columns.upsampling
    return images[i, y, x, c] if 0 <= y < rows.in_size and 0 <= x < columns.in_size else fill


@settings(max_examples=300, deadline=None)
@given(axes(), axes(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_every_element_is_the_pixel_that_the_loops_read(rows, columns, images, channels, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (images, rows.in_size, columns.in_size, channels), dtype=np.int8)
    size, width = rows.out_size * columns.out_size, columns.out_size
    first_row = int(rng.integers(rows.out_size))
    last_row = int(rng.integers(first_row, rows.out_size)) + 1
    first_column = int(rng.integers(width))
    last_column = int(rng.integers(first_column, width)) + 1
    steps = rows.kernel * columns.kernel * channels
    k0 = int(rng.integers(steps))
    k1 = int(rng.integers(k0, steps)) + 1
    for m in ((0, images * size), (first_row * width, last_row * width),
              (first_row * width + first_column, first_row * width + last_column)):
        found = windows(x, rows, columns, m=m, k=(k0, k1), fill=7)
        assert found.shape == (m[1] - m[0], k1 - k0)
        for position in range(*m):
            i, rest = divmod(position, size)
            p, q = divmod(rest, width)
            for k in range(k0, k1):
                tap, c = divmod(k, channels)
                r, s = divmod(tap, columns.kernel)
                y = p * rows.stride + r * rows.dilation - rows.pad
                z = q * columns.stride + s * columns.dilation - columns.pad
                assert found[position - m[0], k - k0] == read(x, i, y, z, c, rows, columns, 7)


def test_a_range_that_is_no_block_is_our_own_mistake():
    with pytest.raises(AssertionError, match="no block of rows"):
        box((1, 7), Axis(3, 3), Axis(3, 3))


@pytest.mark.parametrize("top", [7, 2000, 2**24, 2**31, 2**40])
def test_products_are_exact_whatever_arithmetic_computes_them(top):
    rng = np.random.default_rng(1)
    x, w = rng.integers(-top, top, (5, 11)), rng.integers(-top, top, (3, 11))
    x[0], w[0] = -top, -top
    expected = [[sum(int(a) * int(b) for a, b in zip(row, column, strict=True)) for column in w] for row in x]
    assert matrix_product(x, w).tolist() == expected
    assert matrix_product(np.stack([x, x]), np.stack([w, w]))[1].tolist() == expected
