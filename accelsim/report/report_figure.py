"""A figure of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.results.network_result import NetworkResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """How it is drawn, and how it is read."""

    draw: Callable[[NetworkResult], Figure]
    heading: str
    caption: str
