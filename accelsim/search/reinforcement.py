"""Reinforcement learning, as in HAQ: an agent walks through the network and decides each layer's widths.

HAQ (Wang et al. 2019, arXiv 1811.08886): a DDPG agent sees a layer's description and what it did before, and acts once for
the layer's weights and once for its activations; an action in [0, 1] becomes a width by rounding on the row of choices.
After an episode the action wall lowers widths one after the other, layer by layer, until the budget holds; the reward is
what the objective gained. Exploration is truncated normal noise that decays from episode to episode.

Here a step is a variable of the problem, in its order (a layer's weights, then what it reads, ...), so that a layer has two;
what a step sees are shares: its place, the slopes of all costs in its width, the number of its choices, the action before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import SearchError
from accelsim.search.actor_critic import ActorCritic
from accelsim.search.greedy import descended, widest, within_limits
from accelsim.search.problem import Indices, Problem
from accelsim.search.solution import Solution, Told

# Steps that are kept to learn from.
_MEMORY = 20000

# Source: HAQ, section 4 (Implementation details): noise N(0, 0.5) truncated to [0, 1], decaying by 0.99 an episode.
_NOISE, _DECAY = 0.5, 0.99

# Of the moving average that is taken off rewards.
_BASELINE_SHARE = 0.05

# Batches that are learned from after each episode.
_LEARNS = 4


@dataclass(frozen=True)
class Reinforcement:
    """The solver.

    Parameters
    ----------
    episodes : walks through the network (HAQ: 600).
    warmup : first episodes, with actions by chance.
    """

    episodes: int = 400
    warmup: int = 40
    name: str = "reinforcement"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The best episode's assignment.

        Raises
        ------
        SearchError : the action wall never reaches the limits.
        """
        walk = _Walk(problem, np.random.default_rng(seed))
        for episode in range(self.episodes):
            noise = None if episode < self.warmup else _NOISE * _DECAY ** (episode - self.warmup)
            walk.episode(noise)
            if told is not None:
                told(episode + 1, self.episodes, "episodes")
        if walk.best is None:
            raise SearchError("expected limits that the action wall reaches, got ones that it does not; "
                              "the solver ilp tells more")
        return Solution.of(problem, walk.best, self.name)


class _Walk:
    """Agent, memory and the best so far."""

    def __init__(self, problem: Problem, generator: np.random.Generator) -> None:
        self.problem = problem
        self.generator = generator
        self.free = [place for place, variable in enumerate(problem.variables) if len(variable.choices) > 1]
        self.sights = _sights(problem, self.free)
        self.agent = ActorCritic(self.sights.shape[1] + 1, generator) if self.free else None
        self.steps: list[NDArray[np.float64]] = []
        self.best: Indices | None = None
        self.least = np.inf
        self.baseline: float | None = None
        self.unit = self._unit()

    def _unit(self) -> float:
        """What the objective may change by, so that rewards are near 1."""
        start = descended(self.problem, widest(self.problem))
        low = within_limits(self.problem, start)
        ends = [self.problem.evaluate(self.problem.objective, row)[0] for row in (start, low) if row is not None]
        return float(abs(ends[-1] - ends[0]) or abs(ends[0]) or 1.0)

    def episode(self, noise: float | None) -> None:
        """One walk, one reward, and learning from memory; actions by chance where there is no noise yet."""
        indices = widest(self.problem)
        seen, actions, action = [], [], 1.0
        for number, place in enumerate(self.free):
            seen.append(np.append(self.sights[number], action))
            action = self._action(seen[-1], noise)
            actions.append(action)
            indices[place] = self._choice(action, len(self.problem.variables[place].choices))
        walled = self._wall(indices)
        if walled is None:
            return
        objective = float(self.problem.evaluate(self.problem.objective, walled)[0])
        if objective < self.least:
            self.best, self.least = walled, objective
        if self.agent is not None:
            # The wall's widths are what the reward is for.
            taken = [walled[place] / (len(self.problem.variables[place].choices) - 1) for place in self.free]
            self._remember(seen, taken, -objective / self.unit)
            if noise is not None:
                for _ in range(_LEARNS):
                    self.agent.learn(self._memory, baseline=self.baseline or 0.0)

    def _action(self, sight: NDArray[np.float64], noise: float | None) -> float:
        if noise is None or self.agent is None:
            return float(self.generator.uniform())
        mean = self.agent.action(sight)
        while True:
            action = self.generator.normal(mean, noise)
            if 0 <= action <= 1:
                return float(action)

    @staticmethod
    def _choice(action: float, count: int) -> int:
        """HAQ, equation 1: b = round(b_min - 0.5 + a (b_max - b_min + 1)), on the row of choices."""
        return int(np.clip(np.rint(-0.5 + action * count), 0, count - 1))

    def _wall(self, indices: Indices) -> Indices | None:
        """Widths lowered by one choice, variable after variable, round after round, until all limits hold."""
        row = indices.copy()
        while not self.problem.holds(row)[0]:
            if not row[self.free].any():
                return within_limits(self.problem, row)
            for place in self.free:
                if row[place]:
                    row[place] -= 1
                    if self.problem.holds(row)[0]:
                        return row
        return row

    def _remember(self, seen: list[NDArray[np.float64]], taken: list[float], reward: float) -> None:
        self.baseline = reward if self.baseline is None else self.baseline + _BASELINE_SHARE * (reward - self.baseline)
        for number, (sight, action) in enumerate(zip(seen, taken, strict=True)):
            is_last = number == len(seen) - 1
            following = sight if is_last else seen[number + 1]
            self.steps.append(np.concatenate([sight, [action, reward], following, [float(is_last)]]))
        del self.steps[:-_MEMORY]
        self._memory = np.array(self.steps)


def _sights(problem: Problem, free: list[int]) -> NDArray[np.float64]:
    """What the agent sees of each step: (steps, features), each feature in [0, 1] or [-1, 1]."""
    columns = [np.arange(len(free)) / max(len(free) - 1, 1),
               np.array([len(problem.variables[place].choices) for place in free], dtype=np.float64)]
    high = widest(problem)
    for name in (problem.objective, *problem.limits):
        low = np.array([high] * len(free), dtype=np.intp).reshape(len(free), len(high))
        low[np.arange(len(free)), free] = 0
        slopes = problem.evaluate(name, low) - problem.evaluate(name, high)
        # Sensitivities span decades: a step sees its rank among the steps.
        columns.append(np.argsort(np.argsort(np.nan_to_num(slopes, posinf=0.0, neginf=0.0))).astype(np.float64))
    stacked = np.stack(columns, axis=1)
    return np.asarray(stacked / np.maximum(np.abs(stacked).max(axis=0, initial=0.0), 1e-300))
