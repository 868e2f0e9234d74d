"""Kernels that move integers: formulas against onnxruntime, LiteRT's own cases, and bad input told in one line."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
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

RULE = Rule("litert_reference")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize("kernel", [
    TransposeKernel((0, 2, 3, 1)), ReshapeKernel((4, 6, 1, 4)), PadKernel(((0, 0), (1, 2), (0, 0), (0, 1)), value=9),
    PadKernel(((0, 0), (1, 2), (0, 0), (0, 1)), mode="edge"), SliceKernel((2, -1), (0, -9), (-1, -1), axes=(1, 2)),
    GatherKernel(1, np.array([[3, 0], [-1, 2]])), TileKernel((1, 2, 1, 3)), ExpandKernel((3, 1, 4, 1, 1)),
    DepthToSpaceKernel(2), SpaceToDepthKernel(2)], ids=lambda kernel: type(kernel).__name__)
def test_integers_of_every_width_are_moved_and_never_changed(kernel, dtype):
    info = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(info.min, int(info.max) + 1, (1, 4, 4, 6)).astype(dtype)
    moved = kernel.run([x], RULE)
    assert moved.dtype == dtype
    assert set(moved.flat) <= set(x.flat) | {dtype(9)}
    assert moved.flags.c_contiguous


def test_space_to_depth_and_depth_to_space_undo_each_other_in_both_layouts():
    x = np.arange(2 * 6 * 6 * 3, dtype=np.int16).reshape(2, 6, 6, 3)
    packed = SpaceToDepthKernel(3, channels_last=True).run([x], RULE)
    assert packed.shape == (2, 2, 2, 27)
    assert np.array_equal(DepthToSpaceKernel(3, channels_last=True).run([packed], RULE), x)
    first = x.transpose(0, 3, 1, 2)
    assert np.array_equal(SpaceToDepthKernel(3).run([first], RULE).transpose(0, 2, 3, 1), packed)


def test_a_negative_step_reaches_element_zero_only_with_an_end_beyond_it():
    x = np.arange(5, dtype=np.int8)
    assert SliceKernel((4,), (0,), (-2,)).run([x], RULE).tolist() == [4, 2]
    assert SliceKernel((4,), (-6,), (-2,)).run([x], RULE).tolist() == [4, 2, 0]
    assert SliceKernel((99,), (-2**63,), (-1,)).run([x], RULE).tolist() == [4, 3, 2, 1, 0]
    assert SliceKernel((3,), (1,), (1,)).run([x], RULE).tolist() == []
    assert SliceKernel((0,), (-6,), (-1,)).run([x[:0]], RULE).tolist() == []


def test_negative_pads_cut_before_the_border_is_added():
    x = np.arange(5, dtype=np.int8)
    assert PadKernel(((-2, 1),), mode="reflect").run([x], RULE).tolist() == [2, 3, 4, 3]
    assert PadKernel(((-2, -3),)).run([x], RULE).tolist() == []


X = np.zeros((2, 3), np.int8)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: TransposeKernel((0, 0)), "order: expected each of 0..1 once, got (0, 0)"),
    (lambda: TransposeKernel((0, 2, 1)).run([X], RULE), "order: expected one entry a dimension of (2, 3), got 3"),
    (lambda: ReshapeKernel((5,)).run([X], RULE), "shape: expected 6 elements as in (2, 3), got (5,)"),
    (lambda: ReshapeKernel((-2, -3)).run([X], RULE), "shape: expected 6 elements as in (2, 3), got (-2, -3)"),
    (lambda: PadKernel(((0, 0),)).run([X], RULE), "pads: expected one entry a dimension of (2, 3), got 1"),
    (lambda: PadKernel(((0, 0), (0, 1)), value=128).run([X], RULE), "value: expected -128..127 (int8), got 128"),
    (lambda: PadKernel(((0, 0), (3, 0)), mode="reflect").run([X], RULE),
     "pads: expected at most 2 for reflect of 3 elements, got (3, 0)"),
    (lambda: PadKernel(((0, 0), (-2, -2))).run([X], RULE), "pads: expected at most 3 elements cut off, got (-2, -2)"),
    (lambda: PadKernel(((0, 0),), mode="mirror"),
     'mode: expected one of constant, edge, reflect, symmetric, wrap, got "mirror"'),
    (lambda: SliceKernel((0,), (1,), (0,)), "steps: expected steps other than 0, got 0"),
    (lambda: SliceKernel((0,), (1, 2), (1,)), "starts: expected one start, end and step an axis, got lists of 1, 2, 1"),
    (lambda: SliceKernel((0,), (1,), (1,), axes=(2,)).run([X], RULE),
     "axis: expected an axis of a tensor of shape (2, 3), got 2"),
    (lambda: SliceKernel((0, 0), (1, 1), (1, 1), axes=(1, -1)).run([X], RULE), "axes: expected each axis once, got (1, -1)"),
    (lambda: GatherKernel(1, np.array([0, 3])).run([X], RULE), "indices: expected -3..2, got 3"),
    (lambda: GatherKernel(1, np.array([0.5])).run([X], RULE), "indices: expected integers, got float64"),
    (lambda: TileKernel((1,)).run([X], RULE), "repeats: expected one entry a dimension of (2, 3), got 1"),
    (lambda: TileKernel((1, -1)).run([X], RULE), "repeats: expected at least 0, got -1"),
    (lambda: ExpandKernel((4, 1)).run([X], RULE), "shape: expected a shape that broadcasts with (2, 3), got (4, 1)"),
    (lambda: DepthToSpaceKernel(0), "block: expected at least 1, got 0"),
    (lambda: DepthToSpaceKernel(2, "ABC"), 'mode: expected one of DCR, CRD, got "ABC"'),
    (lambda: DepthToSpaceKernel(2).run([X], RULE), "inputs: expected a tensor of rank 4, got shape (2, 3)"),
    (lambda: DepthToSpaceKernel(2).run([np.zeros((1, 6, 1, 1))], RULE),
     "block: expected channels in multiples of 4, got 6"),
    (lambda: SpaceToDepthKernel(2).run([np.zeros((1, 1, 4, 3))], RULE),
     "block: expected height and width in multiples of 2, got 4 x 3"),
    (lambda: TransposeKernel((0,)).run([X, X], RULE), "inputs: expected 1 tensor, got 2"),
])
def test_what_cannot_be_moved_is_refused_in_one_line(make, message):
    with pytest.raises(NumericsError) as error:
        make()
    assert str(error.value) == message
