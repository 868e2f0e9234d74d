"""How weights on their grid become integers: functions of a layer, by name.

A rounding that looks at data is one of these too: a function that runs the float network and the network quantized so far,
and solves the layer's problem (`layer_problem`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement
from accelsim.quantization.quantized_model import QuantizedWeights


class RoundingTask(NamedTuple):
    """A layer whose weights are to be rounded.

    Parameters
    ----------
    layer : with its real weights.
    grid : of the weights as a matrix (G * N, K).
    model : the float network.
    placement, activations : where activations are rounded, and their grids by group.
    done : layers before this one, by name.
    """

    layer: FloatLayer
    grid: QParams
    model: FloatModel
    placement: Placement
    activations: Mapping[str, QParams]
    done: Mapping[str, QuantizedWeights]


#: Integers (G, N, K) for a layer's weights; layers come in the order of execution.
WeightRounding = Callable[[RoundingTask], NDArray[Any]]


def nearest(task: RoundingTask) -> NDArray[Any]:
    """Each weight to its nearest integer, as ONNX's QuantizeLinear rounds (white paper, equation 7)."""
    weights = task.layer.weights
    return task.grid.quantize(weights.reshape(task.layer.channels, -1)).reshape(weights.shape)


#: By the names that policies have.
WEIGHT_ROUNDINGS: Mapping[str, WeightRounding] = {"nearest": nearest}
