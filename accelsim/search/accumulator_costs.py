"""Accumulator widths as decisions: what is safe, and how often what is not safe overflows.

The guarantee, per layer and for each width of its weights and inputs: the worst sum that any inputs can make fits,

    |b'| + sum_k |w_k| * max|x'| <= 2^(P-1) - 1

with b' and x' what the machine adds in its zero-point mode (A2Q's L1 bound, Colbert et al. 2023, arXiv 2308.13504, is the
case b' = 0, z = 0). A width P that breaks it is forbidden. Without the guarantee a width costs the share of the layer's
outputs with a partial sum that left the register, on the samples, times a weight.

Both come from runs of the network on the machine, with every width of weights and inputs: integers decide, in the machine's
order of additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from accelsim.hardware.accelerator import Accelerator
from accelsim.results.layer_values import LayerValues
from accelsim.search.problem import CostTerm
from accelsim.search.samples import Samples
from accelsim.search.solution import Told
from accelsim.search.space import UNIFORM_BITS, LayerOperands, SearchSpace
from accelsim.search.width_models import WidthModels
from accelsim.simulation import simulate

#: Samples that overflows are measured on.
MOST_SAMPLES = 16

# Of one layer (weight bits, input bits).
_Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class AccumulatorNeeds:
    """What each layer's accumulators do at each pair of widths.

    Parameters
    ----------
    values : (weight bits, input bits) -> layer -> what its integers did, with a trial for each width of the search.
    """

    values: dict[_Pair, dict[str, LayerValues]]

    @classmethod
    def measured(cls, space: SearchSpace, models: WidthModels, accelerator: Accelerator, samples: Samples,
                 told: Told | None = None) -> AccumulatorNeeds:
        """Runs the network with every pair of widths.

        Raises
        ------
        NumericsError : scales that the accelerator's requantizer does not take.
        """
        arrays = {name: array[:MOST_SAMPLES] for name, array in samples.arrays().items()}
        pairs = list(product(space.widths("weights"), space.widths("activations")))
        found: dict[_Pair, dict[str, LayerValues]] = {}
        groups = list(models.placement.groups)
        for done, (weight_bits, input_bits) in enumerate(pairs):
            network = models.mixed({layer.name: weight_bits for layer in models.model.layers},
                                   dict.fromkeys(groups, input_bits)).network()
            result = simulate(accelerator, network, inputs=arrays, event_limit=0, trial_bits=space.widths("accumulators"))
            found[weight_bits, input_bits] = {layer.name: layer.values for layer in result.layers
                                              if layer.values is not None and layer.values.widths is not None}
            if told is not None:
                told(done + 1, len(pairs), "accumulators")
        return cls(found)

    def safe_bits(self, layer: str, pair: _Pair) -> int:
        """The narrowest accumulators of a layer that nothing can overflow."""
        widths = self.values[pair][layer].widths
        assert widths is not None
        return widths.worst_case_bits

    def overflowing_share(self, layer: str, pair: _Pair, bits: int) -> float:
        """Outputs of a layer with a partial sum that left accumulators of this width, as a share."""
        if bits >= self.safe_bits(layer, pair):
            return 0.0
        trial = next(trial for trial in self.values[pair][layer].trials if trial.bits == bits)
        return trial.outputs_hit / max(trial.outputs, 1)


def accumulator_terms(space: SearchSpace, needs: AccumulatorNeeds, *, is_safe: bool,
                      weight: float = 1.0) -> tuple[CostTerm, ...]:
    """A term for each layer with open accumulators: forbidden widths, or the measured share of outputs times a weight.

    The bound counts the hardware's own wires between PEs as wide enough; narrower ones are checked by the run of the policy.
    """
    terms = []
    for layer, operands in space.layers.items():
        if operands.accumulators is None:
            continue
        parts = [operands.weights, operands.inputs, operands.accumulators]
        names = list(dict.fromkeys(space.variable_of[part] for part in parts if part is not None))
        choices = [space.choices[name] for name in names]
        values = np.zeros([len(each) for each in choices])
        for places in product(*(range(len(each)) for each in choices)):
            assignment = {name: each[place] for name, each, place in zip(names, choices, places, strict=True)}
            bits = assignment[space.variable_of[operands.accumulators]]
            pair = _pair(operands, space, assignment)
            if is_safe:
                values[places] = np.inf if needs.safe_bits(layer, pair) > bits else 0.0
            else:
                values[places] = weight * needs.overflowing_share(layer, pair, bits)
        terms.append(CostTerm(f"{layer} accumulators", tuple(names), values))
    return tuple(terms)


def _pair(operands: LayerOperands, space: SearchSpace, assignment: Mapping[str, int]) -> _Pair:
    """The run that tells; of a product of two activations one with both as wide as the wider: its bound holds for both."""
    weights = space.bits_of(operands.weights, assignment) or UNIFORM_BITS
    inputs = space.bits_of(operands.inputs, assignment) or UNIFORM_BITS
    if operands.weights is not None and operands.weights.kind == "weights":
        return weights, inputs
    return UNIFORM_BITS, max(weights, inputs)
