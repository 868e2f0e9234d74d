"""The loss of a whole choice: all operands quantized at once, which no sum of single sensitivities tells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.search.evolutionary import Measured
from accelsim.search.prepared_search import PreparedSearch
from accelsim.search.request import SearchRequest
from accelsim.search.sensitivities.measurement import Measurement
from accelsim.search.sensitivities.output_change import cross_entropy
from accelsim.search.space import SearchSpace


def measured_loss(request: SearchRequest) -> Measured:
    """The cross-entropy of the simulated-quantized network on the samples of a search, by assignment.

    Weights and activations lie on their grids, in floating point (white paper, arXiv 2106.08295, section 2.3), so that a
    choice takes one run and no quantization of its own. Equal assignments are measured once.
    """
    parts = PreparedSearch(request)
    measurement = Measurement(parts.models, {}, parts.samples)
    classes = np.concatenate(measurement.classes)
    known: dict[tuple[int, ...], float] = {}

    def loss(assignment: Mapping[str, int]) -> float:
        key = tuple(assignment.values())
        if key not in known:
            known[key] = _loss(measurement, parts.space, assignment, classes)
        return known[key]

    return loss


def _loss(measurement: Measurement, space: SearchSpace, assignment: Mapping[str, int], classes: np.ndarray) -> float:
    models = measurement.models
    weights = {operand.name: models.weights(operand.name, assignment[name])
               for operand, name in space.variable_of.items() if operand.kind == "weights"}
    grids = {operand.name: models.grid(operand.name, assignment[name])
             for operand, name in space.variable_of.items() if operand.kind == "activations"}
    outputs = [measurement.logits_of(batch, weights=weights, grids=grids) for batch in measurement.samples]
    return cross_entropy(np.concatenate(outputs), classes)
