"""What helps where weights, or activations, do the harm (white paper, arXiv 2106.08295, figure 9): as rules of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.debugging.debug_result import ACTIVATIONS, WEIGHTS, DebuggedLayer
from accelsim.quantization.quantized_model import QuantizedModel

#: Widths to which the most harmful tensors may grow.
_WIDER = (8, 16)

#: Of AdaRound: enough to see whether it helps, and no more, since the network may be large.
_ITERATIONS = 500


class Change(NamedTuple):
    """A rule to be tried behind those of a policy."""

    name: str
    rule: Mapping[str, Any]
    has_more_bits: bool = False

    def applied(self, policy: BitPolicy) -> BitPolicy:
        """The policy with the rule."""
        document = policy.to_document()
        return BitPolicy.model_validate({**document, "rules": [*document.get("rules", []), self.rule]})


def changes(quantized: QuantizedModel, side: str, worst: DebuggedLayer | None) -> Iterator[Change]:
    """What is worth trying; what the network has already is left out.

    Parameters
    ----------
    side : `WEIGHTS` or `ACTIVATIONS`, which does the harm.
    worst : the layer whose quantizer on that side does most of it.
    """
    if side == WEIGHTS:
        choices = [own.choice for own in quantized.weights.values() if own.lowered is None]
        if any(choice.scheme.granularity.kind == "tensor" for choice in choices):
            yield Change("one weight scale a channel", {"layers": "*", "weights": {"granularity": "channel"}})
        if any(choice.setter.name == "min_max" for choice in choices):
            yield Change("MSE ranges of weights", {"layers": "*", "weights": {"range": "mse"}})
        if any(choice.rounding.name == "nearest" for choice in choices):
            rounding = {"name": "adaround", "iterations": _ITERATIONS}
            yield Change("AdaRound", {"layers": "*", "weights": {"rounding": rounding}})
    if side == ACTIVATIONS:
        choices_of = [quantized.choices[name] for name in quantized.activations]
        if any(choice.scheme.symmetry == "symmetric" for choice in choices_of):
            yield Change("zero points of activations", {"layers": "*", "activations": {"symmetry": "asymmetric"}})
        for setter, name in (("mse", "MSE ranges"), ("percentile", "99.99 % ranges")):
            if any(choice.setter.name != setter for choice in choices_of):
                yield Change(f"{name} of activations", {"layers": "*", "activations": {"range": setter}})
    if worst is None:
        return
    present = worst.weight_bits if side == WEIGHTS else worst.output_bits
    wider = next((bits for bits in _WIDER if present is not None and bits > present), None)
    if wider is not None:
        yield Change(f"{worst.name} at {wider} bits", {"layers": [worst.name], side: {"bits": wider}}, has_more_bits=True)
