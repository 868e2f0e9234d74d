"""What one quantized operand does to the network's outputs.

========  ============================================================  ====================================================
name      of the outputs with one operand quantized, others in float    source
========  ============================================================  ====================================================
kl        mean KL(softmax of float || softmax of quantized), in nats    ZeroQ (Cai et al. 2020, arXiv 2001.00281), eq. 3
loss      rise of the cross-entropy with the labels, in nats            HAWQ-V2 (Dong et al. 2019, arXiv 1911.03852), sec. 3:
                                                                        the perturbation of the loss itself
accuracy  share of samples that are no longer right                     HAQ (Wang et al. 2019, arXiv 1811.08886), eq. 6;
                                                                        AIMET (arXiv 2201.08442), phase 1
========  ============================================================  ====================================================

Without labels the float network's own answers count as right. A measure below 0 (chance: quantization happened to help) is
0, so that noise buys nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.error_measures import softmax_divergence
from accelsim.search.sensitivities.measurement import Measurement, WidthCosts


def output_divergence(measurement: Measurement) -> WidthCosts:
    """Kullback-Leibler divergence of the outputs."""
    expected = np.concatenate(measurement.logits)
    return measurement.one_quantized(lambda outputs: max(0.0, softmax_divergence(expected, np.concatenate(outputs))))


def loss_rise(measurement: Measurement) -> WidthCosts:
    """Rise of the mean cross-entropy."""
    classes = np.concatenate(measurement.classes)
    before = cross_entropy(np.concatenate(measurement.logits), classes)
    return measurement.one_quantized(lambda outputs: max(0.0, cross_entropy(np.concatenate(outputs), classes) - before))


def accuracy_drop(measurement: Measurement) -> WidthCosts:
    """Fall of the share of right answers."""
    classes = np.concatenate(measurement.classes)
    before = accuracy(np.concatenate(measurement.logits), classes)
    return measurement.one_quantized(lambda outputs: max(0.0, before - accuracy(np.concatenate(outputs), classes)))


def cross_entropy(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """Mean of -log softmax(logits)[class], in nats.

    >>> round(cross_entropy(np.zeros((1, 2)), np.array([1])), 6)  # of two equal probabilities: log 2
    0.693147
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(logs)), classes].mean())


def accuracy(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """Share of rows whose largest number is at the class.

    >>> accuracy(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1, 1]))
    0.5
    """
    return float(np.mean(np.argmax(logits, axis=1) == classes))
