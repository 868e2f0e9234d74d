"""Scales and zero points of weights as ONNX states them: for the model's own array, not for its matrices (G * N, K)."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel


class StatedScales(NamedTuple):
    """What a DequantizeLinear of weights states.

    Parameters
    ----------
    scale, zero_point : one number, one an index of `axis`, or one a block along it.
    attributes : of the operator: axis, block_size.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    attributes: dict[str, int]


def stated_scales(layer: FloatLayer, qparams: QParams, model: FloatModel) -> StatedScales:
    """The same meaning of the same integers, in the layout of the model.

    Parameters
    ----------
    qparams : of the matrix (G * N, K).

    Raises
    ------
    WorkloadError : blocks that ONNX cannot state: across kernel positions, or of several matrices.
    """
    scale, points = qparams.scale.astype(np.float32), qparams.zero_point
    layout = layer.layout
    if qparams.axis is None:
        return StatedScales(scale, points, {})
    if qparams.group_size is None:
        if layout.channel_axis is None:
            return StatedScales(scale.reshape(()), points.reshape(()), {})
        count = scale.size // layout.channel_repeats
        return StatedScales(scale[:count], points[:count], {"axis": layout.channel_axis})
    return StatedScales(_blocked(layer, scale, qparams, model), _blocked(layer, points, qparams, model),
                        {"axis": layout.inner_axis, "block_size": qparams.group_size})


def _blocked(layer: FloatLayer, numbers: NDArray[Any], qparams: QParams, model: FloatModel) -> NDArray[Any]:
    """Numbers (G * N, blocks of K) in the shape of the weights, with blocks in place of the inner axis."""
    layout, block = layer.layout, qparams.group_size
    assert block is not None
    shape, inner = layout.shape, layout.inner_axis
    positions = prod(shape[2:]) if layer.kind == "conv" else 1
    if layer.kind == "conv_transpose" or (layer.kind == "matmul" and layer.weights.shape[0] > 1):
        raise model.error("expected scales of blocks for a convolution or one matrix, got several matrices or a transposed "
                          "convolution", layer.name)
    if positions > 1 and shape[inner] % block:
        raise model.error(f"expected blocks that divide the {shape[inner]} input channels of a kernel position, got {block}",
                          layer.name)
    if layer.kind == "matmul":
        return numbers if inner == len(shape) - 1 else numbers.T
    spatial = shape[2:]
    by_position = numbers.reshape(shape[0], *spatial, -1)
    return np.moveaxis(by_position, -1, 1)
