"""onnxruntime's Resize of integers and between DequantizeLinear and QuantizeLinear, bit for bit."""

import numpy as np
import pytest
from onnx_graph import node, run_graph

from accelsim.numerics.kernels.resizing import ResizingKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
COORDINATES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric", "align_corners"]
pytestmark = pytest.mark.parametrize("dtype", [np.int8, np.uint8])


def parameters(dtype, scale=0.05, zero_point=7):
    return QParams(scale=np.float32(scale), zero_point=zero_point, qtype=QType(8, dtype is np.int8))


def integers(rng, shape, dtype):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def resize(x, mode, coordinates, *, sizes=None, scales=None, nearest_mode="round_prefer_floor", opset=19, grids=None):
    """Resize of x itself, or between DequantizeLinear and QuantizeLinear of the two `grids`."""
    constants = {"sizes": np.array(sizes, np.int64)} if scales is None else {"scales": np.array(scales, np.float32)}
    inputs = ["roi", "", "sizes"] if scales is None else ["roi", "scales"]
    constants["roi"] = np.zeros(0, np.float32)
    if opset < 13 and scales is None:
        inputs, constants["none"] = ["roi", "none", "sizes"], np.zeros(0, np.float32)
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = nearest_mode
    if grids is None:
        return run_graph([node("Resize", ["x", *inputs], "y", **attributes)], x, constants, opset=opset)
    for name, grid in zip("ab", grids, strict=True):
        constants |= {f"{name}s": np.float32(grid.scale), f"{name}z": grid.zero_point.astype(x.dtype)}
    nodes = [node("DequantizeLinear", ["x", "as", "az"], "f"), node("Resize", ["f", *inputs], "g", **attributes),
             node("QuantizeLinear", ["g", "bs", "bz"], "y")]
    return run_graph(nodes, x, constants, opset=opset)


@pytest.mark.parametrize("coordinates", [*COORDINATES, "tf_half_pixel_for_nn"])
@pytest.mark.parametrize("nearest_mode", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_of_random_sizes_and_scales(coordinates, nearest_mode, dtype):
    rng = np.random.default_rng(1)
    opset = 11 if coordinates == "tf_half_pixel_for_nn" else 19
    grid = parameters(dtype)
    for trial in range(40):
        x = integers(rng, (1, 2, *rng.integers(1, 30, 2)), dtype)
        sizes, scales = tuple(int(size) for size in rng.integers(1, 40, 2)), None
        if trial % 2:
            scales = tuple(float(np.float32(scale)) for scale in rng.uniform(1.0, 3.0, 2))
            sizes = tuple(int(np.float32(scale) * np.float32(size)) for scale, size in zip(scales, x.shape[2:], strict=True))
        theirs = resize(x, "nearest", coordinates, sizes=(1, 2, *sizes), scales=None if scales is None else (1, 1, *scales),
                        nearest_mode=nearest_mode, opset=opset)
        kernel = ResizingKernel("nearest", (2, 3), sizes, coordinates, grid, grid, nearest_mode, scales)
        assert np.array_equal(kernel.run([x], RULE), theirs)


@pytest.mark.parametrize("nearest_mode", ["round_prefer_floor", "round_prefer_ceil"])
def test_coordinates_that_float32_puts_beside_a_half_are_ties(nearest_mode, dtype):
    grid = parameters(dtype)
    for before, after in ((7, 16), (10, 24), (11, 30), (13, 31), (100, 229), (90, 35)):
        x = np.arange(before, dtype=dtype).reshape(1, 1, 1, before)
        theirs = resize(x, "nearest", "asymmetric", sizes=(1, 1, 1, after), nearest_mode=nearest_mode)
        kernel = ResizingKernel("nearest", (3,), (after,), "asymmetric", grid, grid, nearest_mode)
        assert np.array_equal(kernel.run([x], RULE), theirs)


@pytest.mark.parametrize("scale", [0.4, 0.7, 1.7, 2.0])
def test_nearest_before_opset_11(scale, dtype):
    x = integers(np.random.default_rng(2), (1, 2, 9, 10), dtype)
    theirs = run_graph([node("Resize", ["x", "scales"], "y", mode="nearest")], x,
                       {"scales": np.array([1, 1, scale, scale], np.float32)}, opset=10)
    grid = parameters(dtype)
    kernel = ResizingKernel("nearest", (2, 3), theirs.shape[2:], "asymmetric", grid, grid, "simple", (scale, scale))
    assert np.array_equal(kernel.run([x], RULE), theirs)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("layout", ["rows", "volumes", "channels first", "channels last", "batched volumes"])
def test_linear_of_integers_in_every_layout(coordinates, layout, dtype):
    rng = np.random.default_rng(3)
    places = {"rows": (0, 1), "volumes": (0, 1, 2), "channels first": (2, 3), "channels last": (1, 2),
              "batched volumes": (2, 3, 4)}[layout]
    rank = {"rows": 2, "volumes": 3, "batched volumes": 5}.get(layout, 4)
    grid = parameters(dtype)
    for _ in range(25):
        x = integers(rng, rng.integers(1, 9, rank), dtype)
        sizes = tuple(int(size) for size in rng.integers(1, 14, len(places)))
        whole = list(x.shape)
        for place, size in zip(places, sizes, strict=True):
            whole[place] = size
        kernel = ResizingKernel("linear", places, sizes, coordinates, grid, grid, form="integer")
        assert np.array_equal(kernel.run([x], RULE), resize(x, "linear", coordinates, sizes=whole))


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("is_same_grid", [True, False])
def test_between_dequantize_and_quantize(coordinates, mode, is_same_grid, dtype):
    rng = np.random.default_rng(4)
    grid = parameters(dtype)
    target = grid if is_same_grid else parameters(dtype, 0.037, 20)
    for trial in range(15):
        places = (1, 2) if trial % 3 == 0 else (2, 3)
        x = integers(rng, rng.integers(1, 10, 4), dtype)
        sizes = tuple(int(size) for size in rng.integers(1, 16, 2))
        whole = list(x.shape)
        for place, size in zip(places, sizes, strict=True):
            whole[place] = size
        kernel = ResizingKernel(mode, places, sizes, coordinates, grid, target)
        assert np.array_equal(kernel.run([x], RULE), resize(x, mode, coordinates, sizes=whole, grids=(grid, target)))
