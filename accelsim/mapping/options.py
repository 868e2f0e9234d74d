"""What the user may choose about the mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from accelsim.errors import AccelsimError

Objective = Literal["latency", "energy", "edp"]


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """Choices that hold for a whole run; they are part of a result's identity.

    Parameters
    ----------
    objective : what the mapper makes small: cycles, energy, or their product.
    keeps_activations : outputs stay on chip until their last reader has run, where one buffer holds inputs and outputs and
        they take at most half of it. They leave less room for tiles, which can cost more than it saves.
    prefetches_weights : the first weights of a layer are loaded while the layer before it runs, where there is room. They
        may delay that layer's last stores.
    proved_candidates : how many of the best mappings by the fast cost model are run in the simulator (at least 1).

    With `keeps_activations` and `prefetches_weights` off, layers are independent: a network takes the sum of its layers.

    Raises
    ------
    AccelsimError : an unknown objective, or no candidate to prove.
    """

    objective: Objective = "latency"
    keeps_activations: bool = False
    prefetches_weights: bool = False
    proved_candidates: int = 3

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise AccelsimError(f"expected latency, energy or edp, got {self.objective}", field="objective")
        if self.proved_candidates < 1:
            raise AccelsimError(f"expected at least 1, got {self.proved_candidates}", field="proved_candidates")

    def to_text(self) -> dict[str, str]:
        """For results: every option as text."""
        return {
            "objective": self.objective,
            "keeps_activations": "yes" if self.keeps_activations else "no",
            "prefetches_weights": "yes" if self.prefetches_weights else "no",
            "proved_candidates": str(self.proved_candidates),
        }
