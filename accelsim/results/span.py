"""What a unit did from when to when, and how a level changed: the raw material of the timeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work of one unit, [start, end) in cycles.

    `unit` is "pe_grid", "pe_grid.preload", "accumulators",
    "requantizer", "vector_unit" or "dma.<queue>"; `label` what it worked on ("load
    weights"); `layer` the layer's name; `detail` the index ranges in words.
    """

    unit: str
    label: str
    layer: str
    start_cycle: int
    end_cycle: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The level of a counter from this cycle on: `buffer.<region>` in bytes, `dram` in bytes per cycle."""

    counter: str
    cycle: int
    value: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every span and sample of a run, in the order in which they began."""

    spans: tuple[Span, ...]
    samples: tuple[Sample, ...]
