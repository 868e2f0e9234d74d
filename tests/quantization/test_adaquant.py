"""AdaQuant: integers, scales and bias learned together; never worse than nearest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding_problems import rounding_problem, weight_grid

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import NO_CLIP, RELU, Clip
from accelsim.quantization.layer_problem import LayerProblem
from accelsim.quantization.rounding.adaquant import AdaptionRates, AdaptiveWeights, adaquant
from accelsim.quantization.rounding.channel_part import parts_of

KINDS = ["tensor", "channel", "block"]
STEP = 1e-5


def adapted(problem, *, seed=0, **options):
    return adaquant(problem, generator=np.random.default_rng(seed), **options)


def errors_of(problem, found):
    """Of each channel, with the grid and the bias that were learned."""
    groups, channels, depth = problem.weights.shape
    weights = found.grid.dequantize(found.integers.reshape(-1, depth)).reshape(groups, channels, depth)
    return problem.channel_errors_of(weights, found.bias)


def frozen_objective(problem, learned, rounding, unit, continuous, log_scale, shift):
    """The error with what rounding adds held fixed: what straight-through descends on. In units of `unit`."""
    groups, channels, depth = problem.weights.shape
    grid = problem.weight_grid
    spread = log_scale if log_scale.size == 1 else np.repeat(log_scale, learned, axis=2)[:, :, :depth]
    scale = grid.scale * np.exp(spread)
    position = continuous * grid.scale / scale
    weights = scale * (np.clip(position, grid.lowest, grid.highest) + rounding)
    bias = problem.bias.reshape(groups, 1, channels)
    low, high = (np.broadcast_to(limit, problem.bias.shape).reshape(groups, 1, -1)
                 for limit in (problem.clip.low, problem.clip.high))
    target = np.clip(problem.inputs.astype(float) @ problem.weights.swapaxes(1, 2) + bias, low, high)
    sums = problem.quantized_inputs.astype(float) @ weights.swapaxes(1, 2) + bias + shift * np.sqrt(unit)[:, None, :]
    return np.sum(np.mean((np.clip(sums, low, high) - target) ** 2, axis=1)) / np.mean(unit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clip", [NO_CLIP, Clip(low=0.0, high=0.3)])
def test_gradients_are_finite_differences_with_the_rounding_held_fixed(kind, clip):
    problem = rounding_problem(2, groups=2, channels=3, depth=6, rows=200, bits=3, kind=kind, clip=clip, input_levels=12)
    (part,) = parts_of(problem, order=np.arange(200), is_whole=True)
    unit = problem.channel_errors(problem.nearest)
    learned = AdaptiveWeights(problem, part, unit)
    generator = np.random.default_rng(0)
    learned.continuous += generator.normal(size=learned.continuous.shape).astype(np.float32)
    learned.log_scale += generator.normal(size=learned.log_scale.shape).astype(np.float32) / 10
    learned.shift += generator.normal(size=learned.shift.shape).astype(np.float32)
    numbers = [values.astype(float) for values in (learned.continuous, learned.log_scale, learned.shift)]
    block = 4 if kind == "block" else 6
    spread = numbers[1] if numbers[1].size == 1 else np.repeat(numbers[1], block, axis=2)[:, :, :6]
    position = numbers[0] / np.exp(spread)
    rounding = np.rint(position) - position
    outside = (position < problem.weight_grid.lowest) | (position > problem.weight_grid.highest)
    assert np.any(outside)
    rounding[outside] = 0
    for place, gradient in enumerate(learned.gradients(slice(None))):
        numeric = np.empty(gradient.shape)
        for index in np.ndindex(gradient.shape):
            values = []
            for sign in (1, -1):
                moved = [each.copy() for each in numbers]
                moved[place][index] += sign * STEP
                values.append(frozen_objective(problem, block, rounding, unit, *moved))
            numeric[index] = (values[0] - values[1]) / (2 * STEP)
        assert gradient == pytest.approx(numeric, rel=2e-3, abs=2e-4 * np.abs(numeric).max())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), bits=st.integers(2, 8), kind=st.sampled_from(KINDS), is_asymmetric=st.booleans(),
       clip=st.sampled_from([NO_CLIP, RELU]), iterations=st.integers(1, 40), groups=st.integers(1, 3),
       levels=st.sampled_from([None, 8]))
def test_the_result_is_never_worse_than_nearest_and_fits_its_grid(seed, bits, kind, is_asymmetric, clip, iterations, groups,
                                                                  levels):
    problem = rounding_problem(seed, groups=groups, channels=3, depth=7, rows=50, bits=bits, kind=kind,
                               is_asymmetric=is_asymmetric, clip=clip, input_levels=levels)
    found = adapted(problem, seed=seed, iterations=iterations, rows_per_iteration=16)
    errors, nearest = errors_of(problem, found), problem.channel_errors(problem.nearest)
    if kind == "tensor":
        assert errors.mean() <= nearest.mean()
    else:
        assert np.all(errors <= nearest)
    given = problem.grid
    assert found.integers.dtype == given.qtype.dtype
    assert (found.grid.qtype, found.grid.axis, found.grid.group_size) == (given.qtype, given.axis, given.group_size)
    assert np.array_equal(found.grid.zero_point, given.zero_point)
    assert found.grid.scale.shape == given.scale.shape
    assert np.array_equal(found.grid.scale, found.grid.scale.astype(np.float32))


@pytest.mark.parametrize(("clip", "bits", "kind", "most"), [
    (NO_CLIP, 4, "channel", 0.6), (RELU, 3, "channel", 0.6), (RELU, 4, "tensor", 0.7), (NO_CLIP, 3, "block", 0.7)])
def test_layers_lose_much_of_their_error(clip, bits, kind, most):
    problem = rounding_problem(5, channels=24, depth=144, rows=2000, bits=bits, kind=kind, clip=clip)
    found = adapted(problem, iterations=1000, rows_per_iteration=256)
    assert errors_of(problem, found).mean() < most * problem.error(problem.nearest)


def test_a_scale_that_clips_too_much_is_widened():
    problem = rounding_problem(6, channels=8, depth=12, rows=500)
    narrow = QParams(scale=problem.grid.scale / 3, zero_point=0, qtype=QType(4, True), axis=0)
    clipped = LayerProblem(weights=problem.weights, grid=narrow, inputs=problem.inputs)
    found = adapted(clipped, iterations=1000, rates=AdaptionRates(scales=0.01))
    assert np.mean(found.grid.scale / narrow.scale) > 1.5
    assert errors_of(clipped, found).mean() < 0.1 * clipped.error(clipped.nearest)


def test_rates_of_zero_keep_scales_and_bias():
    problem = rounding_problem(7)
    found = adapted(problem, iterations=300, rates=AdaptionRates(scales=0.0, bias=0.0))
    assert np.array_equal(found.grid.scale, problem.grid.scale)
    assert np.array_equal(found.bias, problem.bias)
    assert errors_of(problem, found).mean() < problem.error(problem.nearest)


def test_a_bias_alone_takes_away_the_mean_error():
    problem = rounding_problem(8, channels=6, depth=8)
    found = adapted(problem, iterations=1500, rates=AdaptionRates(weights=0.0, scales=0.0, bias=0.05))
    shift = np.mean(problem.quantized_inputs[0] @ problem.weight_grid.dequantized(problem.nearest)[0].T
                    - problem.inputs[0] @ problem.weights[0].T, axis=0)
    assert np.array_equal(found.integers, problem.nearest)
    assert found.bias - problem.bias == pytest.approx(-shift, abs=0.02 * np.abs(shift).max())


def test_integers_may_leave_both_neighbours_of_their_weights():
    problem = rounding_problem(9, channels=8, depth=24, bits=3)
    steps = problem.weight_grid.steps(adapted(problem, iterations=1000, rates=AdaptionRates(weights=5e-3)).integers)
    assert np.max(np.abs(steps - problem.weights / problem.weight_grid.scale)) > 1


def test_the_same_seed_gives_the_same_result_on_any_number_of_threads():
    problem = rounding_problem(10, channels=64, depth=100, rows=600)
    one, two = (adapted(problem, iterations=40, rows_per_iteration=100, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.integers, two.integers)
    assert np.array_equal(one.grid.scale, two.grid.scale)
    assert np.array_equal(one.bias, two.bias)


@pytest.mark.parametrize(("options", "message"), [
    ({"iterations": 0}, "iterations: expected at least 1, got 0"),
    ({"rows_per_iteration": 0}, "rows_per_iteration: expected at least 1, got 0"),
    ({"threads": 0}, "threads: expected at least 1, got 0"),
])
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(NumericsError) as caught:
        adapted(rounding_problem(0), **options)
    assert str(caught.value) == message


def test_negative_rates_are_refused():
    with pytest.raises(NumericsError) as caught:
        AdaptionRates(scales=-1.0)
    assert str(caught.value) == "rates.scales: expected a learning rate of at least 0, got -1.0"


def test_scales_of_groups_of_channels_are_refused():
    weights = np.ones((1, 4, 3))
    grid = weight_grid(weights, bits=4)
    grouped = QParams(scale=np.ones((2, 3)), zero_point=0, qtype=grid.qtype, axis=0, group_size=2)
    problem = LayerProblem(weights=weights, grid=grouped, inputs=np.ones((1, 5, 3)))
    with pytest.raises(NumericsError) as caught:
        adapted(problem)
    assert str(caught.value) == "grid: expected scales per tensor, per channel or per block of K, got groups of channels"
