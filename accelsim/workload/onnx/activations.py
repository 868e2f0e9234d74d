"""Scale, zero point and type of a model's activations: as they are written, and as they are read.

A layer writes the integers of the QuantizeLinear behind it (or of its own operator, in a model of quantized operators) and
reads what the DequantizeLinear before it says of them. Operators that move elements, pick the largest or clamp give the same
integers before and behind a rounding, so a rounding may stand behind several of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.encoding import UINT8, Encoding, integer_bits
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.parameters import FLOATING_POINT, Parameters
from accelsim.workload.onnx.translation import Translation

# Their output holds integers of their first input and nothing else.
_MOVING = frozenset({"Transpose", "Slice", "Split", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "MaxPool",
                     "GlobalMaxPool"})

# Rounding is monotone: the largest of the rounded is the rounded largest, a clamp of the rounded one by rounded bounds. The
# border of a Pad is rounded like the rest.
_COMMUTING = _MOVING | {"Pad", "Relu", "Clip"}

# 0 is always among the integers, other bounds and borders need not be.
_ON_THE_SAME_INTEGERS = _MOVING | {"Relu"}

TWO_MEANINGS = "expected one scale and zero point for all that read a tensor, got several"


class NotQuantized(Exception):
    """A layer that the model computes in floating point, or in a form for which there is no kernel."""


class Written(NamedTuple):
    """What a layer writes: its integers' meaning, and the model's name for them ("" if it is no tensor of the model)."""

    qparams: QParams
    model_output: str


class _Rounding(NamedTuple):
    """A QuantizeLinear behind a tensor; `is_direct` if nothing but views stands in between."""

    encoding: Encoding
    output: str
    is_direct: bool


class Activations:
    """Answers for one model; layers are asked for in the network's order.

    Parameters
    ----------
    translation : a finished one.
    parameters : of its graph.
    """

    def __init__(self, translation: Translation, parameters: Parameters) -> None:
        self.translation = translation
        self.parameters = parameters
        self._writers = {name: node for node in translation.nodes for name in node.outputs}
        self._readers: dict[str, list[Node]] = defaultdict(list)
        for node in translation.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers[name].append(node)
        self._stored: dict[str, QParams] = {}

    def read(self, name: str, encoding: Encoding | None = None) -> QParams:
        """The integers that a node reads under this name.

        Parameters
        ----------
        encoding : what the node itself states.

        Raises
        ------
        NotQuantized : they are floating-point numbers.
        WorkloadError : wrong scales or zero points.
        """
        found = self._stated(encoding, name) if encoding is not None else None
        rounded: QParams | None = None
        while name in self.translation.views:
            writer = self._writers[name]
            if writer.quantized is not None:
                rounded = self._stated(writer.quantized, name)
                found = found or rounded
            elif writer.dequantized is not None:
                here = self._stated(writer.dequantized, writer.inputs[0])
                if rounded is not None and here != rounded:
                    raise self.parameters.error(TWO_MEANINGS, name)
                found, rounded = found or here, None
            name = self.translation.views[name]
        stored = self._stored_under(name)
        return found or stored

    def between(self, written: str, read: str, encoding: Encoding | None) -> tuple[QParams, QParams] | None:
        """Between two operators of one layer: what the first rounds to, what the second reads; None if nothing is rounded.

        Parameters
        ----------
        written, read : names of the tensor, as the first writes it and as the second reads it.
        encoding : what the second states.
        """
        found = self._stated(encoding, read) if encoding is not None else None
        rounded: QParams | None = None
        while read != written:
            writer = self._writers[read]
            if writer.quantized is not None:
                rounded = self._stated(writer.quantized, read)
            elif writer.dequantized is not None:
                found = found or self._stated(writer.dequantized, writer.inputs[0])
            read = self.translation.views[read]
        own = self._writers[written].written
        rounded = self._stated(own, written) if own is not None else rounded
        return None if rounded is None else (rounded, found or rounded)

    def written(self, origin: Origin) -> Written:
        """The integers that a layer writes.

        Raises
        ------
        NotQuantized : it writes floating-point numbers.
        WorkloadError : wrong scales or zero points; readers that round the output to different integers.
        """
        found = self._written(origin)
        self._stored[origin.written] = found.qparams
        return found

    def _written(self, origin: Origin) -> Written:
        name = origin.written
        if self.holds_integers(name):
            # Clamps of integers keep what an operator before them states.
            stated = next((node.written for node in reversed(origin.nodes) if node.written is not None), None)
            return Written(self._stated(stated, name) if stated is not None else self.read(origin.operands[0]), name)
        roundings = list(self._roundings(name))
        own = None
        stays = all(_is_among(node, _ON_THE_SAME_INTEGERS) for node in origin.nodes) and len(origin.operands) == 1
        if stays and None in roundings:
            own = self.read(origin.operands[0], origin.node.encoding(0))
        elif None in roundings or not roundings:
            raise NotQuantized(FLOATING_POINT)
        known = [rounding for rounding in roundings if rounding is not None]
        meanings = {self._stated(each.encoding, each.output) for each in known} | ({own} if own is not None else set())
        if len(meanings) > 1:
            raise NotQuantized(TWO_MEANINGS)
        direct = [rounding.output for rounding in known if rounding.is_direct]
        return Written(meanings.pop(), direct[0] if direct else "")

    def given(self, name: str) -> QParams:
        """The integers that an input of the model becomes.

        Raises
        ------
        NotQuantized : the network reads it as floating-point numbers.
        """
        return self._stored_under(name)

    def holds_integers(self, name: str) -> bool:
        """Whether a tensor of the model has an integer type."""
        return self.integer_type(name) != 0

    def integer_type(self, name: str) -> int:
        """ONNX's number of a tensor's integer type; 0 if it holds real numbers."""
        while True:
            writer = self._writers.get(name)
            if writer is None:
                known = self.translation.graph.inputs.get(name)
                found = known.element_type if known is not None else self.parameters.element_type(name)
                return found if integer_bits(found) else 0
            if writer.written is not None:
                stated = writer.written
                return self.parameters.element_type(stated.zero_point) or stated.element_type or UINT8
            if writer.dequantized is not None:
                return 0
            if writer.op == "Cast":
                found = writer.integer("to", 0)
                return found if integer_bits(found) else 0
            name = writer.inputs[1 if writer.op == "Where" else 0]

    def _stored_under(self, root: str) -> QParams:
        if root not in self._stored:
            self._stored[root] = self._input(root)
        return self._stored[root]

    def _input(self, name: str) -> QParams:
        """An input of the model: as it is quantized, or as those who read it say."""
        if self.holds_integers(name):
            stated = next(self._stated_by_readers(name), None)
            if stated is not None:
                return stated
            return QParams(scale=1.0, zero_point=0, qtype=self.parameters.qtype(self.integer_type(name), name))
        roundings = list(self._roundings(name))
        meanings = {self._stated(each.encoding, each.output) for each in roundings if each is not None}
        if None in roundings or not meanings:
            raise NotQuantized(FLOATING_POINT)
        if len(meanings) > 1:
            raise NotQuantized(TWO_MEANINGS)
        return meanings.pop()

    def _stated_by_readers(self, name: str) -> Iterator[QParams]:
        """What the readers of integers say that these mean, also behind operators that keep them."""
        for reader in self._readers[name]:
            encoding = reader.encoding(reader.inputs.index(name))
            if encoding is not None:
                yield self._stated(encoding, name)
            elif reader.written is None and reader.outputs and self.holds_integers(reader.outputs[0]):
                yield from self._stated_by_readers(reader.outputs[0])

    def _roundings(self, name: str, is_direct: bool = True) -> Iterator[_Rounding | None]:
        """The QuantizeLinear behind a tensor on each way that leads from it; None for a way without one."""
        if name in self.translation.graph.outputs:
            yield None
        for reader in self._readers[name]:
            if reader.quantized is not None:
                yield _Rounding(reader.quantized, reader.outputs[0], is_direct)
            elif reader.outputs and reader.outputs[0] in self.translation.views:
                yield from self._roundings(reader.outputs[0], is_direct)
            elif _is_among(reader, _COMMUTING) and reader.inputs[0] == name:
                for output in filter(None, reader.outputs):
                    yield from self._roundings(output, False)
            else:
                yield None

    def _stated(self, encoding: Encoding, name: str) -> QParams:
        return self.parameters.qparams(encoding, name, None, self.integer_type(name))


def _is_among(node: Node, operators: frozenset[str]) -> bool:
    """Whether an operator is of this kind; a nearest neighbour is a moved one."""
    is_nearest = node.op in ("Resize", "Upsample") and node.attribute("mode", "nearest") == "nearest"
    return is_nearest or node.op in operators
