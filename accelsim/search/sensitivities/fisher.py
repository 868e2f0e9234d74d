"""Fisher information along the quantization error, by finite differences.

Quantization moves weights (or activations) by D. To second order the outputs' distribution p then moves by

    KL(p || p^) ~ 1/2 D^T F D,     F = E_x E_{y ~ p(.|x)} [g g^T],     g = d log p(y|x) / dw

(Amari 1998; as a measure of sensitivity BRECQ, Li et al. 2021, arXiv 2102.05426, section 3.3). D^T g is the slope of log p
along D, which two runs give without a gradient, with w + h D and w - h D:

    D^T g = (log p(y | w + h D) - log p(y | w - h D)) / (2 h)

and the mean over y is exact, since all p(y|x) are known: no labels are needed. Activations move sample by sample, and take
one run, with x^ itself: D^T g ~ log p(y | x^) - log p(y | x).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.search.sensitivities.measurement import Measurement, WidthCosts

#: h: a step so small that slopes are linear, and so large that float32 shows them.
STEP = 0.05


def fisher_information(measurement: Measurement) -> WidthCosts:
    """``1/2 D^T F D`` of each operand at each width, in nats."""
    models = measurement.models
    found: WidthCosts = {}
    for operand, bits in measurement.widths():
        total, count = 0.0, 0
        for batch, logits in zip(measurement.samples, measurement.logits, strict=True):
            if operand.kind == "weights":
                weights = models.model.layer(operand.name).weights
                moved = STEP * (models.weights(operand.name, bits) - weights)
                ends = [log_softmax(measurement.logits_of(batch, weights={operand.name: weights + sign * moved}))
                        for sign in (1, -1)]
                slopes = (ends[0] - ends[1]) / (2 * STEP)
            else:
                changed = measurement.logits_of(batch, grids={operand.name: models.grid(operand.name, bits)})
                slopes = log_softmax(changed) - log_softmax(logits)
            total += float(np.sum(np.exp(log_softmax(logits)) * np.square(slopes)))
            count += len(logits)
        found.setdefault(operand, {})[bits] = total / (2 * max(count, 1))
    return found


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
