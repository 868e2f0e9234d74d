"""The Pareto front of two costs: what can be had for how much, exactly, by sweeping the limit.

The epsilon-constraint method (Haimes, Lasdon and Wismer 1971): with a limit on one cost the other is made small; the next
limit lies just below what the solution spent. Each solve gives the next point, so that all of them are found (of a cost
that is no multiple of a unit, those that are at least 4e-6 of it apart); or the limits are spread evenly, and each gives
the best point that it allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.errors import SearchError
from accelsim.search.ilp import IntegerProgram, cheapest
from accelsim.search.problem import Indices, Problem
from accelsim.search.quantum import quantum_of
from accelsim.search.solution import Solution, Solver, Told

# The next limit lies this share below the last cost, if that has no unit: outside of a solver's tolerance of 1e-6. Points
# that are nearer than this count as one.
_STEP = 4e-6

# Seconds for the cheapest of equal optima; a point is one without it too.
_EQUALS_S = 10.0


@dataclass(frozen=True)
class ParetoFront:
    """Solutions of which none is better than another in both costs; rising in the cost, falling in the objective.

    Parameters
    ----------
    cost : the one that was swept.
    solutions : the points.
    is_complete : whether every point of the front is among them.
    """

    cost: str
    solutions: tuple[Solution, ...]
    is_complete: bool

    @property
    def points(self) -> list[tuple[float, float]]:
        """(cost, objective)."""
        return [(solution.costs[self.cost], solution.objective) for solution in self.solutions]

    def joined(self, solution: Solution) -> ParetoFront:
        """The front with a solution on it, if none of its points is better."""
        return ParetoFront(self.cost, _undominated([*self.solutions, solution], self.cost), self.is_complete)


def pareto_front(problem: Problem, cost: str, *, points: int | None = None, solver: Solver | None = None,
                 told: Told | None = None) -> ParetoFront:
    """The front of a cost and the objective, within the problem's other limits.

    Parameters
    ----------
    points : so many limits, spread evenly from the least that the cost can be to what the best objective costs; None: every
        point of the front.
    solver : of each point; exact by default.

    Raises
    ------
    SearchError : no assignment keeps the other limits, or fewer than 2 points.

    Examples
    --------
    >>> from accelsim.search.problem import CostTerm, Variable
    >>> costs = {"error": (CostTerm.of("a", ["a"], [5, 1]),), "time": (CostTerm.of("a", ["a"], [1, 2]),)}
    >>> pareto_front(Problem((Variable("a", (4, 8)),), costs, "error", {}), "time").points
    [(1.0, 5.0), (2.0, 1.0)]
    """
    solver = solver or IntegerProgram()
    others = {name: limit for name, limit in problem.limits.items() if name != cost}
    free = problem.with_limits(others)
    best = _point(free, cost, np.inf, solver)
    assert best is not None
    if points is not None:
        best = _cheapest_of_equals(free, best, cost)
    if points is None:
        return ParetoFront(cost, _undominated(_all(free, cost, solver, best, told), cost), True)
    if points < 2:
        raise SearchError(f"expected at least 2 points of a front, got {points}")
    least = cheapest(free, cost)
    assert least is not None
    limits = np.linspace(least, best.costs[cost], points)
    found = [best]
    for number, limit in enumerate(limits[:-1]):
        # Rounding of the spread must not take the cheapest one away.
        solution = _point(free, cost, max(float(limit), least), solver)
        assert solution is not None
        found.append(_cheapest_of_equals(free, solution, cost))
        if told is not None:
            told(number + 1, points, f"Pareto front of {cost}")
    return ParetoFront(cost, _undominated(found, cost), False)


def _all(problem: Problem, cost: str, solver: Solver, best: Solution, told: Told | None) -> list[Solution]:
    found = [best]
    quantum = quantum_of(problem, cost)
    while True:
        spent = found[-1].costs[cost]
        step = _STEP * abs(spent) if quantum is None else quantum / 2
        solution = _point(problem, cost, spent - step, solver, may_fail=True)
        if solution is None:
            return found
        found.append(solution)
        if told is not None:
            told(len(found), len(found) + 1, f"Pareto front of {cost}")


def _point(problem: Problem, cost: str, limit: float, solver: Solver, *, may_fail: bool = False) -> Solution | None:
    limited = problem if limit == np.inf else problem.with_limits({**problem.limits, cost: limit})
    try:
        solution = solver.solve(limited)
    except SearchError:
        if may_fail:
            return None
        raise
    return thriftier(limited, solution, cost)


def thriftier(problem: Problem, solution: Solution, cost: str) -> Solution:
    """A solution that single changes cannot make cheaper without costing anything in the objective."""
    indices: Indices = problem.indices(solution.assignment)
    objective, spent = (problem.evaluate(name, indices)[0] for name in (problem.objective, cost))
    while True:
        others = problem.neighbours(indices)
        others = others[problem.holds(others)] if len(others) else others
        costs, values = problem.evaluate(cost, others), problem.evaluate(problem.objective, others)
        better = np.flatnonzero((costs < spent) & (values <= objective))
        if not len(better):
            return Solution.of(problem, indices, solution.solver, bound=solution.bound)
        pick = better[int(np.argmin(costs[better]))]
        indices, objective, spent = others[pick], values[pick], costs[pick]


def _cheapest_of_equals(problem: Problem, solution: Solution, cost: str) -> Solution:
    """An optimum that no other one of the same objective is cheaper than; single changes need not lead there."""
    if not solution.is_optimal:
        return solution
    equals = problem.with_objective(cost).with_limits(
        {**problem.limits, problem.objective: solution.objective, cost: solution.costs[cost]})
    try:
        found = IntegerProgram(time_limit_s=_EQUALS_S).solve(equals)
    except SearchError:
        return solution
    other = Solution.of(problem, problem.indices(found.assignment), solution.solver, bound=solution.bound)
    return other if (other.objective, other.costs[cost]) < (solution.objective, solution.costs[cost]) else solution


def _undominated(solutions: list[Solution], cost: str) -> tuple[Solution, ...]:
    kept: list[Solution] = []
    for solution in sorted(solutions, key=lambda each: (each.costs[cost], each.objective)):
        if not kept or solution.objective < kept[-1].objective:
            kept.append(solution)
    return tuple(kept)
