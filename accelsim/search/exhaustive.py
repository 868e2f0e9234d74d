"""Every assignment, one after the other: the truth for small problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import SearchError
from accelsim.search.infeasibility import refused
from accelsim.search.problem import Problem
from accelsim.search.solution import Solution, Told

_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Exhaustive:
    """The solver that tries everything.

    Parameters
    ----------
    most : assignments that it takes on.
    """

    most: int = 1 << 22
    name: str = "exhaustive"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The optimum.

        Raises
        ------
        SearchError : too many assignments; none within the limits.
        """
        best, least = None, np.inf
        for done, rows in enumerate(all_assignments(problem, self.most)):
            kept = rows[problem.holds(rows)]
            if len(kept):
                values = problem.evaluate(problem.objective, kept)
                if values.min() < least:
                    best, least = kept[int(values.argmin())], float(values.min())
            if told is not None:
                told(min((done + 1) * _AT_ONCE, problem.size), problem.size, "all assignments")
        if best is None:
            raise refused(problem, self.cheapest)
        return Solution.of(problem, best, self.name, bound=least)

    def cheapest(self, problem: Problem, cost: str) -> float | None:
        """The least of a cost within the limits; None if none keeps them."""
        asked = problem.with_objective(cost)
        values = [asked.evaluate(cost, rows[asked.holds(rows)]) for rows in all_assignments(asked, self.most)]
        finite = [float(part.min()) for part in values if len(part) and np.isfinite(part.min())]
        return min(finite, default=None)


def all_assignments(problem: Problem, most: int) -> Iterator[NDArray[np.intp]]:
    """Every assignment, as indices (B, V) in parts.

    Raises
    ------
    SearchError : more than `most`.
    """
    if problem.size > most:
        raise SearchError(f"expected at most {most} assignments to try, got {problem.size}; use ilp")
    shape = tuple(len(variable.choices) for variable in problem.variables)
    for first in range(0, problem.size, _AT_ONCE):
        numbers = np.arange(first, min(first + _AT_ONCE, problem.size))
        columns = np.unravel_index(numbers, shape) if shape else ()
        yield np.stack(columns, axis=1) if shape else np.zeros((1, 0), dtype=np.intp)
