"""HAWQ-V3's published sensitivities and latencies of ResNet-18, its bit configurations, and the optima."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from accelsim.search.exhaustive import Exhaustive
from accelsim.search.ilp import IntegerProgram
from accelsim.search.pareto import pareto_front
from accelsim.search.problem import CostTerm, Problem, Variable

METRICS = ("latency", "bops", "model_size")


@pytest.fixture(scope="module")
def published():
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    path = Path(folder or "") / "search" / "hawqv3_ilp_resnet18.json"
    if not folder or not path.is_file():
        pytest.skip("ACCELSIM_TEST_DATA has no search/hawqv3_ilp_resnet18.json")
    return json.loads(path.read_text())


def problem_of(published, limits):
    """A variable for each layer but those tied to another one; and which variable each layer has."""
    names = {layer["index"]: layer["name"] for layer in published["layers"]}
    leaders = {max(pair): min(pair) for pair in published["ties"]}
    own = [names[leaders.get(layer["index"], layer["index"])] for layer in published["layers"]]
    costs = {metric: tuple(CostTerm.of(layer["name"], [name], [layer[metric]["4"], layer[metric]["8"]])
                           for layer, name in zip(published["layers"], own, strict=True))
             for metric in ("sensitivity", *METRICS)}
    return Problem(tuple(Variable(name, (4, 8)) for name in dict.fromkeys(own)), costs, "sensitivity", limits), own


def limits_of(budget):
    return {constraint["metric"]: constraint["limit"] for constraint in budget["constraints"]}


def test_the_optimum_of_every_budget_is_the_known_one(published):
    for budget, expected in zip(published["budgets"], published["expected_solution"], strict=True):
        problem, own = problem_of(published, limits_of(budget))
        found = IntegerProgram().solve(problem)
        assert [found.assignment[name] for name in own] == expected["bits"], budget["id"]
        assert found.objective == pytest.approx(expected["sensitivity"], rel=1e-12)
        assert found.is_optimal
        assert Exhaustive().solve(problem).assignment == found.assignment
    assert len(published["budgets"]) == 12


def test_the_published_configurations_come_out_for_their_budgets(published):
    for config in published["published_configs"]:
        metric = next(metric for metric in METRICS if metric.replace("model_", "model") in config["config"])
        problem, own = problem_of(published, {metric: config["limit"]})
        found = IntegerProgram().solve(problem)
        assert [found.assignment[name] for name in own] == config["bits"], config["config"]
    assert len(published["published_configs"]) == 9


@pytest.mark.parametrize("metric", METRICS)
def test_the_swept_front_is_the_exact_one(published, metric):
    problem, _ = problem_of(published, {})
    # The file lists points of one cost twice where sums of floats differ in their last place.
    exact = []
    for cost, sensitivity in published["pareto_exact"][metric]:
        if exact and cost - exact[-1][0] < 1e-6:
            exact.pop()
        exact.append((cost, sensitivity))
    front = pareto_front(problem, metric)
    assert front.is_complete
    assert len(front.points) == len(exact)
    assert np.allclose(front.points, exact, rtol=1e-6, atol=0)
    # The cheapest half of 40 limits is on it too.
    some = pareto_front(problem, metric, points=40).points
    assert set(some) <= set(front.points)
