"""What helps where weights, or activations, do the harm (white paper, arXiv 2106.08295, figure 9): rules of a policy,
steps of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.debugging.debug_result import POLICY, RECIPE, WEIGHTS, DebuggedLayer, Place
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import Recipe

#: Widths to which the most harmful tensors may grow.
_WIDER = (8, 16)

#: Of AdaRound: enough to see whether it helps, and no more, since the network may be large.
_ITERATIONS = 500


class Change(NamedTuple):
    """A rule to be tried behind those of a policy, or keys to be tried in a recipe."""

    name: str
    place: Place
    change: Mapping[str, Any]
    has_more_bits: bool = False

    def applied(self, policy: BitPolicy, recipe: Recipe) -> tuple[BitPolicy, Recipe]:
        """Both, one of them changed."""
        if self.place == RECIPE:
            return policy, Recipe.model_validate({**recipe.model_dump(), **self.change})
        document = policy.to_document()
        return BitPolicy.model_validate({**document, "rules": [*document.get("rules", []), self.change]}), recipe


def changes(quantized: QuantizedModel, recipe: Recipe, side: str, worst: DebuggedLayer | None) -> Iterator[Change]:
    """What is worth trying; what the network has already is left out.

    Parameters
    ----------
    recipe : that it was made by.
    side : `WEIGHTS` or `ACTIVATIONS`, which does the harm.
    worst : the layer whose quantizer on that side does most of it.
    """
    if recipe.equalization != "always":
        yield Change("cross-layer equalization", RECIPE, {"equalization": "always", "absorbs_biases": True})
    yield from _of_weights(quantized, recipe) if side == WEIGHTS else _of_activations(quantized)
    if worst is None:
        return
    present = worst.weight_bits if side == WEIGHTS else worst.output_bits
    wider = next((bits for bits in _WIDER if present is not None and bits > present), None)
    if wider is not None:
        rule = {"layers": [worst.name], side: {"bits": wider}}
        yield Change(f"{worst.name} at {wider} bits", POLICY, rule, has_more_bits=True)


def _of_weights(quantized: QuantizedModel, recipe: Recipe) -> Iterator[Change]:
    choices = [own.choice for own in quantized.weights.values() if own.lowered is None]
    if any(choice.scheme.granularity.kind == "tensor" for choice in choices):
        yield Change("one weight scale a channel", POLICY, {"layers": "*", "weights": {"granularity": "channel"}})
    if any(choice.setter.name == "min_max" for choice in choices):
        yield Change("MSE ranges of weights", POLICY, {"layers": "*", "weights": {"range": "mse"}})
    if recipe.bias_correction != "empirical":
        yield Change("bias correction", RECIPE, {"bias_correction": "empirical"})
    if any(choice.rounding.name == "nearest" for choice in choices):
        rounding = {"name": "adaround", "iterations": _ITERATIONS}
        yield Change("AdaRound", POLICY, {"layers": "*", "weights": {"rounding": rounding}})


def _of_activations(quantized: QuantizedModel) -> Iterator[Change]:
    choices = [quantized.choices[name] for name in quantized.activations]
    if any(choice.scheme.symmetry == "symmetric" for choice in choices):
        yield Change("zero points of activations", POLICY, {"layers": "*", "activations": {"symmetry": "asymmetric"}})
    for setter, name in (("mse", "MSE ranges"), ("percentile", "99.99 % ranges")):
        if any(choice.setter.name != setter for choice in choices):
            yield Change(f"{name} of activations", POLICY, {"layers": "*", "activations": {"range": setter}})
