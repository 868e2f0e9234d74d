"""The level of the machine at which energy is spent."""

from __future__ import annotations

#: Component of a result's energy -> level.
_LEVELS = {
    "multipliers": "grid", "adders": "grid", "registers": "grid", "codebook": "grid", "accumulators": "accumulators",
    "requantizer": "vector", "vector_unit": "vector", "dram": "dram", "leakage": "leakage",
}


def component_level(component: str) -> str:
    """The level that a component of a layer's energy belongs to: grid, accumulators, buffers, dram, vector or leakage.

    Examples
    --------
    >>> component_level("adders"), component_level("buffers.scratchpad")
    ('grid', 'buffers')
    """
    return "buffers" if component.startswith("buffers.") else _LEVELS[component]
