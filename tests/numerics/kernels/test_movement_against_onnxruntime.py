"""onnxruntime moves the same integers: int8 and uint8, random shapes and options."""

import numpy as np
import pytest
from onnx_graph import node, run_graph

from accelsim.numerics.kernels.movement import (
    DepthToSpaceKernel,
    ExpandKernel,
    GatherKernel,
    PadKernel,
    ReshapeKernel,
    SliceKernel,
    SpaceToDepthKernel,
    TileKernel,
    TransposeKernel,
)
from accelsim.numerics.rule import Rule

RULE = Rule("float32_nearest_even")
pytestmark = pytest.mark.parametrize("dtype", [np.int8, np.uint8])


def integers(shape, dtype, seed=0):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


def compare(kernel, x, operator, constants=None, **attributes):
    constants = {name: np.asarray(value) for name, value in (constants or {}).items()}
    theirs = run_graph([node(operator, ["x", *constants], "y", **attributes)], x, constants)
    ours = kernel.run([x], RULE)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2), (1, 0, 3, 2)])
def test_transpose(order, dtype):
    compare(TransposeKernel(order), integers((2, 3, 4, 5), dtype), "Transpose", perm=order)


def test_reshape(dtype):
    compare(ReshapeKernel((5, 24)), integers((2, 3, 4, 5), dtype), "Reshape", {"shape": np.array([5, 24])})


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
@pytest.mark.parametrize("pads", [((0, 0), (0, 0), (1, 2), (2, 1)), ((1, 0), (0, 2), (0, 0), (3, 4))])
def test_pad(mode, pads, dtype):
    ends = np.array([before for before, _ in pads] + [after for _, after in pads])
    constants = {"pads": ends} | ({"value": np.array(7, dtype)} if mode == "constant" else {})
    kernel = PadKernel(pads, value=7 if mode == "constant" else 0, mode=mode)
    compare(kernel, integers((2, 3, 4, 5), dtype), "Pad", constants, mode=mode)


def test_pad_with_negative_numbers(dtype):
    pads = ((0, -1), (-1, 2), (1, -2), (0, 0))
    ends = np.array([before for before, _ in pads] + [after for _, after in pads])
    compare(PadKernel(pads, value=3), integers((2, 3, 4, 5), dtype), "Pad", {"pads": ends, "value": np.array(3, dtype)})


@pytest.mark.parametrize("step", [-2, -1, 1, 2])
def test_slices_of_every_start_and_end_around_a_tensor(step, dtype):
    x = integers((3,), dtype)
    for start in range(-5, 6):
        for end in range(-5, 6):
            constants = {"starts": [start], "ends": [end], "axes": [0], "steps": [step]}
            compare(SliceKernel((start,), (end,), (step,)), x, "Slice", constants)


def test_slices_of_random_starts_ends_and_steps(dtype):
    rng = np.random.default_rng(3)
    x = integers((4, 7, 5), dtype)
    for _ in range(60):
        axes = tuple(int(axis) for axis in rng.permutation([-3, -2, -1])[:rng.integers(1, 4)])
        starts, ends = (rng.integers(-10, 10, len(axes)) for _ in range(2))
        steps = rng.choice([-3, -2, -1, 1, 2, 3], len(axes))
        kernel = SliceKernel(tuple(starts.tolist()), tuple(ends.tolist()), tuple(steps.tolist()), axes)
        compare(kernel, x, "Slice", {"starts": starts, "ends": ends, "axes": np.array(axes), "steps": steps})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [[1, 0, -1], [[0, 1], [1, -2]], 1])
def test_gather(axis, indices, dtype):
    kernel = GatherKernel(axis, np.array(indices))
    compare(kernel, integers((2, 3, 4), dtype), "Gather", {"indices": np.array(indices)}, axis=axis)


def test_tile(dtype):
    compare(TileKernel((2, 1, 3)), integers((2, 3, 4), dtype), "Tile", {"repeats": np.array([2, 1, 3])})


@pytest.mark.parametrize("shape", [(4, 1, 3, 5), (3, 5), (1, 1), (2, 3, 1)])
def test_expand(shape, dtype):
    compare(ExpandKernel(shape), integers((3, 1), dtype).reshape(3, 1), "Expand", {"shape": np.array(shape)})


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode, dtype):
    x = integers((2, 12, 3, 4), dtype)
    # onnxruntime's DepthToSpace takes 8-bit integers as uint8 alone; the bytes that move are the same.
    theirs = run_graph([node("DepthToSpace", ["x"], "y", blocksize=2, mode=mode)], x.view(np.uint8))
    assert np.array_equal(DepthToSpaceKernel(2, mode).run([x], RULE), theirs.view(dtype))


def test_space_to_depth(dtype):
    x = integers((2, 3, 6, 9), dtype)
    # onnxruntime's SpaceToDepth takes floats alone; every 8-bit integer is one exactly.
    theirs = run_graph([node("SpaceToDepth", ["x"], "y", blocksize=3)], x.astype(np.float32))
    assert np.array_equal(SpaceToDepthKernel(3).run([x], RULE), theirs)
