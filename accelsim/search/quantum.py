"""The unit of which all entries of a cost are whole multiples: a cycle, a byte, a bit operation.

Where a cost has one, its limit can be drawn half a unit above the largest sum that is allowed, where no sum lies: then no
rounding error of a solver decides.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import numpy as np

from accelsim.search.problem import Problem

# Entries of more units than this: half a unit is lost in a solver's tolerance of 1e-6 of a row's largest coefficient.
_MOST_UNITS = 1e5


def quantum_of(problem: Problem, cost: str) -> float | None:
    """The largest unit of a cost; None where there is none that is not tiny, or where all entries are 0.

    Entries count as the decimal numbers that they print as.

    Examples
    --------
    >>> from accelsim.search.problem import CostTerm, Variable
    >>> terms = (CostTerm.of("a", ["a"], [0.6, 1.5]), CostTerm.of("a", [], 0.3))
    >>> quantum_of(Problem((Variable("a", (4, 8)),), {"t": terms}, "t", {}), "t")
    0.3
    """
    entries = {float(value) for _, values in problem._tables[cost] for value in np.unique(values) if np.isfinite(value)}
    entries.discard(0.0)
    if not entries:
        return None
    most = max(map(abs, entries))
    unit: Fraction | None = None
    for value in entries:
        other = Fraction(repr(abs(value)))
        unit = other if unit is None else Fraction(
            gcd(unit.numerator * other.denominator, other.numerator * unit.denominator),
            unit.denominator * other.denominator)
        if most / unit > _MOST_UNITS:
            return None
    return None if unit is None else float(unit)
