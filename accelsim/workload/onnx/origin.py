"""What a layer stands for in an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.workload.onnx.graph import Node


@dataclass(frozen=True)
class Origin:
    """The operators that one layer executes.

    Parameters
    ----------
    nodes : in normal form; those behind the first were absorbed, one after the other.
    operands : names under which the first node reads the layer's inputs, in the layer's order: tensors or views of them.
    output : which of the first node's outputs it is, if nothing was absorbed.
    """

    nodes: tuple[Node, ...]
    operands: tuple[str, ...]
    output: int = 0

    @property
    def node(self) -> Node:
        """The operator that the layer is named after."""
        return self.nodes[0]

    @property
    def written(self) -> str:
        """The tensor of the graph that the layer writes."""
        return self.nodes[0].outputs[self.output] if len(self.nodes) == 1 else self.nodes[-1].outputs[0]
