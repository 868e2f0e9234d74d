"""Moments of clipped normals, bias correction and bias absorption: against integrals, samples and the layers themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding_problems import rounding_problem, weight_grid
from scipy.integrate import quad
from scipy.stats import norm

from accelsim.errors import NumericsError
from accelsim.quantization.clip import NO_CLIP, RELU, RELU6, Clip
from accelsim.quantization.correction.bias_absorption import absorbed, absorption_amounts, observed_absorption_amounts
from accelsim.quantization.correction.bias_correction import analytic_shift, empirical_shift
from accelsim.quantization.correction.clipped_normal import clipped_normal
from accelsim.quantization.layer_problem import LayerProblem

CLIPS = [NO_CLIP, RELU, RELU6, Clip(low=-1.0, high=0.5), Clip(high=2.0)]
NORMALS = [(0.0, 1.0), (2.0, 0.5), (-3.0, 1.0), (5.0, 3.0), (6.0, 0.01), (100.0, 1e-3), (-40.0, 1.0), (-0.5, 20.0)]


def moments_by_integration(mean, std, clip):
    """Mean and variance of the clipped variable, by adaptive quadrature between the limits and the tails' masses."""
    low, high = float(clip.low), float(clip.high)
    edges = [min(max(edge, mean - 40 * std), mean + 40 * std) for edge in (low, high)]

    def integral(power, centre):
        inside, _ = quad(lambda x: (x - centre) ** power * norm.pdf(x, mean, std), *edges, epsabs=1e-14, epsrel=1e-12,
                         points=[min(max(mean, edges[0]), edges[1])], limit=400) if edges[0] < edges[1] else (0.0, 0.0)
        tails = [(low - centre) ** power * norm.cdf(low, mean, std) if np.isfinite(low) else 0.0,
                 (high - centre) ** power * norm.sf(high, mean, std) if np.isfinite(high) else 0.0]
        return inside + sum(tails)

    at_mean = min(max(mean, low), high)
    first = at_mean + integral(1, at_mean)
    return first, integral(2, first)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("mean", "std"), NORMALS)
def test_moments_of_a_clipped_normal_are_its_integrals(mean, std, clip):
    first, second = moments_by_integration(mean, std, clip)
    found = clipped_normal([mean], [std], clip)
    assert found.mean[0] == pytest.approx(first, rel=1e-9, abs=1e-9 * std)
    assert found.variance[0] == pytest.approx(second, rel=1e-6, abs=1e-10 * std**2)


def test_moments_of_samples_are_those_of_the_formula():
    generator = np.random.default_rng(0)
    for clip in CLIPS:
        samples = clip.applied(generator.normal(1.0, 2.0, size=400_000))
        mean, variance = clipped_normal([1.0], [2.0], clip)
        deviation = np.std(samples)
        assert np.mean(samples) == pytest.approx(mean[0], abs=5 * deviation / np.sqrt(samples.size))
        assert np.var(samples) == pytest.approx(variance[0], rel=0.02)


def test_a_deviation_counts_without_its_sign_and_zero_is_a_constant():
    mean, variance = clipped_normal([1.0, 1.0, 9.0, -9.0], [2.0, -2.0, 0.0, 0.0], RELU6)
    assert mean[0] == mean[1]
    assert variance[0] == variance[1]
    assert mean[2:].tolist() == [6.0, 0.0]
    assert variance[2:].tolist() == [0.0, 0.0]


def test_limits_by_channel_are_each_channels_own():
    both = clipped_normal([1.0, 1.0], [1.0, 1.0], Clip(low=0.0, high=[1.0, 2.0]))
    for channel, high in enumerate((1.0, 2.0)):
        one = clipped_normal([1.0], [1.0], Clip(low=0.0, high=high))
        assert both.mean[channel] == one.mean[0]
        assert both.variance[channel] == one.variance[0]


def test_statistics_that_are_no_numbers_are_refused():
    with pytest.raises(NumericsError) as caught:
        clipped_normal([np.nan], [1.0], RELU)
    assert str(caught.value) == "statistics: expected finite means and deviations, got NaN or infinity"


@pytest.mark.parametrize("levels", [None, 8])
def test_the_empirical_shift_is_the_difference_of_the_mean_outputs(levels):
    problem = rounding_problem(0, groups=2, channels=3, depth=6, bits=3, input_levels=levels)
    quantized = problem.weight_grid.dequantized(problem.nearest)
    shift = empirical_shift(problem, problem.nearest)
    for g, n in np.ndindex(2, 3):
        outputs = problem.quantized_inputs[g].astype(float) @ quantized[g, n]
        wanted = problem.inputs[g].astype(float) @ problem.weights[g, n]
        assert shift[3 * g + n] == pytest.approx(np.mean(outputs - wanted), abs=1e-9)


def test_correction_lowers_the_error_of_every_channel_by_its_square():
    problem = rounding_problem(1, channels=6, depth=9, bits=3)
    weights, shift = problem.weight_grid.dequantized(problem.nearest), empirical_shift(problem, problem.nearest)
    corrected = problem.channel_errors_of(weights, problem.bias - shift)
    assert corrected == pytest.approx(problem.channel_errors(problem.nearest) - shift.reshape(1, 6) ** 2, rel=1e-4)


@pytest.mark.parametrize("clip", [NO_CLIP, RELU, RELU6])
def test_the_analytic_shift_approaches_the_empirical_one_on_normal_inputs(clip):
    """Channels of a batch normalization and a clip: within five standard errors of the mean of that many rows."""
    generator = np.random.default_rng(2)
    groups, channels, taps, rows = 2, 3, 4, 50_000
    beta, gamma = generator.normal(size=(2, groups * channels)) * 2
    inputs = clip.applied(generator.normal(size=(rows, taps, groups * channels)) * gamma + beta)
    by_group = inputs.reshape(rows, taps, groups, channels).transpose(2, 0, 1, 3).reshape(groups, rows, -1)
    weights = generator.normal(size=(groups, 5, taps * channels))
    problem = LayerProblem(weights=weights, grid=weight_grid(weights, bits=3), inputs=by_group)
    quantized = problem.weight_grid.dequantized(problem.nearest)
    analytic = analytic_shift(weights, quantized, clipped_normal(beta, gamma, clip).mean)
    single = np.einsum("gnk,gmk->gnm", quantized - weights, by_group).reshape(groups * 5, rows)
    assert np.all(np.abs(analytic - empirical_shift(problem, problem.nearest)) < 5 * single.std(axis=1) / np.sqrt(rows))
    assert np.max(np.abs(analytic)) > 20 * np.max(single.std(axis=1) / np.sqrt(rows))


def test_the_analytic_shift_is_exact_where_inputs_are_clipped_normals():
    generator = np.random.default_rng(3)
    beta, gamma = generator.normal(size=(2, 4))
    weights, quantized = generator.normal(size=(2, 1, 3, 8))
    means = [moments_by_integration(b, abs(g), RELU)[0] for b, g in zip(beta, gamma, strict=True)]
    expected = [sum((quantized - weights)[0, n, k] * means[k % 4] for k in range(8)) for n in range(3)]
    assert analytic_shift(weights, quantized, clipped_normal(beta, gamma, RELU).mean) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(("arguments", "message"), [
    ((np.ones((1, 2, 3)), np.ones((1, 2, 4)), np.ones(3)),
     "weights: expected weights (G, N, K) twice, got (1, 2, 3) and (1, 2, 4)"),
    ((np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.ones(3)),
     "input_means: expected the means of the input channels of 2 groups with 3 weights each, got shape (3,)"),
    ((np.ones((1, 2, 3)), np.ones((1, 2, 3)), np.ones(2)),
     "input_means: expected the means of the input channels of 1 groups with 3 weights each, got shape (2,)"),
])
def test_means_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(NumericsError) as caught:
        analytic_shift(*arguments)
    assert str(caught.value) == message


def two_layers(x, first, bias, clip, second, second_bias):
    return clip.applied(x @ first.T + bias) @ second.T + second_bias


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), clip=st.sampled_from([RELU, RELU6, NO_CLIP, Clip(low=-1.0, high=8.0)]))
def test_absorbing_what_all_observed_values_have_leaves_the_function_as_it_is(seed, clip):
    generator = np.random.default_rng(seed)
    x = generator.uniform(-1, 1, size=(300, 5))
    first, second = generator.normal(size=(6, 5)) / 3, generator.normal(size=(4, 6))
    bias, second_bias = generator.normal(size=6) * 3, generator.normal(size=4)
    sums = x @ first.T + bias
    amounts = observed_absorption_amounts(sums.min(axis=0), sums.max(axis=0), clip)
    floor = max(float(clip.low), 0.0) if clip.low in (0, -np.inf) else float(clip.low)
    for c, least, most in zip(amounts, sums.min(axis=0), sums.max(axis=0), strict=True):
        assert c == (max(least - floor, 0.0) if most <= clip.high else 0.0)
    lower, higher = absorbed(amounts, bias, second[None], second_bias)
    before = two_layers(x, first, bias, clip, second, second_bias)
    after = two_layers(x, first, lower, clip, second, higher)
    assert after == pytest.approx(before, abs=1e-12)


def test_absorption_shortens_the_range_that_activations_need():
    generator = np.random.default_rng(4)
    values = RELU.applied(generator.normal(10.0, 1.0, size=10_000))
    (amount,) = absorption_amounts([10.0], [1.0], RELU)
    assert amount == 7.0
    assert np.ptp([0, *(values - amount)]) < 0.6 * np.ptp([0, *values])


def test_by_statistics_three_deviations_count_as_never():
    assert absorption_amounts([5.0, 2.0, -1.0], [1.0, 1.0, 0.1], RELU).tolist() == [2.0, 0.0, 0.0]
    assert absorption_amounts([5.0], [1.0], RELU, deviations=1.0).tolist() == [4.0]
    # 5 + 3 is above 6, so that ReLU6 would cut off what it did not cut off before.
    assert absorption_amounts([5.0, 5.0], [1.0, -0.25], RELU6).tolist() == [0.0, 4.25]
    values = np.random.default_rng(5).normal(5.0, 1.0, size=200_000)
    share = np.mean(RELU.applied(values - 2.0) == RELU.applied(values) - 2.0)
    assert share == pytest.approx(norm.cdf(3), abs=5e-4)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: absorption_amounts([1.0], [1.0], RELU, deviations=-1.0), "deviations: expected at least 0, got -1.0"),
    (lambda: observed_absorption_amounts([1.0], [1.0, 2.0], RELU),
     "statistics: expected one minimum and one maximum a channel, got shapes (1,) and (2,)"),
    (lambda: observed_absorption_amounts([2.0], [1.0], RELU),
     "statistics: expected minima that are not above the maxima"),
    (lambda: absorbed([1.0, 2.0], [0.0], np.ones((1, 1, 2)), [0.0]),
     "bias: expected biases of shapes (2,) and (1,), got (1,) and (1,)"),
])
def test_absorption_of_what_does_not_fit_is_refused(call, message):
    with pytest.raises(NumericsError) as caught:
        call()
    assert str(caught.value) == message
