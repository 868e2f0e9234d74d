"""LiteRT's RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR with every combination of flags, bit for bit."""

import numpy as np
import pytest
from litert_models import TensorSpec, run_reference, schema, single_operator

from accelsim.numerics.kernels.resizing import ResizingKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

TYPES = {np.int8: QType(8, True), np.uint8: QType(8, False), np.int16: QType(16, True)}
COORDINATES = {(False, False): "tflite", (False, True): "tflite_half_pixel", (True, False): "tflite_align_corners",
               (True, True): "tflite_align_corners_half_pixel"}


def theirs(mode, x, sizes, is_aligned, is_centered):
    name = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    options = schema.ResizeNearestNeighborOptionsT() if mode == "nearest" else schema.ResizeBilinearOptionsT()
    options.alignCorners, options.halfPixelCenters = is_aligned, is_centered
    kind = getattr(schema.BuiltinOptions, "ResizeNearestNeighborOptions" if mode == "nearest" else "ResizeBilinearOptions")
    model = single_operator(
        getattr(schema.BuiltinOperator, name), options, kind,
        [TensorSpec("x", x.shape, x.dtype, 0.1, 0), TensorSpec("sizes", (2,), np.int32, data=np.array(sizes))],
        [TensorSpec("y", (x.shape[0], *sizes, x.shape[3]), x.dtype, 0.1, 0)], version=3)
    return run_reference(model, [x])[0]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("mode", "flags"), [("nearest", flags) for flags in COORDINATES] + [
    ("linear", flags) for flags in COORDINATES if not all(flags)])  # both at once: LiteRT refuses them
def test_random_sizes(mode, flags, dtype):
    rng = np.random.default_rng(3)
    info = np.iinfo(dtype)
    parameters = QParams(scale=0.1, zero_point=0, qtype=TYPES[dtype])
    for _ in range(60):
        height, width, *sizes = (int(size) for size in rng.integers(1, 14, 4))
        x = rng.integers(info.min, info.max + 1, (2, height, width, 5)).astype(dtype)
        kernel = ResizingKernel(mode, (1, 2), tuple(sizes), COORDINATES[flags], parameters, parameters)
        assert np.array_equal(kernel.run([x], Rule("litert_reference")), theirs(mode, x, tuple(sizes), *flags))


@pytest.mark.parametrize("flags", COORDINATES)
def test_nearest_of_long_axes(flags):
    parameters = QParams(scale=0.1, zero_point=0, qtype=TYPES[np.int16])
    rng = np.random.default_rng(4)
    for _ in range(40):
        before, after = (int(size) for size in rng.integers(1, 3000, 2))
        x = np.arange(before, dtype=np.int16).reshape(1, before, 1, 1)
        kernel = ResizingKernel("nearest", (1, 2), (after, 1), COORDINATES[flags], parameters, parameters)
        assert np.array_equal(kernel.run([x], Rule("litert_reference")), theirs("nearest", x, (after, 1), *flags))
