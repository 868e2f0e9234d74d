"""What an ONNX graph does not have to compute: constant subgraphs, dead nodes, views of other tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accelsim.workload.onnx.graph import Graph, Node
from accelsim.workload.onnx.roundings import Roundings
from accelsim.workload.onnx.shapes import Shapes
from accelsim.workload.tensor import Shape

# Source: onnx.proto3, TensorProto.DataType: float, float16, double, bfloat16, and the 8-bit floats.
_FLOATING = frozenset({1, 10, 11, 16, 17, 18, 19, 20})

# These give their first input's elements in the same order.
_ALWAYS_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
# These do where they change no size.
_VIEWS_OF_SAME_SIZE = frozenset({"Slice", "Expand", "Tile", "Resize", "Upsample"})
# These do where they have one input.
_VIEWS_OF_ONE = frozenset({"Concat", "Sum", "Max", "Min", "Mean"})
# Their integer results are accumulators, which the requantizer converts anyway.
_ACCUMULATING = frozenset({"Conv", "MatMul", "Gemm"})


def constant_names(graph: Graph) -> dict[str, int | None]:
    """Every tensor that is known before the run, with the width of its integers (None for floating-point).

    Constants are the model's own ones, shapes of tensors, and whatever follows from constants alone.
    """
    names: dict[str, int | None] = {name: graph.bits.get(name) for name in graph.constants}
    for node in graph.nodes:
        is_constant = node.op in ("Shape", "Size") or (
            "." not in node.op
            and all(name in names for name in node.inputs if name)
            and not any(True for _ in node.captured())
        )
        if is_constant:
            source = names.get(node.input(0))
            names |= {name: graph.bits.get(name, source) for name in node.outputs if name}
    return names


def live_nodes(graph: Graph, constants: Mapping[str, int | None]) -> tuple[Node, ...]:
    """The nodes that something reads, directly or not, and that are not constant."""
    needed = set(graph.outputs)
    live = []
    for node in reversed(graph.nodes):
        is_constant = all(name in constants for name in node.outputs if name)
        if not is_constant and (needed & set(node.outputs) or not graph.outputs):
            live.append(node)
            needed.update(node.inputs, node.captured())
    return tuple(reversed(live))


def views(nodes: Sequence[Node], shapes: Shapes) -> dict[str, str]:
    """Names that are other names for tensors: view -> what it is a view of."""
    found: dict[str, str] = {}
    writers = {name: node for node in nodes for name in node.outputs}
    roundings = Roundings(nodes, shapes.graph.constants, found, shapes.graph.true_types)
    for node in nodes:
        if node.inputs and node.outputs and _is_view(node, shapes, writers) and not roundings.changes_integers(node):
            found[node.outputs[0]] = node.inputs[0]
    return found


def _is_view(node: Node, shapes: Shapes, writers: Mapping[str, Node]) -> bool:
    read, written = node.inputs[0], node.outputs[0]
    if node.op in _ALWAYS_VIEWS:
        return True
    if node.op in _VIEWS_OF_ONE:
        return len(node.inputs) == 1
    if node.op == "Cast":
        types = {shapes.element_types.get(name, 0) for name in (read, written)}
        is_accumulator = read in writers and writers[read].op in _ACCUMULATING
        return is_accumulator or len(types) == 1 or types <= _FLOATING
    if read not in shapes.sizes or written not in shapes.sizes:
        return False
    if node.op in _VIEWS_OF_SAME_SIZE:
        return shapes.sizes[read] == shapes.sizes[written]
    if node.op == "Transpose":
        return _keeps_order(node.integers("perm"), shapes.sizes[read])
    return node.op == "Split" and len(node.outputs) == 1


def _keeps_order(permutation: tuple[int, ...], shape: Shape) -> bool:
    """Whether a transposition only moves dimensions of 1, so that the elements stay where they are.

    >>> _keeps_order((0, 2, 3, 1), (1, 64, 1, 1)), _keeps_order((0, 2, 1), (1, 3, 5))
    (True, False)
    """
    order = permutation or tuple(reversed(range(len(shape))))
    moved = [axis for axis in order if 0 <= axis < len(shape) and shape[axis] > 1]
    return moved == sorted(moved)
