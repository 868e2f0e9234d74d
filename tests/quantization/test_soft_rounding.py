"""The parts of AdaRound: rectified sigmoid, regularizer, Adam, order of rows, and the gradient by finite differences."""

import math

import numpy as np
import pytest
from rounding_problems import rounding_problem
from scipy.special import expit

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import NO_CLIP, RELU, Clip
from accelsim.quantization.layer_problem import LayerProblem
from accelsim.quantization.rounding.adam import Adam
from accelsim.quantization.rounding.adaround import SoftRounding
from accelsim.quantization.rounding.channel_part import parts_of, row_blocks
from accelsim.quantization.rounding.rectified_sigmoid import inverse, rectified_sigmoid, slope
from accelsim.quantization.rounding.rounding_regularizer import RoundingRegularizer

STEP = 1e-5


def h_of(v):
    """The paper's formula."""
    return np.clip(expit(v) * 1.2 - 0.1, 0, 1)


def test_the_rectified_sigmoid_is_the_stretched_one_cut_off():
    v = np.linspace(-200, 200, 4001)
    assert rectified_sigmoid(v) == pytest.approx(h_of(v), abs=1e-12)
    assert rectified_sigmoid(v.astype(np.float32)) == pytest.approx(h_of(v), abs=1e-6)
    # sigmoid(V) = 1/12 and 11/12 are where the stretched one leaves [0, 1].
    assert rectified_sigmoid(np.array([-2.4, -2.39, 2.39, 2.4])).tolist()[::3] == [0, 1]
    assert np.all(np.abs(rectified_sigmoid(np.array([-2.39, 2.39])) - 0.5) < 0.5)


def test_the_inverse_leads_back():
    h = np.linspace(0, 1, 101)
    assert rectified_sigmoid(inverse(h)) == pytest.approx(h, abs=1e-12)


def test_slopes_are_finite_differences():
    v = np.array([-9, -2.5, -2.3, -1.0, 0.0, 0.7, 2.3, 2.5, 9])
    numeric = (h_of(v + STEP) - h_of(v - STEP)) / (2 * STEP)
    assert slope(rectified_sigmoid(v)) == pytest.approx(numeric, abs=1e-8)
    for beta in (2.0, 3.7, 20.0):
        regularizer, h = RoundingRegularizer(weight=0.3), np.array([0.0, 0.1, 0.4, 0.6, 0.97, 1.0])
        numeric = [(regularizer.value(at + STEP, beta) - regularizer.value(at - STEP, beta)) / (2 * STEP) for at in h]
        assert regularizer.slope(h, beta) == pytest.approx(np.array(numeric), rel=1e-6, abs=1e-10)


def test_beta_falls_on_half_a_cosine_behind_the_warm_start():
    schedule = RoundingRegularizer(weight=1.0, first_beta=20, last_beta=2, warm_start=0.25)
    betas = [schedule.beta(done, 400) for done in range(400)]
    assert betas[:100] == [None] * 100
    assert betas[100:] == pytest.approx([11 + 9 * math.cos(math.pi * done / 300) for done in range(300)])


@pytest.mark.parametrize(("wrong", "message"), [
    ({"weight": -1.0}, "regularization: expected at least 0, got -1.0"),
    ({"weight": math.nan}, "regularization: expected at least 0, got nan"),
    ({"weight": 1.0, "first_beta": 0.5}, "first_beta: expected at least 1, got 0.5"),
    ({"weight": 1.0, "last_beta": 0.5}, "last_beta: expected at least 1, got 0.5"),
    ({"weight": 1.0, "warm_start": 1.0}, "warm_start: expected 0 to below 1, got 1.0"),
])
def test_schedules_that_are_none_are_refused(wrong, message):
    with pytest.raises(NumericsError) as caught:
        RoundingRegularizer(**wrong)
    assert str(caught.value) == message


def test_adam_takes_the_steps_of_its_algorithm():
    generator = np.random.default_rng(0)
    x = generator.normal(size=5)
    slow, mean, square = x.copy(), np.zeros(5), np.zeros(5)
    adam = Adam(x)
    for t in range(1, 601):
        gradient = generator.normal(size=5) * (t < 300)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        slow -= 0.01 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        adam.step(gradient.copy(), rate=0.01)
    assert x == pytest.approx(slow, rel=1e-5)


def test_every_row_is_seen_once_before_any_comes_again():
    for rows, size in ((100, 10), (103, 10), (7, 7), (5, 9)):
        blocks = row_blocks(rows, size, 50, np.random.default_rng(0))
        per_epoch = max(1, rows // size)
        assert len(blocks) == 50
        for first in range(0, 50 - per_epoch, per_epoch):
            seen = [row for block in blocks[first:first + per_epoch] for row in range(block.start, block.stop)]
            assert len(set(seen)) == len(seen) == min(size, rows) * per_epoch
            assert 0 <= min(seen) <= max(seen) < rows


def test_parts_cover_every_channel_once():
    for groups, channels, depth in ((1, 1, 3), (1, 700, 400), (3, 5, 2000), (300, 2, 900), (900, 1, 9)):
        weights = np.ones((groups, channels, depth), np.float32)
        problem = LayerProblem(weights=weights, grid=QParams(scale=1.0, zero_point=0, qtype=QType(4, True)),
                               inputs=np.ones((groups, 2, depth), np.float32))
        counts = np.zeros((groups, channels), dtype=int)
        for part in parts_of(problem, order=np.arange(2)):
            counts[part.groups, part.channels] += 1
            assert part.target.shape == (*part.inputs.shape[:2], len(range(channels)[part.channels]))
        assert np.all(counts == 1)


def objective(problem, v, *, weight, beta):
    """Equation 35 of the white paper in float64, with each channel's error in units of what one rounded weight adds."""
    grid = problem.weight_grid
    h = h_of(v)
    soft = grid.scale * np.clip(np.floor(problem.weights / grid.scale) + h, grid.lowest, grid.highest)
    groups = len(v)
    low, high = (np.broadcast_to(limit, problem.bias.shape).reshape(groups, 1, -1)
                 for limit in (problem.clip.low, problem.clip.high))
    bias = problem.bias.reshape(groups, 1, -1)
    seen = problem.quantized_inputs.astype(float)
    target = np.clip(problem.inputs.astype(float) @ problem.weights.swapaxes(1, 2) + bias, low, high)
    error = np.mean((np.clip(seen @ soft.swapaxes(1, 2) + bias, low, high) - target) ** 2, axis=1)
    free = (np.floor(problem.weights / grid.scale) >= grid.lowest) & (np.floor(problem.weights / grid.scale) < grid.highest)
    unit = np.mean(free * grid.scale**2 * np.mean(seen**2, axis=1)[:, None, :], axis=2) / 12
    loss = np.sum(error / unit)
    return loss + (weight * np.sum(1 - np.abs(2 * h - 1) ** beta) if beta else 0)


@pytest.mark.parametrize("beta", [None, 20.0, 5.0, 2.0])
@pytest.mark.parametrize(("clip", "kind", "groups"), [
    (NO_CLIP, "channel", 1), (RELU, "tensor", 1), (Clip(low=0.0, high=0.3), "block", 1), (RELU, "channel", 3),
    (Clip(low=[0.0, -0.1, 0.0, -0.2, -0.3, 0.0], high=0.2), "channel", 2)])
def test_the_gradient_is_the_finite_difference_of_the_objective(clip, kind, groups, beta):
    problem = rounding_problem(4, groups=groups, channels=3, depth=6, rows=200, bits=3, kind=kind, clip=clip,
                               input_levels=12, is_asymmetric=kind == "block")
    (part,) = parts_of(problem, order=np.arange(200), is_whole=True)
    soft = SoftRounding(problem, part)
    assert soft.h == pytest.approx(problem.weights / problem.weight_grid.scale
                                   - np.floor(problem.weights / problem.weight_grid.scale), abs=1e-6)
    soft.v += np.random.default_rng(0).normal(size=soft.v.shape).astype(np.float32)
    soft.soften()
    regularizer = RoundingRegularizer(weight=0.7)
    gradient = soft.gradient(slice(None), regularizer, beta)
    numeric = np.empty(gradient.shape)
    for place in np.ndindex(gradient.shape):
        nudge = np.zeros(gradient.shape)
        nudge[place] = STEP
        v = soft.v.astype(float)
        numeric[place] = (objective(problem, v + nudge, weight=0.7, beta=beta)
                          - objective(problem, v - nudge, weight=0.7, beta=beta)) / (2 * STEP)
    assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-4 * np.abs(numeric).max())
