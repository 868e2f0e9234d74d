"""What a TFLite graph does not have to compute, and which of its tensors are images.

Constants: the model's own, shapes of tensors, and whatever follows from constants alone. Views: other names for the same
elements in the same order. Images: tensors that lie as (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import TfliteGraph, TfliteOperator

# These give their first input's elements in the same order.
_ALWAYS_VIEWS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})

# Their first output is a number that the shapes tell.
_OF_SHAPES = frozenset({"SHAPE", "RANK"})

# Operators on images: their data inputs and outputs of four dimensions are (N, H, W, C).
_ON_IMAGES = frozenset({
    "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND",
    "LOCAL_RESPONSE_NORMALIZATION",
})

# These may give dimensions another meaning.
_CHANGING_LAYOUT = frozenset({"TRANSPOSE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BATCH_MATMUL", "FULLY_CONNECTED", "PACK",
                              "UNPACK", "GATHER", "GATHER_ND", "SCATTER_ND"})


def constant_tensors(graph: TfliteGraph) -> dict[int, int | None]:
    """Every tensor that is known before the run, with the width of its integers (None for floating-point)."""
    written = {tensor for operator in graph.operators for tensor in operator.outputs}
    found: dict[int, int | None] = {}
    for tensor in graph.tensors:
        # A constant of no elements has no bytes: the axes of a reduction over none.
        is_empty = tensor.index not in written and tensor.index not in graph.input_set and 0 in tensor.shape
        if tensor.data is not None or is_empty:
            found[tensor.index] = None if tensor.type.is_float else tensor.type.bits
    for operator in graph.operators:
        read = operator.given()
        if operator.op in _OF_SHAPES or (read and all(number in found for number in read)):
            source = found.get(operator.input(0))
            for number in operator.outputs:
                found[number] = source if graph.tensors[number].type.is_float else graph.tensors[number].type.bits
    return found


def live_operators(graph: TfliteGraph, constants: Collection[int]) -> tuple[TfliteOperator, ...]:
    """The operators that an output depends on and that are not constant."""
    needed = set(graph.outputs)
    live = []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs) and not all(tensor in constants for tensor in operator.outputs):
            live.append(operator)
            needed.update(operator.given())
    return tuple(reversed(live))


def view_of(operator: TfliteOperator, graph: TfliteGraph, order: Sequence[int] | None = None) -> int | None:
    """The tensor that the operator's output is a view of, or None if it computes or moves something.

    Between integers and real numbers the machine keeps the integers: QUANTIZE and DEQUANTIZE of such are views, but for a
    QUANTIZE of an input of the model, whose integers come from outside.

    Parameters
    ----------
    order : of a transposition, if known.
    """
    if not operator.inputs or not operator.outputs or operator.inputs[0] < 0:
        return None
    source = operator.inputs[0]
    read, written = graph.tensors[source], graph.tensors[operator.outputs[0]]
    is_view = operator.op in _ALWAYS_VIEWS
    if operator.op == "QUANTIZE":
        is_view = read.type.is_float and source not in graph.input_set
    elif operator.op == "DEQUANTIZE":
        is_view = True
    elif operator.op == "CAST":
        is_view = read.type == written.type or (read.type.is_float and written.type.is_float)
    elif operator.op == "TRANSPOSE" and order is not None:
        is_view = keeps_order(order, read.shape)
    return source if is_view else None


def is_input_quantization(operator: TfliteOperator, graph: TfliteGraph) -> bool:
    """Whether the operator makes the integers of a model's input that takes real numbers."""
    return (operator.op == "QUANTIZE" and bool(operator.outputs) and operator.input(0) in graph.input_set
            and graph.tensors[operator.inputs[0]].type.is_float)


def keeps_order(order: Sequence[int], shape: Shape) -> bool:
    """Whether a transposition only moves dimensions of 1, so that the elements stay where they are.

    >>> keeps_order((0, 2, 3, 1), (1, 1, 1, 64)), keeps_order((0, 2, 1), (1, 3, 5)), keeps_order((1, 1), (3, 5))
    (True, False, False)
    """
    axes = [axis + len(shape) if axis < 0 else axis for axis in order]
    if sorted(axes) != list(range(len(shape))):
        return False
    moved = [axis for axis in axes if shape[axis] > 1]
    return moved == sorted(moved)


def image_tensors(operators: Sequence[TfliteOperator], graph: TfliteGraph, constants: Collection[int]) -> frozenset[int]:
    """Activations of four dimensions that an operator on images reads or writes, or that share their layout with one."""
    parents = list(range(len(graph.tensors)))

    def representative(tensor: int) -> int:
        while parents[tensor] != tensor:
            parents[tensor] = parents[parents[tensor]]
            tensor = parents[tensor]
        return tensor

    seeds = []
    for operator in operators:
        around = [tensor for tensor in (*operator.given(), *operator.outputs)
                  if len(graph.tensors[tensor].shape) == 4 and tensor not in constants]
        if operator.op in _ON_IMAGES:
            seeds += around
        if operator.op not in _CHANGING_LAYOUT:
            for tensor in around[1:]:
                parents[representative(tensor)] = representative(around[0])
    return _members(seeds, representative, graph)


def _members(seeds: Sequence[int], representative: Callable[[int], int], graph: TfliteGraph) -> frozenset[int]:
    chosen = {representative(tensor) for tensor in seeds}
    return frozenset(tensor.index for tensor in graph.tensors if representative(tensor.index) in chosen)

