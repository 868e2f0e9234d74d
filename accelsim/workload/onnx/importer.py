"""ONNX models: floating-point, quantized with QDQ pairs, or made of quantized operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from accelsim.errors import AccelsimError, WorkloadError
from accelsim.workload.network import Network
from accelsim.workload.onnx import grid_operators as grid
from accelsim.workload.onnx import vector_operators as vector
from accelsim.workload.onnx.file import read_model
from accelsim.workload.onnx.graph import Node, read_graph
from accelsim.workload.onnx.moves import MOVES, move
from accelsim.workload.onnx.normal_form import normal_form
from accelsim.workload.onnx.shapes import Shapes, complaint, infer_shapes
from accelsim.workload.onnx.translation import NotSimulated, Translation
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

_TRANSLATORS: dict[str, Callable[[Node, Translation], None]] = {
    "Conv": grid.convolution,
    "ConvTranspose": grid.transposed_convolution,
    "MatMul": grid.matrix_product,
    "Gemm": grid.gemm,
    "BatchNormalization": vector.batch_normalization,
    "Identity": vector.rescaling,
    **dict.fromkeys(vector.ACTIVATIONS, vector.activation),
    **dict.fromkeys(vector.ELEMENTWISE, vector.elementwise),
    **dict.fromkeys(vector.REDUCTIONS, vector.reduction),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"), vector.pooling),
    **dict.fromkeys(("Softmax", "LogSoftmax"), vector.softmax),
    **dict.fromkeys(
        (
            "LayerNormalization",
            "RMSNormalization",
            "SimplifiedLayerNormalization",
            "GroupNormalization",
            "InstanceNormalization",
            "LpNormalization",
            "LRN",
        ),
        vector.normalization,
    ),
    **dict.fromkeys(("Resize", "Upsample"), vector.resize),
    **dict.fromkeys(MOVES, move),
}

# What a graph or node that breaks ONNX's specification (too few inputs, an attribute of another type, text
# that is not UTF-8) surfaces as. Checking each against the specification first would refuse many models that
# run well elsewhere.
_BREACHES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def import_onnx(
    path: str | Path,
    *,
    batch: int | None = None,
    shapes: Mapping[str, Shape] = MappingProxyType({}),
    weight_bits: int = 8,
    input_bits: int = 8,
) -> Network:
    """A network from an ONNX file. Weights are never read, only their shapes, so external data may be absent.

    Views (Reshape, Flatten, Cast, ...) and constant subgraphs vanish; batch normalization and per-channel
    constants fold into the grid layer before them; clamps fuse into the layer before them. A QuantizeLinear belongs to
    the layer before it, unless that one's output is on integers of another scale, zero point or type already: then it is
    a layer of its own. Operators that the machine does not execute are counted in `Network.unsupported`, and what they
    write counts as coming from outside.

    Parameters
    ----------
    path : the model.
    batch : first dimension of every input, where the model leaves it open or fixes it at 1.
    shapes : input name -> whole shape.
    weight_bits, input_bits : widths of weights and activations that are floating-point in the model. Tensors
        that are integers in the model have their own width.

    Raises
    ------
    WorkloadError : not an ONNX model, an unknown size, or nothing in it that can be executed.
    """
    path = Path(path)
    return network_of(translated(path, batch=batch, shapes=shapes, weight_bits=weight_bits, input_bits=input_bits), path)


def translated(
    path: Path, *, batch: int | None, shapes: Mapping[str, Shape], weight_bits: int, input_bits: int
) -> Translation:
    """The layers of a model and what they stand for; parameters and errors are those of `import_onnx`."""
    return translated_model(
        read_model(path), path, batch=batch, shapes=shapes, weight_bits=weight_bits, input_bits=input_bits
    )


def translated_model(
    model: ModelProto, path: Path, *, batch: int | None, shapes: Mapping[str, Shape], weight_bits: int, input_bits: int
) -> Translation:
    """The same for a model in memory; `path` is its name in messages, and where its external data would be."""
    try:
        graph = normal_form(read_graph(model, path))
        sized = infer_shapes(graph, path, batch=batch, shapes=shapes)
    except _BREACHES as error:
        raise WorkloadError(f"not a valid ONNX graph: {error}", file=str(path)) from error
    return translation_of(sized, path, weight_bits=weight_bits, input_bits=input_bits)


def translation_of(shapes: Shapes, path: Path, *, weight_bits: int, input_bits: int) -> Translation:
    """The same for a graph in normal form with its shapes."""
    try:
        translation = Translation(shapes, path, weight_bits=weight_bits, input_bits=input_bits)
    except _BREACHES as error:
        raise WorkloadError(f"not a valid ONNX graph: {error}", file=str(path)) from error
    unknown: set[str] = set()
    for node in translation.nodes:
        _translate(node, translation, unknown)
    if not translation.layers:
        found = ", ".join(f"{name} x{count}" for name, count in sorted(translation.unsupported.items()))
        raise WorkloadError(
            f"expected at least one operator that accelsim executes, got {found or 'only views and constants'}",
            file=str(path),
        )
    return translation


def network_of(translation: Translation, path: Path) -> Network:
    """The network of a finished translation."""
    return Network(
        path.stem,
        translation.layers,
        outputs=translation.outputs,
        unsupported=dict(sorted((+translation.unsupported).items())),
    )


def _translate(node: Node, translation: Translation, unknown: set[str]) -> None:
    """One node to its layers.

    `unknown` collects tensors whose shape only an operator that is not simulated knows.
    """
    unsized = [name for name in (*node.inputs, *node.outputs[:1]) if name and name not in translation.sizes]
    is_view = translation.is_view(node)
    if unknown.intersection(node.inputs) or not node.outputs or (node.op not in _TRANSLATORS and not is_view):
        unknown.update(name for name in node.outputs if name not in translation.sizes)
        translation.unsupported[node.op] += 0 if is_view else 1
        return
    if unsized:
        reason = complaint(translation.graph)
        raise translation.error(f'the shape of "{unsized[0]}" is not known' + (f" ({reason})" if reason else ""), node)
    if is_view:
        return
    try:
        _TRANSLATORS[node.op](node, translation)
    except NotSimulated:
        translation.unsupported[node.op] += 1
    except AccelsimError as error:
        raise WorkloadError(error.problem, file=str(translation.path), field=error.field or node.label) from None
    except _BREACHES as error:
        raise translation.error(f"not a valid {node.op}: {error}", node) from error
