"""What a solver found, and what a solver is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.search.problem import Problem

#: Told as a solver goes on: (done, all, what is being done).
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Solution:
    """An assignment that keeps all limits.

    Parameters
    ----------
    assignment : widths by variable.
    objective : its cost.
    costs : all costs of the problem, by name.
    solver : who found it.
    bound : no assignment costs less, as far as the solver proved; None if it proved nothing.
    """

    assignment: Mapping[str, int]
    objective: float
    costs: Mapping[str, float]
    solver: str
    bound: float | None = None

    @property
    def gap(self) -> float | None:
        """(objective - bound) / |objective|: how much better another one could be; None if nothing is proved."""
        if self.bound is None:
            return None
        distance = max(0.0, self.objective - self.bound)
        return distance / abs(self.objective) if self.objective else (0.0 if distance == 0 else float("inf"))

    @property
    def is_optimal(self) -> bool:
        """Whether none is better, to the arithmetic's precision (1e-9)."""
        return self.gap is not None and self.gap <= 1e-9

    @classmethod
    def of(cls, problem: Problem, indices: NDArray[np.intp], solver: str, *, bound: float | None = None) -> Solution:
        """Of the numbers (V,) of the choices."""
        costs = {name: float(problem.evaluate(name, indices)[0]) for name in problem.costs}
        return cls(problem.assignment(indices), costs[problem.objective], costs, solver, bound)


class Solver(Protocol):
    """Finds a cheap assignment within the limits."""

    @property
    def name(self) -> str: ...

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The best assignment that it finds.

        Raises
        ------
        SearchError : none keeps the limits, or the solver does not take this problem.
        """
        ...
