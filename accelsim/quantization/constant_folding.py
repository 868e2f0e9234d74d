"""Constant subgraphs of a float network, computed once: reshaped weights, sizes that follow from fixed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.float_model import FloatModel
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.shapes import reference_value
from accelsim.workload.tensor import Shape

# Draw numbers, or give several outputs of which the reference value is the first alone.
_LEFT = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"})


def with_folded_constants(model: FloatModel) -> FloatModel:
    """The model without operators that read constants alone, or whose result follows from shapes that are fixed.

    Shapes that depend on an open batch stay what the model computes.
    """
    while True:
        sizes = {} if _is_open(model) else _sizes(model)
        values: dict[str, NDArray[Any]] = dict(model.arrays)
        nodes = []
        for node in model.nodes:
            value = _value(node, values, sizes, model)
            if value is None:
                nodes.append(node)
            else:
                values[node.outputs[0]] = value
        if len(nodes) == len(model.nodes):
            return model
        model = model.with_nodes(nodes, values)


def _is_open(model: FloatModel) -> bool:
    return any(known.dimensions is None or not all(isinstance(size, int) for size in known.dimensions)
               for known in model.inputs.values())


def _sizes(model: FloatModel) -> dict[str, Shape]:
    """The shapes of tensors that some Shape or Size reads, where there is such an operator."""
    if not any(node.op in ("Shape", "Size") for node in model.nodes):
        return {}
    return dict(model.sizes)


def _value(node: Node, values: dict[str, NDArray[Any]], sizes: dict[str, Shape], model: FloatModel) -> NDArray[Any] | None:
    """The one result of an operator, where it is known before the run."""
    if len(node.outputs) != 1 or node.outputs[0] in model.outputs or "." in node.op or node.op in _LEFT:
        return None
    if node.op == "Shape" and node.inputs[0] in sizes:
        return np.asarray(sizes[node.inputs[0]][node.integer("start", 0):node.attribute("end")], np.int64)
    if node.op == "Size" and node.inputs[0] in sizes:
        return np.asarray(np.prod(sizes[node.inputs[0]], dtype=np.int64))
    if not all(name in values for name in node.inputs if name):
        return None
    return reference_value(node, values, model.graph)
