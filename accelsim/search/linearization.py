"""A problem as integer linear constraints, exactly.

A term over one variable is linear in its indicators. For a term over several, with u the combinations of their choices,
there is an indicator y_u of each combination, and marginals tie it to the indicators x of the choices (the usual product
linearization of 0/1 variables; Fortet 1960, in the form of Adams and Sherali 1986):

    sum over u with u_v = c of  y_u  =  x_{v, c}        for every variable v of the term and every choice c

With the x at 0 or 1 only one y can be 1, that of the chosen combination. Two reductions keep the optimum:

- terms whose variables are among those of another one are added to that one's table: they need no indicators of their own;
- a variable of a single table needs no x. Of the combinations of all such variables of a table those are dropped that, next
  to the same shared choices, another one beats or equals in the objective and in every limited cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from accelsim.search.problem import Indices, Problem, Table


@dataclass(frozen=True, eq=False)
class Scope:
    """Variables that some term joins, and all costs over them.

    Parameters
    ----------
    places : columns of the variables, rising.
    tables : (costs, choices of the first, of the second, ...): the objective, then the limited costs.
    """

    places: tuple[int, ...]
    tables: Table


@dataclass(frozen=True, eq=False)
class Linearization:
    """Indicators, constraints among them, and costs.

    Parameters
    ----------
    offsets : column of a variable that has indicators of its own, x -> where they begin.
    rows : (indicators, V): the choices that an indicator of a combination stands for, -1 for variables that it leaves open.
    costs : (costs, indicators): the objective, then the limited costs in their order.
    equal : constraints ``equal @ indicators = right``.
    is_integral : which indicators must be whole for all to be.
    is_impossible : whether all combinations of some term are forbidden.
    """

    offsets: Mapping[int, int]
    rows: NDArray[np.intp]
    costs: NDArray[np.float64]
    equal: sparse.csr_matrix
    right: NDArray[np.float64]
    is_integral: NDArray[np.bool_]
    is_impossible: bool = False

    def indices(self, values: NDArray[np.float64]) -> Indices:
        """The assignment (V,) that indicators stand for."""
        found = np.zeros(self.rows.shape[1], dtype=np.intp)
        for row in self.rows[values > 0.5]:
            found = np.where(row >= 0, row, found)
        return found

    def support(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """The whole indicators that are 1: together they make the assignment."""
        return np.flatnonzero((values > 0.5) & self.is_integral)


def scopes_of(problem: Problem) -> list[Scope]:
    """The largest sets of variables that terms join, with every term in one of them; variables of no term on their own."""
    names = (problem.objective, *problem.limits)
    found: set[frozenset[int]] = {frozenset((place,)) for place in range(len(problem.variables))}
    for name in names:
        found |= {frozenset(places) for places, _ in problem._tables[name] if places}
    largest = [scope for scope in found if not any(scope < other for other in found)]
    ordered = sorted(tuple(sorted(scope)) for scope in largest)
    tables = {scope: np.zeros((len(names), *(len(problem.variables[place].choices) for place in scope)))
              for scope in ordered}
    for number, name in enumerate(names):
        for places, values in problem._tables[name]:
            if places:
                home = next(scope for scope in ordered if set(places) <= set(scope))
                tables[home][number] += _spread(places, values, home)
    return [Scope(scope, table) for scope, table in tables.items()]


def _spread(places: Sequence[int], values: Table, home: Sequence[int]) -> Table:
    """A table with an axis of length 1 for each variable of the scope that it does not touch."""
    order = np.argsort(places)
    shape = iter(values.shape[axis] for axis in order)
    return np.transpose(values, order).reshape([next(shape) if place in places else 1 for place in home])


def linearized(problem: Problem) -> Linearization:
    """The constraints of a problem, but for its limits."""
    scopes = scopes_of(problem)
    homes = [place for scope in scopes for place in scope.places]
    shared = {place for place in set(homes) if homes.count(place) > 1}
    build = _Building(problem, shared)
    for scope in scopes:
        build.put(scope)
    return build.done()


class _Building:
    """Constraints as they are collected."""

    def __init__(self, problem: Problem, shared: set[int]) -> None:
        self.width = len(problem.variables)
        self.shared = shared
        self.costs: list[NDArray[np.float64]] = []
        self.rows: list[NDArray[np.intp]] = []
        self.integral: list[bool] = []
        self.entries: list[tuple[int, int, float]] = []
        self.right: list[float] = []
        self.offsets: dict[int, int] = {}
        self.is_impossible = False
        self.count = 1 + len(problem.limits)
        for place in sorted(shared):
            self.offsets[place] = len(self.rows)
            choices = len(problem.variables[place].choices)
            self._choose_one(range(len(self.rows), len(self.rows) + choices))
            for choice in range(choices):
                row = np.full(self.width, -1, dtype=np.intp)
                row[place] = choice
                self._put(row, np.zeros(self.count), True)

    def _put(self, row: NDArray[np.intp], costs: NDArray[np.float64], is_integral: bool) -> None:
        self.rows.append(row)
        self.costs.append(costs)
        self.integral.append(is_integral)

    def _choose_one(self, columns: Sequence[int]) -> None:
        self.entries += [(len(self.right), column, 1.0) for column in columns]
        self.right.append(1.0)

    def put(self, scope: Scope) -> None:
        """Indicators of a scope's combinations."""
        axes = [axis for axis, place in enumerate(scope.places) if place in self.shared]
        own = [axis for axis in range(len(scope.places)) if axis not in axes]
        first = len(self.rows)
        kept: list[tuple[int, ...]] = []
        for outer in product(*(range(scope.tables.shape[1 + axis]) for axis in axes)):
            for inner in _undominated(scope.tables, axes, outer, own):
                choice = np.zeros(len(scope.places), dtype=np.intp)
                choice[axes], choice[own] = outer, inner
                row = np.full(self.width, -1, dtype=np.intp)
                row[list(scope.places)] = choice
                kept.append(outer)
                # Where the shared choices leave nothing open the x decide, and y follows.
                self._put(row, scope.tables[(slice(None), *choice)], bool(own))
        columns = range(first, len(self.rows))
        self.is_impossible = self.is_impossible or not columns
        if not axes:
            self._choose_one(columns)
        for number, axis in enumerate(axes):
            for chosen in range(scope.tables.shape[1 + axis]):
                equation = len(self.right)
                self.entries += [(equation, column, 1.0) for column, outer in zip(columns, kept, strict=True)
                                 if outer[number] == chosen]
                self.entries.append((equation, self.offsets[scope.places[axis]] + chosen, -1.0))
                self.right.append(0.0)

    def done(self) -> Linearization:
        equations, columns, values = (np.array([entry[part] for entry in self.entries]) for part in range(3))
        equal = sparse.csr_matrix((values, (equations, columns)), shape=(len(self.right), len(self.rows)))
        rows = np.array(self.rows, dtype=np.intp).reshape(-1, self.width)
        costs = np.array(self.costs).reshape(-1, self.count).T
        return Linearization(self.offsets, rows, costs, equal, np.array(self.right), np.array(self.integral),
                             self.is_impossible)


def _undominated(tables: Table, axes: Sequence[int], outer: Sequence[int], own: Sequence[int]) -> list[tuple[int, ...]]:
    """Combinations of the axes of a scope's own that no other beats or equals in all costs, next to given shared choices."""
    place: list[slice | int] = [slice(None)] * tables.ndim
    for axis, choice in zip(axes, outer, strict=True):
        place[1 + axis] = choice
    part = tables[tuple(place)]
    shape = part.shape[1:]
    assert len(shape) == len(own)
    costs = part.reshape(len(tables), prod(shape)).T
    finite = np.flatnonzero(np.isfinite(costs).all(axis=1))
    # In lexicographic order only an earlier one can dominate a later one.
    order = finite[np.lexsort(costs[finite].T[::-1])]
    kept: list[int] = []
    for candidate in order:
        if not any(np.all(costs[other] <= costs[candidate]) for other in kept):
            kept.append(int(candidate))
    return [tuple(int(index) for index in np.unravel_index(number, shape)) for number in kept]
