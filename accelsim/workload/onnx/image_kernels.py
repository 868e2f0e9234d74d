"""Kernels of the ONNX operators on images: pooling and resizing."""

from __future__ import annotations

from typing import Any

from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.movement import ReshapeKernel
from accelsim.numerics.kernels.pooling import PoolingKernel
from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.kernels.resizing import ResizingKernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.clamps import clamp_range
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.grid_operators import window_pads
from accelsim.workload.onnx.kernel_chain import chained
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.tensor import Shape

_Pair = tuple[int, int]


def pooling_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """Max and average pooling; a window as large as the image is a reduction."""
    node = origin.node
    shape, out_shape = (model.translation.shape(name) for name in (node.inputs[0], node.outputs[0]))
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    y = written.qparams
    low, high = clamp_range(origin.nodes[1:], y, model)
    if node.op.startswith("Global"):
        axes = tuple(range(2, len(shape)))
        kernel: Kernel = ReductionKernel("max" if "Max" in node.op else "mean", axes, True, x, y, is_global_pool=True)
        if (low, high) == (y.qtype.min, y.qtype.max):
            return kernel, written
        return chained([kernel, RescalingKernel(y, y, low, high)]), written
    pool = _windowed(node, shape, out_shape, x, y, (low, high))
    if len(shape) == 4:
        return pool, written
    image = (*shape[:2], 1, shape[2])
    return chained([ReshapeKernel(image), pool, ReshapeKernel(out_shape)]), written


def _windowed(node: Node, shape: Shape, out_shape: Shape, x: QParams, y: QParams, clamp: _Pair) -> PoolingKernel:
    """A pooling kernel of images; a row is an image of height 1."""
    size, out = _pair(shape[2:]), _pair(out_shape[2:])
    window, stride, dilation = (_pair(node.integers(name)) for name in ("kernel_shape", "strides", "dilations"))
    pads = window_pads(node, size, window, stride, dilation)
    counts_padding = bool(node.integer("count_include_pad", 0))
    top, left, bottom, right = pads
    # What a rounded-up output sees beyond the padding does not count.
    reach = [(out[axis] - 1) * stride[axis] + dilation[axis] * (window[axis] - 1) + 1 for axis in (0, 1)]
    more = [reach[axis] - size[axis] - pads[axis] - pads[axis + 2] for axis in (0, 1)]
    if max(more) > 0 and counts_padding:
        raise NotQuantized("expected ceil_mode without count_include_pad, got both")
    pads = (top, left, bottom + max(0, more[0]), right + max(0, more[1]))
    if any(pads[axis + 2] > dilation[axis] * (window[axis] - 1) for axis in (0, 1)):
        raise NotQuantized("expected every window to see a part of the image, got one that ceil_mode adds outside")
    return PoolingKernel(
        "max" if node.op == "MaxPool" else "average", window, stride, pads, dilation, channels_last=False,
        counts_padding=counts_padding, input=x, output=y, clamp_min=clamp[0], clamp_max=clamp[1])


def _pair(values: tuple[int, ...]) -> _Pair:
    if len(values) == 1:
        return 1, values[0]
    return (values[0], values[1]) if len(values) == 2 else (1, 1)


def resizing_kernel(origin: Origin, model: Activations) -> tuple[Kernel, Written]:
    """Resize and Upsample by nearest neighbour or linear interpolation."""
    node = origin.node
    shape, out_shape = (model.translation.shape(name) for name in (node.inputs[0], node.outputs[0]))
    x = model.read(origin.operands[0], node.encoding(0))
    written = model.written(origin)
    if node.integer("antialias", 0) or node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NotQuantized("expected a Resize without antialias and keep_aspect_ratio_policy")
    coordinates, nearest_mode = _conventions(node, model)
    given = _scales(node, model)
    axes = tuple(axis for axis in range(len(shape)) if shape[axis] != out_shape[axis] or given.get(axis, 1.0) != 1.0)
    kernel = ResizingKernel(
        mode="nearest" if node.attribute("mode", "nearest") == "nearest" else "linear", axes=axes,
        sizes=tuple(out_shape[axis] for axis in axes), coordinates=coordinates, input=x, output=written.qparams,
        nearest_mode=nearest_mode, scales=tuple(given.get(axis, 1.0) for axis in axes) if given else None,
        form="integer" if model.holds_integers(node.inputs[0]) else "dequantize")
    return kernel, written


def _conventions(node: Node, model: Activations) -> tuple[Any, Any]:
    """Coordinates and nearest mode. Source: ONNX Operators.md; Upsample and Resize of version 10 floor x / scale."""
    if node.op == "Upsample" or model.translation.graph.opsets.get("", 11) < 11:
        return "asymmetric", "floor"
    coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
    if coordinates == "tf_crop_and_resize":
        raise NotQuantized("expected a Resize of the whole image, got tf_crop_and_resize")
    return coordinates, node.attribute("nearest_mode", "round_prefer_floor")


def _scales(node: Node, model: Activations) -> dict[int, float]:
    """The scales that the model gives, by axis; none where it gives sizes."""
    is_short = node.op == "Upsample" or model.translation.graph.opsets.get("", 11) < 11
    name = node.input(1 if is_short else 2)
    values = [float(value) for value in model.parameters.array(name).flat] if name else list(node.attribute("scales", ()))
    axes = node.integers("axes", range(len(values)))
    rank = len(model.translation.shape(node.inputs[0]))
    return {axis % rank: float(value) for axis, value in zip(axes, values, strict=False)}
