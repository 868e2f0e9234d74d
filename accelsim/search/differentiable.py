"""A differentiable relaxation: widths are drawn softly, and the table is averaged under them.

As in DNAS for mixed precision (Wu et al. 2018, arXiv 1812.00090): each variable has logits theta, and a soft choice by the
Gumbel-softmax (Jang et al. 2017, arXiv 1611.01144)

    p = softmax((theta + g) / tau),     g = -log(-log u)

A cost under soft choices is the sum over its terms of the table contracted with the p of its variables: linear in each p,
so that slopes are contractions too. Broken limits count with multipliers that grow while they are broken (dual ascent). The
temperature tau falls; from time to time the likeliest widths are brought within the limits and looked at, and the best are
kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import SearchError
from accelsim.search.greedy import descended, widest, within_limits
from accelsim.search.problem import Indices, Problem, Table
from accelsim.search.solution import Solution, Told

Array = NDArray[np.float64]

# Temperatures of the first and the last step.
_HOT, _COLD = 5.0, 0.2

# Of Adam, and of the multipliers.
_RATE, _DUAL_RATE = 0.05, 0.05

_LOOK_EVERY = 20


@dataclass(frozen=True)
class Differentiable:
    """The solver.

    Parameters
    ----------
    steps : of gradient descent.
    """

    steps: int = 1000
    name: str = "differentiable"

    def solve(self, problem: Problem, *, seed: int = 0, told: Told | None = None) -> Solution:
        """The best of the likeliest assignments on the way.

        Raises
        ------
        SearchError : none of them came within the limits.
        """
        descent = _Descent(problem, np.random.default_rng(seed))
        best, least = None, np.inf
        for step in range(self.steps):
            descent.step(_HOT * (_COLD / _HOT) ** (step / self.steps))
            if step % _LOOK_EVERY == _LOOK_EVERY - 1 or step == self.steps - 1:
                found = within_limits(problem, descent.likeliest)
                if found is not None and problem.evaluate(problem.objective, found)[0] < least:
                    best, least = found, problem.evaluate(problem.objective, found)[0]
                if told is not None:
                    told(step + 1, self.steps, "steps")
        if best is None:
            raise SearchError("expected limits that soft choices come within, got ones that they do not; "
                              "the solver ilp tells more")
        return Solution.of(problem, best, self.name)


class _Descent:
    """Logits, multipliers and Adam's averages."""

    def __init__(self, problem: Problem, generator: np.random.Generator) -> None:
        self.problem = problem
        self.generator = generator
        self.sizes = [len(variable.choices) for variable in problem.variables]
        self.width = max(self.sizes, default=1)
        self.logits = np.zeros((len(self.sizes), self.width))
        # Choices that a variable does not have.
        self.mask = np.where(np.arange(self.width) < np.array(self.sizes)[:, None], 0.0, -np.inf)
        self.multipliers = dict.fromkeys(problem.limits, 0.0)
        self.first, self.second, self.count = np.zeros_like(self.logits), np.zeros_like(self.logits), 0
        start = descended(problem, widest(problem))
        low = within_limits(problem, start)
        ends = [problem.evaluate(problem.objective, row)[0] for row in (start, low) if row is not None]
        self.unit = float(abs(ends[-1] - ends[0]) or abs(ends[0]) or 1.0)

    @property
    def likeliest(self) -> Indices:
        return np.asarray(np.argmax(self.logits + self.mask, axis=1))

    def step(self, temperature: float) -> None:
        """One step of Adam on the logits, and one of the multipliers."""
        gumbel = self.generator.gumbel(size=self.logits.shape)
        scores = (self.logits + gumbel + self.mask) / temperature
        soft = np.exp(scores - scores.max(axis=1, keepdims=True))
        soft /= soft.sum(axis=1, keepdims=True)
        slope = self._slopes(self.problem.objective, soft)[1] / self.unit
        for name, limit in self.problem.limits.items():
            if not np.isfinite(limit):
                continue
            cost, uphill = self._slopes(name, soft)
            over = (cost - limit) / (abs(limit) or 1.0)
            if over > 0 or self.multipliers[name] > 0:
                slope += (self.multipliers[name] + max(over, 0.0)) * uphill / (abs(limit) or 1.0)
            self.multipliers[name] = max(0.0, self.multipliers[name] + _DUAL_RATE * over)
        through = soft * (slope - (soft * slope).sum(axis=1, keepdims=True)) / temperature
        self.count += 1
        self.first += 0.1 * (through - self.first)
        self.second += 0.001 * (through * through - self.second)
        mean, spread = self.first / (1 - 0.9**self.count), self.second / (1 - 0.999**self.count)
        self.logits -= _RATE * mean / (np.sqrt(spread) + 1e-12)

    def _slopes(self, cost: str, soft: Array) -> tuple[float, Array]:
        """A cost under soft choices, and its slopes by them."""
        total, slopes = 0.0, np.zeros_like(soft)
        for places, values in self.problem._tables[cost]:
            finite = _softened(values)
            parts = [soft[place, :size] for place, size in zip(places, finite.shape, strict=True)]
            for axis, place in enumerate(places):
                slopes[place, :finite.shape[axis]] += _contracted(finite, parts, but=axis)
            total += float(_contracted(finite, parts, but=0) @ parts[0]) if parts else float(finite)
        return total, slopes


def _contracted(values: Table, parts: list[Array], *, but: int) -> Array:
    """The table averaged over all axes but one."""
    for axis in reversed(range(values.ndim)):
        if axis != but:
            values = np.tensordot(values, parts[axis], axes=(axis, 0))
    return np.asarray(values)


def _softened(values: Table) -> Table:
    """A table in which what is forbidden costs ten times the dearest."""
    if np.isfinite(values).all():
        return values
    finite = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, 10 * np.abs(finite).max(initial=1.0))
