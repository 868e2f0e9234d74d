"""Another batch than the one that a TFLite model states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from accelsim.errors import WorkloadError
from accelsim.workload.tflite.graph import TfliteGraph
from accelsim.workload.tflite.views import constant_tensors


def with_batch(graph: TfliteGraph, batch: int, path: Path) -> TfliteGraph:
    """The graph with the first dimension of its inputs, and of all that follows from them, `batch` times as long.

    A file states every shape, so that what follows is scaled rather than inferred; an operator for which that is wrong (one
    that moves or joins the first dimension) is refused when its shapes are compared.

    Raises
    ------
    WorkloadError : a batch below 1; a first dimension of an input other than 1, unless it is `batch` already.
    """
    if batch < 1:
        raise WorkloadError(f"expected a batch of at least 1, got {batch}", file=str(path))
    stated = {graph.tensors[number].shape[:1] for number in graph.inputs}
    if stated == {(batch,)}:
        return graph
    for number in graph.inputs:
        tensor = graph.tensors[number]
        if tensor.shape[:1] != (1,):
            first = tensor.shape[0] if tensor.shape else "none"
            raise WorkloadError(f"the model fixes the batch at {first}, got --batch {batch}", file=str(path),
                                field=f'input "{tensor.name}"')
    constants = constant_tensors(graph)
    scaled = set(graph.inputs)
    for operator in graph.operators:
        if scaled.intersection(operator.inputs):
            scaled.update(number for number in operator.outputs if number not in constants)
    tensors = tuple(replace(tensor, shape=(tensor.shape[0] * batch, *tensor.shape[1:]))
                    if tensor.index in scaled and tensor.shape else tensor for tensor in graph.tensors)
    return replace(graph, tensors=tensors)
