"""Smallest and largest value of each channel: over a calibration set, or as a batch normalization tells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.workload.operation import Convolution

Doubles = NDArray[np.float64]

# Source: white paper, section 3.1, BN based range setting: "alpha = 6 so that only large outliers are clipped".
_DEVIATIONS = 6.0


class Extremes(NamedTuple):
    """Of each channel, (channels,)."""

    low: Doubles
    high: Doubles

    @property
    def largest(self) -> Doubles:
        """Magnitudes."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def channel_extremes(model: FloatModel, axes: dict[str, int], data: CalibrationSet) -> dict[str, Extremes]:
    """Of each tensor, over the whole set; memory does not grow with it.

    Parameters
    ----------
    axes : tensor -> its axis of channels.

    Raises
    ------
    WorkloadError : what the set raises.
    """
    found: dict[str, Extremes] = {}
    session = FloatSession(model, tuple(axes), memories=1)
    for batch in data if axes else ():
        values = session.run(batch)
        for name, axis in axes.items():
            rows = np.moveaxis(values[name], axis, 0).reshape(values[name].shape[axis], -1)
            seen = Extremes(rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64))
            old = found.get(name, seen)
            found[name] = Extremes(np.minimum(old.low, seen.low), np.maximum(old.high, seen.high))
    return found


def output_extremes(model: FloatModel, layers: Iterable[FloatLayer], data: CalibrationSet | None) -> dict[str, Extremes]:
    """Of what layers make before their activation, by layer: seen in data, else ``beta -+ 6 |gamma|`` where known."""
    layers = list(layers)
    if data is not None:
        seen = channel_extremes(model, {layer.output: channel_axis(layer) for layer in layers}, data)
        return {layer.name: seen[layer.output] for layer in layers}
    known = {layer.name: model.statistics[layer.output] for layer in layers if layer.output in model.statistics}
    return {name: Extremes(each.mean - _DEVIATIONS * each.std, each.mean + _DEVIATIONS * each.std)
            for name, each in known.items()}


def channel_axis(layer: FloatLayer) -> int:
    """The axis of a layer's output channels."""
    return 1 if isinstance(layer.operation, Convolution) else layer.layout.product_axis
