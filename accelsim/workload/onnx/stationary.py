"""What the operand that plays the weights asks of the hardware beside its products: zero points, scales of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from accelsim.workload.onnx.encoding import Encoding
from accelsim.workload.onnx.graph import Graph, Node

# Their first input's integers, elsewhere.
_MOVING = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast"})


class Stationary(NamedTuple):
    """The operand that plays the weights: the node's input, and its axis along which products are added up."""

    node: Node
    position: int
    inner_axis: int

    def encoding(self, writers: Mapping[str, Node]) -> tuple[Encoding | None, bool]:
        """What the model states for its integers, and whether it states it for this shape of them."""
        stated, name, is_direct = self.node.encoding(self.position), self.node.inputs[self.position], True
        while stated is None and name in writers:
            writer = writers[name]
            stated = writer.dequantized
            if stated is None and writer.op not in _MOVING:
                break
            is_direct &= stated is not None
            name = writer.inputs[0]
        return stated, is_direct


def has_zero_point(encoding: Encoding | None, graph: Graph) -> bool:
    """Whether some zero point is not 0; one that is not known counts as 0.

    Blocks have their zero points packed, and none of them is told apart here.
    """
    from onnx import external_data_helper, numpy_helper

    if encoding is None or encoding.block_size or encoding.zero_point not in graph.constants:
        return False
    value, stored = graph.constants[encoding.zero_point].value, graph.parameters.get(encoding.zero_point)
    if value is None and stored is not None and not external_data_helper.uses_external_data(stored):
        # One a channel, and more channels than small constants have elements.
        value = numpy_helper.to_array(stored)
    return value is not None and bool(np.any(value.astype(np.int64) != 0))


def scale_groups(stationary: Stationary, encoding: Encoding | None, is_direct: bool, k: int, rank: int) -> int:
    """Scales per output channel: more than 1 where blocks of the reduction have a scale each.

    Parameters
    ----------
    k : products that one output adds up.
    rank : of the operand.
    """
    if encoding is None or not encoding.block_size or not is_direct:
        return 1
    return -(-k // encoding.block_size) if encoding.axis % rank == stationary.inner_axis else 1
