"""Solvers against every assignment of small problems."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import assignments, problems

from accelsim.errors import SearchError
from accelsim.search.differentiable import Differentiable
from accelsim.search.equal_choices import settled
from accelsim.search.evolutionary import Evolutionary
from accelsim.search.exhaustive import Exhaustive
from accelsim.search.greedy import Greedy
from accelsim.search.ilp import IntegerProgram
from accelsim.search.pareto import pareto_front
from accelsim.search.problem import CostTerm, Problem, Variable
from accelsim.search.reinforcement import Reinforcement
from accelsim.search.solvers import solver_named


@pytest.mark.parametrize("solver", [IntegerProgram(), Exhaustive()], ids=lambda solver: solver.name)
@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_an_exact_solver_finds_the_least_of_all_assignments(solver, problem):
    truth = list(assignments(problem))
    if not truth:
        with pytest.raises(SearchError):
            solver.solve(problem)
        return
    found = solver.solve(problem)
    assert found.objective == min(objective for objective, _, _ in truth)
    assert (found.objective, found.costs, tuple(found.assignment.values())) in truth
    assert found.is_optimal
    assert found.bound <= found.objective


@pytest.mark.parametrize("solver", [Greedy(), Reinforcement(episodes=12, warmup=6), Differentiable(steps=40),
                                    Evolutionary(trials=12, population=4)], ids=lambda solver: solver.name)
@given(problem=problems(may_forbid=False))
@settings(max_examples=10, deadline=None)
def test_a_heuristic_keeps_all_limits_or_says_that_it_found_nothing(solver, problem):
    truth = list(assignments(problem))
    try:
        found = solver.solve(problem, seed=3)
    except SearchError:
        return
    assert (found.objective, found.costs, tuple(found.assignment.values())) in truth
    assert found.bound is None
    assert not found.is_optimal


@pytest.mark.parametrize("name", ["greedy", "evolutionary", "reinforcement", "differentiable"])
def test_a_heuristic_finds_the_optimum_where_every_step_counts_the_same(name):
    widths = (4, 8)
    costs = {"error": tuple(CostTerm.of(f"l{n}", [f"l{n}"], [10.0 + n, 1.0]) for n in range(6)),
             "time": tuple(CostTerm.of(f"l{n}", [f"l{n}"], [1.0, 2.0]) for n in range(6))}
    problem = Problem(tuple(Variable(f"l{n}", widths) for n in range(6)), costs, "error", {"time": 9.0})
    found = solver_named(name).solve(problem, seed=0)
    # Three may be wide: those with the most to lose.
    assert found.assignment == {"l0": 4, "l1": 4, "l2": 4, "l3": 8, "l4": 8, "l5": 8}


@pytest.mark.parametrize("name", ["evolutionary", "reinforcement", "differentiable"])
def test_the_same_seed_gives_the_same_solution(name):
    generator = np.random.default_rng(5)
    costs = {cost: tuple(CostTerm.of(f"l{n}", [f"l{n}"], generator.random(3)) for n in range(8))
             for cost in ("error", "time")}
    problem = Problem(tuple(Variable(f"l{n}", (2, 4, 8)) for n in range(8)), costs, "error", {"time": 4.0})
    shorter = {"evolutionary": {"trials": 60}, "reinforcement": {"episodes": 60}, "differentiable": {"steps": 200}}
    solver = replace(solver_named(name), **shorter[name])
    assert solver.solve(problem, seed=7) == solver.solve(problem, seed=7)


@given(problem=problems(), cost=st.sampled_from(["time", "size"]))
@settings(max_examples=30, deadline=None)
def test_the_swept_front_is_the_front_of_all_assignments(problem, cost):
    free = problem.with_limits({name: limit for name, limit in problem.limits.items() if name != cost})
    points = {(costs[cost], objective) for objective, costs, _ in assignments(free)}
    front = sorted(point for point in points
                   if not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points))
    if not front:
        with pytest.raises(SearchError):
            pareto_front(problem, cost)
        return
    assert pareto_front(problem, cost).points == front
    # A few limits give some of these points, the cheapest and the best among them.
    some = pareto_front(problem, cost, points=3).points
    assert set(some) <= set(front)
    assert (some[0], some[-1]) == (front[0], front[-1])


def test_a_point_is_the_cheapest_of_equal_optima_though_no_single_change_leads_there():
    # (a, b) = (2, 2) and (4, 4) are equally good; what lies between them is worse.
    costs = {"error": (CostTerm("ab", ("a", "b"), np.array([[0.0, 9.0], [9.0, 0.0]])),),
             "size": (CostTerm("ab", ("a", "b"), np.array([[7.0, 1.0], [8.0, 5.0]])),)}
    problem = Problem((Variable("a", (2, 4)), Variable("b", (2, 4))), costs, "error", {})
    for order in (problem, replace(problem, costs={
            "error": costs["error"], "size": (CostTerm("ab", ("a", "b"), np.array([[5.0, 1.0], [8.0, 7.0]])),)})):
        assert pareto_front(order, "size", points=2).points == [(1.0, 9.0), (5.0, 0.0)]


@given(problem=problems())
@settings(max_examples=50, deadline=None)
def test_both_exact_solvers_refuse_in_the_same_words_and_the_value_they_name_is_feasible(problem):
    if any(True for _ in assignments(problem)):
        return
    lines = []
    for solver in (IntegerProgram(), Exhaustive()):
        with pytest.raises(SearchError) as caught:
            solver.solve(problem)
        lines.append(str(caught.value))
    assert lines[0] == lines[1]
    named = re.match(r"(\w+): expected at least ([0-9.]+), the smallest (that these widths reach|with)", lines[0])
    if named is not None:
        cost, least = named[1], float(named[2])
        others = {} if named[3] != "with" else {name: limit for name, limit in problem.limits.items() if name != cost}
        costs = [found[cost] for _, found, _ in assignments(problem.with_limits(others))]
        assert min(costs) == least > problem.limits[cost]


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_of_equally_good_choices_operands_are_wide_and_accumulators_narrow(problem):
    try:
        found = IntegerProgram().solve(problem)
    except SearchError:
        return
    last = problem.variables[-1]
    taken = settled(problem, found, [last.name], saves="size")
    truth = {widths: (objective, costs) for objective, costs, widths in assignments(problem)}
    widths = tuple(taken.assignment.values())
    assert truth[widths][0] == taken.objective == found.objective
    assert (taken.solver, taken.bound) == (found.solver, found.bound)
    for bits in last.choices:
        # Of those that keep the limits: `truth` has no other.
        objective, costs = truth.get((*widths[:-1], bits), (np.inf, {}))
        assert bits >= widths[-1] or objective > taken.objective or costs["size"] >= taken.costs["size"]


def test_operands_take_what_the_limit_leaves_the_narrowest_first():
    costs = {"error": (CostTerm.of("none", [], 0.0),),
             "time": tuple(CostTerm.of(name, [name], [2.0, 4.0, 8.0]) for name in "abc")}
    problem = Problem(tuple(Variable(name, (2, 4, 8)) for name in "abc"), costs, "error", {"time": 17.0})
    start = replace(IntegerProgram().solve(problem), assignment={"a": 8, "b": 2, "c": 2})
    assert settled(problem, start, saves="time").assignment == {"a": 8, "b": 4, "c": 4}


def test_an_infeasible_limit_tells_the_smallest_feasible_value_and_what_is_fixed():
    costs = {"error": (CostTerm.of("a", ["a"], [5, 1]), CostTerm.of("b", ["b"], [1])),
             "time": (CostTerm.of("a", ["a"], [10, 20]), CostTerm.of("b", ["b"], [40]))}
    problem = Problem((Variable("a", (4, 8)), Variable("b", (8,))), costs, "error", {"time": 30})
    with pytest.raises(SearchError) as caught:
        IntegerProgram().solve(problem)
    assert str(caught.value) == "time: expected at least 50, the smallest that these widths reach, got 30; fixed: b"


def test_limits_that_contradict_each_other_are_told_together():
    costs = {"error": (CostTerm.of("a", ["a"], [5, 1]),), "time": (CostTerm.of("a", ["a"], [10, 20]),),
             "heat": (CostTerm.of("a", ["a"], [20, 10]),)}
    problem = Problem((Variable("a", (4, 8)),), costs, "error", {"time": 15, "heat": 15})
    with pytest.raises(SearchError) as caught:
        IntegerProgram().solve(problem)
    assert str(caught.value) == "time: expected at least 20, the smallest with heat within 15, got 15"


def test_a_gap_bounds_the_optimum():
    generator = np.random.default_rng(0)
    variables = tuple(Variable(f"l{n}", (2, 4, 8)) for n in range(9))
    costs = {cost: tuple(CostTerm.of(v.name, [v.name], generator.random(3)) for v in variables)
             for cost in ("error", "time")}
    problem = Problem(variables, costs, "error", {"time": 3.0})
    optimum = Exhaustive().solve(problem).objective
    loose = IntegerProgram(relative_gap=0.5).solve(problem)
    assert loose.bound <= optimum <= loose.objective
    assert loose.gap <= 0.5


def test_the_exact_solver_leaves_standard_output_alone(capfd):
    generator = np.random.default_rng(0)
    variables = tuple(Variable(f"l{n}", (2, 3, 4, 6, 8)) for n in range(40))
    costs = {cost: tuple(CostTerm.of(v.name, [v.name], generator.random(5)) for v in variables)
             for cost in ("error", "time", "size")}
    IntegerProgram(relative_gap=1e-3).solve(Problem(variables, costs, "error", {"time": 15.0, "size": 15.0}))
    assert capfd.readouterr().out == ""


def test_too_many_assignments_are_not_tried():
    variables = tuple(Variable(f"l{n}", (4, 8)) for n in range(30))
    problem = Problem(variables, {"error": (CostTerm.of("l0", ["l0"], [1, 2]),)}, "error", {})
    with pytest.raises(SearchError) as caught:
        Exhaustive().solve(problem)
    assert str(caught.value) == f"expected at most 4194304 assignments to try, got {2**30}; use ilp"


def test_an_unknown_solver_is_refused():
    with pytest.raises(SearchError) as caught:
        solver_named("greddy")
    assert str(caught.value) == ('--method: expected one of ilp, exhaustive, greedy, evolutionary, reinforcement, '
                                 'differentiable, got "greddy" (did you mean "greedy"?)')


def test_an_evolution_goes_on_where_its_storage_stopped(tmp_path):
    costs = {"error": (CostTerm.of("a", ["a"], [5, 1]),), "time": (CostTerm.of("a", ["a"], [1, 2]),)}
    problem = Problem((Variable("a", (4, 8)),), costs, "error", {"time": 1.0})
    told = []
    storage = tmp_path / "search.sqlite"
    Evolutionary(trials=5, population=4, storage=storage).solve(problem)
    Evolutionary(trials=8, population=4, storage=storage).solve(problem, told=lambda done, of, what: told.append(done))
    assert told == [6, 7, 8]
    other = Problem((Variable("b", (4, 8)),), {"error": (), "time": ()}, "error", {"time": 1.0})
    moved = replace(problem, costs={**costs, "error": (CostTerm.of("a", ["a"], [5, 2]),)})
    for solver, wrong in ((Evolutionary(trials=9, storage=storage), other), (Evolutionary(trials=9, storage=storage), moved),
                          (Evolutionary(trials=9, storage=storage, measured=lambda widths: 1.0), problem)):
        with pytest.raises(SearchError) as caught:
            solver.solve(wrong)
        assert str(caught.value) == (f"{storage}: expected a storage of this problem, got one with other variables, costs "
                                     "or sensitivities")


def test_a_storage_that_is_none_is_told_in_one_line(tmp_path):
    problem = Problem((Variable("a", (4, 8)),), {"error": (CostTerm.of("a", ["a"], [5, 1]),)}, "error", {})
    (tmp_path / "text.sqlite").write_text("no storage\n")
    for path in (tmp_path / "text.sqlite", tmp_path, tmp_path / "text.sqlite" / "trials.sqlite"):
        with pytest.raises(SearchError) as caught:
            Evolutionary(trials=5, storage=path).solve(problem)
        assert str(caught.value) == (f"{path}: expected an sqlite file of trials, or a place for a new one, got something "
                                     "else")


def test_a_measured_objective_takes_the_place_of_the_sum():
    costs = {"error": (CostTerm.of("a", ["a"], [5, 3, 1]),), "time": (CostTerm.of("a", ["a"], [1, 2, 9]),)}
    problem = Problem((Variable("a", (2, 4, 8)),), costs, "error", {"time": 3.0})
    solver = Evolutionary(trials=12, population=4, measured=lambda widths: {2: 0.1, 4: 0.7, 8: 0.0}[widths["a"]])
    found = solver.solve(problem)
    assert (found.assignment, found.objective) == ({"a": 2}, 0.1)


def test_the_greedy_frontier_falls_from_the_best_to_the_cheapest():
    generator = np.random.default_rng(2)
    variables = tuple(Variable(f"l{n}", (2, 4, 8)) for n in range(6))
    rising = np.sort(generator.random((6, 3)), axis=1)
    costs = {"error": tuple(CostTerm.of(v.name, [v.name], row[::-1]) for v, row in zip(variables, rising, strict=True)),
             "time": tuple(CostTerm.of(v.name, [v.name], row) for v, row in zip(variables, rising, strict=True))}
    frontier = Greedy().frontier(Problem(variables, costs, "error", {"time": 1.0}))
    times = [each.costs["time"] for each in frontier]
    assert times == sorted(times, reverse=True)
    assert frontier[0].objective == pytest.approx(rising[:, 0].sum())
    assert times[-1] == pytest.approx(rising[:, 0].sum())


def test_the_evolved_front_has_no_point_that_another_one_beats():
    generator = np.random.default_rng(6)
    variables = tuple(Variable(f"l{n}", (2, 4, 8)) for n in range(5))
    rising = np.sort(generator.random((5, 3)), axis=1)
    costs = {"error": tuple(CostTerm.of(v.name, [v.name], row[::-1]) for v, row in zip(variables, rising, strict=True)),
             "time": tuple(CostTerm.of(v.name, [v.name], row) for v, row in zip(variables, rising, strict=True))}
    problem = Problem(variables, costs, "error", {"time": 100.0})
    points = [(each.objective, each.costs["time"]) for each in Evolutionary(trials=120, population=20).front(problem)]
    assert len(points) > 3
    for point in points:
        assert not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
