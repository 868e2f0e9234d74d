"""How weights on their grid become integers: functions of a layer, by name.

=============  =======================================================================================  ==================
name           integers                                                                                 looks at data
=============  =======================================================================================  ==================
nearest        each weight's nearest                                                                    no
stochastic     up or down by chance (`stochastic`)                                                      no
adaround       up or down, learned (`rounding.adaround`)                                                yes
adaquant       any, learned with scales and bias (`rounding.adaquant`)                                  yes
second_order   column by column (`rounding.second_order`)                                               yes
=============  =======================================================================================  ==================

Those that look at data solve the layer's problem (`layer_problem`) on what the float network and the network quantized so
far feed it (`lockstep`). Their options are those of `rounding_method`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.clip import NO_CLIP
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.layer_problem import LayerProblem, Rows
from accelsim.quantization.rounding.adaquant import AdaptionRates, adaquant
from accelsim.quantization.rounding.adaround import adaround
from accelsim.quantization.rounding.channel_part import Told
from accelsim.quantization.rounding.rounding_regularizer import RoundingRegularizer
from accelsim.quantization.rounding.second_order import ColumnOrder, second_order
from accelsim.quantization.rounding_method import AdaQuant, AdaRound, DataRounding, RoundingMethod, SecondOrder, Stochastic
from accelsim.quantization.scheme import Scheme
from accelsim.quantization.stochastic import quantize_stochastically


class RoundingTask(NamedTuple):
    """A layer whose weights are to be rounded.

    Parameters
    ----------
    layer : with its real weights.
    grid : of the weights as a matrix (G * N, K).
    method : with its options.
    scheme : that the grid is of.
    rows : makes rows (G, M, K) of the layer's inputs in the float network and in the one quantized so far, so many and by
        this generator; None where there are no data.
    told : called with (done, total) steps.
    """

    layer: FloatLayer
    grid: QParams
    method: RoundingMethod
    scheme: Scheme
    rows: Callable[[int, np.random.Generator], tuple[Rows, Rows]] | None = None
    told: Told | None = None

    @property
    def generator(self) -> np.random.Generator:
        """The layer's own chance: the same whatever is done to others."""
        return np.random.default_rng([getattr(self.method, "seed", 0), zlib.crc32(self.layer.name.encode())])

    def problem(self, generator: np.random.Generator) -> LayerProblem:
        """What a method that looks at data solves.

        Raises
        ------
        NumericsError : NaN or infinities among the inputs.
        """
        assert isinstance(self.method, DataRounding)
        assert self.rows is not None
        return layer_problem(self.layer, self.grid, *self.rows(self.method.rows, generator))


class RoundedWeights(NamedTuple):
    """Integers of a layer's weights.

    Parameters
    ----------
    integers : (G, N, K).
    grid : what they are on: the task's, unless scales were learned as well.
    bias : (G * N,), real, where one was learned; None leaves the layer's.
    """

    integers: NDArray[Any]
    grid: QParams
    bias: NDArray[np.float64] | None = None


#: Layers come in the order of execution.
WeightRounding = Callable[[RoundingTask], RoundedWeights]


def layer_problem(layer: FloatLayer, grid: QParams, inputs: Rows, quantized_inputs: Rows) -> LayerProblem:
    """A layer's problem; one with an operator between product and activation is judged before it."""
    clip = NO_CLIP if layer.followers else layer.clip
    return LayerProblem(weights=layer.weights, grid=grid, inputs=inputs, quantized_inputs=quantized_inputs, bias=layer.bias,
                        clip=clip)


def has_place_for_bias(layer: FloatLayer) -> bool:
    """Whether a bias of a layer becomes integers: one for all matrices of a product, on its columns."""
    if layer.kind != "matmul":
        return True
    return (layer.weights.shape[0] == 1 and layer.node.inputs[0] != layer.weights_name
            and (layer.node.op != "MatMul" or layer.layout.channel_axis == len(layer.layout.shape) - 1))


def _nearest(task: RoundingTask) -> RoundedWeights:
    """Each weight to its nearest integer, as ONNX's QuantizeLinear rounds (white paper, equation 7)."""
    weights = task.layer.weights
    return RoundedWeights(task.grid.quantize(weights.reshape(task.layer.channels, -1)).reshape(weights.shape), task.grid)


def _stochastic(task: RoundingTask) -> RoundedWeights:
    weights = task.layer.weights
    assert isinstance(task.method, Stochastic)
    integers = quantize_stochastically(weights.reshape(task.layer.channels, -1), task.grid, generator=task.generator)
    return RoundedWeights(integers.reshape(weights.shape), task.grid)


def _adaround(task: RoundingTask) -> RoundedWeights:
    generator, method = task.generator, task.method
    assert isinstance(method, AdaRound)
    return RoundedWeights(adaround(
        task.problem(generator), generator=generator, iterations=method.iterations,
        rows_per_iteration=method.rows_per_iteration, rate=method.rate,
        regularizer=RoundingRegularizer(weight=method.regularization), settles=method.settles, told=task.told), task.grid)


def _adaquant(task: RoundingTask) -> RoundedWeights:
    """Scales that are powers of two, or that channels share, and a bias that is not there, stay as they are."""
    generator, method, layer = task.generator, task.method, task.layer
    assert isinstance(method, AdaQuant)
    has_groups = task.scheme.granularity.kind == "channel_group" or (
        task.grid.axis == 0 and layer.layout.channel_repeats > 1)
    is_shared = task.scheme.has_power_of_two_scale or has_groups
    rates = AdaptionRates(method.weight_rate, 0.0 if is_shared else method.scale_rate,
                          method.bias_rate if layer.bias is not None and has_place_for_bias(layer) else 0.0)
    found = adaquant(task.problem(generator), generator=generator, iterations=method.iterations,
                     rows_per_iteration=method.rows_per_iteration, rates=rates, told=task.told)
    return RoundedWeights(found.integers, found.grid, found.bias if rates.bias else None)


def _second_order(task: RoundingTask) -> RoundedWeights:
    method = task.method
    assert isinstance(method, SecondOrder)
    integers = second_order(task.problem(task.generator), damping=method.damping, order=cast(ColumnOrder, method.order))
    return RoundedWeights(integers, task.grid)


#: By the names that policies have.
WEIGHT_ROUNDINGS: Mapping[str, WeightRounding] = {
    "nearest": _nearest, "stochastic": _stochastic, "adaround": _adaround, "adaquant": _adaquant,
    "second_order": _second_order}


def rounded(task: RoundingTask) -> RoundedWeights:
    """A layer's integers by the task's method.

    Raises
    ------
    NumericsError : what the method cannot do with this grid; weights or inputs that are not finite.
    """
    if task.method.needs_data and task.rows is None:
        raise NumericsError(f"expected a calibration set, which {task.method.name} looks at, got none", field="rounding")
    return WEIGHT_ROUNDINGS[task.method.name](task)
