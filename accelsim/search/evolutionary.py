"""NSGA-II: a population of assignments that evolves towards the front of all costs at once.

Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", as Optuna implements it (Akiba et al. 2019,
arXiv 1907.10902); limits are constraints, which feasible trials dominate. It needs no table that adds up: the objective may
be `measured`, such as an accuracy with everything quantized at once. With a storage (an sqlite file) trials survive an
interruption, and the next search of the same name goes on with them.

Needs the extra `search`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import SearchError
from accelsim.search.greedy import descended, widest, within_limits
from accelsim.search.problem import LIMIT_TOLERANCE, Problem
from accelsim.search.solution import Solution, Told

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

#: The objective of an assignment, measured.
Measured = Callable[[Mapping[str, int]], float]


@dataclass(frozen=True)
class Evolutionary:
    """The solver.

    Parameters
    ----------
    trials : assignments that are looked at, those in the storage included.
    population : of a generation.
    storage : an sqlite file; None: in memory.
    study : name of the search in the storage.
    measured : instead of the problem's objective.
    """

    trials: int = 1000
    population: int = 50
    storage: Path | None = None
    study: str = "accelsim"
    measured: Measured | None = None
    name: str = "evolutionary"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The feasible trial with the least objective.

        Raises
        ------
        SearchError : no trial keeps the limits; Optuna is not installed; a storage with a search of another problem.
        """
        trials = self._evolved(problem, seed, told)
        rows = [(trial.values[0], self._indices(problem, trial)) for trial in trials if trial.values]
        kept = [(value, indices) for value, indices in rows if problem.holds(indices)[0] and np.isfinite(value)]
        if not kept:
            raise SearchError(f"expected a trial within the limits, got none in {len(rows)}; allow more trials, or use ilp")
        value, indices = min(kept, key=lambda each: each[0])
        solution = Solution.of(problem, indices, self.name)
        return solution if self.measured is None else Solution(solution.assignment, value, solution.costs, self.name)

    def front(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> list[Solution]:
        """All trials within the limits of which none is better than another in the objective and every limited cost."""
        trials = self._evolved(problem, seed, told)
        rows = np.array([self._indices(problem, trial) for trial in trials if trial.values], dtype=np.intp)
        values = np.array([trial.values for trial in trials if trial.values])
        kept = np.flatnonzero(problem.holds(rows))
        found: dict[tuple[float, ...], Solution] = {}
        for index in kept:
            is_beaten = np.any(np.all(values[kept] <= values[index], axis=1) & np.any(values[kept] < values[index], axis=1))
            if not is_beaten:
                found[tuple(values[index])] = Solution.of(problem, rows[index], self.name)
        return [found[point] for point in sorted(found)]

    def _evolved(self, problem: Problem, seed: int, told: Told | None) -> list[FrozenTrial]:
        """All finished trials."""
        optuna = _optuna()
        study = self._study(optuna, 1 + len(problem.limits), seed)
        self._check(study, problem)
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        if not done:
            for start in self._starts(problem):
                study.enqueue_trial(start)

        def after(_study: Any, trial: Any) -> None:
            if told is not None:
                told(trial.number + 1, self.trials, "trials")

        study.optimize(lambda trial: self._values(problem, trial), n_trials=max(0, self.trials - done), callbacks=[after])
        return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _study(self, optuna: Any, objectives: int, seed: int) -> Any:
        sampler = optuna.samplers.NSGAIISampler(population_size=self.population, seed=seed)
        options: dict[str, Any] = {"directions": ["minimize"] * objectives, "sampler": sampler, "study_name": self.study,
                                   "load_if_exists": True}
        if self.storage is None:
            return optuna.create_study(**options)
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self.storage.parent.mkdir(parents=True, exist_ok=True)
            return optuna.create_study(storage=f"sqlite:///{self.storage}", **options)
        except (OSError, SQLAlchemyError, optuna.exceptions.OptunaError):
            raise SearchError("expected an sqlite file of trials, or a place for a new one, got something else",
                              file=str(self.storage)) from None

    def _starts(self, problem: Problem) -> list[dict[str, int]]:
        """The widest assignment, and what the greedy way finds."""
        rows = [widest(problem), within_limits(problem, descended(problem, widest(problem)))]
        return [problem.assignment(row) for row in rows if row is not None]

    def _values(self, problem: Problem, trial: Any) -> tuple[float, ...]:
        assignment = {variable.name: trial.suggest_categorical(variable.name, list(variable.choices))
                      for variable in problem.variables}
        row = problem.indices(assignment)
        costs = {name: float(problem.evaluate(name, row)[0]) for name in problem.limits}
        for name, limit in problem.limits.items():
            trial.set_constraint(name, float(np.clip(costs[name] - limit - LIMIT_TOLERANCE * abs(limit), -1e30, 1e30)))
        objective = float(problem.evaluate(problem.objective, row)[0])
        if self.measured is not None and np.isfinite(objective) and problem.holds(row)[0]:
            objective = self.measured(assignment)
        elif self.measured is not None:
            objective = np.inf  # not worth a measurement
        return (_finite(objective), *(_finite(cost) for cost in costs.values()))

    def _check(self, study: Any, problem: Problem) -> None:
        """That stored trials are of this problem."""
        stated = {variable.name: list(variable.choices) for variable in problem.variables}
        identity = {"variables": stated, "costs": [problem.objective, *problem.limits],
                    "is_measured": self.measured is not None,
                    "objective": [_finite(value) for term in problem.costs[problem.objective]
                                  for value in np.ravel(term.values).tolist()]}
        known = study.user_attrs.get("problem")
        if known is not None and not _is_same(known, identity):
            raise SearchError("expected a storage of this problem, got one with other variables, costs or sensitivities",
                              file=None if self.storage is None else str(self.storage))
        study.set_user_attr("problem", identity)

    def _indices(self, problem: Problem, trial: FrozenTrial) -> np.ndarray:
        return problem.indices(trial.params)


def _is_same(known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """Whether two problems are one; sensitivities that another machine measured differ by rounding."""
    values, others = (np.array(each.get("objective", ())) for each in (known, identity))
    return (all(known.get(key) == identity[key] for key in identity if key != "objective")
            and values.shape == others.shape and np.allclose(values, others, rtol=1e-3, atol=1e-9))


def _finite(value: float) -> float:
    """Optuna takes no infinity for a worse value than all others."""
    return value if np.isfinite(value) else 1e300


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SearchError('expected optuna for the evolutionary solver, got none; install "accelsim[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
