"""How well a quantized network's outputs do: against those of the float network, and against labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.debugging.noise_ratio import NoiseRatio


@dataclass(frozen=True, slots=True)
class OutputScore:
    """Of one variant of a network.

    Parameters
    ----------
    sqnr_db : of all outputs together; infinite where they are those of the float network.
    agreement : share of samples whose largest output is the float network's; None where outputs are no classes.
    accuracy : share of samples whose largest output is the label; None without labels.
    """

    sqnr_db: float
    agreement: float | None = None
    accuracy: float | None = None


class OutputScorer:
    """Takes in batch after batch. Classes lie along the last axis of the first output, if that has two at least."""

    def __init__(self) -> None:
        self._ratio = NoiseRatio()
        self._samples = self._agreeing = self._labelled = self._right = 0

    def add(self, real: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]],
            labels: NDArray[np.int64] | None) -> None:
        """One batch: the float network's outputs, the variant's, and the classes if they are known."""
        for name, values in real.items():
            self._ratio.add(values, found[name])
        first = next(iter(real))
        classes = [_classes(outputs[first]) for outputs in (real, found)]
        if classes[0] is None or classes[1] is None:
            return
        self._samples += len(classes[0])
        self._agreeing += int(np.sum(classes[0] == classes[1]))
        if labels is not None and len(labels) == len(classes[1]):
            self._labelled += len(labels)
            self._right += int(np.sum(classes[1] == labels))

    def score(self) -> OutputScore:
        """Of everything so far."""
        return OutputScore(self._ratio.db, self._agreeing / self._samples if self._samples else None,
                           self._right / self._labelled if self._labelled else None)


def _classes(outputs: NDArray[Any]) -> NDArray[np.int64] | None:
    """The largest output of each sample of (samples, ..., classes) with nothing in between; None of other shapes."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2 or outputs.size != outputs.shape[0] * outputs.shape[-1]:
        return None
    return np.asarray(outputs.reshape(len(outputs), -1).argmax(axis=1))
