"""Second-order rounding: column by column, each error made up for by the columns that are left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding_problems import correlated_rows, rounding_problem, weight_grid

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import RELU
from accelsim.quantization.layer_problem import LayerProblem
from accelsim.quantization.rounding.second_order import second_order

DAMPING = 0.01


def damped(problem, group):
    """H of a group and what is added to its diagonal."""
    rows = problem.quantized_inputs[group].astype(float)
    hessian = rows.T @ rows / len(rows)
    return hessian, DAMPING * np.mean(np.diag(hessian)) * np.eye(len(hessian))


def column_by_column(problem, order):
    """Round one column, solve the rest anew by least squares, and so on: what the recursion should come to."""
    groups, channels, depth = problem.weights.shape
    grid, steps = problem.weight_grid, np.empty(problem.weights.shape)
    for g, n in np.ndindex(groups, channels):
        hessian, damping = damped(problem, g)
        columns = sorted(range(depth), key=lambda k: -hessian[k, k]) if order == "descending" else list(range(depth))
        cross = problem.inputs[g].astype(float).T @ problem.quantized_inputs[g] / len(problem.inputs[g])
        target = np.linalg.solve(hessian + damping, (cross.T + damping) @ problem.weights[g, n])
        current = target.copy()
        for place, k in enumerate(columns):
            scale = grid.scale[g, n, k]
            steps[g, n, k] = np.clip(np.rint(current[k] / scale), grid.lowest[g, n, k], grid.highest[g, n, k])
            fixed, free = columns[:place + 1], columns[place + 1:]
            error = steps[g, n, fixed] * grid.scale[g, n, fixed] - target[fixed]
            if free:
                left = (hessian + damping)[free]
                current[free] = target[free] - np.linalg.solve(left[:, free], left[:, fixed] @ error)
    return grid.integers(steps)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.sampled_from(["descending", "natural"]), groups=st.integers(1, 3),
       kind=st.sampled_from(["tensor", "channel", "block"]), is_asymmetric=st.booleans(), bits=st.integers(2, 8),
       levels=st.sampled_from([None, 16]), block=st.sampled_from([1, 3, 128]))
def test_every_column_is_rounded_where_least_squares_puts_it(seed, order, groups, kind, is_asymmetric, bits, levels, block):
    problem = rounding_problem(seed, groups=groups, channels=3, depth=7, rows=60, kind=kind, is_asymmetric=is_asymmetric,
                               bits=bits, input_levels=levels)
    found = second_order(problem, damping=DAMPING, order=order, columns_per_block=block, keeps_better=False)
    assert np.array_equal(found, column_by_column(problem, order))
    assert found.dtype == problem.grid.qtype.dtype


def test_columns_that_have_nothing_to_do_with_each_other_are_rounded_to_nearest():
    problem = rounding_problem(0, depth=16)
    alone = LayerProblem(weights=problem.weights, grid=problem.grid, inputs=np.diag(np.arange(1.0, 17.0))[None])
    assert np.array_equal(second_order(alone, keeps_better=False), alone.nearest)


def test_random_correlated_inputs_lose_much_of_their_error_before_any_comparison():
    ratios = []
    for seed in range(100):
        problem = rounding_problem(seed, channels=6, depth=24, rows=300, bits=3 + seed % 3, kind="channel")
        found = second_order(problem, keeps_better=False)
        ratios.append(problem.error(found) / problem.error(problem.nearest))
    # Measured: 0.47 on average, 0.78 in the worst layer of 100. Of the 600 channels 16 end worse; see the next test.
    assert np.mean(ratios) < 0.55
    assert max(ratios) < 1


def test_single_channels_can_end_worse_than_nearest_and_are_then_left_at_nearest():
    worse, count = 0, 0
    for seed in range(100):
        problem = rounding_problem(seed, channels=6, depth=6, rows=300, clip=RELU)
        nearest = problem.channel_errors(problem.nearest)
        worse += np.count_nonzero(problem.channel_errors(second_order(problem, keeps_better=False)) > nearest)
        count += nearest.size
        # Measured: 5 % of the channels, whose activation the second-order error does not see.
        assert np.all(problem.channel_errors(second_order(problem)) <= nearest)
    assert 0 < worse < 0.2 * count


def test_inputs_of_the_float_network_are_what_is_reconstructed():
    """On a fine grid nothing is lost by rounding: what is left is what least squares leaves."""
    generator = np.random.default_rng(1)
    inputs = correlated_rows(generator, 1, 500, 12)
    seen = inputs + generator.normal(size=inputs.shape) / 5
    weights = generator.normal(size=(1, 5, 12))
    grid = QParams(scale=1e-4, zero_point=0, qtype=QType(24, True))
    problem = LayerProblem(weights=weights, grid=grid, inputs=inputs, quantized_inputs=seen)
    target = inputs[0] @ weights[0].T
    solution, *_ = np.linalg.lstsq(seen[0], target, rcond=None)
    least = np.mean((seen[0] @ solution - target) ** 2)
    assert problem.error(problem.nearest) > 1.2 * least
    assert problem.error(second_order(problem, damping=1e-9)) == pytest.approx(least, rel=1e-3)


def test_inputs_that_are_always_zero_leave_their_weights_at_the_nearest_integers():
    generator = np.random.default_rng(2)
    inputs = correlated_rows(generator, 2, 100, 8)
    inputs[0, :, 2:5] = 0
    inputs[1] = 0
    weights = generator.normal(size=(2, 3, 8))
    problem = LayerProblem(weights=weights, grid=weight_grid(weights, bits=3), inputs=inputs)
    found = second_order(problem, keeps_better=False)
    assert np.array_equal(found[0, :, 2:5], problem.nearest[0, :, 2:5])
    assert np.array_equal(found[1], problem.nearest[1])


def test_fewer_rows_than_columns_are_no_obstacle():
    problem = rounding_problem(3, depth=40, rows=10)
    assert problem.error(second_order(problem, keeps_better=False)) < problem.error(problem.nearest)


@pytest.mark.parametrize(("options", "message"), [
    ({"damping": 0.0}, "damping: expected a damping above 0, got 0.0"),
    ({"damping": float("nan")}, "damping: expected a damping above 0, got nan"),
    ({"columns_per_block": 0}, "columns_per_block: expected at least 1, got 0"),
    ({"order": "random"}, 'order: expected descending or natural, got "random"'),
])
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(NumericsError) as caught:
        second_order(rounding_problem(0), **options)
    assert str(caught.value) == message
