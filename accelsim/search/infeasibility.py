"""Why no assignment keeps the limits, in one line: the smallest feasible value, and what binds."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.errors import SearchError
from accelsim.search.problem import LIMIT_TOLERANCE, Problem

#: The least that a cost can be within a problem's limits; None if none keeps them.
Cheapest = Callable[[Problem, str], float | None]


def refused(problem: Problem, cheapest: Cheapest) -> SearchError:
    """The error for a problem that has no solution.

    A limit below what the cost can be at all is told first; else the limits that contradict each other.
    """
    alone = {name: cheapest(problem.with_limits({}), name) for name in problem.limits}
    if None in alone.values() or not problem.limits:
        return SearchError("expected a choice of widths that is allowed, got none: every one is forbidden by some layer")
    for name, least in alone.items():
        limit = problem.limits[name]
        if least is not None and least > limit + LIMIT_TOLERANCE * abs(limit):
            return SearchError(f"expected at least {problem.text(name, least)}, the smallest that these widths reach, got "
                               f"{problem.text(name, limit)}{_fixed(problem)}", field=name)
    name = next(iter(problem.limits))
    for name in problem.limits:
        others = {other: limit for other, limit in problem.limits.items() if other != name}
        least = cheapest(problem.with_limits(others), name)
        if least is not None:
            binding = " and ".join(f"{other} within {problem.text(other, limit)}" for other, limit in others.items())
            return SearchError(f"expected at least {problem.text(name, least)}, the smallest with {binding}, got "
                               f"{problem.text(name, problem.limits[name])}{_fixed(problem)}", field=name)
    return SearchError(f"expected limits that can be kept together, got {', '.join(problem.limits)}: no two of them can")


def _fixed(problem: Problem) -> str:
    """What is not free to choose: often the reason."""
    fixed = [variable.name for variable in problem.variables if len(variable.choices) == 1]
    if not fixed:
        return ""
    shown = ", ".join(fixed[:4]) + (f" and {len(fixed) - 4} more" if len(fixed) > 4 else "")
    return f"; fixed: {shown}"
