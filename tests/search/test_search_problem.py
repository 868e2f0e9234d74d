"""Variables, terms and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import cost_of, problems

from accelsim.errors import SearchError
from accelsim.search.linearization import linearized
from accelsim.search.problem import CostTerm, Problem, Variable


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_a_cost_of_many_assignments_is_the_sum_of_their_terms(problem):
    shape = [len(variable.choices) for variable in problem.variables]
    rows = np.stack(np.unravel_index(np.arange(problem.size), shape), axis=1)
    for cost in problem.costs:
        expected = [cost_of(problem, cost, problem.assignment(row).values()) for row in rows]
        assert problem.evaluate(cost, rows).tolist() == expected


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_neighbours_differ_in_one_variable(problem):
    row = np.zeros(len(problem.variables), dtype=np.intp)
    others = problem.neighbours(row)
    assert len(others) == sum(len(variable.choices) - 1 for variable in problem.variables)
    assert np.all((others != row).sum(axis=1) == 1)


def test_tied_widths_take_the_diagonal_wherever_it_is():
    values = np.arange(27).reshape(3, 3, 3)
    term = CostTerm.of("conv", ["a", "b", "a"], values)
    assert term.variables == ("a", "b")
    assert term.values.tolist() == [[values[a, b, a] for b in range(3)] for a in range(3)]


def test_a_pair_that_another_beats_in_every_cost_has_no_indicator():
    # Of (w, a): time and error of (4, 4) are those of (4, 8) at a lower error, and so on.
    costs = {"error": (CostTerm.of("l", ["w", "a"], [[4, 3], [2, 1]]),),
             "time": (CostTerm.of("l", ["w", "a"], [[1, 1], [2, 3]]),)}
    problem = Problem((Variable("w", (4, 8)), Variable("a", (4, 8))), costs, "error", {"time": 3})
    assert sorted(linearized(problem).rows.tolist()) == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(("make", "line"), [
    (lambda: CostTerm.of("conv1", ["a"], [1.0, float("nan")]), "conv1: expected numbers as costs, got NaN"),
    (lambda: CostTerm.of("conv1", ["a"], [1.0, -np.inf]), "conv1: expected numbers as costs, got -infinity"),
    (lambda: CostTerm.of("conv1", ["a"], [[1.0]]), "conv1: expected one axis for each of a, got a table of shape (1, 1)"),
    (lambda: Variable("a", (8, 4)), "a: expected at least one width, from small to large, got [8, 4]"),
    (lambda: Variable("a", ()), "a: expected at least one width, from small to large, got []"),
    (lambda: Problem((Variable("a", (4,)), Variable("a", (4,))), {"e": ()}, "e", {}),
     "expected variables of different names, got two of one name"),
    (lambda: Problem((), {"latency": ()}, "latencies", {}),
     'expected one of the costs latency, got "latencies" (did you mean "latency"?)'),
    (lambda: Problem((), {"e": ()}, "e", {"e": float("nan")}), "e: expected a number as limit, got nan"),
    (lambda: Problem((Variable("conv1", (4, 8)),), {"e": (CostTerm.of("x", ["conv2"], [1]),)}, "e", {}),
     'x: expected variables of the problem, got "conv2" (did you mean "conv1"?)'),
    (lambda: Problem((Variable("conv1", (4, 8)),), {"e": (CostTerm.of("x", ["conv1"], [1]),)}, "e", {}),
     "x: expected a table of shape (2,), got (1,)"),
    (lambda: Problem((Variable("a", (4, 8)),), {"e": ()}, "e", {}).indices({}), "a: expected one of 4, 8, got no width"),
    (lambda: Problem((Variable("a", (4, 8)),), {"e": ()}, "e", {}).indices({"a": 5}), "a: expected one of 4, 8, got 5"),
])
def test_a_wrong_problem_is_told_in_one_line(make, line):
    with pytest.raises(SearchError) as caught:
        make()
    assert str(caught.value) == line
