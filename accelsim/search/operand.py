"""What of a network has a width of its own."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: Constant weights of a layer; tensors on one grid; accumulators of a layer.
OperandKind = Literal["weights", "activations", "accumulators"]


class Operand(NamedTuple):
    """Something with a width.

    Parameters
    ----------
    kind : of operand.
    name : of the layer; of activations that of the group (`Placement.groups`): its first tensor.
    """

    kind: OperandKind
    name: str

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"
