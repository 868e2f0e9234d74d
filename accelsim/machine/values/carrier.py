"""The integers of one layer while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.mapping.program import Compute, Load, Requantize, Store, VectorCompute
from accelsim.results.layer_values import LayerValues


class Carrier:
    """What the units tell as they carry out the steps of a layer; a carrier that looks at whole layers ignores most of it.

    The machine calls each method when the step is over, so no method needs the time except to date what it finds.
    """

    #: Whether it needs to be told of every step, or of the layer's begin and end alone.
    follows_steps = True

    def begin(self, inputs: Sequence[NDArray[Any]]) -> None:
        """The layer starts: the activations that it reads, in its order and in the model's layout. Weights may have been
        loaded before."""
        raise NotImplementedError

    def load(self, load: Load) -> None:
        """A tile has landed in its buffer."""

    def free(self, numbers: tuple[int, ...]) -> None:
        """Tiles that no later step needs gave their room back."""

    def accumulate(self, step: Compute, start: int) -> None:
        """A compute step has streamed, from cycle `start` on."""

    def requantize(self, step: Requantize) -> None:
        """A block of accumulators became outputs."""

    def compute(self, step: VectorCompute) -> None:
        """The vector unit made a range of outputs."""

    def store(self, step: Store) -> None:
        """A block of outputs is in DRAM."""

    def finish(self) -> NDArray[Any]:
        """The layer's whole output, in the model's layout and the output type's dtype."""
        raise NotImplementedError

    def observed(self) -> LayerValues:
        """What happened to the integers; asked for after `finish`."""
        raise NotImplementedError
