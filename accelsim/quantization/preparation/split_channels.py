"""Outlier channel splitting in a network: the layer before makes a channel twice, the layer behind shares its weights.

The first layer gets more output channels, the second as many more inputs; its weights, or its inputs, need a smaller range.
Layers with groups stay as they are.

References
----------
Zhao et al. 2019, "Improving Neural Network Quantization without Retraining using Outlier Channel Splitting" (arXiv
1901.09504).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.quantization.equalization.outlier_channels import ChannelSplit, largest_after, split_inputs, split_weights
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.channel_extremes import channel_axis, channel_extremes
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.preparation.layer_links import LayerLink, layer_links
from accelsim.workload.operation import Convolution


def split_channels(model: FloatModel, data: CalibrationSet | None = None, *, ratio: float,
                   outliers: Literal["weights", "inputs"] = "weights", bits: int | None = None) -> Edited:
    """The network with split channels.

    Parameters
    ----------
    model : with folded batch normalizations.
    data : shows the inputs' outliers; weights' need none.
    ratio : how many channels are added, as a share of a layer's inputs.
    outliers : of what.
    bits : of the grid per tensor that weights are rounded to afterwards, for halves that round alike; equal ones without.

    Raises
    ------
    NumericsError : a negative ratio.
    WorkloadError : what the set raises.
    """
    links = [link for link in layer_links(model) if _can_split(link, outliers)]
    maxima = {}
    if outliers == "inputs":
        if data is None:
            raise model.error("expected a calibration set, which shows the outliers of inputs, got none")
        tensors = {link.first.activated: channel_axis(link.first) for link in links}
        maxima = {name: extremes.largest for name, extremes in channel_extremes(model, tensors, data).items()}
    remarks = []
    for link in links:
        # The layers as edits before left them.
        first, second = model.layer(link.first.name), model.layer(link.second.name)
        if outliers == "inputs":
            split = split_inputs(second.weights, maxima[link.first.activated], ratio=ratio)
        else:
            step = _step(second, first.channels, ratio, bits)
            split = split_weights(second.weights, first.channels, ratio=ratio, step=step)
        added = len(split.sources) - first.channels
        if added:
            model = _with_inputs(second, split, _with_outputs(first, split, model))
            remarks.append(f"{first.name} -> {second.name}: {added} channels split")
    return Edited(model, tuple(remarks))


def _can_split(link: LayerLink, outliers: str) -> bool:
    is_open = outliers == "weights" or bool(np.all((link.first.clip.low == 0) | np.isinf(link.first.clip.low))
                                            and np.all(np.isposinf(link.first.clip.high)))
    return is_open and all(layer.weights.shape[0] == 1 and layer.kind != "conv_transpose"
                           for layer in (link.first, link.second)) and not any(
        node.op in ("Reshape", "Squeeze") for node in link.between)


def _step(layer: FloatLayer, channels: int, ratio: float, bits: int | None) -> float | None:
    largest = largest_after(layer.weights, channels, ratio=ratio)
    return None if bits is None or not largest else largest / ((1 << (bits - 1)) - 1)


def _with_outputs(layer: FloatLayer, split: ChannelSplit, model: FloatModel) -> FloatModel:
    """The model in which a layer makes the split channels."""
    axis = layer.layout.channel_axis
    assert axis is not None
    array = model.arrays[layer.weights_name]
    factors = split.input_factors.reshape(-1, *(1,) * (array.ndim - 1 - axis))
    model = _with_weights(layer, np.take(array, split.sources, axis=axis) * factors, model)
    known = model.statistics.get(layer.output)
    if known is not None:
        known = ChannelStatistics(known.mean[split.sources] * split.input_factors,
                                  known.std[split.sources] * split.input_factors)
        model = replace(model, statistics={**model.statistics, layer.output: known})
    if layer.bias is None:
        return model
    wider = replace(layer, weights=layer.weights[:, split.sources])
    return wider.edited(model, bias=layer.bias[split.sources] * split.input_factors)


def _with_inputs(layer: FloatLayer, split: ChannelSplit, model: FloatModel) -> FloatModel:
    """The model in which a layer reads them."""
    count = len(split.sources)
    matrix = split.weights[0]
    if isinstance(layer.operation, Convolution):
        shape = layer.layout.shape
        taps = matrix.reshape(shape[0], *shape[2:], count)
        return _with_weights(layer, np.moveaxis(taps, -1, 1), model)
    return _with_weights(layer, matrix if layer.layout.inner_axis == 1 else matrix.T, model)


def _with_weights(layer: FloatLayer, array: NDArray[Any], model: FloatModel) -> FloatModel:
    place = layer.node.inputs.index(layer.weights_name)
    return model.with_operand(layer.node.name, place, np.ascontiguousarray(array, np.float32), f"{layer.name}_weights")
