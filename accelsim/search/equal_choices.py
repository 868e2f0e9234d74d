"""Of choices that are equally good, which one is taken: wide operands, narrow accumulators.

A coarse measure (accuracy on few samples) calls many widths harmless that are not, one beside the other; wide operands then
cost nothing that the budget does not allow. Accumulators that are wide enough, though, gain nothing from more bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from accelsim.search.problem import Indices, Problem
from accelsim.search.solution import Solution

# (neighbours (n, V), what they are neighbours of (V,)) -> those that are wanted (n,), the first of the smallest number.
_Order = Callable[[Indices, NDArray[np.intp]], NDArray[np.float64]]


def settled(problem: Problem, solution: Solution, accumulators: Collection[str] = (), *, saves: str = "energy") -> Solution:
    """The solution after single changes that cost nothing in the objective and keep all limits.

    First operands are widened, the narrowest one first, then accumulators are narrowed where that saves something.

    Parameters
    ----------
    accumulators : the variables that are widths of accumulators.
    saves : the cost that narrow ones save.

    Examples
    --------
    >>> from accelsim.search.ilp import IntegerProgram
    >>> from accelsim.search.problem import CostTerm, Variable
    >>> costs = {"error": (CostTerm.of("a", ["a"], [0, 0]),), "energy": (CostTerm.of("a", ["a"], [1, 2]),)}
    >>> problem = Problem((Variable("a", (4, 8)),), costs, "error", {})
    >>> found = IntegerProgram().solve(problem)
    >>> settled(problem, found).assignment, settled(problem, found, ["a"]).assignment
    ({'a': 8}, {'a': 4})
    """
    sums = set(accumulators)
    is_sum = np.array([variable.name in sums for variable in problem.variables])

    def widening(others: Indices, own: NDArray[np.intp]) -> NDArray[np.float64]:
        widths = np.array([variable.choices[place] for variable, place in zip(problem.variables, own, strict=True)])
        wider = (others > own) & ~is_sum
        return np.where(wider.any(axis=1), np.where(wider, widths, 0).max(axis=1), np.inf)

    def narrowing(others: Indices, own: NDArray[np.intp]) -> NDArray[np.float64]:
        spent, now = problem.evaluate(saves, others), problem.evaluate(saves, own)[0]
        return np.where(((others < own) & is_sum).any(axis=1) & (spent < now), spent, np.inf)

    indices = _changed(problem, problem.indices(solution.assignment), widening)
    return Solution.of(problem, _changed(problem, indices, narrowing), solution.solver, bound=solution.bound)


def _changed(problem: Problem, indices: Indices, order: _Order) -> Indices:
    """After the first change of an order, as long as there is one."""
    objective = problem.evaluate(problem.objective, indices)[0]
    while True:
        others = problem.neighbours(indices)
        if not len(others):
            return indices
        is_free = problem.holds(others) & (problem.evaluate(problem.objective, others) <= objective)
        ranks = np.where(is_free, order(others, indices), np.inf)
        if not np.isfinite(ranks).any():
            return indices
        indices = others[int(np.argmin(ranks))]
        objective = problem.evaluate(problem.objective, indices)[0]
