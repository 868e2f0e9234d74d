"""What a layer's rounding is judged by: grids spread over weights, and errors behind the activation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounding_problems import rounding_problem, weight_grid

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import NO_CLIP, RELU, RELU6, Clip
from accelsim.quantization.layer_problem import LayerProblem
from accelsim.quantization.weight_grid import WeightGrid

KINDS = ["tensor", "channel", "block"]


def parameters_at(qparams, row, column):
    """Scale and zero point of one weight, read off the table of `QParams`."""
    if qparams.axis is None:
        return float(qparams.scale), int(qparams.zero_point)
    place = row if qparams.group_size is None else (row, column // qparams.group_size)
    return float(qparams.scale[place]), int(qparams.zero_point[place])


@pytest.mark.parametrize("is_asymmetric", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_the_scale_and_the_range_of_its_unit(kind, is_asymmetric):
    weights = np.random.default_rng(0).normal(size=(2, 3, 10))
    qparams = weight_grid(weights, bits=4, kind=kind, is_asymmetric=is_asymmetric)
    grid = WeightGrid.of(qparams, weights.shape)
    for g, n, k in np.ndindex(weights.shape):
        scale, zero_point = parameters_at(qparams, 3 * g + n, k)
        assert grid.scale[g, n, k] == scale
        assert grid.lowest[g, n, k] == qparams.qtype.min - zero_point
        assert grid.highest[g, n, k] == qparams.qtype.max - zero_point


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS), is_asymmetric=st.booleans(), bits=st.integers(2, 16))
def test_steps_and_integers_are_each_others_inverse(seed, kind, is_asymmetric, bits):
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(2, 2, 5))
    qparams = weight_grid(weights, bits=bits, kind=kind, is_asymmetric=is_asymmetric)
    grid = WeightGrid.of(qparams, weights.shape)
    integers = generator.integers(qparams.qtype.min, qparams.qtype.max + 1, size=weights.shape)
    assert np.array_equal(grid.integers(grid.steps(integers)), integers)
    assert grid.integers(grid.steps(integers)).dtype == qparams.qtype.dtype
    assert np.array_equal(grid.steps(integers) * grid.scale, grid.dequantized(integers))


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_integers_are_those_of_the_quantizer(kind):
    problem = rounding_problem(1, groups=2, channels=3, depth=9, kind=kind, is_asymmetric=True)
    matrix = problem.weights.reshape(6, 9)
    assert np.array_equal(problem.nearest.reshape(6, 9), problem.grid.quantize(matrix))


@pytest.mark.parametrize("clip", [NO_CLIP, RELU, RELU6, Clip(low=np.linspace(-1, 0, 6), high=np.linspace(0.1, 1, 6))])
def test_errors_are_mean_squares_behind_the_activation(clip):
    problem = rounding_problem(2, groups=2, channels=3, depth=5, rows=2500, clip=clip, input_levels=16)
    quantized = problem.weight_grid.dequantized(problem.nearest)
    expected = np.zeros((2, 3))
    for g, n in np.ndindex(2, 3):
        row = 3 * g + n
        low, high = (np.broadcast_to(limit, 6)[row] for limit in (clip.low, clip.high))
        for real, seen in zip(problem.inputs[g].astype(float), problem.quantized_inputs[g].astype(float), strict=True):
            target = min(max(real @ problem.weights[g, n] + problem.bias[row], low), high)
            output = min(max(seen @ quantized[g, n] + problem.bias[row], low), high)
            expected[g, n] += (output - target) ** 2 / 2500
    assert problem.channel_errors(problem.nearest) == pytest.approx(expected, rel=1e-4)
    assert problem.error(problem.nearest) == pytest.approx(expected.mean(), rel=1e-4)


def test_the_better_candidate_is_taken_channel_by_channel():
    problem = rounding_problem(3, groups=2, channels=4)
    other = problem.weight_grid.integers(problem.weight_grid.steps(problem.nearest) + 1)
    mixed = np.where((np.arange(4) % 2 == 0)[None, :, None], problem.nearest, other)
    errors = np.minimum(problem.channel_errors(mixed), problem.channel_errors(problem.nearest))
    assert np.array_equal(problem.channel_errors(problem.best_of(mixed, problem.nearest)), errors)


GOOD = {"weights": np.ones((1, 2, 3)), "inputs": np.ones((1, 4, 3)),
        "grid": QParams(scale=1.0, zero_point=0, qtype=QType(4, True))}


@pytest.mark.parametrize(("wrong", "message"), [
    ({"weights": np.ones((2, 3))}, "weights: expected 3 dimensions and at least one number, got shape (2, 3)"),
    ({"weights": np.full((1, 2, 3), np.nan)}, "weights: expected finite numbers, got NaN or infinity"),
    ({"inputs": np.ones((1, 0, 3))}, "inputs: expected 3 dimensions and at least one number, got shape (1, 0, 3)"),
    ({"inputs": np.ones((1, 4, 5))}, "inputs: expected rows of shape (1, M, 3), got (1, 4, 5)"),
    ({"inputs": np.full((1, 4, 3), np.inf)}, "inputs: expected finite numbers, got NaN or infinity"),
    ({"quantized_inputs": np.ones((1, 5, 3))}, "quantized_inputs: expected as many rows as the float network's, 4, got 5"),
    ({"bias": np.ones(3)}, "bias: expected one per output channel, (2,), got (3,)"),
    ({"clip": Clip(low=0.0, high=np.ones(3))}, "clip: expected one per output channel, (2,), got (3,)"),
    ({"grid": QParams(scale=[1.0], zero_point=0, qtype=QType(4, True), axis=0)},
     "scale: expected scales of shape (2,) for a tensor of shape (2, 3), got (1,)"),
])
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(NumericsError) as caught:
        LayerProblem(**{**GOOD, **wrong})
    assert str(caught.value) == message


def test_integers_outside_the_type_are_refused():
    with pytest.raises(NumericsError) as caught:
        LayerProblem(**GOOD).channel_errors(np.full((1, 2, 3), 8))
    assert str(caught.value) == "integers: expected -8..7 (int4), got 8..8"
