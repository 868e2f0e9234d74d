"""A quantized network in floating point whose quantizers can be switched on one by one.

Debugging asks for many networks that differ in what is quantized: weights alone, activations alone, one layer alone (white
paper, arXiv 2106.08295, section 3.7).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.calibration_set import Batch
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.switched_session import SwitchedSession, node_input


class SwitchedNetwork:
    """A quantized network, ready to run with any of its quantizers on.

    Parameters
    ----------
    quantized : with static ranges.
    tensors : to fetch; the network's outputs if left out. What is fetched of a tensor with a quantizer is what its readers
        get.

    Attributes
    ----------
    layers : names of layers with constants that are quantized, in the order of execution.
    groups : names of groups of activations (`Placement.groups`), in the order of execution.

    Raises
    ------
    WorkloadError : ranges that are found during the run; a model that onnxruntime refuses.
    """

    def __init__(self, quantized: QuantizedModel, tensors: Collection[str] | None = None) -> None:
        if quantized.dynamic:
            raise quantized.model.error("expected ranges that are known before the run, got one that is found during it",
                                        f'tensor "{next(iter(quantized.dynamic))}"')
        self._session = SwitchedSession(quantized.model, quantized.placement, tensors)
        self._constants = _constants(quantized, self._session.model)
        self._grids = quantized.activations
        self.layers, self.groups = tuple(self._constants), tuple(self._grids)

    def run(self, batch: Batch, *, layers: Collection[str] = (), groups: Collection[str] = ()) -> dict[str, NDArray[Any]]:
        """The fetched tensors of a batch.

        Parameters
        ----------
        layers : whose constants are quantized.
        groups : of activations that are quantized.
        """
        constants = {name: values for layer in layers for name, values in self._constants[layer].items()}
        return self._session.run(batch, constants=constants, grids={name: self._grids[name] for name in groups})


def _constants(quantized: QuantizedModel, model: FloatModel) -> dict[str, dict[str, NDArray[Any]]]:
    """Layer -> the real values that its constants stand for, by their names in the session's model."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for layer in model.layers:
        own = quantized.weights[layer.name]
        bias = None if own.bias is None or own.bias_scale is None else own.bias * own.bias_scale
        edited = layer.edited(model, weights=own.dequantized, bias=bias)
        found[layer.name] = {name: array for name, array in edited.arrays.items() if array is not model.arrays[name]}
    for constant in quantized.placement.constants:
        operand = quantized.constants[constant.node, constant.position]
        name = node_input(model, constant.node, constant.position)
        values = operand.qparams.dequantize(operand.integers, dtype=np.float32)
        found.setdefault(constant.layer, {})[name] = values
    return found
