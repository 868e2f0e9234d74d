"""Dotted paths into a description as plain data: ``dram.bandwidth``, ``energy.multiply.0.energy``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.problem import did_you_mean, quoted


def path_mistake(dotted: str, document: object) -> str | None:
    """What is wrong with a path, or None if it leads to a value of the document.

    Examples
    --------
    >>> path_mistake("pe_grid.rows", {"pe_grid": {"rows": 4}})
    >>> path_mistake("pe_grid.rwos", {"pe_grid": {"rows": 4}})
    'expected the dotted path of a field, got "pe_grid.rwos" (did you mean "pe_grid.rows"?)'
    """
    here = document
    walked: list[str] = []
    for part in dotted.split("."):
        below = _below(here)
        if part not in below:
            paths = [".".join([*walked, key]) for key in below]
            return f"expected the dotted path of a field, got {quoted(dotted)}{did_you_mean(dotted, paths)}"
        walked.append(part)
        here = below[part]
    return None


def put(document: Any, dotted: str, value: object) -> None:
    """Replace the value at a path that `path_mistake` found right, in place."""
    *parents, last = dotted.split(".")
    here = document
    for part in parents:
        here = _below(here)[part]
    here[int(last) if isinstance(here, list) else last] = value


def _below(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return {str(index): item for index, item in enumerate(value)} if isinstance(value, list) else {}
