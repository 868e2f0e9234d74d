"""A cell of a table on the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """What it shows and what its row is sorted by."""

    text: str
    key: str | float
    is_number: bool = True
