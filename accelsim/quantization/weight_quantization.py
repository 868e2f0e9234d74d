"""A layer's weights and bias as integers.

The scale s_w of the weights comes from a range setter; the bias then has units s_x s_w and so many bits. Where a bias does
not fit, as in a channel whose weights are almost 0, s_w grows until it does: the weights of such a channel lose precision,
which nothing sees beside its bias. Source of the units: Jacob et al. 2018 (arXiv 1712.05877), equation 11; onnxruntime's
quantizer widens weight scales for the same reason.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import WeightChoice
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel

_LARGEST_INT32 = 2**31 - 1


class ChosenGrid(NamedTuple):
    """Where a layer's weights can be.

    Parameters
    ----------
    qparams : of the matrix (G * N, K).
    widened : output channels whose scale grew so that their bias fits.
    """

    qparams: QParams
    widened: int = 0


def weight_grid(layer: FloatLayer, choice: WeightChoice, x: QParams | None, bias_bits: int,
                model: FloatModel) -> ChosenGrid:
    """The grid of a layer's weights.

    Parameters
    ----------
    x : the input's grid; None where it is found during the run.
    bias_bits : of the bias.

    Raises
    ------
    WorkloadError : weights that are not finite, or that the scheme cannot hold.
    """
    matrix = layer.weights.reshape(layer.channels, -1)
    try:
        low, high = choice.setter.range_of(matrix, choice.scheme)
        low, high = (_shared(ends, layer, choice, smallest) for ends, smallest in ((low, True), (high, False)))
        qparams = choice.scheme.qparams(low, high)
    except NumericsError as error:
        raise model.error(f"{error.field}: {error.problem}" if error.field else error.problem, layer.name) from None
    if layer.bias is None or x is None:
        return ChosenGrid(qparams)
    return with_room_for_bias(layer, qparams, x, bias_bits)


def _shared(ends: NDArray[Any], layer: FloatLayer, choice: WeightChoice, is_lowest: bool) -> NDArray[Any]:
    """One range for channels that ONNX gives one scale: those of the groups of a transposed convolution."""
    repeats = layer.layout.channel_repeats
    if repeats == 1 or choice.scheme.granularity.kind not in ("channel", "channel_group"):
        return ends
    parts = ends.reshape(repeats, -1)
    return np.tile(parts.min(axis=0) if is_lowest else parts.max(axis=0), repeats)


def _largest_bias(layer: FloatLayer, qparams: QParams, x: QParams, bias_bits: int) -> int:
    """What a bias may be: within its own bits, and, where products leave room, so that their sum with it fits 32 bits."""
    reach = [max(int(grid.qtype.max - grid.zero_point.min()), int(grid.zero_point.max() - grid.qtype.min))
             for grid in (qparams, x)]
    room = _LARGEST_INT32 - int(layer.weights.shape[2]) * reach[0] * reach[1]
    return min((1 << (bias_bits - 1)) - 1, max(room, _LARGEST_INT32 >> 1))


def with_room_for_bias(layer: FloatLayer, qparams: QParams, x: QParams, bias_bits: int) -> ChosenGrid:
    """The same grid with larger scales where the layer's bias asks for them; arguments as those of `weight_grid`."""
    assert layer.bias is not None
    input_scale, most = float(np.asarray(x.scale)), _largest_bias(layer, qparams, x, bias_bits)
    # A scale that is rounded to float32 once more still leaves room.
    needed = np.abs(layer.bias.astype(np.float64)) / (input_scale * most) * (1 + 1e-6)
    scale = qparams.scale.copy()
    if qparams.axis is None:
        needed = np.asarray(needed.max())
    elif qparams.group_size is not None:
        # The bias is in units of the largest of its channel's scales.
        wide = needed > scale.max(axis=1)
        scale[wide, 0] = needed[wide]
        return ChosenGrid(_rescaled(qparams, scale), int(wide.sum())) if wide.any() else ChosenGrid(qparams)
    else:
        repeats = layer.layout.channel_repeats
        needed = np.tile(needed.reshape(repeats, -1).max(axis=0), repeats)
    wide = needed > scale
    if not wide.any():
        return ChosenGrid(qparams)
    return ChosenGrid(_rescaled(qparams, np.maximum(scale, needed)), int(wide.sum()))


def _rescaled(qparams: QParams, scale: NDArray[np.float64]) -> QParams:
    """The grid at other scales; powers of two stay such."""
    if np.all(np.frexp(qparams.scale)[0] == 0.5):
        scale = np.exp2(np.ceil(np.log2(scale)))
    return QParams(scale=scale.astype(np.float32), zero_point=qparams.zero_point, qtype=qparams.qtype, axis=qparams.axis,
                   group_size=qparams.group_size)


def quantized_bias(layer: FloatLayer, qparams: QParams, input_scale: float, bias_bits: int,
                   model: FloatModel) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The bias in units of s_x s_w, and these units (of a channel's largest block).

    Raises
    ------
    WorkloadError : a bias that is not finite, or that needs more bits.
    """
    assert layer.bias is not None
    weight_scale = qparams.scale if qparams.group_size is None else qparams.scale.max(axis=1)
    # As onnxruntime multiplies them: in float32.
    unit = np.asarray(np.float32(input_scale) * weight_scale.astype(np.float32), dtype=np.float32)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        integers = np.rint(layer.bias.astype(np.float64) / unit.astype(np.float64))
    most = (1 << (bias_bits - 1)) - 1
    if not np.all(np.abs(integers) <= most):
        raise model.error(f"expected a finite bias of {bias_bits} bits in units of {float(unit.max()):.3g}", layer.name)
    return integers.astype(np.int32), unit
