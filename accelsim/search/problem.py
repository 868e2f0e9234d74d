"""What a search decides, what each decision costs, and what may be spent.

Every cost (sensitivity, latency, energy, size, ...) is a sum of terms, each a table over the few variables that it touches:

    cost(assignment) = sum over terms t of  t[assignment of the variables of t]

Separable problems have terms over one variable. A layer's latency touches its weights' width, its input's and its output's;
as an output is the next layer's input, neighbours share variables, and nothing is counted twice. An entry of +infinity
forbids its combination. One cost is made small, others may have a limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import SearchError
from accelsim.problem import did_you_mean, quoted

Indices = NDArray[np.intp]
Table = NDArray[np.float64]

#: Rounding of a sum of floats: a cost this much above its limit, as a share of it, still keeps it.
LIMIT_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Variable:
    """One decision: the width of something.

    Parameters
    ----------
    name : unique in its problem.
    choices : what it may be, from small to large; a single choice is a fixed width.

    Raises
    ------
    SearchError : no choice, or choices that do not rise.
    """

    name: str
    choices: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.choices or list(self.choices) != sorted(set(self.choices)):
            raise SearchError(f"expected at least one width, from small to large, got {list(self.choices)}", field=self.name)


@dataclass(frozen=True, eq=False)
class CostTerm:
    """A part of a cost: a table over the variables that it touches.

    Parameters
    ----------
    label : whose cost this is, for messages: a layer.
    variables : names, each once.
    values : one axis a variable, in the order of its choices; +infinity forbids.

    Raises
    ------
    SearchError : a table of other dimensions; NaN or -infinity in it.
    """

    label: str
    variables: tuple[str, ...]
    values: Table

    def __post_init__(self) -> None:
        if self.values.ndim != len(self.variables) or len(set(self.variables)) != len(self.variables):
            raise SearchError(f"expected one axis for each of {', '.join(self.variables) or 'no variable'}, "
                              f"got a table of shape {self.values.shape}", field=self.label)
        if np.isnan(self.values).any() or np.isneginf(self.values).any():
            found = "NaN" if np.isnan(self.values).any() else "-infinity"
            raise SearchError(f"expected numbers as costs, got {found}", field=self.label)

    @classmethod
    def of(cls, label: str, variables: Sequence[str], values: ArrayLike) -> CostTerm:
        """A term whose variables may repeat: tied widths take the diagonal of the table.

        >>> CostTerm.of("conv", ["w", "w"], [[1, 2], [3, 4]]).values.tolist()
        [1.0, 4.0]
        """
        table = np.asarray(values, dtype=np.float64)
        names = list(variables)
        for name in dict.fromkeys(names):
            while names.count(name) > 1:
                first = names.index(name)
                second = names.index(name, first + 1)
                # The diagonal becomes the last axis; it goes back to where the first of the two was.
                table = np.moveaxis(np.diagonal(table, axis1=first, axis2=second), -1, first)
                del names[second]
        return cls(label, tuple(names), table)


@dataclass(frozen=True, eq=False)
class Problem:
    """A search: variables, costs, the one to be made small, and limits of others.

    Parameters
    ----------
    variables : in an order in which a policy decides on them: that of the network.
    costs : terms by the name of the cost.
    objective : the cost to be made small.
    limits : cost -> the most that may be spent.
    units : of costs, for messages.

    Raises
    ------
    SearchError : variables of one name, terms over unknown ones or of other sizes, an unknown objective or limit.

    Examples
    --------
    >>> w = [Variable("a", (4, 8)), Variable("b", (4, 8))]
    >>> error = [CostTerm.of("a", ["a"], [5, 1]), CostTerm.of("b", ["b"], [3, 1])]
    >>> time = [CostTerm.of("a", ["a"], [1, 2]), CostTerm.of("b", ["b"], [1, 2])]
    >>> problem = Problem(tuple(w), {"error": tuple(error), "time": tuple(time)}, "error", {"time": 3})
    >>> problem.evaluate("error", problem.indices({"a": 8, "b": 4})).tolist()
    [4.0]
    """

    variables: tuple[Variable, ...]
    costs: Mapping[str, tuple[CostTerm, ...]]
    objective: str
    limits: Mapping[str, float]
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {variable.name: len(variable.choices) for variable in self.variables}
        if len(sizes) < len(self.variables):
            raise SearchError("expected variables of different names, got two of one name")
        for name in (self.objective, *self.limits):
            if name not in self.costs:
                raise SearchError(f"expected one of the costs {', '.join(self.costs)}, got {quoted(name)}"
                                  f"{did_you_mean(name, list(self.costs))}")
        for name, limit in self.limits.items():
            if np.isnan(limit):
                raise SearchError(f"expected a number as limit, got {limit}", field=name)
        for terms in self.costs.values():
            for term in terms:
                _check_term(term, sizes)

    @cached_property
    def places(self) -> dict[str, int]:
        """Column of each variable in arrays of indices."""
        return {variable.name: place for place, variable in enumerate(self.variables)}

    @property
    def size(self) -> int:
        """How many assignments there are."""
        return prod(len(variable.choices) for variable in self.variables)

    def text(self, cost: str, value: float) -> str:
        """A cost with its unit."""
        return " ".join(filter(None, (f"{value:.10g}", self.units.get(cost, ""))))

    def with_limits(self, limits: Mapping[str, float]) -> Problem:
        """The same with other limits."""
        return replace(self, limits=dict(limits))

    def with_objective(self, objective: str) -> Problem:
        """The same with another cost to be made small; what the old one forbids stays forbidden."""
        limits = {name: limit for name, limit in self.limits.items() if name != objective}
        if objective != self.objective:
            limits[self.objective] = np.inf
        return replace(self, objective=objective, limits=limits)

    def evaluate(self, cost: str, indices: NDArray[Any]) -> NDArray[np.float64]:
        """A cost of many assignments at once.

        Parameters
        ----------
        indices : (B, V), or (V,) for one: the number of the choice of each variable.

        Returns
        -------
        (B,), float64.
        """
        rows = np.atleast_2d(indices)
        total = np.zeros(len(rows))
        for places, values in self._tables[cost]:
            total += values[tuple(rows[:, place] for place in places)]
        return total

    @cached_property
    def _tables(self) -> dict[str, list[tuple[list[int], Table]]]:
        """Terms with columns for names; those of the same variables are added up."""
        found: dict[str, dict[tuple[str, ...], Table]] = {}
        for cost, terms in self.costs.items():
            sums = found.setdefault(cost, {})
            for term in terms:
                sums[term.variables] = sums.get(term.variables, 0) + term.values
        return {cost: [([self.places[name] for name in names], values) for names, values in sums.items()]
                for cost, sums in found.items()}

    def excess(self, indices: NDArray[Any]) -> NDArray[np.float64]:
        """By how much assignments (B, V) break limits: the sum of shares, 0 where all hold; infinite where forbidden."""
        rows = np.atleast_2d(indices)
        total = np.where(np.isinf(self.evaluate(self.objective, rows)), np.inf, 0.0)
        for name, limit in self.limits.items():
            costs = self.evaluate(name, rows)
            if limit < np.inf:
                over = costs - limit
                total += np.where(over > LIMIT_TOLERANCE * abs(limit), over / (abs(limit) or 1.0), 0.0)
            total += np.where(np.isinf(costs), np.inf, 0.0)
        return total

    def holds(self, indices: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of the assignments (B, V) keep all limits."""
        return np.asarray(self.excess(indices) == 0)

    def indices(self, assignment: Mapping[str, int]) -> Indices:
        """(V,) of widths by variable.

        Raises
        ------
        SearchError : a variable without a width, or with one that is no choice.
        """
        found = []
        for variable in self.variables:
            width = assignment.get(variable.name)
            if width not in variable.choices:
                allowed = ", ".join(map(str, variable.choices))
                raise SearchError(f"expected one of {allowed}, got {'no width' if width is None else width}",
                                  field=variable.name)
            found.append(variable.choices.index(width))
        return np.array(found, dtype=np.intp)

    def assignment(self, indices: NDArray[Any]) -> dict[str, int]:
        """Widths by variable of (V,)."""
        return {variable.name: variable.choices[int(index)]
                for variable, index in zip(self.variables, indices, strict=True)}

    def neighbours(self, indices: NDArray[Any]) -> Indices:
        """Every assignment that differs in one variable from (V,): (number, V)."""
        rows = []
        for place, variable in enumerate(self.variables):
            for choice in range(len(variable.choices)):
                if choice != indices[place]:
                    row = np.array(indices, dtype=np.intp)
                    row[place] = choice
                    rows.append(row)
        return np.array(rows, dtype=np.intp).reshape(-1, len(self.variables))

    def joint_neighbours(self, indices: NDArray[Any]) -> Indices:
        """Every assignment that differs from (V,) in variables of one term alone: (number, V)."""
        joined = {tuple(places) for tables in self._tables.values() for places, _ in tables if len(places) > 1}
        rows = []
        for places in sorted(joined):
            for choices in product(*(range(len(self.variables[place].choices)) for place in places)):
                row = np.array(indices, dtype=np.intp)
                row[list(places)] = choices
                rows.append(row)
        return np.array(rows, dtype=np.intp).reshape(-1, len(self.variables))


def _check_term(term: CostTerm, sizes: Mapping[str, int]) -> None:
    unknown = [name for name in term.variables if name not in sizes]
    if unknown:
        raise SearchError(f"expected variables of the problem, got {quoted(unknown[0])}"
                          f"{did_you_mean(unknown[0], list(sizes))}", field=term.label)
    expected = tuple(sizes[name] for name in term.variables)
    if term.values.shape != expected:
        raise SearchError(f"expected a table of shape {expected}, got {term.values.shape}", field=term.label)
