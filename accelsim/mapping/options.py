"""What the user may choose about the mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Objective = Literal["latency", "energy", "edp"]


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """Choices that hold for a whole run; they are part of a result's identity.

    Parameters
    ----------
    objective : what the mapper makes small: cycles, energy, or their product.
    keeps_activations : outputs stay on chip for the next layer where they fit and one buffer holds inputs and outputs.
    prefetches_weights : the first weights of a layer are loaded while the layer before it runs, where there is room.
    proved_candidates : how many of the best mappings by the fast cost model are run in the simulator (at least 1).

    With `keeps_activations` and `prefetches_weights` off, layers are independent: a network takes the sum of its layers.
    """

    objective: Objective = "latency"
    keeps_activations: bool = False
    prefetches_weights: bool = False
    proved_candidates: int = 3

    def __post_init__(self) -> None:
        assert self.objective in ("latency", "energy", "edp")
        assert self.proved_candidates >= 1

    def to_text(self) -> dict[str, str]:
        """For results: every option as text."""
        return {
            "objective": self.objective,
            "keeps_activations": "yes" if self.keeps_activations else "no",
            "prefetches_weights": "yes" if self.prefetches_weights else "no",
            "proved_candidates": str(self.proved_candidates),
        }
