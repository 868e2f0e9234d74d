"""ONNX models made of nodes and arrays, and files of them: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import WorkloadError
from accelsim.version import __version__
from accelsim.whole_file import write_atomically
from accelsim.workload.onnx.file import LARGEST_FILE_BYTES
from accelsim.workload.onnx.graph import Node

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

    from accelsim.quantization.float_model import FloatModel

# Source: onnx/onnx docs/Versioning.md: IR version 10 is the first with integers of 4 bits.
_IR_VERSION = 10

_DOMAIN_OF_RUNTIME = "com.microsoft"


def model_of(model: FloatModel) -> ModelProto:
    """A float network as an ONNX model."""
    from onnx import numpy_helper

    initializers = [numpy_helper.from_array(array, name) for name, array in model.arrays.items()]
    return assembled(model, [node_proto(node) for node in model.nodes], initializers, opset=model.opset)


def assembled(model: FloatModel, nodes: Sequence[NodeProto], initializers: Iterable[TensorProto], *, opset: int,
              metadata: Mapping[str, str] | None = None) -> ModelProto:
    """An ONNX model with the name, inputs and outputs of a float network.

    Parameters
    ----------
    nodes : in an executable order.
    metadata : what ONNX carries along as `metadata_props`.
    """
    from onnx import helper

    graph = helper.make_graph(list(nodes), model.name, _inputs(model), _outputs(model), list(initializers))
    opsets = [helper.make_opsetid("", opset)]
    if any(node.domain == _DOMAIN_OF_RUNTIME for node in nodes):
        opsets.append(helper.make_opsetid(_DOMAIN_OF_RUNTIME, 1))
    version = max(_IR_VERSION, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="accelsim",
                              producer_version=__version__)
    if metadata:
        helper.set_model_props(proto, dict(metadata))
    return proto


def node_proto(node: Node) -> NodeProto:
    """A node as ONNX writes it."""
    from onnx import helper

    domain, _, op = node.op.rpartition(".")
    proto = helper.make_node(op, node.inputs, node.outputs, name=node.name, domain=domain)
    proto.attribute.extend(node.attributes.values())
    return proto


def _inputs(model: FloatModel) -> list[ValueInfoProto]:
    from onnx import helper

    return [helper.make_tensor_value_info(
        name, known.element_type, None if known.dimensions is None else [size or None for size in known.dimensions])
        for name, known in model.inputs.items()]


def _outputs(model: FloatModel) -> list[ValueInfoProto]:
    """With their shapes, unless these depend on an open batch."""
    from onnx import TensorProto, helper

    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, None if model.is_batch_open else model.sizes.get(name))
            for name in model.outputs]


def content_of(proto: ModelProto) -> bytes:
    """The bytes of a model's file; equal models give equal bytes.

    Raises
    ------
    WorkloadError : more than a file of this format can hold.
    """
    if proto.ByteSize() > LARGEST_FILE_BYTES:
        raise WorkloadError("expected a model of at most 2 GiB, got a larger one")
    return bytes(proto.SerializeToString(deterministic=True))


def write_model(proto: ModelProto, path: Path) -> None:
    """Writes a model: under the file's name there is the old content or the new one, never a part.

    Raises
    ------
    OutputError : it cannot be written.
    WorkloadError : a model that is too large for a file.
    """
    write_atomically(path, content_of(proto))
