"""The greedy frontier: one width after the other is lowered where that costs least.

As in AIMET's automatic mixed precision (Siddegowda et al. 2022, arXiv 2201.08442) and HAWQ's ordering by sensitivity:
beginning with the best assignment of all, each step makes the change that raises the objective least for what it takes off
the broken limits; when all hold, widths are raised again as long as there is room. A step changes one variable; where that
gains nothing (a multiplier as fast as its wider operand allows), all variables of a term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import SearchError
from accelsim.search.problem import Indices, Problem
from accelsim.search.solution import Solution, Told

# What a share of a broken limit must at least be to count as gained: rounding of sums is below.
_SMALLEST_GAIN = 1e-15

# Of (problem, indices (V,), others (B, V)): what each of the others gains, (B,).
_Gained = Callable[[Problem, Indices, Indices], NDArray[np.float64]]


@dataclass(frozen=True)
class Greedy:
    """The solver that never takes back a step."""

    name: str = "greedy"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """An assignment within the limits. There is nothing random in it.

        Raises
        ------
        SearchError : its way ends before all limits hold.
        """
        indices = within_limits(problem, descended(problem, widest(problem)), told)
        if indices is None:
            raise SearchError("expected limits that greedy steps reach, got ones that they do not; "
                              "the solver ilp tells more")
        return Solution.of(problem, refined(problem, indices), self.name)

    def frontier(self, problem: Problem) -> list[Solution]:
        """Every assignment on the way from the best one down, while some step still lowers a limited cost."""
        indices = descended(problem, widest(problem))
        found = [Solution.of(problem, indices, self.name)]
        while True:
            step = _step(problem, indices, _saved_shares)
            if step is None:
                return found
            indices = step
            found.append(Solution.of(problem, indices, self.name))


def widest(problem: Problem) -> Indices:
    """The widest choice of everything."""
    return np.array([len(variable.choices) - 1 for variable in problem.variables], dtype=np.intp)


def descended(problem: Problem, indices: Indices) -> Indices:
    """Single changes that lower the objective, the best first, until there are none; limits do not count."""
    return refined(problem.with_limits({}), indices)


def refined(problem: Problem, indices: Indices) -> Indices:
    """Single changes that lower the objective and keep all limits, the best first, until there are none."""
    while True:
        others = problem.neighbours(indices)
        others = others[problem.holds(others)]
        values = problem.evaluate(problem.objective, others)
        if not len(others) or not values.min() < problem.evaluate(problem.objective, indices)[0]:
            return indices
        indices = others[int(values.argmin())]


def within_limits(problem: Problem, indices: Indices, told: Told | None = None) -> Indices | None:
    """An assignment that keeps all limits, by the cheapest steps from this one; None where they end before."""
    first = problem.excess(indices)[0]
    while not problem.holds(indices)[0]:
        step = _step(problem, indices, _taken_off)
        if step is None:
            return None
        indices = step
        if told is not None and np.isfinite(first):
            told(int(100 * (1 - problem.excess(indices)[0] / first)), 100, "towards the limits")
    return indices


def _step(problem: Problem, indices: Indices, gained: _Gained) -> Indices | None:
    """The change that raises the objective least for what it gains."""
    for others in (problem.neighbours(indices), problem.joint_neighbours(indices)):
        gains = gained(problem, indices, others)
        rises = problem.evaluate(problem.objective, others) - problem.evaluate(problem.objective, indices)[0]
        useful = np.flatnonzero((gains > _SMALLEST_GAIN) & np.isfinite(rises))
        if len(useful):
            # What lowers both comes first, by what it gains.
            ratios = np.where(rises[useful] <= 0, -gains[useful], np.inf)
            if not np.isfinite(ratios).any():
                ratios = rises[useful] / gains[useful]
            return np.asarray(others[useful[int(ratios.argmin())]])
    return None


def _taken_off(problem: Problem, indices: Indices, others: Indices) -> NDArray[np.float64]:
    """What each takes off the excess over the limits."""
    return np.asarray(problem.excess(indices)[0] - problem.excess(others))


def _saved_shares(problem: Problem, indices: Indices, others: Indices) -> NDArray[np.float64]:
    """What each saves of the limited costs, in shares of what they are."""
    total = np.zeros(len(others))
    for name in problem.limits:
        now = problem.evaluate(name, indices)[0]
        total += (now - problem.evaluate(name, others)) / (abs(now) or 1.0)
    return total
