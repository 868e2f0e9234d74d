"""Integer linear programming: the best assignment, proved.

HAWQ-V3 (Yao et al. 2021, arXiv 2011.10680, section 3.4) chooses bits by an integer linear program: the sum of sensitivities
is made small under limits of size, bit operations and latency. Here costs may also be tables over several variables
(`linearization`), and there is any number of limits. The solver is HiGHS (Huangfu and Hall 2018), from scipy.

HiGHS holds constraints within 1e-6. A solution that breaks a limit by so little is cut off by a constraint that excludes it
alone, and the search goes on; so what comes out keeps every limit exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from accelsim.errors import SearchError
from accelsim.search.infeasibility import refused
from accelsim.search.linearization import Linearization, linearized
from accelsim.search.native_output import silenced
from accelsim.search.problem import Indices, Problem
from accelsim.search.quantum import quantum_of
from accelsim.search.solution import Solution, Told

# The objective's range becomes so large: HiGHS's gap of 1e-6 that ends a search is then nothing.
_RANGE = 1e5

# Statuses of scipy.optimize.milp.
_INFEASIBLE, _LIMIT_REACHED = 2, 1

_MOST_CUTS = 200


@dataclass(frozen=True)
class IntegerProgram:
    """The exact solver.

    Parameters
    ----------
    relative_gap : the search ends when the best solution is proved to be so near to the optimum; 0: the optimum itself.
    time_limit_s : seconds after which the best solution so far is given, with its gap.
    """

    relative_gap: float = 0.0
    time_limit_s: float = 600.0
    name: str = "ilp"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The optimum, or the best within the gap or the time. There is nothing random in it.

        Raises
        ------
        SearchError : no assignment keeps the limits: the smallest feasible value, and what binds.
        """
        program = _Program(problem, linearized(problem))
        found = program.solved(self.relative_gap, self.time_limit_s)
        if found is None:
            raise refused(problem, cheapest)
        indices, bound = found
        return Solution.of(problem, indices, self.name, bound=bound)


def cheapest(problem: Problem, cost: str) -> float | None:
    """The least that an assignment can cost within the problem's limits; None if none keeps them."""
    asked = problem.with_objective(cost)
    found = _Program(asked, linearized(asked)).solved(0.0, 60.0)
    return None if found is None else float(asked.evaluate(cost, found[0])[0])


def _constant(problem: Problem, cost: str) -> float:
    """What a cost is whatever is chosen, apart from its tables."""
    return sum(float(values) for places, values in problem._tables[cost] if not places)


class _Program:
    """A linearization with limits, in the numbers that HiGHS sees."""

    def __init__(self, problem: Problem, linear: Linearization) -> None:
        self.problem = problem
        self.linear = linear
        objective = linear.costs[0]
        self.unit = (float(objective.max() - objective.min()) or 1.0) / _RANGE if objective.size else 1.0
        self.rows: list[NDArray[np.float64]] = []
        self.ends: list[float] = []
        for costs, (name, limit) in zip(linear.costs[1:], problem.limits.items(), strict=True):
            if limit < np.inf:
                self._limit(costs, limit - _constant(problem, name), quantum_of(problem, name))
        self.constant = _constant(problem, problem.objective)

    def _limit(self, costs: NDArray[np.float64], limit: float, quantum: float | None) -> None:
        if quantum is not None:
            # Where no sum lies: half a unit above the largest that is allowed.
            self.rows.append(np.rint(costs / quantum))
            self.ends.append(np.floor(limit / quantum * (1 + 1e-12) + 1e-9) + 0.5)
            return
        # The limit becomes 1, so that the tolerance is a share of it.
        self.rows.append(costs / (abs(limit) or 1.0))
        self.ends.append(float(np.sign(limit)))

    def solved(self, relative_gap: float, time_limit_s: float) -> tuple[Indices, float] | None:
        """The assignment and what is proved of the objective; None if there is none."""
        if self.linear.is_impossible:
            return None
        if not self.problem.variables:
            indices = np.zeros(0, dtype=np.intp)
            return (indices, self.constant) if self.problem.holds(indices)[0] else None
        for _ in range(_MOST_CUTS):
            result = self._run(relative_gap, time_limit_s)
            if result.x is None:
                if result.status == _LIMIT_REACHED:
                    raise SearchError(f"expected a solution within {time_limit_s:g} s, got none; allow more time")
                assert result.status == _INFEASIBLE, result.message
                return None
            indices = self.linear.indices(result.x)
            if self.problem.holds(indices)[0]:
                return indices, self._bound(result, indices)
            self._cut(result.x)
        raise SearchError("expected limits that a rounding error does not decide, got one that many assignments just miss")

    def _run(self, relative_gap: float, time_limit_s: float) -> Any:
        linear = self.linear
        constraints = [optimize.LinearConstraint(linear.equal, linear.right, linear.right)]
        if self.rows:
            constraints.append(optimize.LinearConstraint(sparse.csr_matrix(np.array(self.rows)), -np.inf, self.ends))
        with silenced():
            return optimize.milp(
                linear.costs[0] / self.unit, constraints=constraints, bounds=optimize.Bounds(0, 1),
                integrality=linear.is_integral.astype(int),
                options={"mip_rel_gap": relative_gap, "time_limit": time_limit_s})

    def _bound(self, result: Any, indices: Indices) -> float:
        """What HiGHS proved, in the objective's own unit; within its arithmetic the objective itself."""
        objective = float(self.problem.evaluate(self.problem.objective, indices)[0])
        proved = float(result.mip_dual_bound) * self.unit + self.constant
        # An optimum is proved up to the solver's absolute tolerance, in its unit.
        return objective if proved >= objective - 1e-5 * self.unit else proved

    def _cut(self, values: NDArray[np.float64]) -> None:
        chosen = self.linear.support(values)
        row = np.zeros(len(values))
        row[chosen] = 1.0
        self.rows.append(row)
        self.ends.append(len(chosen) - 1.0)
