"""A layer's weights as codes (`nonuniform`), with scales that ONNX can state and that leave room for its bias."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import WeightChoice
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.weight_format import CodedFormat
from accelsim.quantization.weight_quantization import with_room_for_bias


class CodedLayer(NamedTuple):
    """Coded weights of one layer.

    Parameters
    ----------
    lowered : integers (G, N, K), and the codes' width.
    widened : output channels whose scale grew so that their bias fits.
    """

    lowered: LoweredWeights
    widened: int = 0


def coded_layer(layer: FloatLayer, choice: WeightChoice, x: QParams | None, bias_bits: int, model: FloatModel,
                input_sums: NDArray[Any] | None = None) -> CodedLayer:
    """The codes of a layer's weights, lowered.

    Where the bias asks for a larger scale, a channel's weights take the nearest of the levels at that scale.

    Parameters
    ----------
    choice : with a coded format.
    x : the input's grid; None where it is found during the run.
    bias_bits : of the bias.
    input_sums : what the format asked of the layer's inputs (`CodedFormat.sums_of`), None if nothing.

    Raises
    ------
    WorkloadError : weights that are not finite, or that the format cannot code.
    """
    try:
        lowered = _lowered(layer, choice, input_sums)
    except NumericsError as error:
        raise model.error(f"{error.field}: {error.problem}" if error.field else error.problem, layer.name) from None
    if layer.bias is None or x is None:
        return CodedLayer(lowered)
    grid = with_room_for_bias(layer, lowered.qparams, x, bias_bits)
    if not grid.widened:
        return CodedLayer(lowered)
    return CodedLayer(lowered.at_scales(layer.weights, grid.qparams.scale), grid.widened)


def _lowered(layer: FloatLayer, choice: WeightChoice, input_sums: NDArray[Any] | None) -> LoweredWeights:
    form = choice.format
    assert isinstance(form, CodedFormat)
    groups, channels, steps = layer.weights.shape
    if steps % form.vector_length:
        raise NumericsError(f"expected a length that divides the {steps} weights of a channel, got {form.vector_length}",
                            field="vector_length")
    per_channel = choice.scheme.granularity.kind == "channel"
    if not per_channel or layer.layout.channel_repeats == 1:
        return form.lowered(layer.weights, bits=choice.bits, per_channel=per_channel, input_sums=input_sums)
    # Channels that ONNX gives one scale (those of the groups of a transposed convolution) are fitted as one.
    joined = layer.weights.swapaxes(0, 1).reshape(1, channels, groups * steps)
    if input_sums is not None and input_sums.ndim == layer.weights.ndim:
        input_sums = input_sums.reshape(1, 1, groups * steps)
    found = form.lowered(joined, bits=choice.bits, per_channel=True, input_sums=input_sums)
    integers = found.integers.reshape(channels, groups, steps).swapaxes(0, 1)
    grid = QParams(scale=np.tile(found.qparams.scale, groups), zero_point=0, qtype=found.qparams.qtype, axis=0)
    return replace(found, integers=np.ascontiguousarray(integers), qparams=grid)
