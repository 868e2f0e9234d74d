"""Kernels of the ONNX operators that move integers; where the output has other integers, a rescaling goes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.concatenation import ConcatenationKernel
from accelsim.numerics.kernels.movement import (
    DepthToSpaceKernel,
    ExpandKernel,
    GatherKernel,
    PadKernel,
    SliceKernel,
    SpaceToDepthKernel,
    TileKernel,
    TransposeKernel,
)
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.kernel_chain import chained
from accelsim.workload.onnx.origin import Origin


def move_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """What a layer that moves integers does.

    Raises
    ------
    NotQuantized : an operator without a kernel; sizes or indices that are computed; a constant as the data.
    """
    node = origin.node
    if node.op == "Concat":
        return _concatenation(origin, model)
    if node.op not in _MOVES:
        raise NotQuantized(f"expected an operator with a kernel on integers, got {node.op}")
    if len(origin.operands) != 1 or model.translation.is_constant(node.inputs[0]):
        raise NotQuantized(f"expected a {node.op} of one computed tensor by constants")
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    y = written.qparams
    rescaling = [] if x == y else [RescalingKernel(x, y, y.qtype.min, y.qtype.max)]
    return chained([*rescaling, _MOVES[node.op](origin, y, model)]), written


def _concatenation(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    node = origin.node
    meanings, constants = [], {}
    for position, name in enumerate(node.inputs):
        if model.translation.is_constant(name):
            constant = model.parameters.quantized(name, node.encoding(position))
            meanings.append(constant.qparams)
            constants[position] = constant.values
        else:
            meanings.append(model.read(name, node.encoding(position)))
    written = model.written(origin)
    axis = node.integer("axis", 1)
    return ConcatenationKernel(tuple(meanings), written.qparams, axis, constants), written


def _transposed(origin: Origin, y: QParams, model: Activations) -> Kernel:
    rank = len(model.translation.shape(origin.node.inputs[0]))
    return TransposeKernel(origin.node.integers("perm") or tuple(reversed(range(rank))))


def _sliced(origin: Origin, y: QParams, model: Activations) -> Kernel:
    """Slice: bounds as inputs, before version 10 as attributes."""
    node = origin.node
    if len(node.inputs) == 1:
        starts, ends = node.integers("starts"), node.integers("ends")
        return SliceKernel(starts, ends, (1,) * len(starts), node.integers("axes") or None)
    starts, ends, axes, steps = (_integers(node, position, model) for position in range(1, 5))
    return SliceKernel(starts, ends, steps or (1,) * len(starts), axes or None)


def _split(origin: Origin, y: QParams, model: Activations) -> Kernel:
    """One part of a Split: where it begins is told by the sizes of the parts before it."""
    node, shape = origin.node, model.translation.shape
    axis = node.integer("axis", 0) % len(shape(node.inputs[0]))
    sizes = [shape(name)[axis] for name in node.outputs[: origin.output + 1]]
    return SliceKernel((sum(sizes[:-1]),), (sum(sizes),), (1,), (axis,))


def _padded(origin: Origin, y: QParams, model: Activations) -> Kernel:
    node = origin.node
    rank = len(model.translation.shape(node.inputs[0]))
    pads = _integers(node, 1, model) or node.integers("pads") or node.integers("paddings")
    axes = _integers(node, 3, model) or tuple(range(rank))
    borders = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        borders[axis] = pads[place], pads[place + len(axes)]
    return PadKernel(tuple(borders), _fill(node, y, model), node.attribute("mode", "constant"))


def _fill(node: Node, y: QParams, model: Activations) -> int:
    """The border in the output's integers."""
    name = node.input(2)
    if node.attribute("mode", "constant") != "constant":
        return 0
    value = model.parameters.array(name).flat[0] if name else node.attribute("value", 0.0)
    if model.holds_integers(node.inputs[0]):
        return int(value)
    return int(y.quantize(np.float32(value)))


def _gathered(origin: Origin, y: QParams, model: Activations) -> Kernel:
    node = origin.node
    return GatherKernel(node.integer("axis", 0), model.parameters.array(node.inputs[1]))


def _expanded(origin: Origin, y: QParams, model: Activations) -> Kernel:
    return ExpandKernel(_integers(origin.node, 1, model))


def _tiled(origin: Origin, y: QParams, model: Activations) -> Kernel:
    return TileKernel(_integers(origin.node, 1, model))


def _depth_to_space(origin: Origin, y: QParams, model: Activations) -> Kernel:
    node = origin.node
    return DepthToSpaceKernel(node.integer("blocksize", 1), node.attribute("mode", "DCR"), channels_last=False)


def _space_to_depth(origin: Origin, y: QParams, model: Activations) -> Kernel:
    return SpaceToDepthKernel(origin.node.integer("blocksize", 1), channels_last=False)


def _integers(node: Node, position: int, model: Activations) -> tuple[int, ...]:
    """The numbers of a small constant input; none where it is left out."""
    if not node.input(position):
        return ()
    return tuple(int(value) for value in model.parameters.array(node.input(position)).flat)


_MOVES: dict[str, Callable[[Origin, QParams, Activations], Kernel]] = {
    "Transpose": _transposed,
    "Slice": _sliced,
    "Split": _split,
    "Pad": _padded,
    "Gather": _gathered,
    "Expand": _expanded,
    "Tile": _tiled,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
