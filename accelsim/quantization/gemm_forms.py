"""Gemm in one form: ``A' B' + C`` with C a bias of one number a column, or nothing; no factors.

Source: ONNX Operators.md, Gemm: ``alpha * A' * B' + beta * C``, A' and B' transposed or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.float_model import FloatModel
from accelsim.workload.onnx.graph import Node

_FACTORS = ("alpha", "beta")


def with_plain_gemms(model: FloatModel) -> FloatModel:
    """The model with the factors of its Gemms in their constants, and with addends that are no bias added by an Add."""
    arrays: dict[str, NDArray[Any]] = {}
    nodes = [new for node in model.nodes for new in (_plain(node, model, arrays) if node.op == "Gemm" else (node,))]
    return model.with_nodes(nodes, arrays)


def _plain(node: Node, model: FloatModel, arrays: dict[str, NDArray[Any]]) -> Iterator[Node]:
    right, addend = node.inputs[1], node.input(2)
    alpha, beta = (float(node.attribute(name, 1.0)) for name in _FACTORS)
    weights = model.arrays.get(right)
    columns = 0 if weights is None else weights.shape[0 if node.integer("transB", 0) else 1]
    constant = model.arrays.get(addend)
    is_bias = not addend or (weights is not None and constant is not None and constant.size in (1, columns)
                             and constant.shape[-1:] in ((), (1,), (columns,)))
    if is_bias and (alpha, beta) == (1.0, 1.0):
        yield node
        return
    if weights is not None and alpha != 1.0:
        right = _kept(np.asarray(weights * np.float32(alpha)), f"{right}_scaled", model, arrays)
        alpha = 1.0
    if constant is not None and beta != 1.0:
        addend = _kept(np.asarray(constant * np.float32(beta)), f"{addend}_scaled", model, arrays)
        beta = 1.0
    kept = _without_factors(node.attributes)
    if is_bias and alpha == 1.0:
        yield replace(node, inputs=tuple(filter(None, (node.inputs[0], right, addend))), attributes=kept)
        return
    between = [model.free_name(f"{node.outputs[0]}_{word}") for word in ("product", "scaled", "addend")]
    yield replace(node, inputs=(node.inputs[0], right), outputs=(between[0],), attributes=kept)
    product = between[0]
    if alpha != 1.0:
        factor = _kept(np.asarray(alpha, np.float32), f"{node.outputs[0]}_alpha", model, arrays)
        product = between[1] if addend else node.outputs[0]
        yield Node("Mul", f"{node.label}_alpha", (between[0], factor), (product,))
    if addend and beta != 1.0:
        factor = _kept(np.asarray(beta, np.float32), f"{node.outputs[0]}_beta", model, arrays)
        yield Node("Mul", f"{node.label}_beta", (addend, factor), (between[2],))
        addend = between[2]
    if addend:
        yield Node("Add", f"{node.label}_addend", (product, addend), node.outputs)


def _without_factors(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in _FACTORS}


def _kept(array: NDArray[Any], wanted: str, model: FloatModel, arrays: dict[str, NDArray[Any]]) -> str:
    """Another constant; its name."""
    name = model.free_name(wanted)
    while name in arrays:
        name += "_"
    arrays[name] = array
    return name
