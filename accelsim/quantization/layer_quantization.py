"""Integers of all layers, one after the other: grid, rounding, correction of the bias.

Each layer sees those before it quantized, where its rounding or the correction of its bias looks at data (`lockstep`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.activation_quantization import ActivationGrids
from accelsim.quantization.bit_policy import WeightChoice
from accelsim.quantization.calibration import Told
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.correction.bias_correction import analytic_shift, empirical_shift
from accelsim.quantization.correction.channel_moments import channel_moments
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.lockstep import Lockstep, sampled
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.weight_format import CodedFormat
from accelsim.quantization.placement import Placement
from accelsim.quantization.quantized_model import QuantizedOperand, QuantizedWeights
from accelsim.quantization.resolved_policy import ResolvedPolicy
from accelsim.quantization.rounding_method import NEAREST, DataRounding
from accelsim.quantization.weight_coding import coded_layer
from accelsim.quantization.weight_quantization import quantized_bias, weight_grid
from accelsim.quantization.weight_rounding import RoundingTask, has_place_for_bias, layer_problem, rounded

#: How the shift of means that rounding leaves is taken off the biases: from data, from statistics, or not.
Correction = Literal["none", "empirical", "analytic"]

#: What empirical correction looks at.
_LOOK = DataRounding()


class _Rounded(NamedTuple):
    """A layer's weights on their way; `bias` is real and None where the layer's own holds."""

    qparams: QParams
    integers: NDArray[Any]
    bias: NDArray[np.float64] | None = None
    lowered: LoweredWeights | None = None


@dataclass(frozen=True)
class QuantizationTask:
    """What all layers have in common.

    Parameters
    ----------
    model : prepared.
    placement, grids, constants : of the activations.
    choices : of the policy.
    bias_bits : of biases.
    sums : what coded formats ask of layers' inputs, by layer.
    data : None where nothing looks at data.
    correction : of biases.
    told : for a progress bar.
    """

    model: FloatModel
    placement: Placement
    grids: ActivationGrids
    constants: Mapping[tuple[str, int], QuantizedOperand]
    choices: ResolvedPolicy
    bias_bits: int
    sums: Mapping[str, NDArray[Any]]
    data: CalibrationSet | None = None
    correction: Correction = "none"
    told: Told | None = None

    @property
    def methods(self) -> list[DataRounding]:
        """The roundings that look at data."""
        return [choice.rounding for choice in self.choices.weights.values() if isinstance(choice.rounding, DataRounding)]


class QuantizedLayers(NamedTuple):
    """Integers by layer; remarks on what differs from what was asked for; layers whose bias was corrected."""

    weights: dict[str, QuantizedWeights]
    remarks: tuple[str, ...]
    corrected: tuple[str, ...]


def quantized_layers(task: QuantizationTask) -> QuantizedLayers:
    """The integers of all layers.

    Raises
    ------
    WorkloadError : weights, biases and inputs that are not finite or that their grids cannot hold; no data where they are
        needed.
    """
    return _Layers(task).run()


class _Layers:
    """The state of one such run."""

    def __init__(self, task: QuantizationTask) -> None:
        self._task = task
        self._model = task.model
        self._lockstep = self._pair()
        self._moments = channel_moments(task.model) if task.correction == "analytic" else {}
        self._steps = sum(_steps(method) for method in task.methods)
        self._done = 0
        self._remarks: list[str] = []
        self._corrected: list[str] = []

    def _pair(self) -> Lockstep | None:
        """Both networks on a sample, where some layer looks at it."""
        task, looks = self._task, list(self._task.methods)
        if task.correction == "empirical":
            looks.append(_LOOK)
        if not looks or task.data is None:
            return None
        generator = np.random.default_rng(min(look.seed for look in looks))
        runs = sampled(task.data, task.model, task.placement, max(look.samples for look in looks), generator)
        return Lockstep(task.model, task.placement, task.grids.grids, task.grids.dynamic, task.constants, runs)

    def run(self) -> QuantizedLayers:
        done = {}
        for layer in self._model.layers:
            done[layer.name] = self._quantized(layer)
            if self._lockstep is not None:
                self._lockstep.quantize(layer, done[layer.name])
        return QuantizedLayers(done, tuple(self._remarks), tuple(self._corrected))

    def _quantized(self, layer: FloatLayer) -> QuantizedWeights:
        task = self._task
        choice = task.choices.weights[layer.name]
        grid = task.grids.grids.get(task.placement.group_of(layer.input).name)
        try:
            found = self._rounded(layer, choice, grid)
            shift = self._shift(layer, found, grid)
        except NumericsError as error:
            problem = f"{error.field}: {error.problem}" if error.field else error.problem
            raise self._model.error(problem, layer.name) from None
        if shift is not None:
            assert layer.bias is not None
            found = found._replace(bias=layer.bias - shift)
        return self._with_bias(layer, choice, found, grid, is_corrected=shift is not None)

    def _rounded(self, layer: FloatLayer, choice: WeightChoice, grid: QParams | None) -> _Rounded:
        task = self._task
        if isinstance(choice.format, CodedFormat):
            lowered, widened = coded_layer(layer, choice, grid, task.bias_bits, self._model, task.sums.get(layer.name))
            found = _Rounded(lowered.qparams, lowered.integers, lowered=lowered)
        else:
            qparams, widened = weight_grid(layer, choice, grid, task.bias_bits, self._model)
            rows = None if self._lockstep is None else partial(self._lockstep.rows, layer)
            tell = partial(self._tell, layer, choice) if task.told is not None else None
            made = rounded(RoundingTask(layer, qparams, choice.rounding, choice.scheme, rows, tell))
            self._done += _steps(choice.rounding)
            found = _Rounded(made.grid, made.integers, made.bias)
        if widened:
            self._remarks.append(f"{layer.name}: weight scales of {widened} channels grew so that the bias fits "
                                 f"{task.bias_bits} bits")
        return found

    def _tell(self, layer: FloatLayer, choice: WeightChoice, done: int, total: int) -> None:
        assert self._task.told is not None
        steps = _steps(choice.rounding)
        self._task.told(self._done + steps * done // total, self._steps, f"{choice.rounding.name} {layer.name}")

    def _shift(self, layer: FloatLayer, found: _Rounded, grid: QParams | None) -> NDArray[np.float64] | None:
        """How far the means of the layer's outputs are too high; None where that is not corrected."""
        correction = self._task.correction
        if correction == "none" or layer.bias is None or grid is None or not has_place_for_bias(layer):
            return None
        if correction == "analytic":
            if layer.input not in self._moments:
                return None
            matrix = found.integers.reshape(layer.channels, -1)
            quantized = np.asarray(found.qparams.dequantize(matrix)).reshape(layer.weights.shape)
            return analytic_shift(layer.weights, quantized, self._moments[layer.input].mean)
        assert self._lockstep is not None
        rows = self._lockstep.rows(layer, _LOOK.rows, np.random.default_rng(_LOOK.seed))
        return empirical_shift(layer_problem(layer, found.qparams, *rows), found.integers)

    def _with_bias(self, layer: FloatLayer, choice: WeightChoice, found: _Rounded, grid: QParams | None, *,
                   is_corrected: bool) -> QuantizedWeights:
        """The bias as integers; one that was learned or corrected and that does not fit gives way to what was given."""
        task = self._task
        if layer.bias is None or grid is None:
            return QuantizedWeights(choice, found.qparams, found.integers, lowered=found.lowered)
        scale = float(np.asarray(grid.scale))
        wanted = layer if found.bias is None else replace(layer, bias=found.bias)
        try:
            bias, unit = quantized_bias(wanted, found.qparams, scale, task.bias_bits, self._model)
        except WorkloadError:
            if found.bias is None:
                raise
            self._remarks.append(f"{layer.name}: as given and rounded to nearest, since the bias that was found does not "
                                 f"fit {task.bias_bits} bits")
            plain = replace(choice, rounding=NEAREST)
            return self._with_bias(layer, choice, self._rounded(layer, plain, grid), grid, is_corrected=False)
        if is_corrected:
            self._corrected.append(layer.name)
        return QuantizedWeights(choice, found.qparams, found.integers, bias, unit, found.lowered)


def _steps(method: object) -> int:
    """What a progress bar counts for one layer."""
    return getattr(method, "iterations", 1) if isinstance(method, DataRounding) else 0
