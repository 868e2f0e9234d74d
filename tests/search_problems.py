"""Small search problems, drawn at random, and their truth by looking at every assignment."""

import itertools
import math

import numpy as np
from hypothesis import strategies as st

from accelsim.search.problem import CostTerm, Problem, Variable

WIDTHS = (2, 3, 4, 6, 8)


@st.composite
def problems(draw, *, may_forbid=True):
    """Two to five variables, three costs of terms over one to three of them, up to two limits."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    variables = tuple(Variable(f"v{number}", WIDTHS[:draw(st.integers(1, 3))]) for number in range(draw(st.integers(2, 5))))
    costs = {}
    for cost in ("error", "time", "size"):
        terms = []
        for number in range(draw(st.integers(1, 5))):
            count = min(int(generator.integers(1, 4)), len(variables))
            joined = [variables[place] for place in generator.permutation(len(variables))[:count]]
            # Whole numbers: ties are common, and sums are exact.
            values = generator.integers(0, 20, [len(each.choices) for each in joined]).astype(float)
            if may_forbid and cost == "error" and generator.random() < 0.3:
                values[tuple(generator.integers(0, size) for size in values.shape)] = np.inf
            terms.append(CostTerm.of(f"layer {number}", [each.name for each in joined], values))
        costs[cost] = tuple(terms)
    limited = draw(st.sampled_from([(), ("time",), ("time", "size")]))
    return Problem(variables, costs, "error", {name: float(draw(st.integers(0, 60))) for name in limited})


def cost_of(problem, cost, widths):
    """The sum of a cost's terms, one after the other."""
    places = {variable.name: variable.choices.index(width)
              for variable, width in zip(problem.variables, widths, strict=True)}
    return math.fsum(float(term.values[tuple(places[name] for name in term.variables)]) for term in problem.costs[cost])


def assignments(problem):
    """(objective, costs by name, widths) of each assignment that is allowed and keeps the limits."""
    for widths in itertools.product(*(variable.choices for variable in problem.variables)):
        costs = {name: cost_of(problem, name, widths) for name in problem.costs}
        within = all(costs[name] <= limit for name, limit in problem.limits.items())
        if within and math.isfinite(costs[problem.objective]):
            yield costs[problem.objective], costs, widths
