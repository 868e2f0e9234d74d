"""A network in floating point that preparation edits: nodes, constants with their numbers, inputs, outputs.

Every edit makes a new model; the old one stays as it was. The operators are ONNX's own (those of com.microsoft that stand
for them are rewritten when the file is read), constants are arrays, and copies (Identity, Dropout) are gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.workload.onnx.graph import LARGEST_KEPT_ELEMENTS, Constant, Graph, GraphInput, Node
from accelsim.workload.onnx.importer import translation_of
from accelsim.workload.onnx.shapes import Shapes, infer_shapes
from accelsim.workload.onnx.translation import Translation
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

    from accelsim.quantization.float_layer import FloatLayer

#: The oldest operator set with integers of 4 and 16 bits; models of older ones are converted to it.
OPSET = 21

# Source: onnx.proto3, TensorProto.DataType.
_FLOAT = 1

_MICROSOFT = "com.microsoft"

# Widths that a network of this model would have; nothing here depends on them.
_BITS = 8

# What a graph that breaks ONNX's specification surfaces as, as in the importer.
_BREACHES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class Reader(NamedTuple):
    """A node that reads a tensor, and as which of its inputs."""

    node: Node
    position: int


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A network in floating point.

    Parameters
    ----------
    name : what reports call it.
    nodes : in an executable order, each with a name of its own.
    arrays : every constant that a node reads, by its name.
    inputs : what comes from outside; a dimension may be a symbol ("N").
    outputs : names of tensors that leave the network.
    opset : version of ONNX's own operators, `OPSET` or newer.
    statistics : tensor -> mean and deviation of its channels, as folded batch normalizations tell them.
    path : the file, for messages; "" if there is none.

    Examples
    --------
    A network made by hand:

    >>> import numpy as np
    >>> nodes = (Node("Gemm", "fc", ("x", "w"), ("h",)), Node("Relu", "relu", ("h",), ("y",)))
    >>> model = FloatModel("net", nodes, {"w": np.eye(2, dtype=np.float32)}, {"x": GraphInput((1, 2), 1)}, ("y",))
    >>> [(layer.name, layer.activation) for layer in model.layers]
    [('fc', 'relu')]
    >>> model.run({"x": np.array([[1, -2]], np.float32)})["y"].tolist()
    [[1.0, 0.0]]
    """

    name: str
    nodes: tuple[Node, ...]
    arrays: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, GraphInput]
    outputs: tuple[str, ...]
    opset: int = OPSET
    statistics: Mapping[str, ChannelStatistics] = field(default_factory=dict)
    path: str = ""

    @classmethod
    def load(cls, path: str | Path, *, batch: int | None = None, shapes: Mapping[str, Shape] | None = None) -> FloatModel:
        """Reads a float ONNX file (and the files beside it that hold its weights) or a float TFLite file.

        Parameters
        ----------
        batch : first dimension of every input, where the model leaves it open; without it the dimension stays open.
        shapes : input name -> whole shape, for inputs with other open dimensions.

        Raises
        ------
        WorkloadError : not a model, one that is quantized already, one of other numbers than float32; operators that the
            machine does not execute are told when the model is quantized.
        """
        from accelsim.quantization.float_file import read_float_model

        return read_float_model(Path(path), batch=batch, shapes=shapes or {})

    def save(self, path: str | Path) -> None:
        """Writes the network as float ONNX, whole or not at all.

        Raises
        ------
        OutputError : it cannot be written.
        """
        from accelsim.quantization.onnx_file import write_model

        write_model(self.proto, Path(path))

    @property
    def is_batch_open(self) -> bool:
        """Whether some input takes any number of samples at once."""
        return any(known.dimensions and not isinstance(known.dimensions[0], int) for known in self.inputs.values())

    @cached_property
    def graph(self) -> Graph:
        """As the importer's other parts read it; large constants without their numbers."""
        constants = {name: _constant(array) for name, array in self.arrays.items()}
        return Graph(self.nodes, self.inputs, constants, self.outputs, stated={}, opsets={"": self.opset, _MICROSOFT: 1})

    @cached_property
    def _shapes(self) -> Shapes:
        """Shapes of all tensors, for one sample where the batch is open."""
        single = {name: (1, *known.dimensions[1:]) for name, known in self.inputs.items()
                  if known.dimensions and not isinstance(known.dimensions[0], int)}
        given = {name: tuple(int(size) for size in shape) for name, shape in single.items()
                 if all(isinstance(size, int) for size in shape)}
        try:
            return infer_shapes(self.graph, Path(self.path or self.name), batch=None, shapes=given)
        except _BREACHES as error:
            raise self.error(f"not a valid ONNX graph: {error}") from error

    @cached_property
    def translation(self) -> Translation:
        """The layers of the network as the machine would execute it, for one sample where the batch is open.

        Raises
        ------
        WorkloadError : sizes that are not known, nothing that can be executed.
        """
        return translation_of(self._shapes, Path(self.path or self.name), weight_bits=_BITS, input_bits=_BITS)

    @property
    def sizes(self) -> Mapping[str, Shape]:
        """Shapes of all tensors whose shape is known, for one sample where the batch is open."""
        return self._shapes.sizes

    @cached_property
    def layers(self) -> tuple[FloatLayer, ...]:
        """Layers with constant weights: convolutions and matrix products, in the order of execution."""
        from accelsim.quantization.float_layer import layers_of

        return layers_of(self)

    def layer(self, name: str) -> FloatLayer:
        """The layer of this name. Raises `KeyError` if there is none."""
        return next(layer for layer in self.layers if layer.name == name)

    @cached_property
    def _writers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def _readers(self) -> dict[str, tuple[Reader, ...]]:
        readers: dict[str, list[Reader]] = {}
        for node in self.nodes:
            for position, name in enumerate(node.inputs):
                if name:
                    readers.setdefault(name, []).append(Reader(node, position))
        return {name: tuple(found) for name, found in readers.items()}

    def writer(self, tensor: str) -> Node | None:
        """The node that writes a tensor; None for what comes from outside and for constants."""
        return self._writers.get(tensor)

    def readers(self, tensor: str) -> tuple[Reader, ...]:
        """The nodes that read a tensor."""
        return self._readers.get(tensor, ())

    def array(self, name: str) -> NDArray[Any]:
        """The numbers of a constant. Raises `KeyError` for other tensors."""
        return self.arrays[name]

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> FloatModel:
        """The model with other numbers for some constants, or with more constants."""
        return replace(self, arrays={**self.arrays, **arrays})

    def with_nodes(self, nodes: Sequence[Node], arrays: Mapping[str, NDArray[Any]] | None = None,
                   statistics: Mapping[str, ChannelStatistics] | None = None) -> FloatModel:
        """The model of other nodes, with these constants and statistics besides its own; unused constants are dropped."""
        read = {name for node in nodes for name in node.inputs}
        kept = {name: array for name, array in {**self.arrays, **(arrays or {})}.items() if name in read}
        return replace(self, nodes=tuple(nodes), arrays=kept, statistics={**self.statistics, **(statistics or {})})

    def with_operand(self, node_name: str, place: int, array: NDArray[Any], name: str) -> FloatModel:
        """The model in which one input of a node is this constant.

        The constant there gets these numbers, unless others read it too or there is none: then it is a new one, called
        `name` if that is free.
        """
        node = next(each for each in self.nodes if each.name == node_name)
        old = node.input(place)
        if old in self.arrays and len(self.readers(old)) == 1:
            return self.with_arrays({old: array})
        name = self.free_name(name)
        inputs = (*node.inputs[:place], *("",) * (place - len(node.inputs)), name, *node.inputs[place + 1:])
        nodes = [replace(each, inputs=inputs) if each is node else each for each in self.nodes]
        return self.with_nodes(nodes, {name: array})

    def free_node_name(self, wanted: str) -> str:
        """The name, with underscores behind it if a node of the model is called so."""
        taken = {node.name for node in self.nodes}
        while wanted in taken:
            wanted += "_"
        return wanted

    def free_name(self, wanted: str) -> str:
        """The name, with underscores behind it if a tensor or constant of the model is called so."""
        taken = {*self.arrays, *self.inputs, *self._writers}
        while wanted in taken:
            wanted += "_"
        return wanted

    @property
    def proto(self) -> ModelProto:
        """The network as an ONNX model."""
        from accelsim.quantization.onnx_file import model_of

        return model_of(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the network as ONNX: what runs of it follow from."""
        return hashlib.sha256(self.proto.SerializeToString(deterministic=True)).hexdigest()

    def run(self, inputs: Mapping[str, NDArray[Any]], tensors: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
        """What onnxruntime computes for these inputs; the outputs, or the named tensors.

        For many runs make one `FloatSession`.

        Raises
        ------
        WorkloadError : inputs of other names or shapes, a model that onnxruntime refuses.
        """
        from accelsim.quantization.float_session import FloatSession

        return FloatSession(self, self.outputs if tensors is None else tuple(tensors)).run(inputs)

    def error(self, problem: str, field: str | None = None) -> WorkloadError:
        """A complaint about this model."""
        return WorkloadError(problem, file=self.path or None, field=field)


def _constant(array: NDArray[Any]) -> Constant:
    from onnx import helper

    element_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    return Constant(array.shape, element_type, np.asarray(array) if array.size <= LARGEST_KEPT_ELEMENTS else None)
