"""What formats of weights ask of the layers' inputs: sums over the calibration set, such as ``sum x_k^2``.

The float network runs over the set once more, batch by batch; no activation outlives its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.bit_policy import WeightChoice
from accelsim.quantization.calibration import Told
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.nonuniform.weight_format import CodedFormat
from accelsim.quantization.patches import all_positions, patches
from accelsim.workload.onnx.products import product_of
from accelsim.workload.operation import Convolution

#: Numbers of a convolution's windows that are in memory at once: 32 MiB.
_NUMBERS_AT_ONCE = 1 << 23


def input_sums(model: FloatModel, choices: Mapping[str, WeightChoice], data: CalibrationSet | None,
               told: Told | None = None) -> dict[str, NDArray[np.float64]]:
    """By layer, what its format asks for (`CodedFormat.sums_of`); nothing for layers whose formats ask for nothing.

    Parameters
    ----------
    choices : by layer.
    told : for a progress bar.

    Raises
    ------
    WorkloadError : no calibration set where one is needed, and what it raises.
    """
    formats = {name: choice.format for name, choice in choices.items()
               if isinstance(choice.format, CodedFormat) and choice.format.needs_inputs}
    if not formats:
        return {}
    if data is None:
        raise model.error("expected a calibration set, from which the importance of weights is taken, got none",
                          next(iter(formats)))
    layers = {layer.name: layer for layer in model.layers if layer.name in formats}
    session = FloatSession(model, [layer.input for layer in layers.values()], memories=1)
    sums: dict[str, NDArray[np.float64]] = {}
    for count, batch in enumerate(data, 1):
        values = session.run(batch)
        for name, layer in layers.items():
            for rows in _rows(layer, values[layer.input], model):
                found = formats[name].sums_of(rows)
                sums[name] = found if name not in sums else sums[name] + found
        if told is not None:
            told(count, max(count, data.batches), "importance of weights")
    return sums


def _rows(layer: FloatLayer, values: NDArray[Any], model: FloatModel) -> Iterator[NDArray[Any]]:
    """What a layer reads as rows (G, M, K), a part after the other."""
    operation = layer.operation
    if isinstance(operation, Convolution):
        images = values.reshape(-1, operation.in_channels, *operation.in_size)
        positions = all_positions(operation, len(images))
        at_once = max(1, _NUMBERS_AT_ONCE // (prod(operation.kernel) * operation.in_channels))
        for first in range(0, len(positions), at_once):
            yield patches(images, operation, positions[first:first + at_once])
        return
    arrangement = product_of(layer.node, model.translation).streamed_as
    for sample in values.reshape(-1, prod(arrangement.shape)):
        yield arrangement.matrices(sample)
