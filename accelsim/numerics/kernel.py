"""What a layer off the PE grid computes: integers in, integers out, under a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from accelsim.numerics.rule import Rule


class Kernel(Protocol):
    """A frozen description of one operator with its scales and constants, that can be run.

    `run` takes the activations that the layer reads, in the layer's order, each in the model's own layout and in its
    type's dtype, and returns the output in the model's layout and in the output type's dtype. Kernels hold no state: the
    same inputs and rule give the same integers.
    """

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]: ...
