"""The same network with quantizers of 32 bits: where it computes something else than the float network, preparation or
placement is wrong, and not the widths (white paper, arXiv 2106.08295, section 3.7, "FP32 sanity check")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.calibration_set import Batch
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.quantized_model import QuantizedModel, QuantizedOperand, QuantizedWeights

_BITS = 32


def with_wide_quantizers(quantized: QuantizedModel, batches: Iterable[Batch]) -> QuantizedModel:
    """The network with every quantizer at 32 bits, none of which clips any value of these batches; biases stay real.

    Raises
    ------
    WorkloadError : inputs that onnxruntime refuses.
    """
    model, groups = quantized.model, quantized.placement.groups
    session = FloatSession(model, [tensor for group in groups.values() for tensor in group.tensors])
    ends = dict.fromkeys(groups, (0.0, 0.0))
    for batch in batches:
        values = session.run(batch)
        for name, group in groups.items():
            low, high = ends[name]
            for tensor in group.tensors:
                low, high = min(low, float(values[tensor].min())), max(high, float(values[tensor].max()))
            ends[name] = low, high
    weights = {}
    for layer in model.layers:
        grid = _symmetric(layer.weights)
        integers = grid.quantize(layer.weights.reshape(layer.channels, -1)).reshape(layer.weights.shape)
        weights[layer.name] = QuantizedWeights(quantized.weights[layer.name].choice, grid, integers)
    constants = {}
    for place in quantized.constants:
        node = next(each for each in model.nodes if each.name == place[0])
        operand = model.array(node.inputs[place[1]])
        constants[place] = QuantizedOperand(_symmetric(operand), _symmetric(operand).quantize(operand))
    grids = {name: _asymmetric(*found) for name, found in ends.items()}
    return replace(quantized, activations=grids, weights=weights, constants=constants, dynamic={})


def _asymmetric(low: float, high: float) -> QParams:
    """White paper, equations 4 to 6, its ends widened to 0."""
    scale = (high - low) / (2**_BITS - 1) or 1.0
    return QParams(scale=scale, zero_point=round(-low / scale), qtype=QType(_BITS, False))


def _symmetric(values: NDArray[Any]) -> QParams:
    most = float(np.abs(values).max(initial=0.0))
    return QParams(scale=most / (2**(_BITS - 1) - 1) or 1.0, zero_point=0, qtype=QType(_BITS, True))
