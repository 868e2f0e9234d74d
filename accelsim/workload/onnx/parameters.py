"""The constants of a model with their numbers: integers with scales, or real numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.workload.onnx.encoding import UINT8, Encoding, integer_bits, is_signed
from accelsim.workload.onnx.graph import Graph, Node
from accelsim.workload.onnx.shapes import reference_value
from accelsim.workload.onnx.tensor_data import numbers, type_name
from accelsim.workload.onnx.true_types import KEY
from accelsim.workload.tensor import Shape

#: What messages say of a tensor that is not quantized.
FLOATING_POINT = "expected integers with scale and zero point, got floating-point numbers; quantize the model first"

# Wider integers are indices and sizes; 32 bits are biases.
_WIDEST_BITS = 32


@dataclass(frozen=True, eq=False)
class QuantizedConstant:
    """Integers of a constant and what they mean: per tensor, one scale an index of one axis (`qparams.axis`), or one a block
    of it (`qparams.group_size`)."""

    values: NDArray[Any]
    qparams: QParams

    def moved(self, values: NDArray[Any], axis: int | None) -> QuantizedConstant:
        """The same integers in another shape."""
        own = self.qparams
        return replace(self, values=values, qparams=QParams(scale=own.scale, zero_point=own.zero_point, qtype=own.qtype,
                                                            axis=axis))


class Parameters:
    """Reads constants when asked for; nothing is kept.

    Parameters
    ----------
    graph : in normal form.
    path : of the model, for messages and external data.
    """

    def __init__(self, graph: Graph, path: Path) -> None:
        self._graph = graph
        self._path = path
        self._writers = {name: node for node in graph.nodes for name in node.outputs}

    def error(self, problem: str, field: str) -> WorkloadError:
        return WorkloadError(problem, file=str(self._path), field=field)

    def array(self, name: str) -> NDArray[Any]:
        """The numbers of a constant: of the model, or computed from such. Quantized ones are dequantized to float32.

        Raises
        ------
        WorkloadError : numbers that are missing, truncated, or outside their type.
        """
        if name in self._graph.parameters:
            return numbers(self._graph.parameters[name], self._path)
        constant = self._graph.constants.get(name)
        if constant is not None and constant.value is not None:
            return constant.value
        writer = self._writers.get(name)
        if writer is None or constant is not None:
            raise self.error("expected a constant with its numbers, got none", name)
        if writer.dequantized is not None:
            found = self.quantized(name)
            return found.qparams.dequantize(found.values, dtype=np.float32)
        if writer.quantized is not None:
            return self._rounded(writer).values
        value = reference_value(writer, {each: self.array(each) for each in writer.inputs if each}, self._graph)
        if value is None:
            raise self.error("expected a constant with its numbers, got a computation that fails", name)
        return value

    def is_quantized(self, name: str) -> bool:
        """Whether a constant is integers with scale and zero point, that a DequantizeLinear makes real."""
        writer = self._writers.get(name)
        while writer is not None and writer.dequantized is None and writer.op in _MOVES:
            writer = self._writers.get(writer.inputs[0])
        return writer is not None and writer.dequantized is not None

    def quantized(self, name: str, encoding: Encoding | None = None) -> QuantizedConstant:
        """The integers of a constant.

        Parameters
        ----------
        encoding : what the operator that reads them states; None if a DequantizeLinear stands in between.

        Raises
        ------
        WorkloadError : a constant in floating point; scales and zero points that are wrong.
        """
        writer, is_packed = self._writers.get(name), encoding is not None
        if encoding is None and writer is not None and writer.dequantized is not None:
            encoding, name = writer.dequantized, writer.inputs[0]
            writer = self._writers.get(name)
        if encoding is not None:
            if writer is not None and writer.quantized is not None:
                return self._rounded(writer)
            values = self.array(name)
            if encoding.block_size and not is_packed:
                return QuantizedConstant(values, self._blocked(encoding, name, values.shape))
            return QuantizedConstant(values, self.qparams(encoding, name, values.shape, self.element_type(name)))
        if writer is None or writer.op not in _MOVES:
            raise self.error(FLOATING_POINT, name)
        return self._moved(writer)

    def _rounded(self, node: Node) -> QuantizedConstant:
        """A QuantizeLinear of a constant."""
        assert node.quantized is not None
        values = self.array(node.inputs[0])
        meaning = self.qparams(node.quantized, node.outputs[0], values.shape, 0)
        return QuantizedConstant(meaning.quantize(values), meaning)

    def _moved(self, node: Node) -> QuantizedConstant:
        """A quantized constant behind an operator that moves its elements; the axis of its scales moves along."""
        source = self.quantized(node.inputs[0])
        values, axis = source.values, source.qparams.axis
        if source.qparams.group_size is not None:
            raise self.error(f"expected a constant with scales of blocks as it is read, got one behind a {node.op}",
                             node.label)
        if node.op == "Transpose":
            order = node.integers("perm") or tuple(reversed(range(values.ndim)))
            return source.moved(values.transpose(order), order.index(axis) if axis is not None else None)
        operands = {node.inputs[0]: values} | {name: self.array(name) for name in node.inputs[1:] if name}
        moved = reference_value(replace(node, encodings=()), operands, self._graph)
        if moved is None:
            raise self.error(f"expected a {node.op} that can be computed", node.label)
        if axis is None:
            return source.moved(moved, None)
        places = [place for place in range(moved.ndim)
                  if moved.shape[place] == values.shape[axis] and prod(moved.shape[:place]) == prod(values.shape[:axis])]
        if not places:
            raise self.error("expected scales of a dimension that survives the reshape", node.label)
        return source.moved(moved, places[0])

    def element_type(self, name: str) -> int:
        """ONNX's number of a constant's element type; 0 where the model does not say."""
        constant = self._graph.constants.get(name)
        return constant.element_type if constant is not None else 0

    def qparams(self, encoding: Encoding, name: str, shape: Shape | None, element_type: int) -> QParams:
        """What an operator states about a tensor.

        Parameters
        ----------
        name : of the tensor, for messages.
        shape : of a constant; None for an activation, which has one scale.
        element_type : of the tensor's integers; 0 if only the operator knows.

        Raises
        ------
        WorkloadError : scales that are not finite and above 0, or not as many as there are channels; zero points of
            another number or type, or outside it; blocks of an axis.
        """
        if encoding.block_size:
            raise self.error(f"expected one scale a tensor or a channel, got blocks of {encoding.block_size}", name)
        scales = self.array(encoding.scale)
        points, stated = self._zero_points(encoding, scales)
        if element_type and stated and element_type != stated:
            raise self.error(f"expected a zero point of the tensor's type, {type_name(element_type)}, "
                             f"got {type_name(stated)}", encoding.zero_point or name)
        qtype = self._true_type(encoding, self.qtype(element_type or stated or UINT8, name))
        axis = self._axis(encoding, name, scales, shape)
        try:
            return QParams(scale=scales.astype(np.float64).reshape(-1 if axis is not None else ()), qtype=qtype, axis=axis,
                           zero_point=points.astype(np.int64).reshape(-1 if points.size > 1 else ()))
        except NumericsError as error:
            field = encoding.zero_point if error.field == "zero_point" else encoding.scale
            raise self.error(error.problem, field) from None

    def _blocked(self, encoding: Encoding, name: str, shape: Shape) -> QParams:
        """What a DequantizeLinear states about blocks of a constant's axis: scales of its shape, with blocks in place of the
        axis."""
        scales = self.array(encoding.scale)
        points, stated = self._zero_points(encoding, scales)
        stored = self.element_type(name) or stated or UINT8
        if stated and stored != stated:
            raise self.error(f"expected a zero point of the tensor's type, {type_name(stored)}, got {type_name(stated)}",
                             encoding.zero_point)
        axis = encoding.axis % len(shape) if shape else 0
        expected = tuple(-(-size // encoding.block_size) if place == axis else size for place, size in enumerate(shape))
        if scales.shape != expected:
            raise self.error(f"expected scales of blocks of {encoding.block_size}, {list(expected)}, got "
                             f"{list(scales.shape)}", encoding.scale)
        try:
            return QParams(scale=scales.astype(np.float64), zero_point=points.astype(np.int64).reshape(
                scales.shape if points.size > 1 else ()), qtype=self._true_type(encoding, self.qtype(stored, name)),
                axis=axis, group_size=encoding.block_size)
        except NumericsError as error:
            field = encoding.zero_point if error.field == "zero_point" else encoding.scale
            raise self.error(error.problem, field) from None

    def _true_type(self, encoding: Encoding, stored: QType) -> QType:
        """The integers' own type, where they ride in a wider one."""
        found = self._graph.true_types.get(encoding.zero_point, stored)
        if found.bits > stored.bits or found.is_signed != stored.is_signed:
            raise self.error(f"expected a type that {stored.name} holds, got {found.name}", f"{KEY}: {encoding.zero_point}")
        return found

    def qtype(self, element_type: int, name: str) -> QType:
        """The integers of an element type."""
        width = integer_bits(element_type)
        if width is None or width > _WIDEST_BITS:
            raise self.error(f"expected integers of 2 to {_WIDEST_BITS} bits, got {type_name(element_type)}", name)
        return QType(width, is_signed(element_type))

    def _zero_points(self, encoding: Encoding, scales: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Zero points, and the element type that they (or the operator) state."""
        if not encoding.zero_point:
            return np.zeros(scales.shape, np.int64), encoding.element_type
        points, stated = self.array(encoding.zero_point), self.element_type(encoding.zero_point)
        if points.size not in (1, scales.size):
            raise self.error(f"expected one zero point a scale, {scales.size}, got {points.size}", encoding.zero_point)
        if points.dtype.kind not in "iu":
            raise self.error(f"expected an integer, got {points.dtype.name}", encoding.zero_point)
        return points, stated

    def _axis(self, encoding: Encoding, name: str, scales: NDArray[Any], shape: Shape | None) -> int | None:
        """The axis of several scales, counted from the first; None for one scale."""
        if scales.size == 1:
            return None
        if shape is None:
            raise self.error(f"expected one scale for an activation, got {scales.size}", name)
        axis = encoding.axis + len(shape) if encoding.axis < 0 else encoding.axis
        if scales.ndim != 1 or axis >= len(shape) or shape[axis] != scales.size:
            expected = f"{shape[axis]} scales, one an index of axis {axis} of {list(shape)}" if axis < len(shape) else (
                f"an axis of {list(shape)}")
            found = f"{list(scales.shape)}" if axis < len(shape) else str(encoding.axis)
            raise self.error(f"expected {expected}, got {found}", encoding.scale)
        return axis


_MOVES = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
