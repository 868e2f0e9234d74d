"""The shapes of every tensor of an ONNX graph in normal form, by ONNX's own shape inference.

Sizes that the graph computes (Shape, Gather, Concat, ... feeding a Reshape) are propagated by ONNX where it
can, and where it cannot, small constant nodes are evaluated with ONNX's reference implementation and
inference runs again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.problem import did_you_mean
from accelsim.workload.onnx.graph import LARGEST_KEPT_ELEMENTS, Constant, Graph, GraphInput, Node
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: Operators whose first output has the shape of their first input, in every version, known to ONNX or not.
SAME_SHAPE = frozenset(
    {
        "DynamicQuantizeLinear",
        "Gelu",
        "GroupNormalization",
        "HardSwish",
        "LayerNormalization",
        "Mish",
        "RMSNormalization",
        "SimplifiedLayerNormalization",
        "Swish",
    }
)

# Evaluated for shapes' sake: cheap operators whose result is about as large as their inputs.
_EVALUATED = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Floor",
        "Gather",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "Round",
        "ScatterND",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)

_FLOAT, _INT64 = 1, 7


@dataclass(frozen=True)
class Shapes:
    """What inference found out.

    `graph` with the evaluated constants, `sizes` of the tensors whose shape is known, their `element_types`.
    """

    graph: Graph
    sizes: Mapping[str, Shape]
    element_types: Mapping[str, int]


def infer_shapes(graph: Graph, path: Path, *, batch: int | None, shapes: Mapping[str, Shape]) -> Shapes:
    """Shapes of all tensors; those of the inputs as the model states them unless `batch` or `shapes` differ.

    Raises
    ------
    WorkloadError : an input whose size is not known, or a size given for an input that is not there.
    """
    given = _input_shapes(graph, path, batch, shapes)
    if batch is not None and batch != 1:
        graph = _with_free_batch(graph)
    inputs = {
        name: GraphInput(given.get(name, known.dimensions), known.element_type) for name, known in graph.inputs.items()
    }
    is_changed = any(
        known.dimensions != given[name] and _is_fixed(known) for name, known in graph.inputs.items() if name in given
    )
    graph = replace(graph, inputs=inputs, stated={} if is_changed else graph.stated)
    taken: frozenset[str] = frozenset()
    while True:
        sizes, element_types = _inferred(graph, path, taken)
        unknown = {name for node in graph.nodes for name in node.outputs if name and name not in sizes}
        evaluated = dict(_evaluated(graph, sizes)) if unknown else {}
        if not evaluated:
            if not unknown & graph.stated.keys():
                return Shapes(graph, sizes, element_types)
            taken |= unknown & graph.stated.keys()
        nodes = tuple(node for node in graph.nodes if not evaluated.keys() & set(node.outputs))
        graph = replace(graph, nodes=nodes, constants={**graph.constants, **evaluated})


def complaint(graph: Graph) -> str:
    """Why inference found no shape, in ONNX's words; "" if it has no objection."""
    from onnx.shape_inference import InferenceError
    from onnx.shape_inference import infer_shapes as infer

    try:
        infer(_model(graph), strict_mode=True, data_prop=True)
    except (InferenceError, ValueError, RuntimeError, TypeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        # "[ShapeInferenceError] Inference error(s): (op_type:MatMul): [ShapeInferenceError] Incompatible ..."
        return lines[-1].rpartition("Error] ")[2].strip() if lines else ""
    return ""


def _is_fixed(graph_input: GraphInput) -> bool:
    return graph_input.dimensions is not None and all(isinstance(size, int) for size in graph_input.dimensions)


def _input_shapes(graph: Graph, path: Path, batch: int | None, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    for name in shapes:
        if name not in graph.inputs:
            hint = did_you_mean(name, graph.inputs)
            raise WorkloadError(f"the model has no such input{hint}", file=str(path), field=f'input "{name}"')
    if batch is not None and batch < 1:
        raise WorkloadError(f"expected a batch of at least 1, got {batch}", file=str(path))
    read = {name for node in graph.nodes for name in node.inputs}
    return {
        name: _input_shape(name, known, path, batch, shapes)
        for name, known in graph.inputs.items()
        if (name in read or name in shapes) and known.element_type
    }


def _input_shape(name: str, known: GraphInput, path: Path, batch: int | None, shapes: Mapping[str, Shape]) -> Shape:
    field = f'input "{name}"'
    if name in shapes:
        shape = tuple(shapes[name])
        if known.dimensions is not None and len(known.dimensions) != len(shape):
            raise WorkloadError(
                f"expected {len(known.dimensions)} dimensions, got {list(shape)}", file=str(path), field=field
            )
    elif known.dimensions is None:
        raise WorkloadError(f"the shape is not known: give --shape {name}=...", file=str(path), field=field)
    else:
        shape = tuple(_dimension(axis, size, name, path, batch) for axis, size in enumerate(known.dimensions))
    if any(size < 1 for size in shape) or prod(shape) > 2**62:
        raise WorkloadError(
            f"expected dimensions of at least 1 and at most 2^62 elements, got {list(shape)}", file=str(path), field=field
        )
    return shape


def _dimension(axis: int, size: int | str, name: str, path: Path, batch: int | None) -> int:
    """One dimension of an input; `batch` replaces a first dimension that is a symbol or 1."""
    field = f'input "{name}"'
    if axis == 0 and batch is not None:
        if isinstance(size, int) and size not in (1, batch):
            raise WorkloadError(f"the model fixes the batch at {size}, got --batch {batch}", file=str(path), field=field)
        return batch
    if isinstance(size, str):
        symbol = f' ("{size}")' if size else ""
        option = "--batch or --shape" if axis == 0 else "--shape"
        raise WorkloadError(f"dimension {axis}{symbol} is not known: give {option} {name}=...", file=str(path), field=field)
    return size


def _with_free_batch(graph: Graph) -> Graph:
    """The graph with reshapes to a first dimension of 1 made to keep their input's first dimension (0)."""
    constants = dict(graph.constants)
    nodes = []
    for node in graph.nodes:
        target = graph.constants.get(node.input(1)) if node.op == "Reshape" else None
        if (
            target is not None
            and target.value is not None
            and target.value.size > 1
            and target.value.flat[0] == 1
            and node.inputs[0] not in graph.constants
        ):
            freed = target.value.copy()
            freed.flat[0] = 0
            constants[f"{node.inputs[1]}_free_batch"] = replace(target, value=freed)
            node = replace(node, inputs=(node.inputs[0], f"{node.inputs[1]}_free_batch"))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), constants=constants)


def _is_inferable(node: Node, graph: Graph) -> bool:
    """Whether ONNX knows the operator; control flow is left out, it is not simulated."""
    from onnx import defs

    if node.op in SAME_SHAPE:
        return True
    if "." in node.op or any(True for _ in node.captured()):
        return False
    try:
        defs.get_schema(node.op, graph.opsets.get("", graph.opsets.get("ai.onnx", 1)), "")
    except (defs.SchemaError, ValueError, TypeError):
        return False
    return True


def _model(graph: Graph, taken: frozenset[str] = frozenset()) -> ModelProto:
    """The graph as inference reads it: large constants as typed inputs, unknown operators left out.

    The shapes of the tensors in `taken` are those that the model states.
    """
    from onnx import helper, numpy_helper

    inputs = [
        helper.make_tensor_value_info(name, known.element_type or _FLOAT, known.dimensions)
        for name, known in graph.inputs.items()
    ]
    initializers = []
    for name, constant in graph.constants.items():
        if constant.value is not None:
            initializers.append(numpy_helper.from_array(constant.value, name))
        else:
            inputs.append(helper.make_tensor_value_info(name, constant.element_type or _FLOAT, constant.shape))
    nodes = []
    for node in graph.nodes:
        if _is_inferable(node, graph) and taken.isdisjoint(node.outputs):
            nodes.append(_proto(node))
        else:
            inputs += [
                helper.make_tensor_value_info(name, _FLOAT, graph.stated[name])
                for name in node.outputs
                if name in graph.stated
            ]
    opsets = [
        helper.make_opsetid("" if domain == "ai.onnx" else domain, version) for domain, version in graph.opsets.items()
    ]
    proto = helper.make_graph(nodes, "graph", inputs, [], initializers)
    return helper.make_model(proto, opset_imports=opsets)


def _proto(node: Node) -> NodeProto:
    from onnx import helper

    if node.op in SAME_SHAPE:
        return helper.make_node("Identity", node.inputs[:1], node.outputs[:1])
    proto = helper.make_node(node.op, node.inputs, node.outputs)
    proto.attribute.extend(node.attributes.values())
    return proto


def _inferred(graph: Graph, path: Path, taken: frozenset[str]) -> tuple[dict[str, Shape], dict[str, int]]:
    from onnx.shape_inference import InferenceError
    from onnx.shape_inference import infer_shapes as infer

    try:
        model = infer(_model(graph, taken), data_prop=True)
    except (InferenceError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise WorkloadError(f"shape inference fails: {error}", file=str(path)) from None
    sizes: dict[str, Shape] = {name: constant.shape for name, constant in graph.constants.items()}
    element_types = {name: constant.element_type for name, constant in graph.constants.items()}
    for info in (*model.graph.input, *model.graph.value_info):
        tensor = info.type.tensor_type
        element_types[info.name] = tensor.elem_type
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim):
            sizes[info.name] = tuple(size.dim_value for size in tensor.shape.dim)
    return sizes, element_types


def _evaluated(graph: Graph, sizes: Mapping[str, Shape]) -> Iterator[tuple[str, Constant]]:
    """Small constants that follow from known shapes and other small constants."""
    values = {name: constant.value for name, constant in graph.constants.items() if constant.value is not None}
    for node in graph.nodes:
        if not node.outputs or any(name in values for name in node.outputs):
            continue
        found = _value(node, values, sizes, graph)
        if found is not None and found.size <= LARGEST_KEPT_ELEMENTS:
            values[node.outputs[0]] = found
            yield node.outputs[0], _constant_of(found)


def _constant_of(value: np.ndarray[Any, Any]) -> Constant:
    from onnx import helper

    return Constant(value.shape, helper.np_dtype_to_tensor_dtype(value.dtype), value)


def _value(
    node: Node, values: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, Shape], graph: Graph
) -> np.ndarray[Any, Any] | None:
    if node.op in ("Shape", "Size") and node.input(0) in sizes:
        sizes_of_input = sizes[node.inputs[0]]
        if node.op == "Size":
            return np.asarray(prod(sizes_of_input), np.int64)
        last = node.attribute("end")
        return np.asarray(sizes_of_input[node.integer("start", 0) : last], np.int64)
    if node.op not in _EVALUATED or len(node.outputs) != 1 or not node.inputs or node.encodings or node.written:
        return None
    if not all(name in values for name in node.inputs if name) or _is_large(node, values):
        return None
    return reference_value(node, values, graph)


def _is_large(node: Node, values: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Whether the result has more elements than are kept; only these three outgrow their inputs."""
    if node.op == "ConstantOfShape":
        return prod(int(size) for size in values[node.inputs[0]].flat) > LARGEST_KEPT_ELEMENTS
    if node.op == "Expand":
        return prod(int(size) for size in values[node.inputs[1]].flat) > LARGEST_KEPT_ELEMENTS
    if node.op == "Range":
        start, limit, step = (float(values[name].item()) for name in node.inputs)
        return step == 0 or (limit - start) / step > LARGEST_KEPT_ELEMENTS
    return False


def reference_value(
    node: Node, values: Mapping[str, np.ndarray[Any, Any]], graph: Graph
) -> np.ndarray[Any, Any] | None:
    """What ONNX's reference implementation computes for a node of constants; None where it cannot."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    feeds = {name: values[name] for name in node.inputs if name}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(node.outputs[0])]
    opsets = [helper.make_opsetid("", graph.opsets.get("", 1))]
    model = helper.make_model(helper.make_graph([_proto(node)], "node", inputs, outputs), opset_imports=opsets)
    try:
        return np.asarray(ReferenceEvaluator(model).run(None, feeds)[0])  # type: ignore[index]
    except Exception:
        # The reference implementation raises whatever numpy raises; a value that it cannot give stays
        # unknown, and whoever needs the shape says so.
        return None
