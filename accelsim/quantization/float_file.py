"""Reading a float network: one operator set, constants as arrays, no copies, no dead nodes, a name for every node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.problem import did_you_mean
from accelsim.quantization.constant_folding import with_folded_constants
from accelsim.quantization.float_model import OPSET, FloatModel
from accelsim.quantization.gemm_forms import with_plain_gemms
from accelsim.workload.onnx.file import read_model
from accelsim.workload.onnx.graph import LARGEST_KEPT_ELEMENTS, Graph, GraphInput, Node, read_graph
from accelsim.workload.onnx.normal_form import normal_form
from accelsim.workload.onnx.tensor_data import numbers, type_name
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

# Source: onnx.proto3, TensorProto.DataType: float16, double, bfloat16.
_OTHER_FLOATS = {10, 11, 16}

_QUANTIZING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")

# What a graph that breaks ONNX's specification surfaces as, as in the importer.
_BREACHES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def read_float_model(path: Path, *, batch: int | None, shapes: Mapping[str, Shape]) -> FloatModel:
    """Parameters and errors are those of `FloatModel.load`."""
    if path.suffix.lower() == ".tflite":
        from accelsim.quantization.float_tflite.importer import import_float_tflite

        return import_float_tflite(path, batch=batch, shapes=shapes)
    model = _in_operator_set(read_model(path), path)
    try:
        graph = normal_form(read_graph(model, path))
    except _BREACHES as error:
        raise WorkloadError(f"not a valid ONNX graph: {error}", file=str(path)) from error
    _check_float(model, graph, path)
    found = FloatModel(
        name=path.stem, nodes=graph.nodes, arrays=dict(_arrays(graph, path)),
        inputs=_sized_inputs(graph, path, batch, shapes), outputs=tuple(dict.fromkeys(graph.outputs)),
        opset=graph.opsets.get("", graph.opsets.get("ai.onnx", OPSET)), path=str(path))
    return simplified(found)


def simplified(model: FloatModel) -> FloatModel:
    """The same network without constant subgraphs, copies and dead nodes, Gemm in its plain form, every node with a name."""
    model = with_plain_gemms(without_copies(with_folded_constants(model)))
    needed, live = set(model.outputs), []
    for node in reversed(model.nodes):
        if needed.intersection(node.outputs):
            live.append(node)
            needed.update(node.inputs)
    nodes = tuple(_named(reversed(live)))
    if not nodes:
        raise model.error("expected outputs that are computed from inputs, got a network without operators")
    return replace(model.with_nodes(nodes), inputs={name: known for name, known in model.inputs.items() if name in needed})


def _in_operator_set(model: ModelProto, path: Path) -> ModelProto:
    """The model in `OPSET` or a newer one; large constants stay outside of the conversion."""
    from onnx import ModelProto, helper, version_converter

    version = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), OPSET)
    if version >= OPSET:
        return model
    large = {tensor.name: tensor for tensor in model.graph.initializer
             if int(np.prod(tensor.dims, dtype=object)) > LARGEST_KEPT_ELEMENTS}
    light = ModelProto()
    light.CopyFrom(model)
    del light.graph.initializer[:]
    light.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in large)
    added = large.keys() - {info.name for info in light.graph.input}
    light.graph.input.extend(helper.make_tensor_value_info(name, large[name].data_type, large[name].dims)
                             for name in sorted(added))
    try:
        found = version_converter.convert_version(light, OPSET)
    except Exception as error:  # the converter raises its own types
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise WorkloadError(f"expected a model that ONNX converts from operator set {version} to {OPSET}, got: {reason}",
                            file=str(path)) from None
    kept = [info for info in found.graph.input if info.name not in added]
    del found.graph.input[:]
    found.graph.input.extend(kept)
    found.graph.initializer.extend(large.values())
    return found


def _check_float(model: ModelProto, graph: Graph, path: Path) -> None:
    """That the model computes in float32, with operators that have no bodies."""
    for node in model.graph.node:
        if node.op_type in _QUANTIZING or node.op_type.startswith("QLinear"):
            raise WorkloadError(f"expected a network in floating point, got a quantized one ({node.op_type})",
                                file=str(path))
    for node in graph.nodes:
        if any(attribute.HasField("g") for attribute in node.attributes.values()):
            raise WorkloadError(f"expected operators without bodies of their own, got {node.op}", file=str(path),
                                field=node.label)
    types = {name: known.element_type for name, known in graph.inputs.items()} | {
        name: known.element_type for name, known in graph.constants.items()}
    for name, element_type in types.items():
        if element_type in _OTHER_FLOATS:
            raise WorkloadError(f"expected numbers of type float, got {type_name(element_type)}", file=str(path), field=name)


def _arrays(graph: Graph, path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """The constants with their numbers."""
    for name, constant in graph.constants.items():
        if name in graph.parameters:
            yield name, numbers(graph.parameters[name], path)
        elif constant.value is not None:
            yield name, constant.value
        else:
            raise WorkloadError("expected a constant with its numbers, got none", file=str(path), field=name)


def _sized_inputs(graph: Graph, path: Path, batch: int | None, shapes: Mapping[str, Shape]) -> dict[str, GraphInput]:
    """The inputs with the sizes that were asked for."""
    for name in shapes:
        if name not in graph.inputs:
            raise WorkloadError(f"the model has no such input{did_you_mean(name, graph.inputs)}", file=str(path),
                                field=f'input "{name}"')
    found = {}
    for name, known in graph.inputs.items():
        dimensions = known.dimensions
        if name in shapes:
            if dimensions is not None and len(dimensions) != len(shapes[name]):
                raise WorkloadError(f"expected {len(dimensions)} dimensions, got {list(shapes[name])}", file=str(path),
                                    field=f'input "{name}"')
            dimensions = tuple(shapes[name])
        elif batch is not None and dimensions:
            if isinstance(dimensions[0], int) and dimensions[0] != batch:
                raise WorkloadError(f"the model fixes the batch at {dimensions[0]}, got --batch {batch}", file=str(path),
                                    field=f'input "{name}"')
            dimensions = (batch, *dimensions[1:])
        found[name] = GraphInput(dimensions, known.element_type)
    return found


def without_copies(model: FloatModel) -> FloatModel:
    """The model without operators that give what they read: Identity, Dropout, a Cast of float to float."""
    nodes: list[Node] = []
    meant: dict[str, str] = {}
    for node in model.nodes:
        node = replace(node, inputs=tuple(meant.get(name, name) for name in node.inputs))
        if not _is_copy(node, model):
            nodes.append(node)
        elif node.outputs[0] not in model.outputs:
            meant[node.outputs[0]] = node.inputs[0]
        elif any(node.inputs[0] in writer.outputs for writer in nodes) and node.inputs[0] not in model.outputs:
            nodes = [_renamed(writer, node.inputs[0], node.outputs[0]) for writer in nodes]
            meant[node.inputs[0]] = node.outputs[0]
        else:
            nodes.append(node)
    return model.with_nodes(nodes)


def _is_copy(node: Node, model: FloatModel) -> bool:
    if node.op == "Dropout":
        training = model.arrays.get(node.input(2))
        is_mask_read = len(node.outputs) > 1 and bool(model.readers(node.outputs[1]))
        return not is_mask_read and (not node.input(2) or (training is not None and not training.any()))
    if node.op == "Cast":
        writer, known = model.writer(node.inputs[0]), model.inputs.get(node.inputs[0])
        is_float = known.element_type == 1 if known is not None else writer is not None and writer.op in _GIVING_FLOATS
        return is_float and node.integer("to", 0) == 1
    return node.op == "Identity"


# Operators whose output is float32 in a model of float32, by their nature.
_GIVING_FLOATS = frozenset({"Conv", "ConvTranspose", "Gemm", "BatchNormalization", "Softmax", "LayerNormalization",
                            "Sigmoid", "Tanh", "AveragePool", "GlobalAveragePool", "Erf"})


def _renamed(node: Node, old: str, new: str) -> Node:
    """The node with another name for a tensor, read or written."""
    return replace(node, inputs=tuple(new if name == old else name for name in node.inputs),
                   outputs=tuple(new if name == old else name for name in node.outputs))


def _named(nodes: Iterator[Node]) -> Iterator[Node]:
    """The nodes, each with a name of its own: its label, with a number behind it from the second use on."""
    taken: set[str] = set()
    for node in nodes:
        name, count = node.label, 1
        while name in taken:
            name, count = f"{node.label}_{count}", count + 1
        taken.add(name)
        yield node if node.name == name else replace(node, name=name)
