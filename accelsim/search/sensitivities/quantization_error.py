"""How far quantized weights and activations are from their own values: mean squared error, and noise over signal.

======  =============================  ==================================================================================
name    of weights and activations     source
======  =============================  ==================================================================================
mse     mean (x - x^)^2                white paper (Nagel et al. 2021, arXiv 2106.08295), equation 16, divided by n
sqnr    sum (x - x^)^2 / sum x^2       inverse of the signal-to-quantization-noise ratio (Sheng et al. 2018,
                                       arXiv 1803.08607): 10^(-SQNR / 10), of which sums over layers make sense
======  =============================  ==================================================================================

Weights need no data; activations are those of the float network on the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.float_session import FloatSession
from accelsim.search.operand import Operand
from accelsim.search.sensitivities.measurement import Measurement, WidthCosts

# Of (sum of squared errors, sum of squares, count).
_Measure = Callable[[float, float, int], float]


def mean_squared_error(measurement: Measurement) -> WidthCosts:
    """``mean (x - x^)^2`` of each operand at each width."""
    return _errors(measurement, lambda error, square, count: error / max(count, 1))


def noise_to_signal(measurement: Measurement) -> WidthCosts:
    """``sum (x - x^)^2 / sum x^2`` of each operand at each width; 0 for operands that are 0 altogether."""
    return _errors(measurement, lambda error, square, count: error / square if square else 0.0)


def _errors(measurement: Measurement, measure: _Measure) -> WidthCosts:
    found: WidthCosts = {}
    model = measurement.models.model
    for operand, widths in measurement.asked.items():
        if operand.kind == "weights":
            weights = model.layer(operand.name).weights
            found[operand] = {bits: measure(*_squares(weights, measurement.models.weights(operand.name, bits)))
                              for bits in widths}
    return found | _activation_errors(measurement, measure)


def _activation_errors(measurement: Measurement, measure: _Measure) -> WidthCosts:
    """Sums over all samples, one run of the float network for all tensors."""
    models = measurement.models
    owners = {operand: models.placement.groups[operand.name].owners for operand in measurement.asked
              if operand.kind == "activations"}
    sums: dict[tuple[Operand, int], NDArray[np.float64]] = {
        (operand, bits): np.zeros(3) for operand in owners for bits in measurement.asked[operand]}
    session = FloatSession(models.model, [tensor for tensors in owners.values() for tensor in tensors], memories=1)
    for batch in measurement.samples:
        values = session.run(dict(batch))
        for (operand, bits), total in sums.items():
            for tensor in owners[operand]:
                total += _squares(values[tensor], models.on_grid(operand.name, bits, values[tensor]))
    found: WidthCosts = {}
    for (operand, bits), (error, square, count) in sums.items():
        found.setdefault(operand, {})[bits] = measure(float(error), float(square), int(count))
    return found


def _squares(values: NDArray[np.float32], quantized: NDArray[np.float32]) -> tuple[float, float, int]:
    """Of the error, of the values, and how many they are."""
    x = np.asarray(values, dtype=np.float64)
    return float(np.sum(np.square(x - quantized))), float(np.sum(np.square(x))), x.size
