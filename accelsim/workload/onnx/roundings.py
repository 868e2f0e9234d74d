"""Which integers the values of a graph's tensors lie on: a tensor that is rounded twice is an operation of its own.

A QuantizeLinear behind a layer belongs to that layer's requantization. One behind a DequantizeLinear changes nothing where
both state the same scale, zero point and type; where they differ, the integers are rescaled, which takes a pass. Only small
constants are looked at: a scale that is computed counts as equal to any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from accelsim.numerics.qtype import QType
from accelsim.workload.onnx.encoding import UINT8, Encoding
from accelsim.workload.onnx.graph import Constant, Node

#: Scale, zero point and type of a tensor, comparable; None where they are not known, or where there are none.
Integers = tuple[float, int, int | QType] | None


class Roundings:
    """Where values are rounded to integers, and to which.

    Parameters
    ----------
    nodes : of the graph in normal form.
    constants : of the graph.
    views : name of a view -> what it is a view of; read anew on each question, so it may still grow.
    true_types : of the graph.
    """

    def __init__(self, nodes: Sequence[Node], constants: Mapping[str, Constant], views: Mapping[str, str],
                 true_types: Mapping[str, QType]) -> None:
        self._constants = constants
        self._true_types = true_types
        self._views = views
        self._writers = {name: node for node in nodes for name in node.outputs}
        self._readers: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            for name in node.inputs:
                self._readers[name].append(node)

    def changes_integers(self, node: Node) -> bool:
        """Whether a node is a QuantizeLinear of values that lie on other integers already."""
        if node.quantized is None:
            return False
        before, after = self.before(node.inputs[0]), self._integers(node.quantized)
        return None not in (before, after) and before != after

    def keeps_integers(self, node: Node) -> bool:
        """Whether what a node writes is rounded to the integers that its input lies on, or not rounded again."""
        before = self.before(node.inputs[0])
        return before is None or self._behind(node.outputs[0]) <= {before, None}

    def before(self, name: str) -> Integers:
        """The integers that a tensor's values lie on where it is read under this name."""
        while True:
            writer = self._writers.get(name)
            stated = (writer.dequantized or writer.written) if writer is not None else None
            if stated is not None:
                return self._integers(stated)
            if name not in self._views:
                return None
            name = self._views[name]

    def stored(self, name: str, read: Encoding | None) -> Encoding | None:
        """The encoding of the tensor that `name` is a view of, None where that holds real numbers.

        `read` is what the reader states for the integers that it reads under this name.
        """
        while name in self._views:
            writer = self._writers[name]
            read = None if writer.quantized is not None else writer.dequantized or read
            name = self._views[name]
        return read

    def zero_point(self, encoding: Encoding) -> int | None:
        """A zero point for the whole tensor, None where it is not known."""
        if not encoding.zero_point:
            return 0
        point = self._scalar(encoding.zero_point)
        return None if point is None else int(point)

    def _behind(self, name: str) -> set[Integers]:
        """What the readers of a tensor round it to, directly or as a view."""
        found: set[Integers] = set()
        for reader in self._readers[name]:
            if reader.quantized is not None:
                found.add(self._integers(reader.quantized))
            elif reader.outputs and reader.outputs[0] in self._views:
                found |= self._behind(reader.outputs[0])
        return found

    def _integers(self, encoding: Encoding) -> Integers:
        scale, point = self._scalar(encoding.scale), self.zero_point(encoding)
        if scale is None or point is None:
            return None
        if encoding.zero_point in self._true_types:
            return scale, point, self._true_types[encoding.zero_point]
        zero = self._constants.get(encoding.zero_point)
        return scale, point, zero.element_type if zero is not None else encoding.element_type or UINT8

    def _scalar(self, name: str) -> float | None:
        constant = self._constants.get(name)
        value = constant.value if constant is not None else None
        return float(value.flat[0]) if value is not None and value.size == 1 else None
