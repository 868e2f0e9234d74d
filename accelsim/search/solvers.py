"""The solvers by the names that the command line knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accelsim.errors import SearchError
from accelsim.problem import wrong_choice
from accelsim.search.differentiable import Differentiable
from accelsim.search.evolutionary import Evolutionary
from accelsim.search.exhaustive import Exhaustive
from accelsim.search.greedy import Greedy
from accelsim.search.ilp import IntegerProgram
from accelsim.search.reinforcement import Reinforcement
from accelsim.search.solution import Solver

#: What makes each solver, with its usual options.
SOLVERS: Mapping[str, Callable[[], Solver]] = {
    "ilp": IntegerProgram, "exhaustive": Exhaustive, "greedy": Greedy, "evolutionary": Evolutionary,
    "reinforcement": Reinforcement, "differentiable": Differentiable}


def solver_named(name: str) -> Solver:
    """A solver by its name.

    >>> solver_named("ilp").name
    'ilp'

    Raises
    ------
    SearchError : none of that name.
    """
    if name not in SOLVERS:
        raise SearchError(wrong_choice(name, list(SOLVERS)), field="--method")
    return SOLVERS[name]()
