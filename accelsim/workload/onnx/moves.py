"""Translators of the ONNX operators that move data without computing."""

from __future__ import annotations

from math import prod

import numpy as np

from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.translation import Translation
from accelsim.workload.operation import Move
from accelsim.workload.tensor import Tensor

#: ONNX operator -> kind of `Move`.
MOVES = {
    "Concat": "concat",
    "Transpose": "transpose",
    "Slice": "slice",
    "Split": "split",
    "Pad": "pad",
    "Gather": "gather",
    "GatherElements": "gather",
    "GatherND": "gather",
    "Expand": "expand",
    "Tile": "tile",
    "Where": "copy",
    "DepthToSpace": "depth_to_space",
    "SpaceToDepth": "space_to_depth",
    "ScatterND": "scatter",
    "ScatterElements": "scatter",
    "Trilu": "copy",
}

# Operators whose further inputs are data like the first; the others have indices, sizes or masks there, which
# a layer reads only if they are computed.
_DATA_INPUTS = ("Concat", "Where", "ScatterND", "ScatterElements")


def move(node: Node, translation: Translation) -> None:
    """One layer that reads what is computed and writes the output; a split has one layer an output."""
    read = tuple(name for name in node.inputs if name and not translation.is_constant(name))
    constants = [name for name in node.inputs if name and translation.is_constant(name)]
    if node.op not in _DATA_INPUTS and not translation.is_constant(node.inputs[0]):
        constants = []
    largest = max(constants, key=lambda name: prod(translation.shape(name)), default="")
    weights = translation.constant(largest) if largest else None
    if node.op.startswith("Gather") and weights is not None:
        weights = _gathered(node, translation)
    if node.op == "Pad":
        _note_image_pad(node, translation)
    for output, name in enumerate(node.outputs):
        if name:
            translation.emit(node, Move(MOVES[node.op], translation.shape(name)), read, output=output, weights=weights)


def _gathered(node: Node, translation: Translation) -> Tensor:
    """The part of a constant table that an embedding reads: as many elements as it writes."""
    return translation.constant(node.inputs[0], shape=translation.shape(node.outputs[0]))


def _note_image_pad(node: Node, translation: Translation) -> None:
    """Remembers a pad of the image's borders by one number, which a convolution behind it may take over."""
    pads = node.integers("pads") or node.integers("paddings")
    if node.input(1):
        value = translation.value(node.inputs[1])
        pads = tuple(int(size) for size in value.flat) if value is not None else ()
    fill = translation.value(node.inputs[2]) if node.input(2) else np.asarray(node.attribute("value", 0.0))
    rank = len(translation.shape(node.inputs[0]))
    if len(pads) != 2 * rank or rank not in (3, 4) or node.input(3) or min(pads) < 0 or fill is None or fill.size != 1:
        return
    before, after = pads[:rank], pads[rank:]
    is_plain = node.attribute("mode", "constant") == "constant" and translation.roundings.keeps_integers(node)
    if is_plain and not any(before[:2] + after[:2]):
        top, left, bottom, right = (0, before[2], 0, after[2]) if rank == 3 else (*before[2:], *after[2:])
        translation.image_pads[node.outputs[0]] = node.inputs[0], (top, left, bottom, right), float(fill.flat[0])
