"""A network quantized at each width that a search may choose: integers of weights and grids of activations by width.

Whatever a policy decides, a layer's weights at some width are those of the network that has this width everywhere, but
where a wide bias makes weight scales grow (`accelsim.quantization.weight_quantization`); so a network is quantized once a
width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import ActivationRule, BitPolicy, WeightRule
from accelsim.quantization.calibration_set import Source
from accelsim.quantization.fake_quantization import fake_quantize
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.weight_quantization import quantized_bias
from accelsim.search.solution import Told


def search_policy(*, has_power_of_two_scale: bool = False) -> BitPolicy:
    """What a search begins with where the user has no policy: ranges with the least squared error, which few bits need.

    Parameters
    ----------
    has_power_of_two_scale : for accelerators that requantize by shifts alone.
    """
    power = True if has_power_of_two_scale else None
    return BitPolicy(name="search", weights=WeightRule(range="mse", has_power_of_two_scale=power),
                     activations=ActivationRule(range="mse", has_power_of_two_scale=power))


def at_width(base: BitPolicy, *, weight_bits: int, activation_bits: int) -> BitPolicy:
    """A policy with one width for all weights and one for all activations; rules of the base keep what else they say."""
    rules = tuple(rule.model_copy(update={"weights": rule.weights.model_copy(update={"bits": None}),
                                          "activations": rule.activations.model_copy(update={"bits": None})})
                  for rule in base.rules)
    return base.model_copy(update={
        "weights": base.weights.model_copy(update={"bits": weight_bits}),
        "activations": base.activations.model_copy(update={"bits": activation_bits}),
        "rules": rules, "name": f"w{weight_bits}a{activation_bits}"})


@dataclass(frozen=True, eq=False)
class WidthModels:
    """The network at every width.

    Parameters
    ----------
    models : by width, of weights and activations alike.
    """

    models: Mapping[int, QuantizedModel]

    @classmethod
    def of(cls, model: FloatModel, data: Source, base: BitPolicy, widths: tuple[int, ...],
           told: Told | None = None) -> WidthModels:
        """Quantizes the network at these widths.

        Raises
        ------
        QuantizationError, WorkloadError : as `quantize`.
        """
        found = {}
        for done, bits in enumerate(widths):
            found[bits] = quantize(model, data, at_width(base, weight_bits=bits, activation_bits=bits))
            if told is not None:
                told(done + 1, len(widths), f"quantized at {bits} bits")
        return cls(found)

    @property
    def model(self) -> FloatModel:
        """In floating point, batch normalizations folded."""
        return next(iter(self.models.values())).model

    @property
    def placement(self) -> Placement:
        return next(iter(self.models.values())).placement

    def weights(self, layer: str, bits: int) -> NDArray[np.float32]:
        """The real weights (G, N, K) that a layer has at a width."""
        return self.models[bits].weights[layer].dequantized

    def grid(self, group: str, bits: int) -> QParams:
        """The grid of a group of activations at a width."""
        return self.models[bits].activations[group]

    def on_grid(self, group: str, bits: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Activations quantized and dequantized."""
        return np.asarray(fake_quantize(values, self.grid(group, bits)))

    def mixed(self, weights: Mapping[str, int], activations: Mapping[str, int]) -> QuantizedModel:
        """The network with these widths by layer and by group, without another calibration.

        Biases are in the units of the widths at hand. Weights whose scales would have to grow for them are not told apart,
        so the policy's own `quantize` has the last word.
        """
        first = next(iter(self.models.values()))
        grids = {group: self.grid(group, bits) for group, bits in activations.items()}
        made = {}
        for layer in self.model.layers:
            own = self.models[weights[layer.name]].weights[layer.name]
            scale = float(np.asarray(grids[self.placement.group_of(layer.input).name].scale))
            bias, unit = (None, None) if layer.bias is None else quantized_bias(
                layer, own.qparams, scale, first.policy.bias_bits, self.model)
            made[layer.name] = replace(own, bias=bias, bias_scale=unit)
        choices = {group: self.models[bits].choices[group] for group, bits in activations.items()}
        return replace(first, activations=grids, weights=made, choices=choices)
