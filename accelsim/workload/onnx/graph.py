"""The graph of an ONNX model as plain values: nodes in an executable order, constants, inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.onnx.code_widths import KEY as CODES_KEY
from accelsim.workload.onnx.code_widths import code_widths
from accelsim.workload.onnx.encoding import Encoding
from accelsim.workload.onnx.stated_rule import stated_rule
from accelsim.workload.onnx.true_types import KEY, true_types
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

#: A dimension of a graph input: its size, or its symbol ("N"), or "" where the model says nothing.
Dimension = int | str

# Shape constants, axes, bounds of a clip, scales of a resize are smaller; weights whose values nobody needs
# are larger.
LARGEST_KEPT_ELEMENTS = 1024

#: Names under which the ONNX operators themselves are imported.
ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Constant:
    """A tensor that is known before the run.

    Parameters
    ----------
    shape : of the tensor.
    element_type : ONNX's number of the element type.
    value : the numbers of a small constant, else None.
    """

    shape: Shape
    element_type: int
    value: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True)
class GraphInput:
    """A tensor that comes from outside; `dimensions` is None where not even the rank is known."""

    dimensions: tuple[Dimension, ...] | None
    element_type: int


@dataclass(frozen=True)
class Node:
    """One operator. `op` carries the domain of operators that are not ONNX's own ("com.microsoft.QGemm").

    In normal form (`normal_form`) the operators are float ones. What the model says of their integers stands beside:
    `encodings`, one an input that it reads as integers (None or nothing for the others), and `written`, that of the
    integers that it rounds its output to. An Identity with an encoding is a DequantizeLinear, one that has `written` is a
    QuantizeLinear.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    encodings: tuple[Encoding | None, ...] = ()
    written: Encoding | None = None

    @property
    def label(self) -> str:
        """What messages and layers call it: its name, or its operator and what it writes."""
        return self.name or f"{self.op.rpartition('.')[2]}_{self.outputs[0] if self.outputs else ''}"

    def attribute(self, name: str, default: Any = None) -> Any:
        from onnx.helper import get_attribute_value

        if name not in self.attributes:
            return default
        value = get_attribute_value(self.attributes[name])
        return value.decode() if isinstance(value, bytes) else value

    def integer(self, name: str, default: int) -> int:
        return int(self.attribute(name, default))

    def integers(self, name: str, default: Iterable[int] = ()) -> tuple[int, ...]:
        return tuple(int(value) for value in self.attribute(name, default))

    def input(self, position: int) -> str:
        """The name of an input, "" where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def encoding(self, position: int) -> Encoding | None:
        """What the operator states for the integers of an input."""
        return self.encodings[position] if position < len(self.encodings) else None

    @property
    def dequantized(self) -> Encoding | None:
        """The encoding of a DequantizeLinear in normal form, else None."""
        return self.encoding(0) if self.op == "Identity" else None

    @property
    def quantized(self) -> Encoding | None:
        """The encoding of a QuantizeLinear in normal form, else None."""
        return self.written if self.op == "Identity" else None

    def captured(self) -> Iterator[str]:
        """Names that the bodies of a control-flow operator read from outside or inside."""
        from onnx import AttributeProto

        for attribute in self.attributes.values():
            if attribute.type == AttributeProto.GRAPH:
                for inner in attribute.g.node:
                    yield from inner.input
                    yield from _node(inner).captured()


@dataclass(frozen=True)
class Graph:
    """A model's graph.

    Parameters
    ----------
    nodes : in an order in which each reads only what is there.
    inputs, constants : what is there at the start.
    outputs : names of what leaves the graph.
    stated : shapes that the model states for tensors in between.
    opsets : version of each operator set.
    bits : width of tensors that are integers in the model, or become integers in it (QuantizeLinear).
    quantized : names of tensors between which and their producer the model rounds to integers.
    parameters : the model's own constants as the file stores them, also the large ones.
    true_types : zero point -> the type of its tensor's integers, where they ride in a wider one.
    rule : how the model wants products of its scales made integers; None where it says nothing.
    code_widths : constant -> bits of one of its elements in memory, where codes stand for its integers.
    """

    nodes: tuple[Node, ...]
    inputs: Mapping[str, GraphInput]
    constants: Mapping[str, Constant]
    outputs: tuple[str, ...]
    stated: Mapping[str, Shape]
    opsets: Mapping[str, int]
    bits: Mapping[str, int] = field(default_factory=dict)
    quantized: frozenset[str] = frozenset()
    parameters: Mapping[str, TensorProto] = field(default_factory=dict)
    true_types: Mapping[str, QType] = field(default_factory=dict)
    code_widths: Mapping[str, int] = field(default_factory=dict)
    rule: Rule | None = None


def read_graph(model: ModelProto, path: Path) -> Graph:
    """Reads a model's graph; weights lose their values.

    Raises
    ------
    WorkloadError : a cycle, a tensor that nobody writes or that two nodes write.
    """
    model = _inlined(model)
    graph = model.graph
    constants = {tensor.name: _constant(tensor, path.parent) for tensor in graph.initializer}
    constants |= {
        sparse.values.name: Constant(tuple(sparse.dims), sparse.values.data_type) for sparse in graph.sparse_initializer
    }
    parameters = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in map(_node, graph.node):
        if node.op == "Constant" and len(node.outputs) == 1:
            constants[node.outputs[0]] = _constant_of_node(node, path.parent)
            if "value" in node.attributes:
                parameters[node.outputs[0]] = node.attributes["value"].t
        else:
            nodes.append(node)
    inputs = {info.name: _graph_input(info) for info in graph.input if info.name not in constants}
    types = true_types(model, path)
    for name in types:
        if name not in constants:
            raise WorkloadError("expected the zero point of a tensor, found no constant of that name", file=str(path),
                                field=f"{KEY}: {name}")
    widths = code_widths(model, path)
    for name in widths:
        if name not in constants:
            raise WorkloadError("expected a constant of integers, found no constant of that name", file=str(path),
                                field=f"{CODES_KEY}: {name}")
    return Graph(
        nodes=_ordered(nodes, {*inputs, *constants}, path),
        inputs=inputs,
        constants=constants,
        outputs=tuple(info.name for info in graph.output),
        stated=_stated_shapes(graph),
        opsets={opset.domain: opset.version for opset in model.opset_import},
        parameters=parameters,
        true_types=types,
        code_widths=widths,
        rule=stated_rule(model, path),
    )


def _inlined(model: ModelProto) -> ModelProto:
    """The model with the calls of its own functions written out (exporters write such functions)."""
    if not model.functions:
        return model
    from onnx.inliner import inline_local_functions

    return inline_local_functions(model)


def _node(proto: NodeProto) -> Node:
    prefix = "" if proto.domain in ONNX_DOMAINS else f"{proto.domain}."
    return Node(
        prefix + proto.op_type,
        proto.name,
        tuple(proto.input),
        tuple(proto.output),
        {attribute.name: attribute for attribute in proto.attribute},
    )


def _graph_input(info: ValueInfoProto) -> GraphInput:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return GraphInput(None, tensor.elem_type)
    sizes = tuple(size.dim_value if size.HasField("dim_value") else size.dim_param for size in tensor.shape.dim)
    return GraphInput(sizes, tensor.elem_type)


def _stated_shapes(graph: GraphProto) -> dict[str, Shape]:
    shapes = {}
    for info in (*graph.value_info, *graph.output):
        sizes = _graph_input(info).dimensions
        if sizes is not None and all(isinstance(size, int) and size > 0 for size in sizes):
            shapes[info.name] = tuple(int(size) for size in sizes)
    return shapes


def _constant(tensor: TensorProto, folder: Path) -> Constant:
    shape = tuple(tensor.dims)
    if int(np.prod(shape, dtype=object)) > LARGEST_KEPT_ELEMENTS:
        return Constant(shape, tensor.data_type)
    return Constant(shape, tensor.data_type, _small_value(tensor, folder))


def _small_value(tensor: TensorProto, folder: Path) -> np.ndarray[Any, Any] | None:
    """The numbers of a small constant; None where they cannot be had (then whoever needs them says so)."""
    from onnx import external_data_helper, numpy_helper

    try:
        if external_data_helper.uses_external_data(tensor):
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception:
        # Truncated data, unknown element types, missing side files: onnx has no common error for them.
        return None


def _constant_of_node(node: Node, folder: Path) -> Constant:
    from onnx import TensorProto, helper

    tensor = node.attribute("value")
    if isinstance(tensor, TensorProto):
        return _constant(tensor, folder)
    for name, element_type in (
        ("value_int", TensorProto.INT64),
        ("value_ints", TensorProto.INT64),
        ("value_float", TensorProto.FLOAT),
        ("value_floats", TensorProto.FLOAT),
    ):
        if name in node.attributes:
            value = np.asarray(node.attribute(name), helper.tensor_dtype_to_np_dtype(element_type))
            return Constant(value.shape, element_type, value)
    return Constant((), TensorProto.UNDEFINED)


def _ordered(nodes: list[Node], known: set[str], path: Path) -> tuple[Node, ...]:
    """The nodes in an executable order, the file's own where that is one: sweeps until nothing is left.

    A file must be sorted by ONNX's rules, but some tools write unsorted ones; those are harmless.
    """
    writers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in writers or name in known:
                raise WorkloadError(f'two nodes write the tensor "{name}"', file=str(path), field=node.label)
            writers[name] = index
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in writers and name not in known:
                raise WorkloadError(f'reads the tensor "{name}", which nothing writes', file=str(path), field=node.label)
    order: list[Node] = []
    waiting = list(nodes)
    ready = set(known) | {""}
    while waiting:
        left = []
        for node in waiting:
            if ready.issuperset(node.inputs):
                order.append(node)
                ready.update(node.outputs)
            else:
                left.append(node)
        if len(left) == len(waiting):
            raise WorkloadError("the graph has a cycle", file=str(path), field=left[0].label)
        waiting = left
    return tuple(order)
