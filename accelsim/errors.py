"""Every error that accelsim raises on purpose.

::

    AccelsimError                 caught by the command line: one line, exit code 2
    ├── UnitError                 a quantity that is not written as number and unit
    ├── NumericsError             integers, scales or zero points that no exact result exists for
    ├── HardwareError             an accelerator description that is wrong or impossible
    ├── WorkloadError             a model or layer list that cannot be read or is not a network
    │   └── UnsupportedOperatorError   ``--strict`` met an operator that is not simulated
    ├── QuantizationError         a policy or recipe that is wrong, or that does not go with its network
    ├── MappingError              a layer that fits nowhere on this accelerator
    ├── TableError                a latency table that is wrong, or that was made for something else
    ├── SearchError               budgets or sensitivities that are wrong, or that no choice of bits meets
    └── OutputError               a result that cannot be written

Messages read ``file:line: field: expected ..., got ...``; the parts that are not known are left out.
An ``assert`` guards our own invariants only and never reports a user's mistake.
"""

from __future__ import annotations


class AccelsimError(Exception):
    """A mistake in what the user gave, told in one line.

    Parameters
    ----------
    problem : what is wrong, in words ("expected at least 4 KiB, got 1 KiB").
    file : the file it stands in, if any.
    line : the line in that file, counted from 1, if known.
    field : dotted path of the field ("memory.weights.capacity"), or the layer's name.

    Examples
    --------
    >>> str(AccelsimError("expected at least 1, got 0", file="npu.yaml", line=7, field="pe_grid.rows"))
    'npu.yaml:7: pe_grid.rows: expected at least 1, got 0'
    >>> str(AccelsimError("no such layer", field="conv9"))
    'conv9: no such layer'
    """

    def __init__(
        self, problem: str, *, file: str | None = None, line: int | None = None, field: str | None = None
    ) -> None:
        self.problem = " ".join(problem.split())
        self.file = file
        self.line = line
        self.field = field
        super().__init__(self._text())

    def _text(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.field, self.problem) if part)


class UnitError(AccelsimError):
    """A quantity without its unit, with a wrong unit, or not a number."""


class NumericsError(AccelsimError):
    """Integers, scales or zero points that are outside their range, or that a named rule leaves undefined."""


class HardwareError(AccelsimError):
    """An accelerator description that is wrong or impossible."""


class WorkloadError(AccelsimError):
    """A model or layer list that cannot be read or does not form a network."""


class UnsupportedOperatorError(WorkloadError):
    """``--strict`` met an operator that the simulator does not execute."""


class QuantizationError(AccelsimError):
    """A bit policy or recipe that is wrong, or that does not go with its network."""


class MappingError(AccelsimError):
    """A layer that fits nowhere on this accelerator."""


class TableError(AccelsimError):
    """A latency table that cannot be read, that lacks what is asked of it, or that was made for something else."""


class SearchError(AccelsimError):
    """Budgets, choices or sensitivities that are wrong, or a problem that has no solution."""


class OutputError(AccelsimError):
    """A result that cannot be written where the user asked."""
